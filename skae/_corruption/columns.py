"""Corruption of tables with categories, column by column."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skae._corruption.base import Corruption
from skae._corruption.masking import MaskingNoise
from skae._corruption.swap import SwapNoise
from skae._network.tables import Probabilities
from skae._typing import Array, Rng

# Corruptions that replace values as they are, so that a category may be given as a number.
REPLACING = (MaskingNoise, SwapNoise)


@dataclass(frozen=True)
class ColumnCorruption:
    """Apply a corruption to the columns of a table, and not to the one-hot columns of categories.

    A replacing corruption gets one number for each cell of the table: the number of a category,
    from 1 on.  So it masks or swaps whole cells, and a mask of zero or NaN makes a category
    unknown.  Other corruptions get the numbers of the table, and categories and booleans are
    swapped with probability 0.15, the default of `SwapNoise`.

    Attributes
    ----------
    corruption : Corruption
        The corruption.
    table : Probabilities
        The columns of the matrix.
    order : tuple of int
        The place in the frame of each column in the matrix.
    n_columns : int
        Number of columns of the frame.
    """

    corruption: Corruption
    table: Probabilities
    order: tuple[int, ...]
    n_columns: int

    def corrupt(self, X: Array, rng: Rng) -> Array:
        """Return a corrupted copy of rows; see `Corruption`."""
        cells = self._cells(X)
        frame = np.zeros((len(X), self.n_columns), X.dtype)  # a corruption may name its columns
        frame[:, self.order] = cells
        corrupted = np.asarray(self.corruption.corrupt(frame, rng))[:, self.order]
        if not isinstance(self.corruption, REPLACING):
            n = self.table.n_numbers
            swapped = SwapNoise().corrupt(cells[:, n:], rng)
            corrupted = np.concatenate([corrupted[:, :n], swapped], axis=1)
        return self._rows(corrupted.astype(X.dtype, copy=False))

    def _cells(self, X: Array) -> Array:
        """Return one number for each cell of the table."""
        blocks: list[Array] = [X[:, : self.table.n_plain]]
        for run in self.table.runs():
            one_hot = X[:, run.start : run.stop].reshape(run.shape)
            places = np.arange(1, run.n_categories + 1, dtype=X.dtype)
            blocks.append(one_hot @ places)
        return np.concatenate(blocks, axis=1)

    def _rows(self, cells: Array) -> Array:
        """Undo `_cells`; a number that is not that of a category becomes an unknown one."""
        rows = np.zeros((len(cells), self.table.n_inputs), cells.dtype)
        n = place = self.table.n_plain
        rows[:, :n] = cells[:, :n]
        for run in self.table.runs():
            numbers: Array = cells[:, place : place + run.n_columns, np.newaxis]
            one_hot = numbers == np.arange(1, run.n_categories + 1)
            rows[:, run.start : run.stop] = one_hot.reshape(len(cells), -1)
            place += run.n_columns
        return rows


def by_column(
    corruption: Corruption | None,
    table: Probabilities | None,
    order: Sequence[int],
    n_columns: int,
) -> Corruption | None:
    """Return the form of a corruption for a table with categories; itself for other rows."""
    if corruption is None or table is None:
        return corruption
    return ColumnCorruption(corruption, table, tuple(order), n_columns)
