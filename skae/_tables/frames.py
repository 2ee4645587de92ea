"""Frames of pandas, polars and other libraries: their columns as arrays, and new frames."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np

from skae._typing import Array

ARRAY = "array"  # the library of rows that are no frame


class Data(NamedTuple):
    """A column of a frame: its values, and which of them are unknown.

    ``dtype`` is its name in the library of the frame.  ``levels`` are the categories that the dtype
    declares, or None; ``ordered`` says whether they have an order.
    """

    name: str
    values: Any
    unknown: Any
    dtype: str
    levels: tuple[Any, ...] | None = None
    ordered: bool = False

    @property
    def is_boolean(self) -> bool:
        return self.dtype.lower() in ("bool", "boolean") or self._has_only(bool | np.bool_)

    @property
    def is_category(self) -> bool:
        """Whether the dtype is that of categories, or of strings."""
        return self.levels is not None or self._has_only(str)

    def _has_only(self, kind: Any) -> bool:
        """Return whether a column of objects has values of one type."""
        known = self.values[~self.unknown]
        return self.values.dtype == object and all(isinstance(value, kind) for value in known)


def library_of(X: Any) -> str | None:
    """Return the name of the library that a frame is from, or None for anything else."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame.implementation.value if isinstance(frame, nw.DataFrame) else None


def has_only_numbers(X: Any) -> bool:
    """Return whether all columns of a frame have a numerical dtype, sparse ones included."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return True
    if hasattr(X, "iloc"):
        return all(dtype.kind in "iufc" for dtype in X.dtypes)
    return all(dtype.is_numeric() for dtype in frame.schema.values())


def columns_of(X: Any) -> list[Data]:
    """Return the columns of a frame or of an array of shape (n_samples, n_features)."""
    if library_of(X) is None:
        return [_of_array(str(place), column) for place, column in enumerate(np.asarray(X).T)]
    frame = nw.from_native(X, eager_only=True)
    return [_of_series(frame[name], X) for name in frame.columns]


def _of_array(name: str, column: Array) -> Data:
    unknown = np.array([_is_missing(value) for value in column.tolist()], bool)
    return Data(name, column, unknown, str(column.dtype))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _of_series(series: Any, frame: Any) -> Data:
    unknown = np.array(series.is_null())
    levels, ordered = None, False
    if series.dtype in (nw.Categorical, nw.Enum):
        levels = tuple(series.cat.get_categories().to_list())
        ordered = bool(getattr(getattr(frame[series.name].dtype, "ordered", None), "real", False))
    if levels is None and series.dtype.is_numeric():
        values = series.cast(nw.Float64()).to_numpy()
    else:
        values = np.empty(len(unknown), object)
        values[:] = series.to_list()
    return Data(series.name, values, unknown, _dtype_name(series, frame), levels, ordered)


def _dtype_name(series: Any, frame: Any) -> str:
    """Return the name of a dtype: pandas' own, or that of narwhals."""
    if hasattr(frame, "iloc"):
        return str(frame[series.name].dtype)
    return type(series.dtype).__name__


def make_frame(
    library: str, columns: Mapping[str, Any], formats: Sequence[Data], index: Any = None
) -> Any:
    """Return a frame with the dtypes of a former one.

    Parameters
    ----------
    library : str
        The library of the frame.
    columns : mapping of str to sequence
        The values of each column, of Python's types or NumPy's.
    formats : sequence of Data
        The dtype and the levels of each column.
    index : object, default=None
        Index of a frame of pandas.
    """
    if library == "pandas":
        return _pandas_frame(columns, formats, index)
    schema = {data.name: _narwhals_type(data) for data in formats}
    backend: Any = library
    return nw.from_dict(dict(columns), schema=schema, backend=backend).to_native()


def _pandas_frame(columns: Mapping[str, Any], formats: Sequence[Data], index: Any) -> Any:
    import pandas as pd

    series = {}
    for data in formats:
        dtype: Any = data.dtype
        if data.levels is not None:
            dtype = pd.CategoricalDtype(list(data.levels), data.ordered)
        series[data.name] = pd.Series(columns[data.name], index=index, dtype=dtype)
    return pd.DataFrame(series, index=index)


def _narwhals_type(data: Data) -> Any:
    if data.dtype == "Enum":
        return nw.Enum(data.levels or ())
    return getattr(nw, data.dtype)()
