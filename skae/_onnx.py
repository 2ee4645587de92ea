"""Conversion to ONNX by skl2onnx, for serving without Python.

skl2onnx asks an estimator that it does not know for an ``onnx_parser``, an
``onnx_shape_calculator`` and an ``onnx_converter``: nobody has to register anything, and
skl2onnx is imported where it asks.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from skae._typing import Activation

METHODS = ("transform", "inverse_transform", "reconstruct", "score_samples")


class ConvertsToOnnx:
    """What skl2onnx looks for in an estimator."""

    def onnx_parser(self) -> None:
        """Tell skl2onnx the estimator's options; called by skl2onnx.

        Returns
        -------
        None
            There is one output, as skl2onnx assumes.
        """
        from skl2onnx import update_registered_converter

        update_registered_converter(
            type(self),
            f"Skae{type(self).__name__}",
            _set_shape,
            _convert,
            options={"method": list(METHODS)},
        )

    def onnx_shape_calculator(self) -> Callable[[Any], None]:
        """Return what sets the type of the output; called by skl2onnx.

        Returns
        -------
        function
            Of an operator.
        """
        return _set_shape

    def onnx_converter(self) -> Callable[[Any, Any, Any], None]:
        """Return what adds the nodes of the graph; called by skl2onnx.

        Returns
        -------
        function
            Of a scope, an operator and a container.
        """
        return _convert


def _method(operator: Any) -> str:
    return operator.scope_inst.get_options(operator.raw_operator, {"method": METHODS[0]})["method"]


def _set_shape(operator: Any) -> None:
    estimator, method = operator.raw_operator, _method(operator)
    n_features, n_components = estimator._network.layer_sizes[0], estimator._n_features_out
    expected = n_components if method == "inverse_transform" else n_features
    given = sum(variable.get_second_dimension() for variable in operator.inputs)
    if given != expected:
        raise ValueError(
            f"{method} of {type(estimator).__name__} takes {expected} columns; got {given}. The "
            f"option method selects what is converted, one of {list(METHODS)}."
        )
    width = {"transform": [n_components], "score_samples": []}.get(method, [n_features])
    _set_type(operator, width)


def _set_type(operator: Any, width: list[int]) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = DoubleTensorType if _dtype(operator.inputs) == np.float64 else FloatTensorType
    operator.outputs[0].set_type(kind([operator.inputs[0].get_first_dimension(), *width]))


def _dtype(inputs: Iterable[Any]) -> np.dtype[Any]:
    """The graph computes in float64 where a column does, else in float32, which is ONNX's habit."""
    from skl2onnx.common.data_types import DoubleTensorType

    is_double = any(isinstance(variable.type, DoubleTensorType) for variable in inputs)
    return np.dtype(np.float64 if is_double else np.float32)


class _Graph:
    """ONNX operators of one version as functions: ``graph.Add(a, b)``."""

    def __init__(self, container: Any) -> None:
        self.op_version = container.target_opset

    def __getattr__(self, name: str) -> Callable[..., Any]:
        from skl2onnx.algebra import onnx_ops

        operator = getattr(onnx_ops, f"Onnx{name}")
        return lambda *args, **kwargs: operator(*args, op_version=self.op_version, **kwargs)

    def rows(self, inputs: Sequence[Any]) -> Any:
        """All columns, one matrix: skl2onnx makes an input of each column of a frame."""
        columns = [self.cast(variable, _dtype(inputs)) for variable in inputs]
        return columns[0] if len(columns) == 1 else self.Concat(*columns, axis=1)

    def cast(self, h: Any, dtype: Any) -> Any:
        from onnx.helper import np_dtype_to_tensor_dtype

        return self.Cast(h, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _convert(scope: Any, operator: Any, container: Any) -> None:
    network, method = operator.raw_operator._network, _method(operator)
    graph, dtype = _Graph(container), _dtype(operator.inputs)
    kernels, biases = network.weights[::2], network.weights[1::2]
    layers = list(zip(kernels, biases, network.activations, strict=True))
    n = network.n_encoder_layers
    part = {"transform": layers[:n], "inverse_transform": layers[n:]}.get(method, layers)
    h = rows = graph.rows(operator.inputs)
    for kernel, bias, activation in part:
        h = graph.Add(graph.MatMul(h, kernel.astype(dtype)), bias.astype(dtype))
        h = _activate(graph, activation, h, dtype)
    if method == "score_samples":
        errors = graph.Sub(h, rows)
        weights = np.full(network.layer_sizes[0], -1 / network.layer_sizes[0], dtype)
        h = graph.MatMul(graph.Mul(errors, errors), weights)
    graph.Identity(h, output_names=operator.outputs).add_to(scope, container)


def _activate(graph: _Graph, activation: Activation, h: Any, dtype: np.dtype[Any]) -> Any:
    if activation not in ACTIVATIONS:
        raise NotImplementedError(
            f"ONNX has no form of the activation {activation!r}: to convert the network, fit it "
            f"with one of {sorted(map(str, ACTIVATIONS))}."
        )
    if activation in SINGLE and dtype == np.float64:
        return graph.cast(ACTIVATIONS[activation](graph, graph.cast(h, np.float32)), dtype)
    return ACTIVATIONS[activation](graph, h)


# The activations of `skae._forward`.
ACTIVATIONS: dict[Activation, Callable[[_Graph, Any], Any]] = {
    "linear": lambda graph, h: h,
    "relu": lambda graph, h: graph.Relu(h),
    "relu6": lambda graph, h: graph.Clip(h, np.array(0, np.float32), np.array(6, np.float32)),
    "leaky_relu": lambda graph, h: graph.LeakyRelu(h, alpha=0.2),
    "elu": lambda graph, h: graph.Elu(h),
    "selu": lambda graph, h: graph.Selu(h),
    "softplus": lambda graph, h: graph.Softplus(h),
    "sigmoid": lambda graph, h: graph.Sigmoid(h),
    "silu": lambda graph, h: graph.Mul(h, graph.Sigmoid(h)),
    "swish": lambda graph, h: graph.Mul(h, graph.Sigmoid(h)),
    "gelu": lambda graph, h: graph.Mul(h, _normal_distribution(graph, h)),
    "mish": lambda graph, h: graph.Mul(h, graph.Tanh(graph.Softplus(h))),
    "tanh": lambda graph, h: graph.Tanh(h),
    "softsign": lambda graph, h: graph.Softsign(h),
    "hard_sigmoid": lambda graph, h: graph.HardSigmoid(h, alpha=1 / 6, beta=0.5),
    "exponential": lambda graph, h: graph.Exp(h),
    "softmax": lambda graph, h: graph.Softmax(h, axis=-1),
}
# What onnxruntime computes in float32 alone, or has a constant in float32.
SINGLE = {
    "relu6", "leaky_relu", "elu", "selu", "softplus", "gelu", "mish", "softsign", "hard_sigmoid",
}  # fmt: skip


def _normal_distribution(graph: _Graph, h: Any) -> Any:
    half = np.array(0.5, np.float32)
    erf = graph.Erf(graph.Mul(h, np.array(0.5**0.5, np.float32)))
    return graph.Add(graph.Mul(erf, half), half)
