"""`Muon`, with a cheaper step than Keras': it iterates on the smaller Gram matrix."""

import functools
import math
from typing import Any

from skae._engine.tensorflow import keras
from skae._typing import Tensor

# Coefficients of odd quintic polynomials.  Applied one after another, they move all singular values
# in [0.01, 1] close to 1: three of them to within 0.27, four to within 0.013.  Each polynomial is
# optimal, given those before it (N. Amsel, D. Persson, C. Musco and R. M. Gower, "The Polar
# Express: Optimal Matrix Sign Methods and Their Application to the Muon Algorithm", 2025).
COEFFICIENTS = (
    (8.0934, -23.6205, 17.4462),
    (3.6366, -2.7219, 0.5365),
    (2.6613, -1.9772, 0.4526),
    (1.9562, -1.3375, 0.3839),
    (1.8751, -1.2501, 0.3750),
)

# TensorFlow divides the inner dimension of a product among the threads if it is long and the result
# is small.  The bits would then depend on the number of threads.  So such a product is the sum of
# products of this inner length.
INNER = 128
# A loop in the graph takes longer to compile than a few products.
MOST_UNROLLED = 8

# Kernels with at least this number of units on both sides are orthogonalised in two blocks.
WIDE = 128

ops = keras.ops


@keras.saving.register_keras_serializable("skae")
class Muon(keras.optimizers.Muon):
    """Momentum with orthogonalised updates for matrices, and Adam for the biases.

    K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.  The
    rates are scaled by ``rms_rate`` as in J. Liu et al., "Muon is Scalable for LLM Training",
    2025.

    Keras' Muon iterates on the matrix X itself.  With G = X X^T, every iterate is a polynomial in G
    times X.  So the iteration here multiplies the small matrices G only, and X enters two products.
    For the 784 x 128 kernels that saves more than half of the arithmetic.  G also gives a closer
    bound on the largest singular value than the Frobenius norm of X.

    The shorter side of a wide kernel is divided into two blocks, each with a smaller G of its own
    (A. Khaled et al., "MuonBP: Faster Muon via Block-Periodic Orthogonalization", 2025).  That
    saves six tenths of the arithmetic for a 784 x 128 kernel, and more for wider ones.  Two
    orthogonal halves can have a singular value of the square root of two together.  So the whole is
    divided by it; otherwise denoising MNIST ends with an error that is 0.7 % higher.
    """

    def __init__(
        self,
        learning_rate: Any = 0.02,
        momentum: float = 0.95,
        ns_steps: int = 4,
        weight_decay: float = 0.2,
        adam_weight_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            ns_steps=ns_steps,
            weight_decay=weight_decay,
            adam_weight_decay=adam_weight_decay,
            **kwargs,
        )

    def zeropower_via_newtonschulz5(self, x: Tensor, steps: int) -> Tensor:
        """Return ``x`` with singular values close to one; those of a wide ``x`` are at most one.

        The name is that of the method of Keras that it overrides.

        Parameters
        ----------
        x : tensor of shape (n_rows, n_columns)
            The momentum of a kernel.
        steps : int
            Number of iterations.

        Returns
        -------
        x_orthogonal : tensor of shape (n_rows, n_columns)
            The orthogonalised matrix.
        """
        # The variable of the momentum has an unknown shape, and in its sum with the gradient a
        # length of 1 stays unknown.
        x = ops.reshape(x, [length or 1 for length in x.shape])
        if min(x.shape) < WIDE:
            return orthogonalized(x, steps)
        axis = int(x.shape[0] > x.shape[1])
        halves = ops.split(x, [x.shape[axis] // 2], axis)
        whole = ops.concatenate([orthogonalized(half, steps) for half in halves], axis)
        return whole / math.sqrt(len(halves))


def orthogonalized(x: Tensor, steps: int) -> Tensor:
    """Return a matrix whose singular values were moved close to one."""
    x = x / (ops.max(ops.abs(x)) + 1e-30)  # otherwise the fourth powers below may underflow
    tall = x.shape[0] > x.shape[1]
    gram = smaller_gram(x)
    bound = ops.sqrt(ops.sum(gram * gram)) + 1e-7  # on the largest eigenvalue
    gram = gram / bound
    identity = ops.eye(min(x.shape))
    factor = identity
    for step in range(steps):
        a, b, c = COEFFICIENTS[min(step, len(COEFFICIENTS) - 1)]
        polynomial = a * identity + b * gram + c * (gram @ gram)
        factor = polynomial @ factor if step else polynomial
        if step < steps - 1:
            gram = polynomial @ gram @ polynomial
    return (x @ factor if tall else factor @ x) / ops.sqrt(bound)


def smaller_gram(x: Tensor) -> Tensor:
    """Return the smaller of ``transpose(x) @ x`` and ``x @ transpose(x)``.

    It is the sum of the products of blocks of `INNER` rows or columns.  If they are many, a loop in
    the graph adds them, so that the graph is as small for a million features as for a thousand.

    Parameters
    ----------
    x : tensor of shape (n_rows, n_columns)
        The matrix; its shape is known.

    Returns
    -------
    gram : tensor of shape (n, n)
        The sum, where n is the smaller of the two lengths.
    """
    tall, (n, length) = x.shape[0] > x.shape[1], sorted(x.shape)

    def product(start: Tensor, size: int) -> Tensor:
        if tall:
            block = ops.slice(x, (start, 0), (size, n))
            return ops.transpose(block) @ block
        block = ops.slice(x, (0, start), (n, size))
        return block @ ops.transpose(block)

    def add(i: Any, total: Tensor) -> Tensor:
        return total + product(i * INNER, INNER)

    n_blocks, rest = divmod(length, INNER)
    gram = ops.zeros((n, n))
    if n_blocks > MOST_UNROLLED:
        gram = ops.fori_loop(0, n_blocks, add, gram)
    else:
        gram = functools.reduce(lambda total, i: add(i, total), range(n_blocks), gram)
    return gram + product(n_blocks * INNER, rest) if rest else gram
