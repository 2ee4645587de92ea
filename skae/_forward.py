"""A trained network in NumPy: encoding and decoding without TensorFlow.

A dense layer is one matrix product, and NumPy's is as fast as any.  What a call to a deep
learning framework adds to it (45 ms for one row with ``keras.Model.predict``, against
some 20 microseconds here) is the rest of the time.
"""

import numpy as np
from scipy import sparse, special

# Rows go through all layers in blocks whose widest activation stays within a core's cache.
BLOCK_BYTES = 1 << 20


def _linear(h):
    return h


def _relu(h):
    return np.maximum(h, 0, out=h)


def _relu6(h):
    return np.clip(h, 0, 6, out=h)


def _leaky_relu(h):
    return np.maximum(h, h.dtype.type(0.2) * h, out=h)


def _elu(h):
    return np.where(h > 0, h, np.expm1(np.minimum(h, 0)))


def _selu(h):
    scale, alpha = h.dtype.type(1.0507009873554805), h.dtype.type(1.6732632423543772)
    return scale * np.where(h > 0, h, alpha * np.expm1(np.minimum(h, 0)))


def _softplus(h):
    return np.logaddexp(h, 0, out=h)


def _sigmoid(h):
    return special.expit(h, out=h)


def _silu(h):
    h *= special.expit(h)
    return h


def _gelu(h):
    """The exact form, with the normal distribution function (Hendrycks and Gimpel, 2016)."""
    h *= special.ndtr(h)
    return h


def _mish(h):
    h *= np.tanh(np.logaddexp(h, 0))
    return h


def _tanh(h):
    return np.tanh(h, out=h)


def _softsign(h):
    h /= 1 + np.abs(h)
    return h


def _hard_sigmoid(h):
    return np.clip(h / 6 + h.dtype.type(0.5), 0, 1)


def _exponential(h):
    return np.exp(h, out=h)


def _softmax(h):
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

    def __init__(self, weights, activations, n_encoder_layers):
        self.weights = tuple(weights)
        self.activations = tuple(activations)
        self.n_encoder_layers = n_encoder_layers
        self._casts = {}

    def __getstate__(self):
        return {**vars(self), "_casts": {}}

    @property
    def layer_sizes(self):
        kernels = self.weights[::2]
        return (len(kernels[0]), *(kernel.shape[1] for kernel in kernels))

    def encode(self, X):
        return self._run(X, 0, self.n_encoder_layers)

    def decode(self, codes):
        return self._run(codes, self.n_encoder_layers, None)

    def reconstruct(self, X):
        return self._run(X, 0, None)

    def squared_errors(self, X):
        """Mean squared error of each row's reconstruction, a block of rows at a time."""
        dtype = output_dtype(X)
        layers = self._layers(dtype)
        errors = np.empty(X.shape[0], dtype)
        for rows in blocks(X.shape[0], max(self.layer_sizes) * dtype.itemsize):
            block = X[rows].toarray() if sparse.issparse(X) else X[rows]
            difference = np.subtract(block, _forward(layers, block, dtype), dtype=dtype)
            errors[rows] = np.einsum("ij,ij->i", difference, difference) / X.shape[1]
        return errors

    def _layers(self, dtype):
        """Kernel, bias and activation of every layer, in ``dtype``; cast once, then kept."""
        if dtype not in self._casts:
            cast = [array.astype(dtype, copy=False) for array in self.weights]
            names = map(_numpy_activation, self.activations)
            self._casts[dtype] = list(zip(cast[::2], cast[1::2], names, strict=True))
        return self._casts[dtype]

    def _run(self, X, first, last):
        dtype = output_dtype(X)
        layers = self._layers(dtype)[first:last]
        widths = self.layer_sizes[first:][: len(layers) + 1]
        out = np.empty((X.shape[0], widths[-1]), dtype)
        for rows in blocks(X.shape[0], max(widths) * dtype.itemsize):
            out[rows] = _forward(layers, X[rows], dtype)
        return out


def output_dtype(X):
    """float32 in float32, everything else in float64."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def blocks(n_rows, bytes_per_row):
    """Cut ``n_rows`` into slices of at most `BLOCK_BYTES`, of at least 64 rows."""
    size = max(64, BLOCK_BYTES // bytes_per_row)
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def _forward(layers, block, dtype):
    """Run one block of rows, dense or CSR, through the layers."""
    h = block.astype(dtype, copy=False)
    for kernel, bias, activation in layers:
        h = h @ kernel  # a sparse block is multiplied as it is: the product is dense
        h += bias
        h = activation(h)
    return h


def _numpy_activation(activation):
    """Find an activation's NumPy form; one that has none runs through Keras."""
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    from skae._keras import eager_activation

    return eager_activation(activation)
