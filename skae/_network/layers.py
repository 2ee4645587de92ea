"""Layers of a network, as frozen values.

A layer has its shapes, its initial weights, its cost and its NumPy form.  `skae._engine` has its
TensorFlow form and its Keras form, and `skae._interop` has its ONNX form; these dispatch on the
class.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from scipy import sparse

from skae._typing import Activation, Array, Floats, Matrix, Rng

FindActivation = Callable[[Activation], Callable[[Array], Array]]
Check = Callable[[Array], None]
T = TypeVar("T")


class NumpyForm(Protocol):
    """A layer with its weights, as a function of rows."""

    def __call__(
        self,
        rows: Matrix,
        out: Array,
        check: Check | None = None,
        kept: list[Array] | None = None,
    ) -> Array:
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
        kept : list, default=None
            List to append the outputs to, those of layers inside this one first.

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


class Trained(Layer, Protocol):
    """A layer that mixes columns, and ends with an activation."""

    @property
    def activation(self) -> Any:
        """The activation."""

    @property
    def hidden(self) -> tuple["Trained", ...]:
        """The layers inside this one that are hidden layers of the network."""

    def fold_inputs(self, weights: Sequence[Array], shift: Array, scale: float) -> list[Array]:
        """Return weights with which the layer takes rows instead of ``(rows - shift) / scale``."""

    def fold_outputs(
        self, weights: Sequence[Array], shift: Array, scale: float | Array
    ) -> list[Array]:
        """Return weights with which a linear layer returns ``outputs * scale + shift``."""


@dataclass(frozen=True)
class Dense:
    """A matrix product, a bias and an activation."""

    n_inputs: int
    n_outputs: int
    activation: Any = "linear"
    is_random: ClassVar[bool] = False
    hidden: ClassVar[tuple[Trained, ...]] = ()

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

        def dense(
            rows: Matrix,
            out: Array,
            check: Check | None = None,
            kept: list[Array] | None = None,
        ) -> Array:
            # sparse times dense is dense
            product = rows @ kernel if sparse.issparse(rows) else np.matmul(rows, kernel, out=out)
            if check is not None:
                check(product)  # the product is smaller than the rows, so this takes less time
            product += bias
            outputs = activate(product)
            if kept is not None:
                kept.append(outputs)
            return outputs

        return dense

    def fold_inputs(self, weights: Sequence[Array], shift: Array, scale: float) -> list[Array]:
        kernel, bias = weights
        kernel, lost = fold_kernel(kernel, shift, scale)
        return [kernel, bias - lost]

    def fold_outputs(
        self, weights: Sequence[Array], shift: Array, scale: float | Array
    ) -> list[Array]:
        kernel, bias = weights
        return [kernel * scale, bias * scale + shift]


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


@dataclass(frozen=True)
class Shortcut:
    """A chain of layers and a linear path beside it: ``activation(rows @ kernel + chain(rows))``.

    The chain ends with a linear layer, whose bias serves both.  The kernel of the linear path comes
    before the weights of this last layer, which is their order in a Keras model, too.

    K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image Recognition", 2016, call
    this a projection shortcut.
    """

    layers: tuple[Layer, ...]
    activation: Any = "linear"

    @property
    def n_inputs(self) -> int:
        return self.layers[0].n_inputs

    @property
    def n_outputs(self) -> int:
        return self.layers[-1].n_outputs

    @property
    def is_random(self) -> bool:
        return any(layer.is_random for layer in self.layers)

    @property
    def hidden(self) -> tuple[Trained, ...]:
        return trained(self.layers)[:-1]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        *inner, last = (layer.shapes for layer in self.layers)
        return *itertools.chain(*inner), (self.n_inputs, self.n_outputs), *last

    @property
    def flops(self) -> int:
        return 2 * self.n_inputs * self.n_outputs + sum(layer.flops for layer in self.layers)

    def initial_weights(self, rng: Rng) -> list[Floats]:
        """Draw all kernels from Glorot's distribution, except the last: the linear path decides."""
        kernel, _ = Dense(self.n_inputs, self.n_outputs).initial_weights(rng)
        *inner, last = self.layers
        drawn = [array for layer in inner for array in layer.initial_weights(rng)]
        return [*drawn, kernel, *(np.zeros(shape, np.float32) for shape in last.shapes)]

    def split(self, weights: Sequence[T]) -> tuple[T, list[list[T]]]:
        """Return the kernel of the linear path, and the weights of each layer of the chain."""
        *inner, path, kernel, bias = weights
        return path, by_layer(self.layers, [*inner, kernel, bias])

    def numpy_form(self, weights: Sequence[Array], find: FindActivation) -> NumpyForm:
        path, own = self.split(weights)
        pairs = zip(self.layers, own, strict=True)
        made = [(layer.n_outputs, layer.numpy_form(arrays, find)) for layer, arrays in pairs]
        *hidden, (_, last) = [(width, form) for width, form in made if form is not None]
        activate = find(self.activation)

        def shortcut(
            rows: Matrix,
            out: Array,
            check: Check | None = None,
            kept: list[Array] | None = None,
        ) -> Array:
            total = rows @ path if sparse.issparse(rows) else np.matmul(rows, path, out=out)
            if check is not None:
                check(total)
            h = rows
            for width, form in hidden:
                h = form(h, np.empty((len(total), width), total.dtype), kept=kept)
            total += last(h, np.empty_like(total))
            outputs = activate(total)
            if kept is not None:
                kept.append(outputs)
            return outputs

        return shortcut

    def fold_inputs(self, weights: Sequence[Array], shift: Array, scale: float) -> list[Array]:
        first: Any = self.layers[0]
        *inner, path, kernel, bias = weights
        own = slice(len(first.shapes))
        inner[own] = first.fold_inputs(inner[own], shift, scale)
        path, lost = fold_kernel(path, shift, scale)
        return [*inner, path, kernel, bias - lost]

    def fold_outputs(
        self, weights: Sequence[Array], shift: Array, scale: float | Array
    ) -> list[Array]:
        last: Any = self.layers[-1]
        *inner, path, kernel, bias = weights
        return [*inner, path * scale, *last.fold_outputs([kernel, bias], shift, scale)]


def by_layer(layers: Iterable[Layer], weights: Iterable[T]) -> list[list[T]]:
    """Split a list with an item for each weight into a list for each layer."""
    rest = iter(weights)
    return [list(itertools.islice(rest, len(layer.shapes))) for layer in layers]


def trained(layers: Iterable[Layer]) -> tuple[Trained, ...]:
    """Return the layers that end with an activation, those inside a `Shortcut` before it."""
    own = (layer for layer in layers if isinstance(layer, Dense | Shortcut))
    return tuple(each for layer in own for each in (*layer.hidden, layer))


def fold_kernel(kernel: Array, shift: Array, scale: float) -> tuple[Array, Array]:
    """Return what a matrix product becomes for rows instead of ``(rows - shift) / scale``.

    Parameters
    ----------
    kernel : ndarray of shape (n_features, n_outputs) or (2 * n_features, n_outputs)
        The kernel.  It has twice as many rows if `Gaps` comes before it.
    shift : ndarray of shape (n_features,)
        The value that becomes zero.  An unknown value is zero before and after, and its weight
        makes up for the shift.
    scale : float
        The scale.

    Returns
    -------
    kernel : ndarray
        The new kernel.
    bias : ndarray of shape (n_outputs,)
        What the bias loses.
    """
    values, unknown = kernel[: len(shift)], kernel[len(shift) :]
    if not len(unknown):
        return kernel / scale, (shift / scale) @ kernel
    moved = (shift / scale)[:, None] * values
    return np.concatenate([values / scale, unknown + moved]), (shift / scale) @ values
