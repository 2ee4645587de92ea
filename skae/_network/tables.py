"""Layers for tables: the first is told which values are unknown; the last knows categories."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, NamedTuple

import numpy as np
from scipy import sparse, special

from skae._network.layers import Check, FindActivation, NumpyForm
from skae._typing import Array, Floats, Matrix, Rng

SMALLEST = 1e-30  # a probability in float32, whose logarithm is finite


@dataclass(frozen=True)
class Gaps:
    """Replace NaN by zero, and append a column for each column: 1 if it was NaN, else 0.

    Only the first ``n_told`` columns have such a column; None means all.  The others are the
    one-hot columns of categories, which are all zero for an unknown one.

    The next layer has weights for the appended columns.  So zero may stand for any value, also
    after the units of the rows have changed: `skae._network.layers.fold_kernel` adapts these
    weights.  Rows without NaN have zeros in all appended columns, and the network is then the one
    that it would be without this layer.
    """

    n_inputs: int
    n_told: int | None = None
    is_random: ClassVar[bool] = False
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ()

    @property
    def n_outputs(self) -> int:
        return self.n_inputs + self.width

    @property
    def width(self) -> int:
        """Number of appended columns."""
        return self.n_inputs if self.n_told is None else self.n_told

    @property
    def flops(self) -> int:
        return 2 * self.n_inputs

    def initial_weights(self, rng: Rng) -> list[Floats]:
        return []

    def numpy_form(self, weights: Sequence[Array], find: FindActivation) -> NumpyForm:
        def gaps(
            rows: Matrix,
            out: Array,
            check: Check | None = None,
            kept: list[Array] | None = None,
        ) -> Array:
            dense = rows.toarray() if sparse.issparse(rows) else rows
            unknown = np.isnan(dense)
            out[:, : self.n_inputs] = np.where(unknown, 0, dense)
            out[:, self.n_inputs :] = unknown[:, : self.width]
            if check is not None:
                check(out)
            return out

        return gaps


class Run(NamedTuple):
    """Consecutive categorical columns of a table that have the same number of categories."""

    start: int
    n_columns: int
    n_categories: int

    @property
    def stop(self) -> int:
        return self.start + self.n_columns * self.n_categories

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a block of rows with an axis for the columns, and one for the categories."""
        return -1, self.n_columns, self.n_categories


@dataclass(frozen=True)
class Probabilities:
    """Turn logits of categories into probabilities.

    A row of the table starts with its numbers, followed by its booleans (0 or 1), and by one-hot
    columns for each categorical column.  An unknown category is zero in all of them.

    Attributes
    ----------
    n_numbers, n_booleans : int
        Number of numerical and of boolean columns.
    sizes : tuple of int
        Number of categories of each categorical column, in ascending order.
    """

    n_numbers: int
    n_booleans: int
    sizes: tuple[int, ...]
    is_random: ClassVar[bool] = False
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ()

    @property
    def n_plain(self) -> int:
        """Number of columns that are not one-hot."""
        return self.n_numbers + self.n_booleans

    @property
    def n_columns(self) -> int:
        """Number of columns of the table."""
        return self.n_plain + len(self.sizes)

    @property
    def widths(self) -> list[int]:
        """Number of columns that each column of the table takes in the matrix."""
        return [*[1] * self.n_plain, *self.sizes]

    @property
    def n_inputs(self) -> int:
        return sum(self.widths)

    @property
    def n_outputs(self) -> int:
        return self.n_inputs

    @property
    def flops(self) -> int:
        return 3 * self.n_inputs

    @property
    def booleans(self) -> slice:
        return slice(self.n_numbers, self.n_plain)

    def runs(self) -> Iterator[Run]:
        """Yield the categorical columns, in runs of the same number of categories."""
        start = self.n_plain
        for size, columns in groupby(self.sizes):
            run = Run(start, len(list(columns)), size)
            yield run
            start = run.stop

    def initial_weights(self, rng: Rng) -> list[Floats]:
        return []

    def numpy_form(self, weights: Sequence[Array], find: FindActivation) -> NumpyForm:
        def probabilities(
            rows: Matrix,
            out: Array,
            check: Check | None = None,
            kept: list[Array] | None = None,
        ) -> Array:
            out[:] = rows
            out[:, self.n_numbers :] = self.probabilities(out[:, self.n_numbers :], self.n_numbers)
            return out

        return probabilities

    def probabilities(self, logits: Array, first: int) -> Array:
        """Return the probabilities of columns from ``first``, the end of the numbers, on."""
        out = special.expit(logits)
        for run in self.runs():
            block = logits[:, run.start - first : run.stop - first]
            shares = special.softmax(block.reshape(run.shape), axis=2)
            out[:, run.start - first : run.stop - first] = shares.reshape(block.shape)
        return out

    def slopes(self, logits: Array, targets: Array, first: int) -> Array:
        """Return the gradient of the cross-entropies of columns from ``first`` on.

        It is zero for an unknown category.
        """
        slopes: Array = self.probabilities(logits, first) - targets
        for run in self.runs():
            part = slice(run.start - first, run.stop - first)
            own, one_hot = (x[:, part].reshape(run.shape) for x in (slopes, targets))
            known = one_hot.sum(axis=2, keepdims=True) > 0
            slopes[:, part] = (own * known).reshape(len(targets), -1)
        return slopes

    def errors(self, rows: Array, outputs: Array) -> Array:
        """Compare rows with their reconstructions, column by column.

        Parameters
        ----------
        rows, outputs : ndarray of shape (n_rows, n_outputs)
            The rows, and the outputs of this layer for them.

        Returns
        -------
        errors : ndarray of shape (n_rows, n_columns)
            The squared error of each number, and the cross-entropy, in nats, of each boolean and
            each category.  It is NaN for unknown values.
        """
        errors = np.empty((len(rows), self.n_columns), outputs.dtype)
        numbers = slice(self.n_numbers)
        errors[:, numbers] = (rows[:, numbers] - outputs[:, numbers]) ** 2
        targets, share = rows[:, self.booleans], outputs[:, self.booleans]
        errors[:, self.booleans] = -(
            targets * np.log(np.maximum(share, SMALLEST))
            + (1 - targets) * np.log(np.maximum(1 - share, SMALLEST))
        )
        place = self.n_plain
        for run in self.runs():
            part = slice(run.start, run.stop)
            targets, shares = (x[:, part].reshape(run.shape) for x in (rows, outputs))
            known = targets.sum(axis=2) > 0
            losses = -(targets * np.log(np.maximum(shares, SMALLEST))).sum(axis=2)
            errors[:, place : place + run.n_columns] = np.where(known, losses, np.nan)
            place += run.n_columns
        return errors
