"""Checks of parameters and tables of an imputer."""

import math
import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from skae._checks import check_bool, check_number, check_random_state
from skae._estimators.base import BaseAutoencoder
from skae._estimators.parameters import check_nested
from skae._rows.dtypes import nan_for_missing, without_array_api
from skae._rows.finite import check_finite
from skae._rows.readable import readable
from skae._typing import Array

FEWEST_ROWS, MOST_FOLDS, MOST_DRAWS = 2, 1000, 10_000


def check_parameters(imputer: Any) -> None:
    """Check the types and ranges of an imputer's parameters.

    Raises
    ------
    ValueError, TypeError
        If a parameter does not have the documented type or range.
    """
    check_nested(imputer.autoencoder, BaseAutoencoder, "DenoisingAutoencoder")
    _check_missing_values(imputer.missing_values)
    check_draws(imputer.n_draws)
    for name in ("add_indicator", "sample_posterior", "keep_empty_features"):
        check_bool(name, getattr(imputer, name))
    check_number("n_folds", imputer.n_folds, low=1, high=MOST_FOLDS, kind=Integral, auto=True)
    check_random_state(imputer.random_state)


def check_draws(n_draws: Any) -> None:
    check_number("n_draws", n_draws, low=1, high=MOST_DRAWS, kind=Integral)


def _check_missing_values(value: Any) -> None:
    if is_nan(value) or isinstance(value, str):
        return
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or math.isinf(value):
        raise TypeError(
            "missing_values must be NaN, None, pandas.NA, a finite number or a string; got "
            f"{value!r} of type {type(value).__name__}."
        )


def check_mark(imputer: Any) -> None:
    """Raise ValueError if a string marks the gaps of rows that are numbers."""
    if isinstance(imputer.missing_values, str):
        raise ValueError(
            "missing_values must be NaN or a number if all columns of X are numbers: strings are "
            f"for tables with categories; got {imputer.missing_values!r}. Set it to NaN, and "
            "replace such strings by NaN."
        )


def mark_of(imputer: Any) -> Any:
    """Return the value that marks unknown cells besides NaN, None and NA; or None."""
    return None if is_nan(imputer.missing_values) else imputer.missing_values


def is_nan(missing_values: Any) -> bool:
    """Return whether unknown cells are NaN: None and pandas' NA become NaN in an array."""
    if missing_values is None or type(missing_values).__name__ == "NAType":
        return True
    return isinstance(missing_values, Real) and math.isnan(missing_values)


@without_array_api
def check_table(imputer: Any, X: Any, *, reset: bool = False) -> Array:
    """Return the rows of ``X`` after checking them, as a new array of float32 or float64.

    Unknown cells are still marked by ``missing_values``.
    """
    gaps = is_nan(imputer.missing_values)
    table = nan_for_missing(X) if gaps else X
    with readable("X", X):
        rows: Array = validate_data(
            imputer,
            table,
            reset=reset,
            dtype=(np.float64, np.float32),
            ensure_min_samples=FEWEST_ROWS if reset else 1,
            ensure_all_finite=False,
            copy=True,
        )
    check_finite("X", rows, gaps=gaps or None)
    return rows


def marked(imputer: Any, X: Array) -> Array:
    """Return rows with NaN in their unknown cells."""
    if is_nan(imputer.missing_values):
        return X
    unknown = np.equal(X, float(imputer.missing_values))
    return np.where(unknown, X.dtype.type(np.nan), X)


def check_known(unknown: Array) -> None:
    """Raise ValueError unless enough rows have a known value."""
    n_rows = int((~unknown.all(axis=1)).sum())
    if n_rows < FEWEST_ROWS:
        raise ValueError(
            f"fit needs at least {FEWEST_ROWS} rows with a known value; got {n_rows}: give more "
            "rows, or check missing_values."
        )


def warn_of_empty(imputer: Any, empty: Array) -> None:
    """Warn of columns without a known value, which `transform` leaves out."""
    if imputer.keep_empty_features or not empty.any():
        return
    names = getattr(imputer, "feature_names_in_", np.arange(len(empty)))[empty].tolist()
    warnings.warn(
        f"X has columns without a known value, which transform leaves out: {names}. Set "
        "keep_empty_features=True to fill them with 0, or remove them.",
        UserWarning,
        stacklevel=4,
    )
