"""The network in scikit-learn's HTML representation of an estimator."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from skae._network.frozen import name_of
from skae._network.inference import Network
from skae._network.layers import Dense, Dropout, Layer


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
    counts = [sum(array.size for array in own) for own in spec.by_layer(network.weights)]
    layers = list(zip(spec.layers, counts, strict=True))
    n = spec.n_encoder_layers
    encoder = _half("encoder", layers[:n])
    decoder = _half("decoder", layers[n:])
    halves = Block(
        "serial",
        [encoder, decoder],
        [encoder.names, decoder.names],
        [encoder.name_details, decoder.name_details],
    )
    return Block("serial", [halves], [f"{sum(counts):,} parameters"], [None])


def _half(name: str, layers: Iterable[tuple[Layer, int]]) -> Block:
    """Return the box of an encoder or a decoder, from its layers and their numbers of weights."""
    layers = list(layers)
    steps = [str(layers[0][0].n_inputs), *(_step(layer) for layer, _ in layers)]
    details = "\n".join(_describe(layer, count) for layer, count in layers)
    return Block("single", name, name, details, " → ".join(steps))


def _step(layer: Layer) -> str:
    match layer:
        case Dense():
            return f"{layer.n_outputs} {name_of(layer.activation)}"
        case Dropout():
            return f"dropout {layer.rate:g}"
    return str(layer.n_outputs)


def _describe(layer: Layer, n_weights: int) -> str:
    match layer:
        case Dense():
            activation = name_of(layer.activation)
            return f"{layer.n_outputs} units, {activation}: {n_weights:,} parameters"
        case Dropout():
            return f"dropout of {layer.rate:.1%} in training"
    return f"{type(layer).__name__}: {n_weights:,} parameters"
