"""Folding of layers that scale and shift into the dense layers beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from skae._typing import Activation, Array


@dataclass(frozen=True)
class Affine:
    """A dense layer with its weights, in float64.

    A ``diagonal`` layer only scales and shifts its columns.
    """

    kernel: Array
    bias: Array
    activation: Activation = "linear"
    diagonal: bool = False

    @classmethod
    def scaling(cls, scale: Array, shift: Array) -> Self:
        """Make a layer that scales and shifts each column."""
        return cls(np.diag(scale), shift, diagonal=True)

    @property
    def is_linear(self) -> bool:
        return isinstance(self.activation, str) and self.activation == "linear"


def activated(chain: Sequence[Affine], activation: Activation, width: int) -> list[Affine]:
    """Apply an activation to the outputs of a chain of layers; ``width`` is their number.

    If the last layer already has an activation, another layer follows it.
    """
    if not chain or not chain[-1].is_linear:
        chain = [*chain, Affine.scaling(np.ones(width), np.zeros(width))]
    return [*chain[:-1], replace(chain[-1], activation=activation)]


def fold(chain: Sequence[Affine]) -> list[Affine]:
    """Multiply diagonal layers into their neighbours if no activation is between them."""
    folded = list(chain[:1])
    for layer in chain[1:]:
        last = folded[-1]
        if last.is_linear and (last.diagonal or layer.diagonal):
            folded[-1] = _product(last, layer)
        else:
            folded.append(layer)
    return folded


def _product(first: Affine, second: Affine) -> Affine:
    return Affine(
        first.kernel @ second.kernel,
        first.bias @ second.kernel + second.bias,
        second.activation,
        first.diagonal and second.diagonal,
    )
