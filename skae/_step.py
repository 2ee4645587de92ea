"""The arithmetic of a training step: weights in one vector, the network, the loss from logits."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from skae._typing import Array, Tensor

GROUP = 16
LARGE = 1 << 16


class Layout:
    """Where each kernel and bias lies in the variables that the optimizer updates.

    An optimizer that works element by element gets a single vector of all of them: a dozen
    operations a step in place of a dozen for every array, which is most of a small network's step,
    and much of the time that its first trace takes.  From 65,536 parameters on, copying kernels
    out of the vector and their gradients into it costs more: it holds the biases alone.
    """

    def __init__(self, layer_sizes: Sequence[int], *, flat: bool) -> None:
        pairs = itertools.pairwise(layer_sizes)
        self.shapes: list[tuple[int, ...]] = [
            shape for rows, columns in pairs for shape in ((rows, columns), (columns,))
        ]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        everything = range(len(self.shapes))
        self.places: list[Sequence[int]] = [[place] for place in everything]  # of a variable each
        if flat:
            is_small = sum(self.sizes) < LARGE
            self.places = [everything] if is_small else [*self.places[::2], everything[1::2]]

    @property
    def variable_shapes(self) -> list[tuple[int, ...]]:
        return [array.shape for array in self.pack([np.empty(shape) for shape in self.shapes])]

    def pack(self, weights: Sequence[Array]) -> list[Array]:
        """Turn kernels and biases into the arrays of the variables."""
        return self._join(weights, np.concatenate, np.reshape)

    def unpack(self, variables: Sequence[Array]) -> list[Array]:
        """Turn the variables' arrays into kernels and biases."""
        return self._split(
            variables, lambda v, sizes: np.split(v, np.cumsum(sizes)[:-1]), np.reshape
        )

    def tensors(self, variables: Sequence[Tensor]) -> list[Tensor]:
        """`unpack` for tensors, inside a program."""
        for variable, places in zip(variables, self.places, strict=True):
            if len(places) == 1:
                variable.set_shape(self.shapes[places[0]])  # which the variable itself may not tell
        return self._split(variables, tf.split, tf.reshape)

    def gradients(self, arrays: Sequence[Tensor]) -> list[Tensor]:
        """Turn gradients by kernels and biases into those by the variables."""
        return self._join(arrays, functools.partial(tf.concat, axis=0), tf.reshape)

    def _join(
        self, arrays: Sequence[Any], concatenate: Callable[..., Any], reshape: Callable[..., Any]
    ) -> list[Any]:
        return [
            arrays[places[0]]
            if len(places) == 1
            else concatenate([reshape(arrays[place], [-1]) for place in places])
            for places in self.places
        ]

    def _split(
        self, variables: Sequence[Any], split: Callable[..., Any], reshape: Callable[..., Any]
    ) -> list[Any]:
        found: dict[int, Any] = {}
        for variable, places in zip(variables, self.places, strict=True):
            if len(places) == 1:
                found[places[0]] = variable
            else:
                parts = split(variable, [self.sizes[place] for place in places])
                for place, part in zip(places, parts, strict=True):
                    found[place] = reshape(part, self.shapes[place])
        return [found[place] for place in range(len(self.shapes))]


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

    Returned with its gradient by ``z``, sigmoid(z) - target.  With e = exp(-abs(z)) it is
    max(z, 0) - z * target + log(1 + e).  The logarithms would cost a sixth of an epoch of MNIST:
    the sum of 16 of them is the logarithm of a product, which is at most 2**16.  The sigmoid is
    not taken from the same e, as XLA would write all of it to memory for its two readers.
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
    return total / z.shape[1], (tf.sigmoid(z) - targets) / z.shape[1]


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
