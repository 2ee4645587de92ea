"""`Cells`: rows with one number for each cell, as draws see them, and as networks see them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from skae._network.tables import Probabilities
from skae._tables.encoded import Encoded
from skae._typing import Array

if TYPE_CHECKING:
    from skae._tables.table import Table  # imports narwhals, which takes 40 ms


@dataclass(frozen=True)
class Cells:
    """The columns of rows that have one number for each cell.

    The number is a scaled value, 0 or 1 for a boolean, or the place of a category; unknown cells
    are NaN.  Without a table, all columns are numbers, and networks see the rows themselves.
    """

    table: "Table | None" = None

    @cached_property
    def layout(self) -> Probabilities:
        n_numbers, n_booleans, sizes = (0, 0, ()) if self.table is None else self.table.layout
        return Probabilities(n_numbers, n_booleans, sizes)

    def rows(self, Z: Array) -> Any:
        """Return rows as networks see them."""
        if self.table is None:
            return Z
        n = self.layout.n_plain
        places = np.where(np.isnan(Z[:, n:]), -1, Z[:, n:]).astype(int)
        return Encoded(self.table, self.table.join([*Z[:, :n].T, *places.T]))

    def outputs(self, network: Any, Z: Array) -> Array:
        """Return numbers as a network restores them, and the probabilities of the others."""
        outputs: Array = network.reconstruct(self.rows(Z))
        return outputs

    def is_number(self, column: int) -> bool:
        return self.table is None or column < self.layout.n_numbers

    def chances(self, outputs: Array, column: int) -> Array:
        """Return the probabilities of a column's categories; of false and true for a boolean."""
        n = self.layout.n_plain
        if column < n:
            true = outputs[:, column]
            return np.column_stack([1 - true, true])
        start = n + sum(self.layout.sizes[: column - n])
        return outputs[:, start : start + self.layout.sizes[column - n]]

    def best(self, outputs: Array) -> Array:
        """Return the most probable value of each cell."""
        if self.table is None:
            return outputs
        numbers = outputs[:, : self.layout.n_numbers]
        others = range(self.layout.n_numbers, self.layout.n_columns)
        chosen = [self.chances(outputs, column).argmax(axis=1) for column in others]
        return np.column_stack([numbers, *chosen])

    def middle(self, draws: list[Array]) -> Array:
        """Return the mean of several draws of numbers, and the most frequent of other values."""
        mean: Array = sum(draws[1:], draws[0]) / len(draws)
        if self.table is None:
            return mean
        for column in range(self.layout.n_numbers, self.layout.n_columns):
            places = np.column_stack([draw[:, column] for draw in draws]).astype(int)
            mean[:, column] = stats.mode(places, axis=1).mode
        return mean
