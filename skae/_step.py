"""The arithmetic of a training step: weights in one vector, the network, the loss from logits."""

import functools
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
        for tensor, shape in zip(variables, self.shapes, strict=True):
            tensor.set_shape(shape)  # which the variable itself may not tell
        return list(variables)

    def gradients(self, arrays: Sequence[Tensor]) -> list[Tensor]:
        """Turn gradients by kernels and biases into those by the variables."""
        if self.flat:
            return [tf.concat([tf.reshape(array, [-1]) for array in arrays], axis=0)]
        return list(arrays)


def logits(
    weights: Sequence[Tensor],
    activations: Sequence[Callable[[Tensor], Tensor]],
    rows: Tensor,
    compute_dtype: str = "float32",
) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
    """Run rows through the layers up to the last activation, which is left to the loss.

    Returned with the function that leads from a gradient by the logits to those by the weights.
    ``compute_dtype`` is that of the factors of each matrix product.  All else is float32.
    """
    product = functools.partial(_product, dtype=compute_dtype)

    def affine(rows: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        # Of a product next to a bias TensorFlow makes one operation, which oneDNN compiles for
        # each shape and keeps, 60 kB each: broadcast before, they remain two.
        result = product(rows, kernel)
        return result + tf.broadcast_to(bias, result.shape)

    kernels, biases = weights[::2], weights[1::2]
    inputs, back = [rows], []
    for kernel, bias, activation in zip(kernels[:-1], biases[:-1], activations, strict=True):
        z = affine(inputs[-1], kernel, bias)
        with tf.GradientTape() as tape:
            tape.watch(z)
            h = activation(z)
        inputs.append(h)
        back.append(functools.partial(tape.gradient, h, z))

    def gradients(slope: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for layer in reversed(range(len(kernels))):
            # What the layer below waits for comes first: in the other order XLA takes 9 % more.
            below = product(slope, kernels[layer], transpose_b=True) if layer else None
            of_kernel = product(inputs[layer], slope, transpose_a=True)
            found = [of_kernel, tf.raw_ops.BiasAddGrad(out_backprop=slope), *found]
            if layer:
                slope = back[layer - 1](output_gradients=below)
        return found

    return affine(inputs[-1], kernels[-1], biases[-1]), gradients


def _product(a: Tensor, b: Tensor, *, dtype: str, **transposed: bool) -> Tensor:
    return tf.cast(tf.matmul(tf.cast(a, dtype), tf.cast(b, dtype), **transposed), tf.float32)


def sigmoid_cross_entropy(targets: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean binary cross-entropy of each row between targets and the sigmoid of ``z``.

    Returned with its gradient by ``z``.  With e = exp(-abs(z)) it is max(z, 0) - z * target
    + log(1 + e), and the gradient, sigmoid(z) - target, takes the same e.  The logarithms would
    cost a sixth of an epoch of MNIST: the sum of 16 of them is the logarithm of a product,
    which is at most 2**16.
    """
    e = tf.exp(tf.minimum(z, -z))  # of -abs(z) TensorFlow's graphs make one slow operation
    linear, factors = tf.nn.relu(z) - z * targets, 1 + e
    n_groups = z.shape[1] // GROUP
    total = tf.zeros(z.shape[0])
    if n_groups:
        terms, grouped = (
            tf.reshape(x[:, : GROUP * n_groups], (-1, GROUP, n_groups)) for x in (linear, factors)
        )
        # summed in the same way, XLA reads both in one loop
        logs = tf.math.log(tf.reduce_prod(grouped, axis=1))
        total += tf.reduce_sum(tf.reduce_sum(terms, axis=1) + logs, axis=1)
    if z.shape[1] % GROUP:
        rest = linear + tf.math.log(factors)
        total += tf.reduce_sum(rest[:, GROUP * n_groups :], axis=1)
    sigmoid = tf.where(z >= 0, 1.0, e) / factors
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
