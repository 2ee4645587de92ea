"""Warnings about units: rows that did not pass the scaler of a pipeline, or are lost in float32."""

import warnings
from typing import Any

import numpy as np
from scipy import sparse

from skae._rows.finite import fill_gaps
from skae._rows.rows import Rows, ValueRange
from skae._rows.sources import Source
from skae._typing import Array, Matrix

# Validation rows are like those to train on: a scaler that was forgotten moves them by more than
# this many standard deviations.  Clean rows may differ from noisy ones, such as dimmed images.
FAR = 5
FAR_PAIRED = 20
# Fewer rows than these say little about their units.
MIN_ROWS, MIN_VALIDATION_ROWS = 10, 5
# A column is lost in float32 if its standard deviation is less than this share of its values.  A
# share below the second is rounding in float64: such a column counts as constant.
RESOLUTION, CONSTANT = 10 * float(np.finfo(np.float32).eps), 1e-13
TINY = float(np.finfo(np.float32).tiny)
SAMPLE_ROWS, SAMPLE_BLOCKS, SAMPLE_VALUES = 512, 64, 4_000_000


def warn_of_other_units(rows: Rows, validation: Rows | None) -> None:
    """Warn if clean or validation rows are far from the rows that they belong to.

    Parameters
    ----------
    rows : Rows
        The rows to train on.
    validation : Rows or None
        The user's validation rows.
    """
    X, X_clean = rows.inputs, rows.targets
    if X_clean is not None:
        _compare(("X", X, rows.index), ("X_clean", X_clean, rows.index), FAR_PAIRED)
    if validation is None:
        return
    index = validation.index
    far = FAR if len(index) >= MIN_VALIDATION_ROWS else FAR_PAIRED
    _compare(("X", X, rows.index), ("X_val", validation.inputs, index), far)
    if X_clean is not None and validation.targets is not None:
        clean = "X_val_clean", validation.targets, index
        _compare(("X_clean", X_clean, rows.index), clean, far)


def warn_of_lost_digits(rows: Rows) -> None:
    """Warn if float32, in which training computes, cannot tell apart the values of a column."""
    name, X = "X" if rows.targets is None else "X_clean", rows.matrices[-1]
    if X.dtype.itemsize <= 4:
        return
    sample = _sample(X, rows.index)
    with np.errstate(over="ignore", invalid="ignore"):
        largest, spread = np.abs(sample).max(axis=0), sample.std(axis=0)
        lost = (spread > CONSTANT * largest) & (spread < RESOLUTION * largest)
        lost &= spread > spread.max() / 10  # other columns hardly count in the loss
    if 0 < largest.max() < TINY:
        problem = f"The values of {name} are at most {largest.max():.2g}"
        advice = "Multiply them by a number"
    elif lost.any():
        column = int(np.argmax(lost))
        problem = (
            f"The values of {name} in column {column} are about {largest[column]:.4g} and differ "
            f"by {spread[column]:.2g}"
        )
        advice = "Subtract their mean (StandardScaler)"
    else:
        return
    warnings.warn(
        f"{problem}: float32, in which training computes, cannot tell them apart. {advice}.",
        UserWarning,
        stacklevel=7,
    )


NamedRows = tuple[str, Matrix, Array | range]


def _compare(known: NamedRows, other: NamedRows, far: float) -> None:
    """Warn if most of the other rows are ``far`` times as distant as those that are known."""
    with np.errstate(over="ignore", invalid="ignore"):
        if not _differ(_sample(*known[1:]), _sample(*other[1:]), far):
            return
    (name, X, _), (other_name, Y, _) = known, other
    (low, high), (other_low, other_high) = (_limits(rows) for rows in (X, Y))
    warnings.warn(
        f"{other_name} seems to be in other units than {name}: its values are from {other_low:.4g} "
        f"to {other_high:.4g}, and those of {name} from {low:.4g} to {high:.4g}. The steps of a "
        f"pipeline before the autoencoder transform {other_name} only if you ask for it: "
        f'Pipeline(..., transform_input=["{other_name}"]).',
        UserWarning,
        stacklevel=8,
    )


def _limits(X: Matrix) -> tuple[Any, Any]:
    values = ValueRange(X)
    return values.low, values.high


def _differ(known: Array, other: Array, far: float) -> bool:
    """Return whether the other rows are in other units.

    They are too far from the mean of the known rows, or too close to it and to each other.  The
    distance of a row is in standard deviations, and the median row counts, so that outliers do not.
    Constant columns are left out.  Both the distance and its ratio to that of the known rows must
    be extreme: in sparse or heavy-tailed data, one of them may be.
    """
    center, variance = known.mean(axis=0), known.var(axis=0)
    varying = variance > 1e-12 * (center**2 + variance)
    total = variance[varying].sum()
    if len(known) < MIN_ROWS or not total > 0:
        return False

    def distance(rows: Array, middle: Array) -> float:
        squares = np.square(rows - middle)[:, varying].sum(axis=1)
        return float(np.median(np.sqrt(squares / total)))

    away = distance(other, center)
    if away > far and away > far * distance(known, center):
        return True
    spread, own = (distance(rows, np.median(rows, axis=0)) for rows in (other, known))
    shrunk = away < 1 / FAR and spread < min(1, own) / FAR_PAIRED
    return bool(shrunk and len(other) >= MIN_ROWS)


def _sample(X: Matrix, index: Array | range) -> Array:
    """Return some of the rows in float64, evenly spaced."""
    n_rows = max(MIN_ROWS, min(SAMPLE_ROWS, SAMPLE_VALUES // X.shape[1], len(index)))
    if isinstance(X, Source):
        n_rows = min(n_rows, SAMPLE_BLOCKS)
    places = np.linspace(0, len(index) - 1, min(n_rows, len(index))).astype(int)
    chosen = [int(index[place]) for place in places]
    if isinstance(X, Source):
        return fill_gaps(np.concatenate([X[i : i + 1] for i in chosen]).astype(np.float64))
    sample = X[chosen]
    dense = sample.toarray() if sparse.issparse(sample) else sample
    return fill_gaps(dense.astype(np.float64))
