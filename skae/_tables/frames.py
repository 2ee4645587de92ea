"""Frames of pandas, polars and other libraries: their columns as arrays, and new frames."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from scipy import sparse

from skae._typing import Array

ARRAY = "array"  # the library of rows that are no frame
ARROW = "[arrow]"  # ends the names of those dtypes of pandas that are types of PyArrow


class Data(NamedTuple):
    """A column of a frame: its values, and which of them are unknown.

    ``dtype`` is its name in the library of the frame.  ``levels`` are the categories that the dtype
    declares, or None; ``ordered`` says whether they have an order, and ``levels_dtype`` is their
    dtype in pandas.
    """

    name: str
    values: Any
    unknown: Any
    dtype: str
    levels: tuple[Any, ...] | None = None
    ordered: bool = False
    levels_dtype: str = ""

    @property
    def is_boolean(self) -> bool:
        return self._has_boolean_dtype or self._has_only(bool | np.bool_)

    @property
    def is_category(self) -> bool:
        """Whether the dtype is that of categories, or of strings."""
        if self.levels is not None:
            return True
        return not self._has_boolean_dtype and self._has_only(str)

    @property
    def _has_boolean_dtype(self) -> bool:
        return self.dtype.lower().startswith("bool")

    def _has_only(self, kind: Any) -> bool:
        """Return whether a column of objects has values of one type."""
        known = self.values[~self.unknown]
        return self.values.dtype == object and all(isinstance(value, kind) for value in known)


def library_of(X: Any) -> str | None:
    """Return the name of the library that a frame is from, or None for anything else."""
    if hasattr(X, "iloc"):
        return "pandas"
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame.implementation.value if isinstance(frame, nw.DataFrame) else None


def has_only_numbers(X: Any) -> bool:
    """Return whether all columns of a frame have a numerical dtype, sparse ones included."""
    if hasattr(X, "iloc"):
        return all(dtype.kind in "iufc" for dtype in X.dtypes)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return True
    return all(dtype.is_numeric() for dtype in frame.schema.values())


def columns_of(X: Any, missing: Any = None) -> list[Data]:
    """Return the columns of a frame or of an array of shape (n_samples, n_features).

    ``missing`` is another value that marks unknown cells, besides None and NaN.
    """
    if library_of(X) is None:
        data = [_of_array(str(place), column) for place, column in enumerate(as_array(X).T)]
    else:
        _refuse_equal_names(X)
        names = X.column_names if hasattr(X, "column_names") else X.columns
        data = [_of_series(name, X[name]) for name in names]
    return data if missing is None else [_marked(column, missing) for column in data]


def _marked(data: Data, missing: Any) -> Data:
    """Return a column whose cells with a value are unknown, too; true and false are no numbers."""
    if data.values.dtype.kind in "iuf":
        marks = () if isinstance(missing, str) else (missing, np.float32(missing))
        return data._replace(unknown=data.unknown | np.isin(data.values, marks))
    unknown = data.unknown.copy()
    unknown[~data.unknown] = [
        value == missing and not isinstance(value, bool | np.bool_)
        for value in data.values[~data.unknown].tolist()
    ]
    return data._replace(unknown=unknown)


def as_array(X: Any) -> Array:
    """Return rows as an array; those of a list keep their objects."""
    if not sparse.issparse(X):
        array = np.asarray(X, dtype=None if hasattr(X, "dtype") else object)
        if array.ndim == 2:
            return array
    raise ValueError(
        "Rows with categories must be a frame, or a dense array of shape (n_samples, n_features); "
        f"got {type(X).__name__}."
    )


def _refuse_equal_names(X: Any) -> None:
    names = list(getattr(X, "column_names", X.columns))
    equal = [name for name, count in Counter(names).items() if count > 1]
    if equal:
        raise ValueError(
            f"The columns of a frame with categories must have different names; got {equal[0]!r} "
            "more than once. Rename them."
        )


def _of_array(name: str, column: Array) -> Data:
    unknown = np.array([_is_missing(value) for value in column.tolist()], bool)
    return Data(name, column, unknown, str(column.dtype))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _of_series(name: Any, column: Any) -> Data:
    series = nw.from_native(column, series_only=True)
    dtype = column.dtype if hasattr(column, "dtype") else column.type
    unknown = np.array(series.is_null().to_numpy(), bool)
    levels, ordered, levels_dtype = None, False, ""
    if series.dtype in (nw.Categorical, nw.Enum):
        levels = tuple(series.cat.get_categories().to_list())
        if hasattr(column, "iloc") and str(dtype) == "category":
            ordered, levels_dtype = bool(dtype.ordered), _pandas_name(dtype.categories.dtype)
    values = _values(series, unknown, levels is None)
    if values.dtype.kind == "f":
        unknown |= np.isnan(values)
    return Data(name, values, unknown, _dtype_name(column), levels, ordered, levels_dtype)


def _values(series: Any, unknown: Array, may_be_numbers: bool) -> Array:
    """Return the values of a series: integers without gaps as such, so that none are rounded."""
    if may_be_numbers and series.dtype.is_numeric():
        if series.dtype.is_integer():
            whole = np.asarray(series.fill_null(0).to_numpy())
            return np.where(unknown, np.nan, whole) if unknown.any() else whole
        return np.array(series.cast(nw.Float64()).to_numpy(), np.float64)
    values = np.empty(len(unknown), object)
    values[:] = series.to_list()
    return values


def _dtype_name(column: Any) -> str:
    """Return the name of a dtype, from which `make_frame` makes the dtype again."""
    if hasattr(column, "iloc"):
        return _pandas_name(column.dtype)
    if hasattr(column, "type"):
        return str(column.type)
    name = str(column.dtype)
    return name if name.startswith("Decimal") else name.partition("(")[0]


def _pandas_name(dtype: Any) -> str:
    """Return the name of a dtype, with what pandas leaves out of the names of strings."""
    kind = type(dtype).__name__
    if kind == "ArrowDtype":
        return f"{dtype.pyarrow_dtype}{ARROW}"
    if kind == "StringDtype":
        return f"{str(dtype).partition('[')[0]}[{dtype.storage}]"
    return str(dtype)


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
    if library == "polars":
        return _polars_frame(columns, formats)
    if library == "pyarrow":
        return _arrow_table(columns, formats)
    return _pandas_frame(columns, formats, index)


def _pandas_frame(columns: Mapping[str, Any], formats: Sequence[Data], index: Any) -> Any:
    import pandas as pd

    series = {}
    for data in formats:
        dtype = _pandas_type(data.dtype)
        if data.dtype == "category":
            levels = pd.Index(list(data.levels or ()), dtype=_pandas_type(data.levels_dtype))
            dtype = pd.CategoricalDtype(levels, data.ordered)
        series[data.name] = pd.Series(columns[data.name], index=index, dtype=dtype)
    return pd.DataFrame(series, index=index)


def _pandas_type(name: str) -> Any:
    import pandas as pd

    if name.endswith(ARROW):
        return pd.ArrowDtype(_arrow_type(name.removesuffix(ARROW)))
    if found := re.fullmatch(r"(str|string)\[(\w+)\]", name):
        kind, storage = found.groups()
        return pd.StringDtype(storage, **({"na_value": np.nan} if kind == "str" else {}))
    return name


def _polars_frame(columns: Mapping[str, Any], formats: Sequence[Data]) -> Any:
    import polars as pl

    return pl.DataFrame(
        [
            pl.Series(data.name, columns[data.name].tolist(), strict=False).cast(_polars_type(data))
            for data in formats
        ]
    )


def _polars_type(data: Data) -> Any:
    import polars as pl

    if data.dtype == "Enum":
        return pl.Enum(list(data.levels or ()))
    name, *numbers = re.findall(r"\w+", data.dtype)
    digits = [int(number) for number in numbers if number.isdecimal()]  # of a Decimal
    return getattr(pl, name)(*digits)


def _arrow_table(columns: Mapping[str, Any], formats: Sequence[Data]) -> Any:
    import pyarrow as pa

    arrays = {}
    for data in formats:
        dtype, values = _arrow_type(data.dtype), columns[data.name].tolist()
        is_decimal = pa.types.is_decimal(dtype)
        arrays[data.name] = pa.array(values).cast(dtype) if is_decimal else pa.array(values, dtype)
    return pa.table(arrays)


def _arrow_type(name: str) -> Any:
    """Return the type of PyArrow that has this name."""
    import pyarrow as pa

    if found := re.fullmatch(r"dictionary<values=(\w+), indices=(\w+), ordered=(\d)>", name):
        values, indices, ordered = found.groups()
        return pa.dictionary(_arrow_type(indices), _arrow_type(values), ordered == "1")
    if found := re.fullmatch(r"(decimal\w+)\((\d+), (\d+)\)", name):
        kind, precision, scale = found.groups()
        return getattr(pa, kind)(int(precision), int(scale))
    return pa.type_for_alias(name)
