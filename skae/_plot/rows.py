"""The rows that a display draws."""

from numbers import Integral
from typing import Any

import numpy as np

from skae._checks import check_number, is_auto
from skae._plot.style import to_dense
from skae._plot.table import is_table, spreads_of
from skae._typing import Array


def select_rows(X: Any, rows: Any) -> Any:
    """Select rows of a table and keep its type; a list becomes an array."""
    return take(X, _row_numbers(_chosen(rows, X), np.shape(X)[0]))


def take(X: Any, index: Array) -> Any:
    """Return the rows of a table with these numbers."""
    if hasattr(X, "take") and hasattr(X, "column_names"):  # a table of PyArrow
        return X.take(index)
    if hasattr(X, "iloc"):
        return X.iloc[index]
    return X[index] if hasattr(X, "shape") else np.asarray(X)[index]


def shown(rows: Any, X: Any) -> Any:
    """Return rows as a display keeps them: numbers as a dense array, those of a table as given."""
    return rows if is_table(X) else to_dense(rows)


def table_options(X: Any, rows: Any) -> dict[str, Any]:
    """Return what a display needs to draw rows of a table beside the rows; for numbers, nothing."""
    return {"spreads": spreads_of(X), "row_labels": row_labels(X, rows)} if is_table(X) else {}


def _chosen(rows: Any, X: Any) -> Any:
    """Return the parameter ``rows``, with its meaning for X if it is "auto"."""
    return (4 if is_table(X) else 10) if is_auto(rows) else rows


def row_labels(X: Any, rows: Any) -> list[str]:
    """Return a title for each row to draw."""
    numbers = _row_numbers(_chosen(rows, X), np.shape(X)[0]).tolist()
    return [f"row {X.index[number] if hasattr(X, 'iloc') else number}" for number in numbers]


def _row_numbers(rows: Any, n_samples: int) -> Array:
    """Return the numbers of the rows to draw."""
    if np.ndim(rows) == 0:
        check_number("rows", rows, low=1, kind=Integral)
        return np.arange(min(rows, n_samples))
    index = np.asarray(rows)
    if index.dtype == bool and index.shape == (n_samples,):
        index = np.flatnonzero(index)
    if index.ndim != 1 or not len(index) or index.dtype.kind not in "iu":
        raise TypeError(
            "rows must be 'auto', a positive integer, or a list of the numbers of rows; got "
            f"{rows!r}."
        )
    if index.min() < -n_samples or index.max() >= n_samples:
        raise ValueError(f"rows must be numbers of the {n_samples} rows of X; got {rows!r}.")
    return index


def refuse_given(values: dict[str, Any], purpose: str) -> None:
    """Raise ValueError if a parameter is given that would be ignored for these rows."""
    for name, value in values.items():
        if value is not None:
            raise ValueError(f"{name} is for {purpose}: leave it out; got {value!r}.")


def check_same_shape(name: str, rows: Any, X: Any) -> None:
    """Raise ValueError unless rows have the shape of X."""
    if np.shape(rows) != np.shape(X):
        raise ValueError(
            f"{name} must have a row for each row of X and the same shape, {np.shape(X)}; got "
            f"shape {np.shape(rows)}."
        )
