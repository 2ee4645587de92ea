"""Frames and arrays with other values in some cells, with other columns, and in other libraries."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np

from skae._tables.frames import Data, as_array, library_of, make_frame
from skae._typing import Array


class Fill(NamedTuple):
    """New values of a column: a mask of its cells, and one value for each cell of the mask."""

    cells: Array
    values: Array


def filled(X: Any, data: Sequence[Data], fills: Mapping[int, Fill]) -> Any:
    """Return a copy of a frame or an array with new values; other cells keep their bits.

    Parameters
    ----------
    X : frame or array of shape (n_samples, n_features)
        The rows.
    data : sequence of Data
        Their columns.
    fills : mapping of int to Fill
        The new values, by the places of their columns.  Each has at least one.  A category that
        the dtype does not declare is added to those that it declares.
    """
    library = library_of(X)
    if library is None:
        return _filled_array(X, fills)
    columns = {place: _column(X, data[place], fill, library) for place, fill in fills.items()}
    return FILLED.get(library, _filled_pandas)(X, columns)


def _filled_array(X: Any, fills: Mapping[int, Fill]) -> Array:
    rows = as_array(X)
    rows = np.array(rows, rows.dtype if rows.dtype.kind in "biuf" else object)
    for place, (cells, values) in fills.items():
        rows[cells, place] = values
    return rows


class _Column(NamedTuple):
    """A column of the library of the frame with the new values, and the cells that keep the old."""

    known: Array
    format: Data
    new: Any


def _column(X: Any, data: Data, fill: Fill, library: str) -> _Column:
    place = np.maximum(np.cumsum(fill.cells) - 1, 0)  # known cells get any value
    data = _with_levels(data, fill.values)
    index = X.index if hasattr(X, "iloc") else None
    frame = make_frame(library, {data.name: fill.values[place]}, [data], index)
    return _Column(~fill.cells, data, frame[data.name])


def _with_levels(data: Data, values: Array) -> Data:
    """Return the format of a column that can hold these values."""
    if data.levels is None:
        return data
    return data._replace(levels=tuple(dict.fromkeys([*data.levels, *values.tolist()])))


def _filled_pandas(X: Any, columns: Mapping[int, _Column]) -> Any:
    X = X.copy()
    for place, (known, _, new) in columns.items():
        X.isetitem(place, X.iloc[:, place].astype(new.dtype).where(known, new))
    return X


def _filled_polars(X: Any, columns: Mapping[int, _Column]) -> Any:
    import polars as pl

    series = []
    for known, data, new in columns.values():
        old, mask = X[data.name], pl.Series(known)
        if data.levels is None:
            series.append(old.zip_with(mask, new))
        else:
            words = old.cast(pl.String).zip_with(mask, new.cast(pl.String))
            series.append(words.cast(new.dtype))
    return X.with_columns(series)


def _filled_arrow(X: Any, columns: Mapping[int, _Column]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, (known, _, new) in columns.items():
        field = X.schema.field(place)
        if pa.types.is_dictionary(field.type):
            pairs = zip(known.tolist(), X[place].to_pylist(), new.to_pylist(), strict=True)
            mixed = pa.array([a if keep else b for keep, a, b in pairs], field.type)
        else:
            mixed = pc.if_else(pa.array(known), X[place], new)
        X = X.set_column(place, field, mixed)
    return X


FILLED = {"polars": _filled_polars, "pyarrow": _filled_arrow}


def without(X: Any, places: Iterable[int]) -> Any:
    """Return a frame or an array without some of its columns."""
    left_out = set(places)
    if not left_out:
        return X
    if library_of(X) is None:
        return np.delete(X, sorted(left_out), axis=1)
    frame = nw.from_native(X, eager_only=True)
    kept = [name for place, name in enumerate(frame.columns) if place not in left_out]
    return frame.select(kept).to_native()


def with_columns(X: Any, columns: Mapping[str, Array]) -> Any:
    """Return a frame or an array with more columns of booleans."""
    if library_of(X) is None:
        return np.column_stack([X, *columns.values()]).astype(X.dtype, copy=False)
    frame = nw.from_native(X, eager_only=True)
    more = [
        nw.new_series(name, values.tolist(), nw.Boolean(), backend=frame.implementation)
        for name, values in columns.items()
    ]
    return frame.with_columns(more).to_native()
