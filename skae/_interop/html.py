"""The network in scikit-learn's HTML representation of an estimator."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from skae._network.frozen import name_of
from skae._network.inference import Network
from skae._network.layers import Dense, Dropout, Layer, Shortcut
from skae._network.tables import Gaps
from skae._typing import Array


# This is a private protocol of scikit-learn, the only one that skae uses.  The reason: no public
# function draws parts of an estimator that are not estimators themselves.  scikit-learn 1.7 to 1.9
# calls ``_sk_visual_block_`` if an estimator has it, and reads these attributes of the result.  If
# that raises an error, scikit-learn draws its own box instead.
@dataclass(frozen=True)
class Block:
    """A box of the diagram, or boxes one below the other.

    ``names`` are the titles and ``name_details`` the texts that open below them: strings for one
    box (``kind="single"``), and lists for several (``kind="serial"``).
    """

    kind: str
    estimators: object
    names: object
    name_details: object
    name_caption: str | None = None
    doc_link_label: str | None = None
    dash_wrapped: bool = True

    def _sk_visual_block_(self) -> Self:
        return self


def block(network: Network) -> Block:
    """Return a box for the encoder and one for the decoder, below the number of parameters."""
    spec = network.spec
    weights = spec.by_layer(network.weights)
    n = spec.n_encoder_layers
    encoder = _half("encoder", spec.layers[:n], weights[:n])
    decoder = _half("decoder", spec.layers[n:], weights[n:])
    halves = Block(
        "serial",
        [encoder, decoder],
        [encoder.names, decoder.names],
        [encoder.name_details, decoder.name_details],
    )
    n_weights = sum(array.size for array in network.weights)
    return Block("serial", [halves], [f"{n_weights:,} parameters"], [None])


def _half(name: str, layers: Sequence[Layer], weights: Sequence[Sequence[Array]]) -> Block:
    """Return the box of an encoder or a decoder, from its layers and their weights."""
    steps = [str(layers[0].n_inputs), *itertools.chain(*map(_steps, layers))]
    details = itertools.chain(*map(_details, layers, weights))
    return Block("single", name, name, "\n".join(details), " → ".join(steps))


def _steps(layer: Layer) -> list[str]:
    match layer:
        case Dense():
            return [f"{layer.n_outputs} {name_of(layer.activation)}"]
        case Dropout():
            return [f"dropout {layer.rate:g}"]
        case Gaps():
            return [f"{layer.n_outputs} with gaps"]
        case Shortcut():
            inner = [step for each in layer.layers[:-1] for step in _steps(each)]
            return [*inner, f"{layer.n_outputs} {name_of(layer.activation)} + linear path"]
    return [str(layer.n_outputs)]


def _details(layer: Layer, weights: Sequence[Array]) -> list[str]:
    count = sum(array.size for array in weights)
    match layer:
        case Dense():
            activation = name_of(layer.activation)
            return [f"{layer.n_outputs} units, {activation}: {count:,} parameters"]
        case Dropout():
            return [f"dropout of {layer.rate:.1%} in training"]
        case Gaps():
            return [f"{layer.n_inputs} columns say which values are unknown"]
        case Shortcut():
            path, own = layer.split(weights)
            inner = itertools.chain(*map(_details, layer.layers, own))
            return [*inner, f"linear path beside these layers: {path.size:,} parameters"]
    return [f"{type(layer).__name__}: {count:,} parameters"]
