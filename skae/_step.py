"""The arithmetic of a training step: weights in one vector, the network, the loss from logits."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from skae._typing import Array, Tensor

GROUP = 16


class Layout:
    """Where each kernel and bias lies in the variables that the optimizer updates.

    An optimizer that works element by element gets a single vector of all of them: a dozen
    operations a step in place of a dozen for every array, which is most of a small network's step,
    and much of the time that its first trace takes.
    """

    def __init__(self, layer_sizes: Sequence[int], *, flat: bool) -> None:
        pairs = itertools.pairwise(layer_sizes)
        self.shapes: list[tuple[int, ...]] = [
            shape for rows, columns in pairs for shape in ((rows, columns), (columns,))
        ]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.flat = flat

    def zeros(self) -> list[Array]:
        """Arrays for the variables to begin with."""
        if self.flat:
            return [np.zeros(sum(self.sizes), np.float32)]
        return [np.zeros(shape, np.float32) for shape in self.shapes]

    def pack(self, weights: Sequence[Array]) -> Sequence[Array]:
        """Turn kernels and biases into the arrays of the variables."""
        if self.flat:
            return [np.concatenate([np.ravel(array) for array in weights])]
        return weights

    def unpack(self, variables: Sequence[Array]) -> list[Array]:
        """Turn the variables' arrays into kernels and biases."""
        if self.flat:
            parts = np.split(variables[0], np.cumsum(self.sizes)[:-1])
            return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return list(variables)

    def tensors(self, variables: Sequence[Tensor]) -> list[Tensor]:
        """`unpack` for tensors, inside a program."""
        if self.flat:
            parts = tf.split(variables[0], self.sizes)
            return [tf.reshape(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return list(variables)


def logits(
    weights: Sequence[Tensor],
    activations: Sequence[Callable[[Tensor], Tensor]],
    rows: Tensor,
    compute_dtype: str = "float32",
) -> Tensor:
    """Run rows through the layers up to the last activation, which is left to the loss.

    ``compute_dtype`` is that of the factors of each matrix product, also of those that lead to
    the gradients.  All else is float32.
    """

    def product(rows: Tensor, kernel: Tensor) -> Tensor:
        factors = tf.cast(rows, compute_dtype), tf.cast(kernel, compute_dtype)
        return tf.cast(tf.matmul(*factors), tf.float32)

    layers = zip(weights[:-2:2], weights[1:-2:2], activations, strict=True)
    for kernel, bias, activation in layers:
        rows = activation(tf.nn.bias_add(product(rows, kernel), bias))
    return tf.nn.bias_add(product(rows, weights[-2]), weights[-1])


def sigmoid_cross_entropy(targets: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean binary cross-entropy of each row between targets and the sigmoid of ``z``.

    Returned with its gradient by ``z``.  With e = exp(-abs(z)) it is max(z, 0) - z * target
    + log(1 + e), and the gradient, sigmoid(z) - target, takes the same e.  The logarithms would
    cost a sixth of an epoch of MNIST: the sum of 16 of them is the logarithm of a product,
    which is at most 2**16.
    """
    e = tf.exp(tf.minimum(z, -z))  # of -abs(z) TensorFlow's graphs make one slow operation
    total = tf.reduce_sum(tf.nn.relu(z) - z * targets, axis=1) + _sum_of_logs(1 + e)
    sigmoid = tf.where(z >= 0, 1.0, e) / (1 + e)
    return total / z.shape[1], (sigmoid - targets) / z.shape[1]


def with_gradient(
    losses: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Have a function of targets and logits return its losses and their gradient by the logits."""

    def both(targets: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(z)
            values = losses(targets, z)
        return values, tape.gradient(values, z)

    return both


def _sum_of_logs(x: Tensor) -> Tensor:
    """Sum of each row's logarithms, for values from 1 to 2."""
    n_groups = x.shape[1] // GROUP
    grouped, rest = x[:, : GROUP * n_groups], x[:, GROUP * n_groups :]
    total = tf.reduce_sum(tf.math.log(rest), axis=1) if rest.shape[1] else 0.0
    if n_groups:
        products = tf.reduce_prod(tf.reshape(grouped, (-1, GROUP, n_groups)), axis=1)
        total += tf.reduce_sum(tf.math.log(products), axis=1)
    return total
