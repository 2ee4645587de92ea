"""One call of `fit`: networks, reference points, and scores of rows that no network has seen."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from skae._estimators.denoising import DenoisingAutoencoder
from skae._outliers.comparison import ERROR_WEIGHT, AnyScaling, Member, scaled_blocks
from skae._outliers.scaling import Scaling, take_rows
from skae._outliers.tables import TableScaling
from skae._typing import Array, Matrix, Rng

if TYPE_CHECKING:
    from skae._tables.table import Table  # imports narwhals, which takes 40 ms

FEW_ROWS, FOLDS = 1000, 5  # below this number of rows, "auto" uses folds
MOST_CALIBRATING = 20_000  # rows: the p-values then have steps of 0.00005
MOST_FOR_UNITS = 5000
MOST_FOR_CENTRES, LLOYD_STEPS = 20_000, 4
SHARE_FOR_UNITS = 0.25  # of the rows kept apart; the others calibrate, and are independent of them
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Settings:
    """The parameters of the detector that `fit_members` needs, with "auto" resolved."""

    n_folds: int
    calibration_fraction: float
    n_neighbors: int
    n_references: int
    trim: float
    standardize: bool


@dataclass(frozen=True)
class Ensemble:
    """Members, and the scores and weights of the calibrating rows."""

    members: list[Member]
    scores: Array
    weight: Array


def default_autoencoder(n_features: int) -> DenoisingAutoencoder:
    """Return the network for ``autoencoder=None``: a denoiser with a code as wide as a row.

    A denoiser moves rows towards where rows are dense, by an amount that grows with their distance
    from there.  So it needs no bottleneck to find outliers.
    """
    return DenoisingAutoencoder(
        n_features, hidden_layer_sizes=(32,), init="pca", noise_scale=0.5, early_stopping=False
    )


def fit_members(
    autoencoder: Any,
    X: Matrix,
    weight: Array,
    settings: Settings,
    rng: Rng,
    table: "Table | None" = None,
) -> Ensemble:
    """Train a network for each fold on the rows outside the fold, and score the rows inside."""
    folds = _draw_folds(weight, settings, rng)
    # with one fold, the rows that calibrate must not have been used for anything else
    outside = np.where(folds == 0, 0, weight) if settings.n_folds == 1 else weight
    training = outside
    if settings.trim:
        training = _trimmed(autoencoder, X, outside, settings, rng, table)
    scaling = _scaling(X, outside, settings, table)
    rows = scaling.for_networks(X)
    weights = [np.where(folds == fold, 0, training) for fold in range(settings.n_folds)]
    members = [_trained(autoencoder, rows, each, scaling, rng) for each in weights]
    units = _usual_errors(members, X, weight, folds, rng)
    members = [
        _with_references(dataclasses.replace(member, units=units), X, each, rng,
                         settings.n_references)
        for member, each in zip(members, weights, strict=True)
    ]  # fmt: skip
    scores = _scores_of_folds(members, X, folds, settings.n_neighbors)
    inside = np.flatnonzero(folds >= 0)
    return Ensemble(members, scores[inside], weight[inside])


def _scaling(X: Matrix, weight: Array, settings: Settings, table: "Table | None") -> AnyScaling:
    if table is not None:
        return TableScaling.of(table, X, weight, settings.standardize)
    return Scaling.of(X, weight) if settings.standardize else Scaling.identity(X.shape[1])


def _trimmed(
    autoencoder: Any,
    X: Matrix,
    weight: Array,
    settings: Settings,
    rng: Rng,
    table: "Table | None",
) -> Array:
    """Return the weights with zeros for the share ``trim`` that is least like the others.

    Two networks, each trained on half of the rows, score the rows of the other half.
    """
    halves = dataclasses.replace(settings, n_folds=2, trim=0.0)
    scores = fit_members(autoencoder, X, weight, halves, rng, table).scores
    used = np.flatnonzero(weight)
    order = used[np.argsort(scores, kind="stable")]
    left_out = order[np.cumsum(weight[order]) <= settings.trim * weight.sum() * (1 + 1e-12)]
    kept = weight.copy()
    kept[left_out] = 0
    return kept


def _trained(autoencoder: Any, rows: Any, weight: Array, scaling: AnyScaling, rng: Rng) -> Member:
    """Return a member with a trained network, without units and references."""
    made = clone(autoencoder).set_params(random_state=int(rng.integers(2**31)))
    empty = np.empty((0, 0))
    return Member(made.fit(rows, sample_weight=weight), scaling, empty, empty)


def _draw_folds(weight: Array, settings: Settings, rng: Rng) -> Array:
    """Return the fold of each row, or -1 for a row that is in none.

    With one fold, it has a share of the rows, and the others train.  Rows of weight zero are in
    no fold.
    """
    order = rng.permutation(np.flatnonzero(weight))
    folds = np.full(len(weight), -1, np.int16)
    if settings.n_folds > 1:
        folds[order] = np.arange(len(order)) % settings.n_folds
    else:
        n_rows = int(np.ceil(settings.calibration_fraction * len(order)))
        # two train at least, one makes the units, and one calibrates
        n_rows = min(max(n_rows, 2), len(order) - 2, MOST_CALIBRATING)
        folds[order[:n_rows]] = 0
    return folds


def _usual_errors(members: list[Member], X: Matrix, weight: Array, folds: Array, rng: Rng) -> Array:
    """Return the error of each column that counts as 1: ``Member.units``.

    With one fold, these rows leave it, because the rows that calibrate must not have been used for
    anything else.
    """
    scaling = members[0].scaling
    squares: Any = 0.0
    total: Any = 0.0
    for fold, member in enumerate(members):
        index = rng.permutation(np.flatnonzero(folds == fold))
        if len(members) == 1:
            index = index[: int(np.ceil(SHARE_FOR_UNITS * len(index)))]
        index = np.sort(index[:MOST_FOR_UNITS])
        Z = scaling(take_rows(X, index), np.float64)
        errors, known = member.errors(Z), scaling.known(Z)
        if known is None:
            total = total + weight[index].sum()
        else:
            errors = np.where(known, errors, 0)
            total = total + weight[index] @ known
        squares += weight[index] @ errors**2
        if len(members) == 1:
            folds[index] = -1
    usual = np.sqrt(scaling.by_column(squares / np.maximum(total, TINY)))
    return scaling.spread(np.maximum(usual, 1e-3) / np.sqrt(ERROR_WEIGHT))


def _with_references(member: Member, X: Matrix, weight: Array, rng: Rng, n: int) -> Member:
    """Return the member with ``n`` reference points: centres of the points of training rows.

    Its network fills unknown cells of these rows.
    """
    index = rng.permutation(np.flatnonzero(weight))
    index = np.sort(index[: max(n, MOST_FOR_CENTRES)])
    Z = member.scaling(take_rows(X, index), np.float64)
    points = member.points(member.scaling.fill(member.autoencoder, Z))
    return dataclasses.replace(member, references=_centres(points, weight[index], n, rng))


def _centres(points: Array, weight: Array, n: int, rng: Rng) -> Array:
    """Return ``n`` centres of points by Lloyd's algorithm, or the points if there are no more.

    It starts at random points, and stops early: rows need not be close to the best centres.
    """
    if len(points) <= n:
        return points
    centres = points[_draw(weight, n, rng)]
    for _ in range(LLOYD_STEPS):
        distances = np.einsum("ij,ij->i", centres, centres) - 2 * points @ centres.T
        nearest = distances.argmin(axis=1)
        shape = n, len(points)
        shares = sparse.csr_array((weight, (nearest, np.arange(len(points)))), shape)
        total = np.bincount(nearest, weight, n)
        used = total > 0
        centres[used] = (shares @ points)[used] / total[used, np.newaxis]
    return centres


def _draw(weight: Array, n: int, rng: Rng) -> Array:
    """Return the numbers of ``n`` rows; a row is drawn as often as its share of the weight says."""
    order = rng.permutation(len(weight))
    shares = np.cumsum(weight[order]) / weight.sum()
    return order[np.searchsorted(shares[:-1], (np.arange(n) + rng.random()) / n, side="right")]


def _scores_of_folds(members: list[Member], X: Matrix, folds: Array, n_neighbors: int) -> Array:
    """Return the score of each row by the member that was not trained on it; else NaN."""
    scores = np.full(len(folds), np.nan)
    for rows, Z in scaled_blocks(X, members[0].scaling):
        numbers = folds[rows]
        for fold, member in enumerate(members):
            inside = numbers == fold
            if inside.any():
                scores[rows][inside] = member.scores(Z[inside], n_neighbors)
    return scores
