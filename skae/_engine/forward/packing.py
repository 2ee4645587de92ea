"""`WeightPacking`: the weights of a network in the variables that an optimizer updates."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from skae._engine.tensorflow import tf
from skae._typing import Array, Tensor

T = TypeVar("T")
NOTHING_TIED: Mapping[int, int] = {}


class WeightPacking:
    """The place of each weight in the variables that the optimizer updates.

    An optimizer that works element by element gets one vector of all weights (``flat=True``).  Its
    update then takes a dozen operations a step, instead of a dozen for every array.  Those would be
    most of a small network's step, and much of the time that its first trace takes.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shapes of all weights.
    transposes : mapping of int to int
        The places of weights that have no variable, because they are transposes of other weights;
        and the places of those.
    flat : bool
        Whether all weights that have a variable share one.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, ...]],
        transposes: Mapping[int, int] = NOTHING_TIED,
        *,
        flat: bool,
    ) -> None:
        self.transposes, self.flat = transposes, flat
        self.places = [place for place in range(len(shapes)) if place not in transposes]
        self.shapes = self.trained(shapes)
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.length = sum(self.sizes)

    def trained(self, weights: Sequence[T]) -> list[T]:
        """Return the weights that have a variable."""
        return [weights[place] for place in self.places]

    def pack(self, weights: Sequence[Array]) -> list[Array]:
        """Turn weights into the arrays of the variables."""
        own = self.trained(weights)
        return [np.concatenate([np.ravel(array) for array in own])] if self.flat else own

    def unpack(self, variables: Sequence[Array]) -> list[Array]:
        """Turn the variables' arrays into weights."""
        own = list(variables)
        if self.flat:
            parts = np.split(variables[0], np.cumsum(self.sizes)[:-1])
            own = [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return self._with_transposes(own, lambda kernel: kernel.T.copy())

    def tensors(self, variables: Sequence[Tensor]) -> list[Tensor]:
        """Do the same as `unpack` for tensors, inside a program."""
        own = list(variables)
        if self.flat:
            parts = tf.split(variables[0], self.sizes)
            own = [tf.reshape(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]
        for tensor, shape in zip(own, self.shapes, strict=True):
            tensor.set_shape(shape)  # the variable may have been made without a shape
        return self._with_transposes(own, tf.transpose)

    def _with_transposes(self, own: Sequence[Any], transpose: Callable[[Any], Any]) -> list[Any]:
        """Return all weights, given those that have a variable."""
        weights = dict(zip(self.places, own, strict=True))
        weights |= {place: transpose(weights[source]) for place, source in self.transposes.items()}
        return [weights[place] for place in sorted(weights)]
