"""`Encoded`: rows of a table as the matrix that networks take."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from skae._typing import Array, Matrix

if TYPE_CHECKING:
    from skae._tables.table import Table  # imports narwhals, which takes 40 ms


@dataclass(frozen=True)
class Encoded:
    """Rows that are encoded already, for estimators that fit several networks to one table.

    An autoencoder takes them instead of a frame: `fit` takes over the table, with all its
    categories, and `reconstruct` returns a matrix like this one, with numbers on the common scale
    and probabilities of booleans and categories.

    Attributes
    ----------
    table : Table
        The columns of the frame.
    matrix : {ndarray, sparse matrix} of shape (n_samples, n_inputs)
        The encoded rows, from `Table.encode`.
    """

    table: "Table"
    matrix: Matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and number of columns of the frame."""
        return self.matrix.shape[0], len(self.table.columns)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Array) -> Self:
        """Return the rows with these numbers."""
        return type(self)(self.table, self.matrix[rows])
