"""Layers of a network, as frozen values.

A layer has its shapes, its initial weights, its cost and its NumPy form.  `skae._engine` has its
TensorFlow form and its Keras form, and `skae._interop` has its ONNX form; these dispatch on the
class.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy import sparse

from skae._typing import Activation, Array, Floats, Matrix, Rng

FindActivation = Callable[[Activation], Callable[[Array], Array]]
Check = Callable[[Array], None]


class NumpyForm(Protocol):
    """A layer with its weights, as a function of rows."""

    def __call__(self, rows: Matrix, out: Array, check: Check | None = None) -> Array:
        """Compute the layer.

        Parameters
        ----------
        rows : {ndarray, sparse matrix} of shape (n_rows, n_inputs)
            The inputs.
        out : ndarray of shape (n_rows, n_outputs)
            Memory that the outputs may use.
        check : callable, default=None
            Function that is called with the matrix product, before an activation can hide NaN and
            infinity.

        Returns
        -------
        outputs : ndarray of shape (n_rows, n_outputs)
            The outputs, in the memory of ``out`` or in new memory.
        """


class Layer(Protocol):
    """The properties and methods of a layer."""

    @property
    def n_inputs(self) -> int:
        """Number of values that a row has before the layer."""

    @property
    def n_outputs(self) -> int:
        """Number of values that a row has after the layer."""

    @property
    def is_random(self) -> bool:
        """Whether training draws random numbers in this layer."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the trained weights."""

    @property
    def flops(self) -> int:
        """Floating-point operations for one row, forward."""

    def initial_weights(self, rng: Rng) -> list[Floats]:
        """Draw the weights from which training starts."""

    def numpy_form(self, weights: Sequence[Array], find: FindActivation) -> NumpyForm | None:
        """Return the layer with its weights as a function; None if it does nothing at inference.

        ``find`` returns the NumPy function of an activation.
        """


@dataclass(frozen=True)
class Dense:
    """A matrix product, a bias and an activation."""

    n_inputs: int
    n_outputs: int
    activation: Any = "linear"
    is_random: ClassVar[bool] = False

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return (self.n_inputs, self.n_outputs), (self.n_outputs,)

    @property
    def flops(self) -> int:
        return 2 * (self.n_inputs + 1) * self.n_outputs

    def initial_weights(self, rng: Rng) -> list[Floats]:
        """Draw the kernel from Glorot's uniform distribution; the bias is zero.

        X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
        neural networks", 2010.
        """
        limit = np.sqrt(6 / (self.n_inputs + self.n_outputs))
        kernel = rng.uniform(-limit, limit, (self.n_inputs, self.n_outputs))
        return [kernel.astype(np.float32), np.zeros(self.n_outputs, np.float32)]

    def numpy_form(self, weights: Sequence[Array], find: FindActivation) -> NumpyForm:
        kernel, bias = weights
        activate = find(self.activation)

        def dense(rows: Matrix, out: Array, check: Check | None = None) -> Array:
            # sparse times dense is dense
            product = rows @ kernel if sparse.issparse(rows) else np.matmul(rows, kernel, out=out)
            if check is not None:
                check(product)  # the product is smaller than the rows, so this takes less time
            product += bias
            return activate(product)

        return dense


@dataclass(frozen=True)
class Dropout:
    """Set a random share of the values to zero in training, and divide the others by 1 - rate.

    N. Srivastava et al., "Dropout: A simple way to prevent neural networks from overfitting",
    2014.
    """

    n_inputs: int
    rate: float
    is_random: ClassVar[bool] = True
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ()

    @property
    def n_outputs(self) -> int:
        return self.n_inputs

    @property
    def flops(self) -> int:
        return 2 * self.n_inputs

    def initial_weights(self, rng: Rng) -> list[Floats]:
        return []

    def numpy_form(self, weights: Sequence[Array], find: FindActivation) -> None:
        return None


# The names of the layers in files of fitted estimators.
LAYERS: dict[str, Callable[..., Layer]] = {"Dense": Dense, "Dropout": Dropout}
