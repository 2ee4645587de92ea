"""`NetworkSpec`: the layers of a network as a frozen value."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from skae._network.layers import Dense, Dropout, Layer

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
    def dense(self) -> list[Dense]:
        """The dense layers."""
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    @property
    def dense_encoder(self) -> list[Dense]:
        """The dense layers of the encoder."""
        encoder = self.layers[: self.n_encoder_layers]
        return [layer for layer in encoder if isinstance(layer, Dense)]

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of features, followed by the width of each dense layer."""
        return (self.n_features, *(layer.n_outputs for layer in self.dense))

    @property
    def activations(self) -> tuple[Any, ...]:
        """The activation of each dense layer."""
        return tuple(layer.activation for layer in self.dense)

    def by_layer(self, weights: Iterable[T]) -> list[list[T]]:
        """Split a list with an item for each weight into a list for each layer."""
        rest = iter(weights)
        return [list(itertools.islice(rest, len(layer.shapes))) for layer in self.layers]


def mirrored(
    n_features: int,
    hidden_layer_sizes: Sequence[int],
    n_components: int,
    *,
    activation: Any,
    code_activation: Any,
    output_activation: Any,
    dropout: float = 0.0,
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

    Returns
    -------
    network : NetworkSpec
        The layers.
    """
    sizes = (n_features, *hidden_layer_sizes, n_components)
    hidden = [activation] * len(hidden_layer_sizes)
    encoder = list(dense_chain(sizes, [*hidden, code_activation], dropout))
    decoder = list(dense_chain(sizes[::-1], [*hidden, output_activation], dropout))
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
