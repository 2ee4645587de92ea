"""Data that are not rows of numbers: errors that say what to do instead."""

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

import numpy as np

from skae._rows.dtypes import refuse_masked
from skae._rows.finite import missing_advice
from skae._typing import Array

# The beginnings of the names of dtypes for dates and durations, in pandas, polars and PyArrow.
DATES = ("date", "time", "duration", "period")


@contextlib.contextmanager
def readable(name: str, X: Any, *, gaps: bool | None = None) -> Iterator[None]:
    """Raise errors that say what to do if ``X`` is not a table of numbers.

    Some tables are refused before the code inside runs, because it would read them without an
    error.  If the code inside raises an error, this searches X for the reason.

    Parameters
    ----------
    name : str
        Name of the parameter, for errors.
    X : object
        The user's rows, which the code inside converts to numbers.
    gaps : bool or None, default=None
        Whether missing values are allowed.  None means that no parameter can allow them.

    Raises
    ------
    ValueError
        If X is masked, lazy, not a table, or contains something other than numbers.
    """
    refuse_unreadable(name, X)
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        reason = _reason(name, X, error, gaps)
        if reason is None:
            raise
        raise ValueError(reason) from error


def refuse_unreadable(name: str, X: Any) -> None:
    """Raise ValueError if ``X`` is masked, lazy, not a table, or has dates."""
    refuse_masked(name, X)
    refuse_lazy(name, X)
    _refuse_images(name, X)
    _refuse_dates(name, X)


def refuse_lazy(name: str, X: Any) -> None:
    """Raise ValueError if ``X`` is a lazy frame, such as that of polars."""
    if type(X).__name__ == "LazyFrame":
        raise ValueError(f"{name} is a LazyFrame, which has no rows yet: pass {name}.collect().")


def _refuse_images(name: str, X: Any) -> None:
    shape = () if isinstance(X, type) else tuple(getattr(X, "shape", None) or ())
    if len(shape) > 2:
        raise ValueError(
            f"{name} must be of shape (n_samples, n_features); got shape {shape}, of dim "
            f"{len(shape)}. Make each image or series a row: {name}.reshape(len({name}), -1)."
        )


def _refuse_dates(name: str, X: Any) -> None:
    """Raise ValueError if a frame has dates or durations, which some frames convert to numbers."""
    if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
        return
    for label, dtype in zip(X.columns, X.dtypes, strict=False):
        if str(dtype).lower().startswith(DATES):
            raise ValueError(_about_dates(name, f"{label!r} (dtype {dtype})"))


def _about_dates(name: str, where: str) -> str:
    return (
        f"{name} must hold numbers; got dates or durations in column {where}. Convert them to "
        "numbers, such as days since the first date, or leave the column out."
    )


def _reason(name: str, X: Any, error: Exception, gaps: bool | None) -> str | None:
    """Return why ``X`` cannot be read as numbers and what to do, or None if that is not known."""
    if str(error).startswith("Complex data not supported"):
        return (
            f"Complex data not supported: {name} must hold real numbers. Pass real and imaginary "
            f"parts as columns: np.hstack([{name}.real, {name}.imag])."
        )
    if hasattr(X, "toarray"):
        return None
    try:
        table = np.asarray(X, dtype=object)
    except (ValueError, TypeError):
        return None
    if table.ndim == 2:
        return _about_values(name, X, table, gaps)
    return _about_shape(name, X, table)


def _about_shape(name: str, X: Any, table: Array) -> str | None:
    if table.ndim == 0:
        return _not_a_table(name, X)
    if table.ndim > 2 and isinstance(X, list | tuple):
        return (
            f"{name} must be of shape (n_samples, n_features); got shape {table.shape}, of dim "
            f"{table.ndim}. Make each image or series a row: np.reshape({name}, (len({name}), -1))."
        )
    if getattr(getattr(X, "dtype", None), "names", None):
        return f"{name} is a structured array: make a frame of it, pandas.DataFrame({name})."
    lengths = {len(row) for row in table if hasattr(row, "__len__")}
    if isinstance(X, list | tuple) and len(lengths) > 1:
        return (
            f"{name} must be rows of the same length; got rows of {min(lengths)} to {max(lengths)} "
            "values. Pad or cut them."
        )
    return None


def _not_a_table(name: str, X: Any) -> str:
    kind = "None" if X is None else f"an object of type {type(X).__name__}"
    if isinstance(X, str | bytes):
        advice = "Read the file first, such as with pandas.read_csv."
    elif isinstance(X, dict):
        advice = f"Make a frame of it: pandas.DataFrame({name})."
    else:
        advice = "Collect the rows in one array first, such as with np.concatenate or np.stack."
    return (
        f"{name} must be a table of shape (n_samples, n_features): an array, a list of rows, a "
        f"sparse matrix, a frame or a source; got {kind}. {advice}"
    )


def _about_values(name: str, X: Any, table: Array, gaps: bool | None) -> str | None:
    """Describe the first value of a table that is not a number, if it is of a known kind."""
    column = next((j for j in range(table.shape[1]) if not _is_numeric(table[:, j])), None)
    if column is None:
        return None
    places = range(len(table))
    value = next(table[i, column] for i in places if not _is_numeric(table[i : i + 1, column]))
    labels = getattr(X, "column_names", getattr(X, "columns", range(table.shape[1])))
    label = labels[column]
    if isinstance(value, str | bytes):
        return (
            f"{name} must hold numbers; got text in column {label!r}, such as {str(value)[:40]!r}. "
            "Encode categories (OneHotEncoder in a ColumnTransformer), convert texts of numbers, "
            "or leave the column out."
        )
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return _about_dates(name, repr(label))
    if type(value).__name__ == "NAType":
        return (
            f"{name} has missing values, {value}: first in column {label!r}. "
            f"{missing_advice(gaps is False)}"
        )
    if isinstance(value, int):
        return f"{name} must hold numbers that fit float64; got a larger one in column {label!r}."
    return None


def _is_numeric(values: Array) -> bool:
    try:
        values.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        return False
    return True
