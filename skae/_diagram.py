"""The network in scikit-learn's HTML representation of an estimator.

scikit-learn (1.7 to 1.9) asks an estimator for ``_sk_visual_block_()`` and reads from it the
attributes that `Block` has; meta-estimators describe their parts to it in this way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from skae._architecture import name_of
from skae._forward import Network


@dataclass(frozen=True)
class Block:
    """A box of the diagram, or boxes one below the other.

    ``names`` and ``name_details``, the title and what opens below it, are strings for one box
    (``kind="single"``) and lists of them for boxes (``kind="serial"``).
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


def unfitted(estimator: object) -> Block:
    """Return the box that scikit-learn draws by itself."""
    return Block("single", estimator, type(estimator).__name__, str(estimator))


def fitted(network: Network) -> Block:
    """Return a box for the encoder and one for the decoder, under the number of parameters."""
    counts = [
        kernel.size + bias.size
        for kernel, bias in zip(network.weights[::2], network.weights[1::2], strict=True)
    ]
    layers = list(
        zip(network.layer_sizes[1:], map(name_of, network.activations), counts, strict=True)
    )
    n = network.n_encoder_layers
    encoder = _half("encoder", network.layer_sizes[0], layers[:n])
    decoder = _half("decoder", network.layer_sizes[n], layers[n:])
    halves = Block(
        "serial",
        [encoder, decoder],
        [encoder.names, decoder.names],
        [encoder.name_details, decoder.name_details],
    )
    return Block("serial", [halves], [f"{sum(counts):,} parameters"], [None])


def _half(name: str, n_inputs: int, layers: Sequence[tuple[int, str, int]]) -> Block:
    widths = [f"{n_inputs}", *(f"{width} {activation}" for width, activation, _ in layers)]
    details = [
        f"{width} units, {activation}: {count:,} parameters" for width, activation, count in layers
    ]
    return Block("single", name, name, "\n".join(details), " → ".join(widths))
