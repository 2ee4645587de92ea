"""`NetworkSpec`: the layers of a network as a frozen value."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from skae._network.layers import Dense, Dropout, Layer, Shortcut, Trained, by_layer, trained

T = TypeVar("T")


@dataclass(frozen=True)
class NetworkSpec:
    """A chain of layers; the first ``n_encoder_layers`` of them are the encoder."""

    layers: tuple[Layer, ...]
    n_encoder_layers: int

    @property
    def n_features(self) -> int:
        return self.layers[0].n_inputs

    @property
    def n_components(self) -> int:
        return self.layers[self.n_encoder_layers - 1].n_outputs

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all weights, from the first layer to the last."""
        return [shape for layer in self.layers for shape in layer.shapes]

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass of one row."""
        return sum(layer.flops for layer in self.layers)

    @property
    def is_random(self) -> bool:
        """Whether training draws random numbers in one of the layers."""
        return any(layer.is_random for layer in self.layers)

    @property
    def trained(self) -> tuple[Trained, ...]:
        """The layers that end with an activation, those inside a `Shortcut` before it."""
        return trained(self.layers)

    @property
    def trained_encoder(self) -> tuple[Trained, ...]:
        """The layers of the encoder that end with an activation."""
        return trained(self.layers[: self.n_encoder_layers])

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of features, followed by the width of each layer with an activation."""
        return (self.n_features, *(layer.n_outputs for layer in self.trained))

    @property
    def activations(self) -> tuple[Any, ...]:
        """The activations of all layers that have one."""
        return tuple(layer.activation for layer in self.trained)

    def by_layer(self, weights: Iterable[T]) -> list[list[T]]:
        """Split a list with an item for each weight into a list for each layer."""
        return by_layer(self.layers, weights)


def mirrored(
    n_features: int,
    hidden_layer_sizes: Sequence[int],
    n_components: int,
    *,
    activation: Any,
    code_activation: Any,
    output_activation: Any,
    dropout: float = 0.0,
    shortcut: bool = False,
) -> NetworkSpec:
    """Describe a dense autoencoder with a decoder that mirrors the encoder.

    Parameters
    ----------
    n_features : int
        Number of features.
    hidden_layer_sizes : sequence of int
        Widths of the encoder's hidden layers; the decoder has them in reverse order.
    n_components : int
        Width of the code.
    activation, code_activation, output_activation : str or hashable
        Activations of the hidden layers, the code and the output.
    dropout : float, default=0
        Rate of dropout after each hidden layer.
    shortcut : bool, default=False
        Whether a linear path is beside the hidden layers of the encoder, and one beside those of
        the decoder.

    Returns
    -------
    network : NetworkSpec
        The layers.
    """
    sizes = (n_features, *hidden_layer_sizes, n_components)
    hidden = [activation] * len(hidden_layer_sizes)
    make = with_shortcut if shortcut and hidden else dense_chain
    encoder = list(make(sizes, [*hidden, code_activation], dropout))
    decoder = list(make(sizes[::-1], [*hidden, output_activation], dropout))
    return NetworkSpec((*encoder, *decoder), len(encoder))


def dense_chain(
    sizes: Sequence[int], activations: Sequence[Any], dropout: float
) -> Iterator[Layer]:
    """Yield the dense layers of one half, with dropout after each but the last."""
    pairs = zip(itertools.pairwise(sizes), activations, strict=True)
    *hidden, last = (Dense(*widths, activation) for widths, activation in pairs)
    for layer in hidden:
        yield layer
        if dropout:
            yield Dropout(layer.n_outputs, dropout)
    yield last


def with_shortcut(
    sizes: Sequence[int], activations: Sequence[Any], dropout: float
) -> Iterator[Layer]:
    """Yield one half as a single layer: the dense layers, and a linear path beside them."""
    *hidden, last = activations
    yield Shortcut(tuple(dense_chain(sizes, [*hidden, "linear"], dropout)), last)
