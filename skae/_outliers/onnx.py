"""Conversion of the detector to ONNX by skl2onnx: labels and decisions, with the threshold inside.

The outputs are those of scikit-learn's detectors: ``label``, and ``scores`` of shape (n, 1).
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from skae._interop.onnx import Graph, add_chain, dtype_of, tensor_type
from skae._outliers.comparison import Member
from skae._outliers.state import members_of, scaling_of
from skae._tables.inputs import table_of
from skae._typing import Array


def register(detector: Any) -> None:
    """Tell skl2onnx the converter of a detector.

    It returns None, from which skl2onnx concludes that the detector has the outputs of an outlier
    detector.
    """
    from skl2onnx import update_registered_converter

    kind = type(detector)
    update_registered_converter(kind, f"Skae{kind.__name__}", _set_types, _convert)


def shape_calculator(detector: Any) -> Callable[[Any], None]:
    """Return the function that sets the types of an operator's outputs."""
    return _set_types


def converter(detector: Any) -> Callable[[Any, Any, Any], None]:
    """Return the function that adds the nodes of an operator to the graph."""
    return _convert


def _set_types(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType

    detector = operator.raw_operator
    _refuse_table(detector)
    given = sum(variable.get_second_dimension() for variable in operator.inputs)
    if given != detector.n_features_in_:
        raise ValueError(
            f"{type(detector).__name__} takes {detector.n_features_in_} columns; got {given}."
        )
    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(Int64TensorType([n_rows]))
    operator.outputs[1].set_type(tensor_type(operator.inputs)([n_rows, 1]))


def _refuse_table(detector: Any) -> None:
    if table_of(detector) is not None:
        raise NotImplementedError(
            f"ONNX has no form of {type(detector).__name__} for rows with categories: only of its "
            "networks' transform. Encode the categories as numbers (OneHotEncoder), or score rows "
            "in Python."
        )


def _convert(scope: Any, operator: Any, container: Any) -> None:
    detector, dtype = operator.raw_operator, dtype_of(operator.inputs)
    graph = Graph(container)
    X = graph.rows(operator.inputs)
    scaling = scaling_of(detector)
    Z = graph.Div(graph.Sub(X, scaling.center.astype(dtype)), scaling.scale.astype(dtype))
    scores = [
        _scores(graph, member, Z, detector._n_neighbors, dtype) for member in members_of(detector)
    ]
    # ONNX Runtime has no Mean of float64
    total = functools.reduce(graph.Add, scores)
    mean = graph.Mul(total, np.array([1 / len(scores)], dtype))
    label, decisions = operator.outputs
    decision = graph.Sub(mean, np.array([detector.offset_], dtype))
    is_normal = graph.Not(graph.Less(decision, np.zeros(1, dtype)))
    sign = graph.Where(is_normal, np.array([1], np.int64), np.array([-1], np.int64))
    flat = graph.Reshape(sign, np.array([-1], np.int64), output_names=[label])
    flat.add_to(scope, container)
    graph.Identity(decision, output_names=[decisions]).add_to(scope, container)


def _scores(graph: Graph, member: Member, Z: Any, n_neighbors: int, dtype: Any) -> Any:
    """Add the nodes of `Member.scores`; the result is of shape (n, 1)."""
    weights = (1 / member.units).astype(dtype)
    errors = graph.Mul(graph.Sub(Z, _reconstruct(graph, member, Z, dtype)), weights)
    points = graph.Concat(Z, errors, axis=1)
    others: Array = member.references.astype(dtype)
    distances = graph.Add(
        graph.MatMul(points, -2 * others.T), np.einsum("ij,ij->i", others, others)
    )
    n = min(n_neighbors, len(others))
    nearest = graph.TopK(distances, np.array([n], np.int64), largest=0)[0]
    n_columns = others.shape[1]
    squares = graph.MatMul(graph.Mul(points, points), np.ones((n_columns, 1), dtype))
    mean = graph.MatMul(nearest, np.full((n, 1), 1 / n, dtype))
    scores = graph.Mul(graph.Add(squares, mean), np.array([-2 / n_columns], dtype))
    return graph.Min(scores, np.zeros(1, dtype))


def _reconstruct(graph: Graph, member: Member, Z: Any, dtype: Any) -> Any:
    network = member.autoencoder._network
    weights = network.spec.by_layer([array.astype(dtype) for array in network.weights])
    return add_chain(network.spec.layers, graph, weights, Z, dtype)
