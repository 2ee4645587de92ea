"""Tables with categories: from a frame to cells, and from filled cells back to the frame."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.impute import MissingIndicator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skae._imputation.inputs import FEWEST_ROWS, check_known, mark_of
from skae._imputation.scaling import LIMIT, Scaling
from skae._rows.readable import refuse_unreadable
from skae._tables.columns import Category, Number, as_number
from skae._tables.filling import Fill, filled, with_columns, without
from skae._tables.frames import Data, columns_of
from skae._tables.table import Table
from skae._typing import Array


@dataclass(frozen=True)
class Read:
    """The rows of a frame.

    Attributes
    ----------
    data : list of Data
        The columns of the frame.
    Z : ndarray of shape (n_samples, n_cells)
        A number for each cell, as `Cells` describes them, in the order of the table's matrix.
    table : Table
        The columns.  Its numbers have the scale of Z.
    scaling : Scaling
        The scale of the numbers.
    """

    data: list[Data]
    Z: Array
    table: Table
    scaling: Scaling

    @property
    def gaps(self) -> Array:
        """The mask of the cells of the frame that have no value."""
        return _gaps(self.data)


def learn(imputer: Any, X: Any, table: Table, handle_unknown: str) -> Read:
    """Read the rows of `fit`.  Their numbers determine the scale.

    A column without a known value is a category without values, so that networks do not see it.
    """
    data = _data(imputer, X, reset=True)
    check_known(_gaps(data))
    columns = [
        Category(()) if cells.unknown.all() else _unscaled(column)
        for column, cells in zip(table.columns, data, strict=True)
    ]
    table = dataclasses.replace(table, columns=columns)
    Z = _cells(imputer, data, table, handle_unknown, FEWEST_ROWS)
    n_numbers = table.layout[0]
    scaling = Scaling.of(Z[:, :n_numbers]) if n_numbers else Scaling(*np.empty((4, 0)))
    Z[:, :n_numbers] = scaling(Z[:, :n_numbers])
    return Read(data, Z, _scaled(table, scaling), scaling)


def read(imputer: Any, X: Any, table: Table) -> Read:
    """Read rows after `fit`."""
    data = _data(imputer, X)
    Z = _cells(imputer, data, table, imputer.estimator_.handle_unknown)
    n_numbers = table.layout[0]
    Z[:, :n_numbers] = np.clip(Z[:, :n_numbers], -LIMIT, LIMIT)
    return Read(data, Z, table, Scaling(**imputer._scales))


def _gaps(data: list[Data]) -> Array:
    return np.column_stack([column.unknown for column in data])


def _data(imputer: Any, X: Any, *, reset: bool = False) -> list[Data]:
    validate_data(imputer, X, reset=reset, skip_check_array=True)
    refuse_unreadable("X", X)
    return columns_of(X, mark_of(imputer))


def _cells(
    imputer: Any, data: list[Data], table: Table, handle_unknown: str, min_samples: int = 1
) -> Array:
    table.check_columns(data, "X")
    Z = np.column_stack(table.cells(data, handle_unknown)).astype(np.float64)
    places = Z[:, table.n_plain :]
    places[places < 0] = np.nan
    check_array(
        Z,
        ensure_min_samples=min_samples,
        ensure_all_finite=False,
        input_name="X",
        estimator=imputer,
    )
    return Z


def _unscaled(column: Any) -> Any:
    return Number(0.0, 1.0) if column.kind == "number" else column


def _scaled(table: Table, scaling: Scaling) -> Table:
    """Return a table with numbers on this scale."""
    places = table.order[: table.layout[0]]
    scales = zip(scaling.center.tolist(), scaling.scale.tolist(), strict=True)
    numbers = {place: Number(*scale) for place, scale in zip(places, scales, strict=True)}
    columns = [numbers.get(place, column) for place, column in enumerate(table.columns)]
    return dataclasses.replace(table, columns=columns)


def restored(imputer: Any, X: Any, read: Read, values: Array, *, indicator: bool) -> Any:
    """Return a frame with the values of cells in its gaps, and without its empty columns.

    ``values`` has all rows of the frame.  With ``indicator``, those of the indicator come last.
    """
    n_numbers = read.table.layout[0]
    values = np.hstack([read.scaling.undo(values[:, :n_numbers]), values[:, n_numbers:]])
    places = [place for place, column in enumerate(read.data) if column.unknown.any()]
    fills = {place: _fill(read, place, values) for place in places}
    frame = filled(X, read.data, {place: fill for place, fill in fills.items() if fill})
    if not imputer.keep_empty_features:
        frame = without(frame, np.flatnonzero(imputer._empty))
    if not indicator or imputer.indicator_ is None:
        return frame
    marks = imputer.indicator_.transform(_marks(read.gaps))
    names = imputer.get_feature_names_out()[frame.shape[1] :]
    return with_columns(frame, dict(zip(names.tolist(), marks.T, strict=True)))


def _fill(read: Read, place: int, values: Array) -> Fill | None:
    """Return the values for the gaps of a column; None for an empty one that is not of numbers.

    ``values`` has the numbers in the units of the frame.
    """
    data, column = read.data[place], read.table.columns[place]
    gaps = np.array(data.unknown)
    if place not in read.table.order:
        zeros = np.zeros(gaps.sum())
        return Fill(gaps, as_number(zeros, data)) if data.values.dtype.kind in "iuf" else None
    cell = read.table.order.index(place)
    if column.kind == "number":
        return Fill(gaps, as_number(values[gaps, cell], data))
    if column.kind == "boolean":
        return Fill(gaps, values[gaps, cell] > 0.5)
    categories = np.empty(column.size, object)
    categories[:] = column.categories
    return Fill(gaps, categories[values[gaps, cell].astype(int)])


def indicator(gaps: Array) -> MissingIndicator:
    """Return an indicator that is fitted to the gaps of a frame."""
    fitted: MissingIndicator = MissingIndicator(error_on_new=False)
    return fitted.set_output(transform="default").fit(_marks(gaps))


def _marks(gaps: Array) -> Array:
    return np.where(gaps, np.nan, 0.0)
