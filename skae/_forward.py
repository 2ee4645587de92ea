"""A trained network in NumPy: encoding and decoding without TensorFlow.

A dense layer is one matrix product, and NumPy's is as fast as any.  What a call to a deep
learning framework adds to it (45 ms for one row with ``keras.Model.predict``, against
some 20 microseconds here) is the rest of the time.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse, special
from sklearn.utils import assert_all_finite

from skae._results import collect
from skae._typing import Activation, Array, Layers, Matrix

# Rows go through all layers in blocks: smaller ones cost more calls, larger ones leave the cache.
BLOCK_BYTES = 1 << 23
MIN_BLOCK_ROWS = 64


def _linear(h: Array) -> Array:
    return h


def _relu(h: Array) -> Array:
    return np.maximum(h, 0, out=h)


def _relu6(h: Array) -> Array:
    return np.clip(h, 0, 6, out=h)


def _leaky_relu(h: Array) -> Array:
    return np.maximum(h, h.dtype.type(0.2) * h, out=h)


def _elu(h: Array) -> Array:
    return np.where(h > 0, h, np.expm1(np.minimum(h, 0)))


def _selu(h: Array) -> Array:
    scale, alpha = h.dtype.type(1.0507009873554805), h.dtype.type(1.6732632423543772)
    return scale * np.where(h > 0, h, alpha * np.expm1(np.minimum(h, 0)))


def _softplus(h: Array) -> Array:
    return np.logaddexp(h, 0, out=h)


def _sigmoid(h: Array) -> Array:
    """Compute it as (1 + tanh(h / 2)) / 2: NumPy's tanh is vectorised, SciPy's expit is not."""
    h *= 0.5
    np.tanh(h, out=h)
    h *= 0.5
    h += 0.5
    return h


def _silu(h: Array) -> Array:
    h *= special.expit(h)
    return h


def _gelu(h: Array) -> Array:
    """The exact form, with the normal distribution function (Hendrycks and Gimpel, 2016)."""
    h *= special.ndtr(h)
    return h


def _mish(h: Array) -> Array:
    h *= np.tanh(np.logaddexp(h, 0))
    return h


def _tanh(h: Array) -> Array:
    return np.tanh(h, out=h)


def _softsign(h: Array) -> Array:
    h /= 1 + np.abs(h)
    return h


def _hard_sigmoid(h: Array) -> Array:
    return np.clip(h / 6 + h.dtype.type(0.5), 0, 1)


def _exponential(h: Array) -> Array:
    return np.exp(h, out=h)


def _softmax(h: Array) -> Array:
    return special.softmax(h, axis=-1)


# Each takes an activation's input, which it may overwrite, and returns its output.
ACTIVATIONS = {
    "linear": _linear,
    "relu": _relu,
    "relu6": _relu6,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "swish": _silu,
    "gelu": _gelu,
    "mish": _mish,
    "tanh": _tanh,
    "softsign": _softsign,
    "hard_sigmoid": _hard_sigmoid,
    "exponential": _exponential,
    "softmax": _softmax,
}


class Network:
    """The dense layers of an autoencoder, as NumPy arrays.

    Parameters
    ----------
    weights : sequence of ndarray
        Kernel and bias of each layer in turn, float32.
    activations : sequence of str or callable
        Each layer's activation.
    n_encoder_layers : int
        How many of the layers lead to the code.
    """

    def __init__(
        self, weights: Sequence[Array], activations: Sequence[Activation], n_encoder_layers: int
    ) -> None:
        self.weights = tuple(weights)
        self.activations = tuple(activations)
        self.n_encoder_layers = n_encoder_layers
        self._casts: dict[np.dtype[Any], Layers] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_casts": {}}

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        kernels = self.weights[::2]
        return (len(kernels[0]), *(kernel.shape[1] for kernel in kernels))

    def encode(self, X: Matrix, out: Any = None) -> Any:
        return self._run(X, 0, self.n_encoder_layers, out)

    def decode(self, codes: Matrix, out: Any = None) -> Any:
        return self._run(codes, self.n_encoder_layers, None, out)

    def reconstruct(self, X: Matrix, out: Any = None) -> Any:
        return self._run(X, 0, None, out)

    def scores(self, X: Matrix, out: Any = None, dtype: np.dtype[Any] | None = None) -> Any:
        """Minus the mean squared error of each row's reconstruction."""
        dtype = dtype or output_dtype(X)
        return collect(self._score_blocks(X, dtype), X.shape[:1], dtype, out)

    def _score_blocks(self, X: Matrix, dtype: np.dtype[Any]) -> Iterator[tuple[slice, Array]]:
        for rows, block, outputs in _forward(self._layers(dtype), X):
            dense = block.toarray() if sparse.issparse(block) else block
            with np.errstate(over="ignore"):
                np.subtract(outputs, dense, out=outputs)
                scores = np.einsum("ij,ij->i", outputs, outputs) / -X.shape[1]
            _check_finite(scores, rows.start)
            yield rows, scores

    def _layers(self, dtype: np.dtype[Any]) -> Layers:
        """Kernel, bias and activation of every layer, in ``dtype``; cast once, then kept."""
        if dtype not in self._casts:
            cast = [array.astype(dtype, copy=False) for array in self.weights]
            names = map(_numpy_activation, self.activations)
            self._casts[dtype] = list(zip(cast[::2], cast[1::2], names, strict=True))
        return self._casts[dtype]

    def _run(self, X: Matrix, first: int, last: int | None, out: Any) -> Any:
        layers = self._layers(output_dtype(X))[first:last]
        last_kernel = layers[-1][0]
        blocks = ((rows, outputs) for rows, _, outputs in _forward(layers, X))
        return collect(blocks, (X.shape[0], last_kernel.shape[1]), last_kernel.dtype, out)


def output_dtype(X: Matrix) -> np.dtype[Any]:
    """float32 in float32, everything else in float64."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def _forward(layers: Layers, X: Matrix) -> Iterator[tuple[slice, Matrix, Array]]:
    """Run the rows of a matrix or a `Source` through the layers, a block of them at a time.

    Yields the block's slice, its rows, and its outputs, whose memory serves for the next block.
    Raises ValueError where a row holds NaN or infinity, or numbers so large that its outputs do.
    """
    dtype = layers[0][0].dtype
    widths = [kernel.shape[1] for kernel, *_ in layers]
    size = max(MIN_BLOCK_ROWS, BLOCK_BYTES // (max(X.shape[1], *widths) * dtype.itemsize))
    buffers = [np.empty((min(size, X.shape[0]), width), dtype) for width in widths]
    for start in range(0, X.shape[0], size):
        rows = slice(start, min(start + size, X.shape[0]))
        block = X[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            h = block = block.astype(dtype, copy=False)
            for (kernel, bias, activation), buffer in zip(layers, buffers, strict=True):
                product = buffer[: block.shape[0]]
                if sparse.issparse(h):
                    product = h @ kernel  # as it is: the product is dense
                else:
                    np.matmul(h, kernel, out=product)
                # NaN and infinity show in the first product, which is smaller than the rows
                if h is block and not is_finite(product):
                    assert_all_finite(block, input_name="X")
                product += bias
                h = activation(product)
        _check_finite(h, start)
        yield rows, block, h


def is_finite(array: Array) -> bool:
    # the sum of squares costs half a microsecond; it is infinite from 1e19 in float32
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def _check_finite(results: Array, start: int) -> None:
    """Raise where the results for rows from ``start`` on overflowed."""
    if is_finite(results):
        return
    row = start + np.argwhere(~np.isfinite(results))[0, 0]
    wider = "pass float64, or " if results.dtype == np.float32 else ""
    raise ValueError(
        f"X holds numbers so large that the result for row {row} is beyond {results.dtype}: "
        f"{wider}scale X as the rows given to fit."
    )


def _numpy_activation(activation: Activation) -> Callable[[Array], Array]:
    """Find an activation's NumPy form; one that has none runs through Keras."""
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    from skae._keras import eager_activation

    return eager_activation(activation)
