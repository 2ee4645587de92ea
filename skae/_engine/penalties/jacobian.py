"""The Jacobian of a chain of layers: the derivative of each output with respect to each input.

The chain is walked backward, from the slopes of the outputs with respect to themselves.  There are
fewer codes than features, so this takes fewer products than walking forward.  The slopes of all
outputs of all rows are one matrix, so that each layer takes one matrix product.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from skae._engine.forward.layers import Chain, Mode, drop, kept, logits, product
from skae._engine.lookup.names import activation_function
from skae._engine.tensorflow import keras, tf
from skae._network.layers import Dense, Dropout, Layer, Shortcut
from skae._typing import Tensor


class Term(NamedTuple):
    """A part of the slopes with respect to a layer's inputs: slopes times a transposed kernel.

    ``kernel`` is None if there is nothing to multiply.
    """

    slopes: Tensor
    kernel: Tensor | None


# From the slopes with respect to a layer's outputs to those with respect to its inputs; these are
# the sum of the terms.
Backward = Callable[[Tensor], list[Term]]


def squared_jacobian(chain: Chain) -> Tensor:
    """Return the squared Frobenius norm of a chain's Jacobian for each row.

    The norm of a product J @ kernel.T is computed from kernel.T @ kernel, which all rows share, if
    there are more inputs than columns of the kernel.  For the network 784-128-64-32, that takes a
    fifth of the operations.
    """
    n_outputs, n_rows = chain.layers[-1].n_outputs, tf.shape(chain.rows)[0]
    _, backward = _linearise_chain(chain)
    terms = backward(tf.tile(tf.eye(n_outputs), (n_rows, 1)))
    slopes, kernel = (tf.concat(parts, axis=1) for parts in zip(*terms, strict=True))
    if kernel.shape[0] > kernel.shape[1]:
        gram = product(tf.transpose(kernel), kernel, chain.mode)
        squares = slopes * product(slopes, gram, chain.mode)
    else:
        squares = tf.square(product(slopes, tf.transpose(kernel), chain.mode))
    return tf.reduce_sum(tf.reshape(squares, (n_rows, n_outputs * squares.shape[1])), axis=1)


def _linearise_chain(chain: Chain) -> tuple[Tensor, Backward]:
    h, steps = chain.rows, []
    for place, (layer, weights) in enumerate(zip(chain.layers, chain.weights, strict=True)):
        h, step = linearise(layer, weights, h, chain.mode.at(place))
        steps.append(step)

    def backward(slopes: Tensor) -> list[Term]:
        for step in reversed(steps[1:]):
            slopes = _sum(step(slopes), chain.mode)
        return steps[0](slopes)

    return h, backward


def _sum(terms: Sequence[Term], mode: Mode) -> Tensor:
    return tf.add_n(
        [
            slopes if kernel is None else product(slopes, tf.transpose(kernel), mode)
            for slopes, kernel in terms
        ]
    )


@functools.singledispatch
def linearise(
    layer: Layer, weights: Sequence[Tensor], rows: Tensor, mode: Mode
) -> tuple[Tensor, Backward]:
    """Compute a layer; return its outputs and its backward pass.  Dispatches on its class."""
    raise NotImplementedError(f"There is no Jacobian of {type(layer).__name__}.")


@linearise.register
def _(layer: Dense, weights: Sequence[Tensor], rows: Tensor, mode: Mode) -> tuple[Tensor, Backward]:
    activate = activation_function(layer.activation)
    z = logits(layer, weights, rows, mode)
    return activate(z), lambda slopes: [Term(_before(activate, z, slopes), weights[0])]


@linearise.register
def _(
    layer: Shortcut, weights: Sequence[Tensor], rows: Tensor, mode: Mode
) -> tuple[Tensor, Backward]:
    activate = activation_function(layer.activation)
    path, own = layer.split(weights)
    h, inner = _linearise_chain(Chain(layer.layers, own, rows, mode))
    z = product(rows, path, mode) + h

    def backward(slopes: Tensor) -> list[Term]:
        slopes = _before(activate, z, slopes)
        return [Term(slopes, path), *inner(slopes)]

    return activate(z), backward


@linearise.register
def _(
    layer: Dropout, weights: Sequence[Tensor], rows: Tensor, mode: Mode
) -> tuple[Tensor, Backward]:
    if mode.seed is None:
        return rows, lambda slopes: [Term(slopes, None)]
    keep = kept(layer, rows, mode)

    def backward(slopes: Tensor) -> list[Term]:
        return [Term(drop(layer, _repeat(keep, slopes), slopes), None)]

    return drop(layer, keep, rows), backward


def _before(activate: Callable[[Tensor], Tensor], z: Tensor, slopes: Tensor) -> Tensor:
    """Return the slopes before an activation, which may mix the values of a row (softmax)."""
    if activate is keras.activations.softsign:
        activate = _softsign
    with tf.GradientTape() as tape:
        z = _repeat(z, slopes)
        tape.watch(z)
        outputs = activate(z)
    return tape.gradient(
        outputs, z, output_gradients=slopes, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )


def _softsign(z: Tensor) -> Tensor:
    """Compute softsign, but such that TensorFlow can differentiate it twice."""
    return z / (1 + tf.abs(z))


def _repeat(values: Tensor, slopes: Tensor) -> Tensor:
    """Repeat the values of each row for the slopes of all its outputs."""
    return tf.repeat(values, tf.shape(slopes)[0] // tf.shape(values)[0], axis=0)
