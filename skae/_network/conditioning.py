"""`Conditioning`: rows shifted and scaled for training, and folded into the weights afterwards.

Training sees rows with a mean of zero and a variance of one, so that units do not change what is
learnt.  The weights that leave a fit take rows in their own units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from skae._rows.moments import moments
from skae._rows.rows import Rows
from skae._typing import Array, Floats

# 1 / scale must be finite in float32, with room for the weights that it multiplies
SMALLEST, LARGEST = 1e-30, 1e30


@dataclass(frozen=True)
class Conditioning:
    """The map ``(rows - shift) / scale``.

    Attributes
    ----------
    shift : ndarray of shape (n_features,)
        Mean of each column.
    scale : float
        Root of the mean variance of the columns: one number, so that the error of every column is
        divided by the same.
    degree : int
        The power of ``scale`` with which the loss grows.
    """

    shift: Array
    scale: float
    degree: int

    @classmethod
    def of(cls, rows: Rows, degree: int) -> Self:
        """Take mean and variance from the rows to reconstruct, with the rows' weights."""
        mean, variance = moments(rows)
        scale = float(np.sqrt(variance.mean()))
        return cls(mean, float(np.clip(scale, SMALLEST, LARGEST)) if scale > 0 else 1.0, degree)

    @property
    def loss_factor(self) -> float:
        """The loss in the units of the rows, over the loss that training sees."""
        return self.scale**self.degree

    @property
    def map(self) -> tuple[Array, float]:
        """Shift and scale."""
        return self.shift, self.scale

    def fold(self, weights: Sequence[Floats]) -> list[Floats]:
        """Turn the weights of training into those that take and return rows in their own units.

        ``weights`` are kernel and bias of each dense layer; the last layer is linear.
        """
        kernel, bias, *inner, last_kernel, last_bias = (np.asarray(w, np.float64) for w in weights)
        first = kernel / self.scale
        folded = [first, bias - self.shift @ first, *inner]
        folded += [last_kernel * self.scale, last_bias * self.scale + self.shift]
        return [array.astype(np.float32) for array in folded]

    def unfold(self, weights: Sequence[Floats]) -> list[Floats]:
        """Undo `fold`, up to rounding."""
        kernel, bias, *inner, last_kernel, last_bias = (np.asarray(w, np.float64) for w in weights)
        unfolded = [kernel * self.scale, bias + self.shift @ kernel, *inner]
        unfolded += [last_kernel / self.scale, (last_bias - self.shift) / self.scale]
        return [array.astype(np.float32) for array in unfolded]
