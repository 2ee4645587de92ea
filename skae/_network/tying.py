"""Tied weights: the kernels of the decoder are those of the encoder, transposed.

P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, "Stacked Denoising Autoencoders:
Learning Useful Representations in a Deep Network with a Local Denoising Criterion", 2010.
"""

from collections.abc import Sequence

from skae._network.layers import Layer, Shortcut
from skae._network.spec import NetworkSpec
from skae._typing import Floats


def transposes(network: NetworkSpec) -> dict[int, int]:
    """Map the place of each kernel of the decoder to that of its transpose in the encoder.

    Places are those in the list of all weights.  The decoder mirrors the encoder.
    """
    n, places = network.n_encoder_layers, network.by_layer(range(len(network.shapes)))
    chain, path = _kernels(network.layers[:n], places[:n])
    mirrored, its_path = _kernels(network.layers[n:], places[n:])
    return dict(zip([*mirrored, *its_path], [*reversed(chain), *path], strict=True))


def _kernels(
    layers: Sequence[Layer], places: Sequence[Sequence[int]]
) -> tuple[list[int], list[int]]:
    """Return the places of the kernels in a row, and that of a linear path if there is one."""
    chain, paths = [], []
    for layer, own in zip(layers, places, strict=True):
        parts: Sequence[Sequence[int]] = [own]
        if isinstance(layer, Shortcut):
            path, parts = layer.split(own)
            paths.append(path)
        chain += [part[0] for part in parts if part]
    return chain, paths


def tie(network: NetworkSpec, weights: Sequence[Floats]) -> list[Floats]:
    """Replace the kernels of the decoder by those of the encoder, transposed."""
    tied = list(weights)
    for place, source in transposes(network).items():
        tied[place] = weights[source].T.copy()
    return tied
