"""`Conditioning`: rows are shifted and scaled for training.

The network trains on rows with a mean of zero and a variance of one, so that the result does not
depend on the units of the rows.  After a fit, shift and scale become part of the weights, which
then take rows in their own units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from skae._network.moments import moments
from skae._network.spec import NetworkSpec
from skae._rows.rows import Rows
from skae._typing import Array, Floats

# Limits of the scale: 1 / scale, and its product with a weight, must be finite in float32.
SMALLEST, LARGEST = 1e-30, 1e30


@dataclass(frozen=True)
class Conditioning:
    """The map ``(rows - shift) / scale``.

    Attributes
    ----------
    shift : ndarray of shape (n_features,)
        Mean of each column.
    scale : float
        Square root of the mean variance of the columns.  It is one number, so that the errors of
        all columns are divided by the same number.
    degree : int
        The loss is proportional to this power of ``scale``.
    """

    shift: Array
    scale: float
    degree: int

    @classmethod
    def of(cls, rows: Rows, degree: int) -> Self:
        """Compute shift and scale of the rows to reconstruct, with the weights of the rows."""
        mean, variance = moments(rows)
        scale = float(np.sqrt(variance.mean()))
        # Rows count as constant if float32 cannot hold their differences with full precision.
        is_constant = scale < np.finfo(np.float32).tiny
        return cls(mean, 1.0 if is_constant else float(np.clip(scale, SMALLEST, LARGEST)), degree)

    @property
    def loss_factor(self) -> float:
        """Factor from the loss of training to the loss in the units of the rows."""
        return self.scale**self.degree

    @property
    def map(self) -> tuple[Array, float]:
        """Shift and scale."""
        return self.shift, self.scale

    @property
    def relative_shift(self) -> float:
        """The largest shift of a column, in units of the scale."""
        return float(np.abs(self.shift).max() / self.scale)

    def fold(self, network: NetworkSpec, weights: Sequence[Floats]) -> list[Floats]:
        """Turn weights of training into weights that take and return rows in their own units.

        The last layer of the network is linear.
        """
        return _folded(network, weights, *self.map)

    def unfold(self, network: NetworkSpec, weights: Sequence[Floats]) -> list[Floats]:
        """Undo `fold`, up to rounding."""
        return _folded(network, weights, -self.shift / self.scale, 1 / self.scale)


def _folded(
    network: NetworkSpec, weights: Sequence[Floats], shift: Array, scale: float
) -> list[Floats]:
    """Return weights that take and return ``rows`` instead of ``(rows - shift) / scale``."""
    own = network.by_layer([np.asarray(array, np.float64) for array in weights])
    place = int(network.has_gaps)
    first: Any = network.layers[place]
    last: Any = network.layers[-1]
    own[place], own[-1] = (
        first.fold_inputs(own[place], shift, scale),
        last.fold_outputs(own[-1], shift, scale),
    )
    return _as_float32([array for arrays in own for array in arrays])


def _as_float32(weights: Sequence[Array]) -> list[Floats]:
    """Round weights; a fit reports those that overflow."""
    with np.errstate(over="ignore"):
        return [array.astype(np.float32) for array in weights]
