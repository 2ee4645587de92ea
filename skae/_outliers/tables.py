"""Rows of a table with categories, on scales on which each column of the table counts once.

The mean squared distance between two rows of the fit is two in each column: in a number or a
boolean, because it has a variance of one, and in a category, because its one-hot columns together
have one.  M. van de Velden, A. Iodice D'Enza, A. Markos and C. Cavicchia, "Unbiased mixed variables
distance", arXiv 2411.00429, 2024, call such columns commensurable.

All pairs of different categories have the same distance.  A division of each one-hot column by the
root of its share, as in J. Pages, "Multiple Factor Analysis by Example Using R", 2014, gives a
category with few rows so large a distance that its rows are outliers, whatever their other columns.

A category that `fit` did not see has a coordinate of its own.  It is as far from each category as
these are from each other, and no reference point is near it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from skae._estimators.describe import takes_gaps
from skae._estimators.inputs import check_rows
from skae._rows.finite import means_of_known
from skae._rows.sources import is_source
from skae._tables.encoded import Encoded
from skae._tables.inputs import encode, find_table, table_of
from skae._typing import Array, Matrix

if TYPE_CHECKING:
    from skae._tables.table import Table  # imports narwhals, which takes 40 ms

SMALL = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class TableScaling:
    """The map from rows of a table to coordinates, and from coordinates to columns of the table.

    A row has the values of the table's matrix, followed by a value for each categorical column: 1
    if `fit` did not see its category, else 0.  Coordinates are these values divided by ``scale``.
    An unknown cell is NaN in all its coordinates.

    Attributes
    ----------
    table : Table
        The columns of the table.
    scale : ndarray of shape (n_coordinates,)
        The value of a row that has the coordinate one.
    """

    table: "Table"
    scale: Array

    @classmethod
    def of(
        cls, table: "Table", X: Matrix, weight: Array, standardize: bool = True
    ) -> "TableScaling":
        """Compute the scales from rows; a constant column has the scale 1."""
        n_numbers, _, sizes = table.layout
        n_plain, width = table.n_plain, table.n_plain + sum(sizes)
        plain = _dense(X[:, :n_plain])
        mean = means_of_known(plain, weight)
        spread = np.sqrt(means_of_known((plain - mean) ** 2, weight))
        spread[spread <= SMALL] = 1
        if not standardize:
            columns = (table.columns[place] for place in table.order[:n_numbers])
            spread[:n_numbers] = [1 / column.scale for column in columns]
        totals = weight @ X[:, n_plain:width]
        sums = _sums(totals, sizes)
        shares = totals / np.repeat(np.maximum(sums, SMALL), sizes)
        variance = 1 - _sums(shares**2, sizes)
        spreads = np.sqrt(np.where(variance > SMALL, variance, 1))
        return cls(table, np.concatenate([spread, np.repeat(spreads, sizes), spreads]))

    @property
    def center(self) -> Array:
        """Zero for each coordinate: distances do not depend on it."""
        return np.zeros(len(self.scale))

    @property
    def n_columns(self) -> int:
        """Number of columns of the table."""
        return len(self.table.columns)

    @property
    def n_results(self) -> int:
        """Number of columns of the matrix that `undo` returns."""
        return len(self.scale) - len(self._sizes)

    @property
    def _sizes(self) -> tuple[int, ...]:
        return self.table.layout[2]

    @property
    def _n_plain(self) -> int:
        return self.table.n_plain

    @cached_property
    def _categories(self) -> Array:
        """The number of the categorical column of each one-hot column."""
        return np.repeat(np.arange(len(self._sizes)), self._sizes)

    @cached_property
    def _columns(self) -> Any:
        """The column of the table of each coordinate, as a matrix of zeros and ones."""
        order = np.array(self.table.order)
        places = np.concatenate(
            [order[: self._n_plain], order[self._n_plain :][self._categories],
             order[self._n_plain :]]
        )  # fmt: skip
        ones = np.ones(len(places)), (np.arange(len(places)), places)
        return sparse.csr_array(ones, (len(places), self.n_columns))

    def __call__(self, rows: Any, dtype: Any = np.float64) -> Array:
        """Return the coordinates of rows."""
        dense = _dense(rows)
        Z: Array = dense / self.scale
        one_hot = slice(self._n_plain, self.n_results)
        unseen = dense[:, self.n_results :]
        unknown = (_sums(dense[:, one_hot], self._sizes) == 0) & (unseen == 0)
        if unknown.any():
            Z[:, one_hot][np.repeat(unknown, self._sizes, axis=1)] = np.nan
            Z[:, self.n_results :][unknown] = np.nan
        return Z

    def block(self, rows: Any, start: int, dtype: Any) -> Array:
        """Return the coordinates of rows, which `read_rows` has checked."""
        return self(rows)

    def undo(self, Z: Array) -> Array:
        """Return the matrix of the table that coordinates stand for."""
        matrix: Array = (Z * self.scale)[:, : self.n_results]
        return matrix

    def for_networks(self, X: Matrix) -> Encoded:
        """Return rows as the networks take them."""
        return Encoded(self.table, X[:, : self.n_results].astype(np.float32))

    def reconstruct(self, network: Any, Z: Array) -> Array:
        """Return the coordinates of a network's reconstructions."""
        matrix = self.undo(Z)
        one_hot = matrix[:, self._n_plain :]
        one_hot[np.isnan(one_hot)] = 0
        outputs = np.zeros_like(Z)
        outputs[:, : self.n_results] = network.reconstruct(Encoded(self.table, matrix))
        return outputs / self.scale

    def fill(self, network: Any, Z: Array) -> Array:
        """Return coordinates with unknown cells as the network reconstructs them."""
        unknown = np.isnan(Z)
        return np.where(unknown, self.reconstruct(network, Z), Z) if unknown.any() else Z

    def known(self, Z: Array) -> Array | None:
        """Return which coordinates are known, or None if all are."""
        known = ~np.isnan(Z)
        return None if known.all() else known

    def by_column(self, values: Array) -> Array:
        """Return the sums of the coordinates of each column of the table."""
        sums: Array = values @ self._columns
        return sums

    def spread(self, values: Array) -> Array:
        """Return the values of columns of the table for each of their coordinates."""
        spread: Array = self._columns @ values
        return spread


def _dense(rows: Any) -> Array:
    return rows.toarray() if sparse.issparse(rows) else np.asarray(rows)


def _sums(values: Array, sizes: Sequence[int]) -> Array:
    """Return sums of consecutive values along the last axis; ``sizes`` has the number of each."""
    if not sizes:
        return np.zeros((*values.shape[:-1], 0))
    starts = np.cumsum([0, *sizes[:-1]])
    sums: Array = np.add.reduceat(values, starts, axis=-1)
    return sums


def learn_rows(detector: Any, autoencoder: Any, X: Any) -> Matrix:
    """Check the rows of a fit, and set the detector's ``_table``: their columns, or None.

    The autoencoder's parameters say which columns are categories.
    """
    table = find_table(autoencoder, X)
    detector._table = None if table is None else table.pack()
    return read_rows(detector, autoencoder, X, reset=True, min_samples=2)


def read_rows(detector: Any, autoencoder: Any, X: Any, **options: Any) -> Matrix:
    """Return the rows that a detector compares, after checking them.

    Those of a table have a column for each categorical column behind the table's matrix: 1 for a
    category that `fit` did not see.
    """
    table = table_of(detector)
    if table is None or is_source(X):
        return check_rows(detector, X, **options)
    options.pop("finite", None)
    gaps = takes_gaps(vars(autoencoder))
    unknown = autoencoder.handle_unknown
    matrix = encode(detector, X, table, gaps=gaps, handle_unknown=unknown, **options)
    marks = _unseen(table, X, matrix, gaps)
    if sparse.issparse(matrix):
        return sparse.hstack([matrix, sparse.csr_array(marks)], format="csr", dtype=np.float64)
    return np.hstack([matrix, marks]).astype(np.float64)


def _unseen(table: "Table", X: Any, matrix: Matrix, gaps: bool) -> Array:
    """Return which cells of categorical columns have a category that `fit` did not see."""
    n_plain, sizes = table.n_plain, table.layout[2]
    places = np.arange(sum(sizes)), np.repeat(np.arange(len(sizes)), sizes)
    ones = sparse.csr_array((np.ones(sum(sizes)), places), (sum(sizes), len(sizes)))
    empty = _dense(matrix[:, n_plain:] @ ones) == 0
    if gaps and empty.any():
        from skae._tables.frames import columns_of

        data = columns_of(X)
        for number, place in enumerate(table.order[n_plain:]):
            empty[:, number] &= ~data[place].unknown
    return empty
