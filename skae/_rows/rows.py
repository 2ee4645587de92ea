"""`Rows`: inputs, targets, weights, and the numbers of the rows that are used."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._rows.finite import known_values
from skae._rows.sources import Source
from skae._typing import Array, Matrix, Rng, RowMatrix

# A scaler may leave [0, 1] by the rounding of float32.
ROUNDING = 1e-6
# Below this share of values that are not zero, and below this mean of them, values are no
# intensities.  Of MNIST's values, 0.19 are not zero, with a mean of 0.69.
FEW, SMALL = 0.1, 0.5


@dataclass(frozen=True)
class Rows:
    """Rows to train or validate on.

    Parameters
    ----------
    inputs : ndarray, CSR matrix or Source of shape (n_samples, n_features)
        Inputs of the network.
    targets : ndarray, CSR matrix or Source of shape (n_samples, n_features), or None
        Expected outputs of the network.  None means the inputs.
    weight : ndarray of shape (n_samples,) or None
        Weight of each row, float32.  None means that all rows count the same.
    index : ndarray or range of int
        Numbers of the rows that are used, in ascending order.  Thus a split, or a row with weight
        zero, needs no copy of the data.  A range names all rows of a `Source`.
    """

    inputs: Matrix
    targets: Matrix | None
    weight: Array | None
    index: Array | range

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The inputs, and the targets if there are any."""
        return (self.inputs,) if self.targets is None else (self.inputs, self.targets)

    @property
    def in_memory(self) -> bool:
        """Whether all matrices are in memory."""
        return not any(isinstance(matrix, Source) for matrix in self.matrices)

    @property
    def are_arrays(self) -> bool:
        """Whether all matrices are in memory, and the inputs are dense."""
        return self.in_memory and isinstance(self.inputs, np.ndarray)

    def weights(self, index: Array) -> Array:
        """Return the weights of the rows with these numbers, of shape (n_rows,)."""
        return np.ones(len(index), np.float32) if self.weight is None else self.weight[index]

    @property
    def total_weight(self) -> float:
        """Sum of the weights of all rows that are used."""
        return len(self.index) if self.weight is None else float(self.weight[self.index].sum())


def count_nonzero(X: Matrix) -> int:
    """Count the values that are not zero."""
    return int(np.count_nonzero(X) if isinstance(X, np.ndarray) else X.count_nonzero())


def all_rows(X: RowMatrix) -> Array | range:
    """Return the numbers of all rows: a range for a `Source`, which can have too many to store."""
    return range(X.shape[0]) if isinstance(X, Source) else np.arange(X.shape[0])


def split_rows(rows: Rows, fraction: float, rng: Rng) -> tuple[Rows, Rows]:
    """Split rows at random into rows to train on and rows to validate on, without a copy.

    Parameters
    ----------
    rows : Rows
        The rows to split.
    fraction : float
        Share of the rows to validate on, in (0, 1].  Their number is rounded up.
    rng : Generator
        Random numbers for the choice.

    Returns
    -------
    train, validation : Rows
        The two parts, each in the original order.

    Raises
    ------
    ValueError
        If no row is left to train on.
    """
    n_rows = len(rows.index)
    n_validation = int(np.ceil(fraction * n_rows))
    if n_validation == n_rows:
        raise ValueError(
            f"early_stopping=True sets {n_validation} of {n_rows} rows aside for validation "
            f"(validation_fraction={fraction}), which leaves none to train on: give more rows, "
            "X_val, or a smaller validation_fraction."
        )
    order = rng.permutation(rows.index)
    train, validation = np.sort(order[n_validation:]), np.sort(order[:n_validation])
    return (
        Rows(rows.inputs, rows.targets, rows.weight, train),
        Rows(rows.inputs, rows.targets, rows.weight, validation),
    )


class ValueRange:
    """The lowest and the highest value of a matrix, each computed when it is first needed.

    NaN, an unknown value, does not count.
    """

    def __init__(self, X: RowMatrix) -> None:
        self.X = X

    @functools.cached_property
    def _lowest(self) -> Any:
        return self.X.min()  # NaN if one of the values is NaN; a `Source` leaves them out itself

    @functools.cached_property
    def _known(self) -> Any:
        is_whole = isinstance(self.X, Source) or not np.isnan(self._lowest)
        return self.X if is_whole else known_values(self.X)

    @functools.cached_property
    def low(self) -> Any:
        if self._known is self.X:
            return self._lowest
        return self._known.min() if self._known.shape[0] else np.nan

    @functools.cached_property
    def high(self) -> Any:
        return self._known.max() if self._known.shape[0] else np.nan

    def within(self, low: float, high: float) -> bool:
        """Return whether all values are between two numbers, but for rounding."""
        low, high = low - ROUNDING * max(1, abs(low)), high + ROUNDING * max(1, abs(high))
        return bool(low <= self.low and self.high <= high)

    def fills_unit_interval(self) -> bool:
        """Return whether the values are in [0, 1] and take up at least half of it.

        Values that take up less, such as 0 to 0.001, are in [0, 1] by their units only.  So are
        weights of words (TF-IDF), which are mostly zeros and small numbers.
        """
        is_wide = self.within(0, 1) and float(self.high) - float(self.low) >= 0.5
        return is_wide and not self._are_few_and_small()

    def _are_few_and_small(self) -> bool:
        """Return whether nearly all values are zero, and the others are small on average."""
        n_values = math.prod(self._known.shape)
        n_nonzero = count_nonzero(self._known)
        return n_nonzero < FEW * n_values and float(self._known.sum()) < SMALL * n_nonzero
