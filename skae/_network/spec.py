"""`NetworkSpec`: the layers of a network as a frozen value."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from skae._network.layers import Dense, Dropout, Layer, Shortcut, Trained, by_layer, trained
from skae._network.tables import Gaps, Probabilities
from skae._typing import Array

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
    def has_gaps(self) -> bool:
        """Whether rows may have unknown values, which are NaN."""
        return isinstance(self.layers[0], Gaps)

    @property
    def table(self) -> Probabilities | None:
        """The layer that knows the columns of a table with categories; None for other rows."""
        last = self.layers[-1]
        return last if isinstance(last, Probabilities) else None

    @property
    def n_columns(self) -> int:
        """Number of columns that are compared: the one-hot columns of a category count as one."""
        return self.n_features if self.table is None else self.table.n_columns

    def by_feature(self, of_columns: Array) -> Array:
        """Return a value for each feature, from a value for each column that is compared."""
        return of_columns if self.table is None else np.repeat(of_columns, self.table.widths)

    @property
    def output_place(self) -> int:
        """The place of the last layer that has weights."""
        return len(self.layers) - (1 if self.table is None else 2)

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
    def encoder_widths(self) -> tuple[int, ...]:
        """Number of features, followed by the widths of the encoder's layers."""
        return self.widths[: len(self.trained_encoder) + 1]

    @property
    def activations(self) -> tuple[Any, ...]:
        """The activations of all layers that have one."""
        return tuple(layer.activation for layer in self.trained)

    def by_layer(self, weights: Iterable[T]) -> list[list[T]]:
        """Split a list with an item for each weight into a list for each layer."""
        return by_layer(self.layers, weights)


def dense_autoencoder(
    n_features: int,
    hidden_layer_sizes: Sequence[int],
    n_components: int,
    *,
    decoder_layer_sizes: Sequence[int] | None = None,
    activation: Any,
    code_activation: Any,
    output_activation: Any,
    dropout: float = 0.0,
    shortcut: bool = False,
    gaps: bool = False,
    table: Probabilities | None = None,
) -> NetworkSpec:
    """Describe an autoencoder of dense layers.

    Parameters
    ----------
    n_features : int
        Number of features.
    hidden_layer_sizes : sequence of int
        Widths of the encoder's hidden layers, from the input to the code.
    n_components : int
        Width of the code.
    decoder_layer_sizes : sequence of int, default=None
        Widths of the decoder's hidden layers, from the code to the output.  None means those of the
        encoder in reverse order.
    activation, code_activation, output_activation : str or hashable
        Activations of the hidden layers, the code and the output.
    dropout : float, default=0
        Rate of dropout after each hidden layer.
    shortcut : bool, default=False
        Whether a linear path is beside the hidden layers of the encoder, and one beside those of
        the decoder.  A half without hidden layers is a dense layer, and has no such path.
    gaps : bool, default=False
        Whether rows may have unknown values, which are NaN.
    table : Probabilities, default=None
        The columns of a table with categories, whose ``output_activation`` is linear.

    Returns
    -------
    network : NetworkSpec
        The layers.
    """
    if decoder_layer_sizes is None:
        decoder_layer_sizes = hidden_layer_sizes[::-1]

    def half(first: int, hidden: Sequence[int], last: int, activation_of_last: Any) -> list[Layer]:
        make = with_shortcut if shortcut and hidden else dense_chain
        activations = [*itertools.repeat(activation, len(hidden)), activation_of_last]
        return list(make((first, *hidden, last), activations, dropout))

    opening = [Gaps(n_features, None if table is None else table.n_plain)] if gaps else []
    closing = [] if table is None else [table]
    n_inputs = opening[-1].n_outputs if gaps else n_features
    encoder = [*opening, *half(n_inputs, hidden_layer_sizes, n_components, code_activation)]
    decoder = half(n_components, decoder_layer_sizes, n_features, output_activation)
    return NetworkSpec((*encoder, *decoder, *closing), len(encoder))


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


# The names of the layers in files of fitted estimators.
LAYERS: dict[str, Callable[..., Layer]] = {
    "Dense": Dense,
    "Dropout": Dropout,
    "Gaps": Gaps,
    "Probabilities": Probabilities,
    "Shortcut": Shortcut,
}
