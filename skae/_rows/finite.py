"""Every check of rows for NaN, infinity, and numbers too large for float32."""

import contextlib
import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

from skae._typing import Array, Matrix


@contextlib.contextmanager
def as_float32() -> Iterator[None]:
    """Raise ValueError if a number overflows while the code inside converts rows to float32."""
    try:
        with np.errstate(over="raise"):
            yield
    except FloatingPointError as error:
        raise ValueError(
            "The data, or the noise added to it, overflows float32, in which training computes; "
            f"its largest number is {np.finfo(np.float32).max:.3g}. Scale the data "
            "(StandardScaler, RobustScaler)."
        ) from error


def is_finite(array: Array) -> bool:
    """Return whether an array contains neither NaN nor infinity."""
    # The sum of squares takes half a microsecond for one row, but overflows from 1e19 in float32.
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def check_finite(name: str, X: Matrix, start: int = 0, *, gaps: bool | None = None) -> None:
    """Raise an error if rows contain infinity, or NaN where it does not mean an unknown value.

    Parameters
    ----------
    name : str
        Name of the rows in the error.
    X : ndarray or sparse matrix of shape (n_rows, n_features)
        The rows.
    start : int, default=0
        Number of the first row, if X is a block of more rows.
    gaps : bool or None, default=None
        Whether NaN is allowed, as an unknown value.  None means that no parameter can allow it.

    Raises
    ------
    ValueError
        If a value is NaN or infinite.  The error names its row and column.  If ``gaps`` is False,
        it says how to allow NaN.
    """
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if is_finite(values) or (gaps and not np.isinf(values).any()):
            return
    row, column, value = _first(X, np.isinf if gaps else _is_bad)
    is_nan = bool(np.isnan(value))
    raise ValueError(
        f"Input {name} contains {'NaN' if is_nan else 'infinity'}: first in row "
        f"{start + row}, column {column}. {missing_advice(is_nan and gaps is False)}"
    )


def missing_advice(may_mask: bool) -> str:
    """Return what to do about missing values; ``may_mask`` says whether "mask" could allow them."""
    if may_mask:
        return "Remove or impute such values, or fit with missing_values='mask', which takes them."
    return "Remove or impute such values."


def check_results(results: Array, start: int, advice: str | None = None) -> None:
    """Raise an error if the result for a row overflowed.

    Parameters
    ----------
    results : ndarray of shape (n_rows, ...)
        Results for consecutive rows.
    start : int
        Number of the first row.
    advice : str, default=None
        The beginning of the advice in the error; by default, it depends on the dtype.

    Raises
    ------
    ValueError
        If a result is NaN or infinite.  The error names the row.
    """
    if is_finite(results):
        return
    row = start + np.argwhere(~np.isfinite(results))[0, 0]
    advice = advice or ("Pass float64, or scale" if results.dtype == np.float32 else "Scale")
    raise ValueError(
        f"The result for row {row} overflows {results.dtype}. {advice} X like the training data."
    )


def finite_mean(scores: Array, weight: Array | None) -> float:
    """Return the weighted mean of scores, or raise ValueError if it overflows."""
    with np.errstate(over="ignore"):
        mean = np.average(scores, weights=weight)
    if not np.isfinite(mean):
        raise ValueError("The sum of the scores overflows float64: scale X like the training data.")
    return float(mean)


def _is_bad(values: Array) -> Array:
    return ~np.isfinite(values)


def _first(X: Matrix, test: Callable[[Array], Array]) -> tuple[int, int, float]:
    """Return the row, the column and the value of the first value that passes a test."""
    if sparse.issparse(X):
        X = X.tocoo()
        first = np.flatnonzero(test(X.data))[0]
        return X.row[first], X.col[first], X.data[first]
    row, column = np.argwhere(test(X))[0]
    return row, column, X[row, column]


def known_values(X: Matrix) -> Matrix:
    """Return the values of a dense or sparse matrix that are not NaN.

    They are the matrix itself if it has no NaN, else of shape (n_values,), or a sparse matrix that
    has zeros instead of NaN.
    """
    if not np.isnan(X.min() if X.shape[0] else 0):
        return X
    if sparse.issparse(X):
        filled = X.copy()
        filled.data = np.nan_to_num(filled.data, nan=0.0)
        return filled
    return X[~np.isnan(X)]


def fill_gaps(rows: Array, weight: Array | None = None) -> Array:
    """Return rows with NaN replaced by the mean of its column, in their dtype.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        The rows.  They are returned themselves if they have no NaN.
    weight : ndarray of shape (n_rows,), default=None
        Weights of the rows in the means.

    Returns
    -------
    filled : ndarray of shape (n_rows, n_features)
        The rows.  A column without any value is zero.
    """
    unknown = np.isnan(rows)
    if not unknown.any():
        return rows
    return np.where(unknown, means_of_known(rows, weight), rows).astype(rows.dtype, copy=False)


def means_of_known(rows: Array, weight: Array | None = None) -> Array:
    """Return the mean of the values of each column that are not NaN, or zero if there are none."""
    known = ~np.isnan(rows)
    counts = np.ones(len(rows)) if weight is None else weight.astype(np.float64)
    total = np.maximum(counts @ known, np.finfo(np.float64).tiny)
    means: Array = counts @ np.where(known, rows, 0) / total
    return means


def weighted_means(errors: Array, weights: Array | None) -> Array:
    """Return the weighted mean of each row of errors that are not NaN; zero for a row without any.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_columns)
        The errors.
    weights : ndarray of shape (n_columns,) or None
        The weights of the columns; None means equal weights.
    """
    weights = np.ones(errors.shape[1]) if weights is None else weights
    known = ~np.isnan(errors)
    with np.errstate(invalid="ignore"):
        total = np.where(known & (weights > 0), errors * weights, 0).sum(axis=1)
    n_known = known @ weights
    means: Array = total / np.where(n_known > 0, n_known, 1)
    return means.astype(errors.dtype, copy=False)
