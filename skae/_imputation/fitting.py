"""The networks of an imputer: one fills gaps, and the errors of the others are the spread."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from skae._corruption.masking import MaskingNoise
from skae._estimators.denoising import DenoisingAutoencoder
from skae._estimators.parameters import check_parameters
from skae._imputation.cells import Cells
from skae._typing import Array, Rng

FEW_ROWS, FOLDS = 500, 5  # below this number of rows, "auto" uses folds
SHARE_SET_ASIDE, FEW_SET_ASIDE, MOST_SET_ASIDE = 0.1, 200, 2000  # with one fold
FEWEST_TRAINING = 2
VISITS, FEWEST_EPOCHS, MOST_EPOCHS = 3_200_000, 20, 800  # rows times epochs, default network
WIDTH = 256


@dataclass(frozen=True)
class Folds:
    """Networks, and the number of the network that each row was set aside from, or -1."""

    networks: list[Any]
    numbers: Array


def default_autoencoder(n_rows: int, *, has_table: bool = False) -> DenoisingAutoencoder:
    """Return the network for ``autoencoder=None``: a denoiser that restores hidden cells.

    Each row loses another share of its cells in each step, so that one network serves all patterns
    of gaps.  The absolute error makes it predict medians.  The linear paths of ``init="pca"`` serve
    columns that follow from each other by linear equations.
    """
    return DenoisingAutoencoder(
        WIDTH,
        hidden_layer_sizes=(WIDTH, WIDTH),
        activation="leaky_relu",
        code_activation="leaky_relu",
        output_activation="auto" if has_table else "linear",
        init="pca",
        missing_values="mask",
        corruption=MaskingNoise(0.7, fill_value=np.nan, vary=True),
        shown_weight=0.3,
        loss="mean_absolute_error",
        optimizer="adam",  # a step of Muon takes longer than one of Adam
        learning_rate=0.002,
        epochs=int(np.clip(VISITS // n_rows, FEWEST_EPOCHS, MOST_EPOCHS)),
        early_stopping=False,
    )


def table_parameters(autoencoder: Any) -> Any:
    """Return an autoencoder whose parameters, which are checked, say which columns are categories.

    None stands for the default network, whose number of epochs does not matter here.
    """
    if autoencoder is None:
        return default_autoencoder(FEWEST_TRAINING)
    autoencoder = clone(autoencoder).set_params(missing_values="mask")
    check_parameters(autoencoder)
    return autoencoder


def fit_network(autoencoder: Any, rows: Any, rng: Rng) -> Any:
    """Train a clone of the autoencoder on rows that have a known value each."""
    seed = int(rng.integers(2**31))
    return clone(autoencoder).set_params(missing_values="mask", random_state=seed).fit(rows)


def fit_folds(autoencoder: Any, Z: Array, n_folds: int, rng: Rng, cells: Cells) -> Folds:
    """Train a network for each fold on the rows outside of it.

    Rows without a known value are in no fold, and train no network.
    """
    used = known_rows(Z)
    numbers = np.full(len(Z), -1, np.int16)
    numbers[used] = _draw_folds(len(used), n_folds, rng)
    networks = []
    for fold in range(n_folds):
        rows = used[numbers[used] != fold]
        if len(rows) < FEWEST_TRAINING:
            rows = used
        networks.append(fit_network(autoencoder, cells.rows(Z[rows]), rng))
    return Folds(networks, numbers)


def known_rows(Z: Array) -> Array:
    """Return the numbers of the rows that have a known value."""
    return np.flatnonzero(~np.isnan(Z).all(axis=1))


def _draw_folds(n_rows: int, n_folds: int, rng: Rng) -> Array:
    """Return the fold of each row; with one fold, -1 for the rows that train."""
    order = rng.permutation(n_rows)
    if n_folds > 1:
        return order % n_folds
    n_aside = max(int(SHARE_SET_ASIDE * n_rows), min(FEW_SET_ASIDE, -(-n_rows // 5)))
    n_aside = min(n_aside, MOST_SET_ASIDE)
    return np.where(order < n_aside, 0, -1)
