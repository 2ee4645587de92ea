"""Conversion to ONNX by skl2onnx."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from skae._interop.onnx_tables import add_probabilities, add_table, check_method
from skae._network.activations import ACTIVATIONS
from skae._network.features import decoding, select
from skae._network.inference import Network
from skae._network.layers import Dense, Dropout, Layer, Shortcut
from skae._network.tables import Gaps, Probabilities
from skae._tables.inputs import table_of
from skae._typing import Activation, Array

METHODS = ("transform", "inverse_transform", "reconstruct", "score_samples")


def register(estimator: Any) -> None:
    """Tell skl2onnx the options of an estimator.

    It returns None, from which skl2onnx concludes that the estimator has one output.
    """
    from skl2onnx import update_registered_converter

    kind = type(estimator)
    update_registered_converter(
        kind, f"Skae{kind.__name__}", _set_shape, _convert, options={"method": list(METHODS)}
    )


def shape_calculator(estimator: Any) -> Callable[[Any], None]:
    """Return the function that sets the type of an operator's output."""
    return _set_shape


def converter(estimator: Any) -> Callable[[Any, Any, Any], None]:
    """Return the function that adds the nodes of an operator to the graph."""
    return _convert


class Hook:
    """A method of estimators that skl2onnx calls, and that neither `dir` nor the pages show.

    Nobody has to register anything, and skl2onnx is imported only when it converts.  A class'
    ``__getattr__`` would be simpler, but costs 1 us for each attribute that scikit-learn looks for
    in vain.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __get__(self, estimator: Any, kind: Any = None) -> Callable[[], Any]:
        if estimator is None:  # `inspect.getmembers` of the class then leaves it out
            raise AttributeError("only estimators have this attribute, and not their class")
        return functools.partial(self.function, estimator)


def _method(operator: Any) -> str:
    return operator.scope_inst.get_options(operator.raw_operator, {"method": METHODS[0]})["method"]


def _set_shape(operator: Any) -> None:
    estimator, method = operator.raw_operator, _method(operator)
    n_features, n_components = estimator._network.spec.n_features, estimator._n_features_out
    if table_of(estimator) is not None:
        check_method(method)
        n_features = estimator.n_features_in_
    expected = n_components if method == "inverse_transform" else n_features
    given = sum(variable.get_second_dimension() for variable in operator.inputs)
    if given != expected:
        raise ValueError(
            f"{method} of {type(estimator).__name__} takes {expected} columns; got {given}. Set "
            f"the option method to what is to be converted, one of {list(METHODS)}."
        )
    width = {"transform": [n_components], "score_samples": []}.get(method, [n_features])
    _set_type(operator, width)


def _set_type(operator: Any, width: list[int]) -> None:
    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(tensor_type(operator.inputs)([n_rows, *width]))


def tensor_type(inputs: Iterable[Any]) -> Any:
    """Return the class of skl2onnx that describes results for these inputs."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return DoubleTensorType if dtype_of(inputs) == np.float64 else FloatTensorType


def dtype_of(inputs: Iterable[Any]) -> np.dtype[Any]:
    """Return float64 if a column is float64, else float32, which is usual in ONNX."""
    from skl2onnx.common.data_types import DoubleTensorType

    is_double = any(isinstance(variable.type, DoubleTensorType) for variable in inputs)
    return np.dtype(np.float64 if is_double else np.float32)


class Graph:
    """The ONNX operators of one version, as functions: ``graph.Add(a, b)``.

    ``kept`` has the outputs of all layers so far that end with an activation.
    """

    def __init__(self, container: Any) -> None:
        self.op_version = container.target_opset
        self.kept: list[Any] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        from skl2onnx.algebra import onnx_ops

        operator = getattr(onnx_ops, f"Onnx{name}")
        return lambda *args, **kwargs: operator(*args, op_version=self.op_version, **kwargs)

    def rows(self, inputs: Sequence[Any]) -> Any:
        """Join all inputs to one matrix: skl2onnx makes an input of each column of a frame."""
        return self.join([self.cast(variable, dtype_of(inputs)) for variable in inputs])

    def join(self, columns: Sequence[Any]) -> Any:
        return columns[0] if len(columns) == 1 else self.Concat(*columns, axis=1)

    def keep(self, h: Any) -> Any:
        """Remember the outputs of a layer, and return them."""
        self.kept.append(h)
        return h

    def cast(self, h: Any, dtype: Any) -> Any:
        from onnx.helper import np_dtype_to_tensor_dtype

        return self.Cast(h, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _convert(scope: Any, operator: Any, container: Any) -> None:
    network, method = operator.raw_operator._network, _method(operator)
    graph, dtype = Graph(container), dtype_of(operator.inputs)
    weights = [array.astype(dtype) for array in network.weights]
    layers, own = network.spec.layers, network.spec.by_layer(weights)
    features, n = operator.raw_operator.features, network.spec.n_encoder_layers
    columns, first = decoding(network.spec, features)
    part = {"transform": slice(n), "inverse_transform": slice(first, None)}.get(method, slice(None))
    table = table_of(operator.raw_operator)
    h = rows = (
        graph.rows(operator.inputs)
        if table is None
        else add_table(graph, operator.inputs, table, dtype)
    )
    if method == "inverse_transform":
        h = graph.Gather(h, np.arange(columns.stop)[columns], axis=1)
    h = add_chain(layers[part], graph, own[part], h, dtype)
    if method == "transform":
        h = graph.join(select(graph.kept, features))
    if method == "score_samples":
        h = _scores(graph, graph.Sub(h, rows), network, dtype)
    graph.Identity(h, output_names=operator.outputs).add_to(scope, container)


def _scores(graph: Graph, errors: Any, network: Network, dtype: np.dtype[Any]) -> Any:
    """Add the nodes of minus the mean squared error over the known values of each row."""
    n_features, weights = network.spec.n_features, network.column_weights
    weights = np.ones(n_features, dtype) if weights is None else weights.astype(dtype)
    if not network.spec.has_gaps:
        return graph.MatMul(graph.Mul(errors, errors), -weights / n_features)
    unknown = graph.IsNaN(errors)
    errors = graph.Where(unknown, np.zeros(1, dtype), errors)
    n_known = graph.MatMul(graph.cast(graph.Not(unknown), dtype), weights)
    squares = graph.MatMul(graph.Mul(errors, errors), -weights)
    # Without a known value the sum is zero: the smallest weight there is may divide it.
    least = np.full(1, weights[weights > 0].min(), dtype)
    return graph.Div(squares, graph.Max(n_known, least))


def add_chain(
    layers: Iterable[Layer],
    graph: Graph,
    weights: Iterable[Sequence[Array]],
    h: Any,
    dtype: np.dtype[Any],
) -> Any:
    """Add the nodes of layers, one after another, and return the outputs of the last."""
    for layer, own in zip(layers, weights, strict=True):
        h = _add_nodes(layer, graph, own, h, dtype)
    return h


@functools.singledispatch
def _add_nodes(
    layer: Layer, graph: Graph, weights: Sequence[Array], h: Any, dtype: np.dtype[Any]
) -> Any:
    """Add the nodes of a layer to a graph, and return its outputs; dispatches on its class."""
    raise NotImplementedError(f"ONNX has no form of the layer {type(layer).__name__}.")


@_add_nodes.register
def _(layer: Dense, graph: Graph, weights: Sequence[Array], h: Any, dtype: np.dtype[Any]) -> Any:
    kernel, bias = weights
    z = graph.Add(graph.MatMul(h, kernel), bias)
    return graph.keep(_activate(graph, layer.activation, z, dtype))


@_add_nodes.register
def _(layer: Dropout, graph: Graph, weights: Sequence[Array], h: Any, dtype: np.dtype[Any]) -> Any:
    return h  # it does nothing at inference


@_add_nodes.register
def _(layer: Gaps, graph: Graph, weights: Sequence[Array], h: Any, dtype: np.dtype[Any]) -> Any:
    unknown = graph.IsNaN(h)
    values, told = graph.Where(unknown, np.zeros(1, dtype), h), graph.cast(unknown, dtype)
    if layer.n_told is not None:
        told = graph.Gather(told, np.arange(layer.n_told), axis=1)
    return graph.Concat(values, told, axis=1)


@_add_nodes.register
def _(
    layer: Probabilities,
    graph: Graph,
    weights: Sequence[Array],
    h: Any,
    dtype: np.dtype[Any],
) -> Any:
    return add_probabilities(graph, layer, h)


@_add_nodes.register
def _(layer: Shortcut, graph: Graph, weights: Sequence[Array], h: Any, dtype: np.dtype[Any]) -> Any:
    path, own = layer.split(weights)
    total = graph.MatMul(h, path)
    h = add_chain(layer.layers, graph, own, h, dtype)
    graph.kept.pop()  # the last layer of the chain is a part of this one
    return graph.keep(_activate(graph, layer.activation, graph.Add(total, h), dtype))


def _activate(graph: Graph, activation: Activation, h: Any, dtype: np.dtype[Any]) -> Any:
    form = ACTIVATIONS.get(activation) if isinstance(activation, str) else None
    if form is None:
        raise NotImplementedError(
            f"ONNX has no form of the activation {activation!r}: fit the network with one of "
            f"{sorted(ACTIVATIONS)}."
        )
    if form.onnx_float32 and dtype == np.float64:
        return graph.cast(form.onnx(graph, graph.cast(h, np.float32)), dtype)
    return form.onnx(graph, h)
