"""The forward pass of a network in TensorFlow.

TensorFlow's `GradientTape` differentiates it inside the compiled program.  A backward pass by hand
was measured to be no faster (see docs/performance.md), so a layer has a forward pass only.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

from skae._engine.forward.sparse import SparseInputs
from skae._engine.lookup.names import activation_function
from skae._engine.tensorflow import tf
from skae._network.layers import Dense, Dropout, Layer, Shortcut
from skae._network.spec import NetworkSpec
from skae._network.tables import Gaps, Probabilities
from skae._typing import Tensor


class Mode(NamedTuple):
    """How layers compute.

    Parameters
    ----------
    compute_dtype : str, default="float32"
        Data type of the factors of each matrix product.  All other numbers are float32.
    seed : int32 tensor of shape (2,), default=None
        Seed of the random layers.  None means that they compute as at inference.
    algorithm : {"philox", "threefry"}, default="philox"
        Random number generator.  XLA needs "threefry", which it computes in a tenth of the time of
        Philox.  A plain graph on a processor has Philox only.
    """

    compute_dtype: str = "float32"
    seed: Tensor | None = None
    algorithm: str = "philox"

    def at(self, place: int) -> "Mode":
        """Return the mode of a layer, which has a seed of its own."""
        seed = None if self.seed is None else tf.random.fold_in(self.seed, place)
        return self._replace(seed=seed)


INFERENCE = Mode()


class Chain(NamedTuple):
    """Layers one after another, with the weights of each and the inputs of the first."""

    layers: Sequence[Layer]
    weights: Sequence[Sequence[Tensor]]
    rows: Tensor | SparseInputs
    mode: Mode


class Outputs(NamedTuple):
    """The outputs of a forward pass, and the encoder that it went through.

    ``logits`` are the outputs without the last activation, which is left to the loss.
    """

    logits: Tensor
    code: Tensor
    encoder: Chain


def run_forward(
    network: NetworkSpec,
    weights: Sequence[Tensor],
    rows: Tensor | SparseInputs,
    mode: Mode = INFERENCE,
) -> Outputs:
    """Run rows through the layers of a network.

    Parameters
    ----------
    network : NetworkSpec
        The layers; the last one is dense, or turns logits into probabilities.
    weights : sequence of tensor
        The weights of all layers.
    rows : tensor of shape (n_rows, n_features), or SparseInputs
        The inputs.
    mode : Mode
        How the layers compute.

    Returns
    -------
    outputs : Outputs
        The logits and the code of each row, and the encoder.
    """
    layers, own, n = network.layers, network.by_layer(weights), network.n_encoder_layers
    encoder = Chain(layers[:n], own[:n], rows, mode)
    code = run_chain(encoder)
    h = run_chain(Chain(layers[n:-1], own[n:-1], code, mode), first_place=n)
    return Outputs(logits(layers[-1], own[-1], h, mode.at(len(layers) - 1)), code, encoder)


def run_chain(chain: Chain, first_place: int = 0) -> Tensor:
    """Compute a chain; the places of its layers, from the first one on, give them seeds."""
    h = chain.rows
    for place, (layer, weights) in enumerate(zip(chain.layers, chain.weights, strict=True)):
        h = apply(layer, weights, h, chain.mode.at(first_place + place))
    return h


@functools.singledispatch
def apply(layer: Layer, weights: Sequence[Tensor], rows: Tensor, mode: Mode) -> Tensor:
    """Compute a layer; dispatches on its class."""
    raise NotImplementedError(f"There is no TensorFlow form of {type(layer).__name__}.")


@apply.register
def _(layer: Dense | Shortcut, weights: Sequence[Tensor], rows: Tensor, mode: Mode) -> Tensor:
    return activation_function(layer.activation)(logits(layer, weights, rows, mode))


@apply.register
def _(layer: Dropout, weights: Sequence[Tensor], rows: Tensor, mode: Mode) -> Tensor:
    if mode.seed is None:
        return rows
    return drop(layer, kept(layer, rows, mode), rows)


def kept(layer: Dropout, rows: Tensor, mode: Mode) -> Tensor:
    """Draw whether dropout keeps each value."""
    numbers = tf.random.stateless_uniform(tf.shape(rows), mode.seed, alg=mode.algorithm)
    return numbers >= layer.rate


def drop(layer: Dropout, keep: Tensor, values: Tensor) -> Tensor:
    """Keep some values, divided by the share of those that are kept, and set the others to zero."""
    return tf.where(keep, values / (1 - layer.rate), 0.0)


@apply.register
def _(layer: Gaps, weights: Sequence[Tensor], rows: Tensor, mode: Mode) -> Tensor:
    unknown = tf.math.is_nan(rows)
    told = tf.cast(unknown[:, : layer.width], rows.dtype)
    return tf.concat([tf.where(unknown, 0.0, rows), told], axis=1)


@functools.singledispatch
def logits(layer: Layer, weights: Sequence[Tensor], rows: Tensor, mode: Mode) -> Tensor:
    """Compute a layer without its activation; dispatches on its class."""
    raise NotImplementedError(f"{type(layer).__name__} has no activation.")


@logits.register
def _(layer: Dense, weights: Sequence[Tensor], rows: Tensor, mode: Mode) -> Tensor:
    kernel, bias = weights
    z = product(rows, kernel, mode)
    # If the bias were added directly, TensorFlow would fuse it with the product into one operation.
    # oneDNN compiles that for each shape, and keeps 60 kB for each; a step of a small network takes
    # a third longer.  The broadcast prevents the fusion.
    return z + tf.broadcast_to(bias, z.shape)


@logits.register
def _(layer: Shortcut, weights: Sequence[Tensor], rows: Tensor, mode: Mode) -> Tensor:
    path, own = layer.split(weights)
    return product(rows, path, mode) + run_chain(Chain(layer.layers, own, rows, mode))


@logits.register
def _(layer: Probabilities, weights: Sequence[Tensor], rows: Tensor, mode: Mode) -> Tensor:
    return rows


def product(rows: Tensor | SparseInputs, kernel: Tensor, mode: Mode) -> Tensor:
    """Multiply in the compute dtype."""
    if isinstance(rows, SparseInputs):
        return rows.product(kernel)
    factors = (tf.cast(factor, mode.compute_dtype) for factor in (rows, kernel))
    return tf.cast(tf.matmul(*factors), tf.float32)
