"""The table of activations: their NumPy forms, their ONNX forms and their ranges."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from skae._typing import Array


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
    """Compute (1 + tanh(h / 2)) / 2: NumPy's tanh is vectorised, but SciPy's expit is not."""
    h *= 0.5
    np.tanh(h, out=h)
    h *= 0.5
    h += 0.5
    return h


def _silu(h: Array) -> Array:
    h *= special.expit(h)
    return h


def _gelu(h: Array) -> Array:
    """Compute the exact form, with the normal distribution function.

    D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units (GELUs)", 2016.
    """
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


@dataclass(frozen=True)
class Forms:
    """The forms of an activation, and the range of its values.

    Attributes
    ----------
    numpy : callable
        Function of an array, which it may overwrite.
    onnx : callable
        Function of a graph that makes nodes, and of a node.
    low, high : float
        Limits of its values, rounded outwards.
    onnx_float32 : bool
        Whether the ONNX form works in float32 only, because onnxruntime lacks an operator in
        float64 or the form has a float32 constant.
    """

    numpy: Callable[[Array], Array]
    onnx: Callable[[Any, Any], Any]
    low: float = -math.inf
    high: float = math.inf
    onnx_float32: bool = False


def _normal_distribution(graph: Any, h: Any) -> Any:
    half = np.array(0.5, np.float32)
    erf = graph.Erf(graph.Mul(h, np.array(0.5**0.5, np.float32)))
    return graph.Add(graph.Mul(erf, half), half)


def _onnx_relu6(graph: Any, h: Any) -> Any:
    return graph.Clip(h, np.array(0, np.float32), np.array(6, np.float32))


def _onnx_silu(graph: Any, h: Any) -> Any:
    return graph.Mul(h, graph.Sigmoid(h))


def _onnx_gelu(graph: Any, h: Any) -> Any:
    return graph.Mul(h, _normal_distribution(graph, h))


def _onnx_mish(graph: Any, h: Any) -> Any:
    return graph.Mul(h, graph.Tanh(graph.Softplus(h)))


def _onnx_hard_sigmoid(graph: Any, h: Any) -> Any:
    return graph.HardSigmoid(h, alpha=1 / 6, beta=0.5)


def _operator(name: str, **attributes: Any) -> Callable[[Any, Any], Any]:
    """Return an ONNX form that consists of one operator."""
    return lambda graph, h: getattr(graph, name)(h, **attributes)


_SILU = Forms(_silu, _onnx_silu, low=-0.27847)

ACTIVATIONS = {
    "linear": Forms(_linear, lambda graph, h: h),
    "relu": Forms(_relu, _operator("Relu"), low=0),
    "relu6": Forms(_relu6, _onnx_relu6, low=0, high=6, onnx_float32=True),
    "leaky_relu": Forms(_leaky_relu, _operator("LeakyRelu", alpha=0.2), onnx_float32=True),
    "elu": Forms(_elu, _operator("Elu"), low=-1, onnx_float32=True),
    "selu": Forms(_selu, _operator("Selu"), low=-1.75810, onnx_float32=True),
    "softplus": Forms(_softplus, _operator("Softplus"), low=0, onnx_float32=True),
    "sigmoid": Forms(_sigmoid, _operator("Sigmoid"), low=0, high=1),
    "silu": _SILU,
    "swish": _SILU,
    "gelu": Forms(_gelu, _onnx_gelu, low=-0.16998, onnx_float32=True),
    "mish": Forms(_mish, _onnx_mish, low=-0.30885, onnx_float32=True),
    "tanh": Forms(_tanh, _operator("Tanh"), low=-1, high=1),
    "softsign": Forms(_softsign, _operator("Softsign"), low=-1, high=1, onnx_float32=True),
    "hard_sigmoid": Forms(_hard_sigmoid, _onnx_hard_sigmoid, low=0, high=1, onnx_float32=True),
    "exponential": Forms(_exponential, _operator("Exp"), low=0),
    "softmax": Forms(_softmax, _operator("Softmax", axis=-1), low=0, high=1),
}

# Activations of Keras without forms, which TensorFlow computes, but with limits.
OTHERS = {
    "celu": (-1, math.inf),
    "hard_silu": (-0.375, math.inf),
    "hard_swish": (-0.375, math.inf),
    "hard_tanh": (-1, 1),
    "log_sigmoid": (-math.inf, 0),
    "log_softmax": (-math.inf, 0),
    "sparse_plus": (0, math.inf),
    "sparse_sigmoid": (0, 1),
    "sparsemax": (0, math.inf),
    "squareplus": (0, math.inf),
}
# Lowest and highest value of each activation that has a limit.
RANGES = {
    **{
        name: (form.low, form.high)
        for name, form in ACTIVATIONS.items()
        if math.isfinite(form.low) or math.isfinite(form.high)
    },
    **OTHERS,
}
