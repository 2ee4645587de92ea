"""The ONNX nodes that turn the columns of a table into the matrix that its network takes."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from skae._network.tables import Probabilities

if TYPE_CHECKING:
    from skae._tables.columns import Category
    from skae._tables.table import Table

METHODS = ("transform",)


def check_method(method: str) -> None:
    """Raise NotImplementedError if a method of an estimator for tables has no ONNX form."""
    if method not in METHODS:
        raise NotImplementedError(
            f"ONNX has no form of {method} for rows with categories: only of {', '.join(METHODS)}."
        )


def add_table(graph: Any, inputs: Sequence[Any], table: "Table", dtype: np.dtype[Any]) -> Any:
    """Add the nodes of `Table.encode` to a graph; each column of the frame is an input."""
    encoded = []
    for place in table.order:
        column = table.columns[place]
        if column.kind == "category":
            encoded.append(_category(graph, inputs[place], column, dtype))
            continue
        values = graph.cast(inputs[place], dtype)
        if column.kind == "number":
            shifted = graph.Sub(values, np.array([column.centre], dtype))
            values = graph.Mul(shifted, np.array([1 / column.scale], dtype))
        encoded.append(values)
    return graph.join(encoded)


def _category(graph: Any, values: Any, column: "Category", dtype: np.dtype[Any]) -> Any:
    """Add the nodes of one-hot columns, which are all zero for other values."""
    places = column.places
    is_text = all(isinstance(value, str) for value in places)
    if not is_text:
        _check_whole(places)
        values = graph.cast(values, np.int64)
    kind = "keys_strings" if is_text else "keys_int64s"
    keys = [value if is_text else int(value) for value in places]
    numbers = graph.LabelEncoder_2(  # the version that all of onnxruntime has
        values, **{kind: keys}, values_int64s=list(places.values()), default_int64=-1
    )
    wanted = np.arange(column.size, dtype=np.int64).reshape(1, -1)
    return graph.cast(graph.Equal(numbers, wanted), dtype)


def _check_whole(values: Iterable[Any]) -> None:
    """Raise NotImplementedError unless values are whole numbers, which ONNX can look up."""
    if not all(isinstance(value, Integral | np.bool_) for value in values):
        raise NotImplementedError(
            "ONNX has categories that are all strings or all whole numbers; got "
            f"{sorted(map(repr, values))[:5]}. Convert the column to strings."
        )


def add_probabilities(graph: Any, layer: Probabilities, h: Any) -> Any:
    """Add the nodes of the last layer of a network for tables."""

    def columns(first: int, stop: int) -> Any:
        return graph.Gather(h, np.arange(first, stop), axis=1)

    parts = [columns(0, layer.n_numbers)] if layer.n_numbers else []
    if layer.n_booleans:
        parts.append(graph.Sigmoid(columns(layer.n_numbers, layer.n_plain)))
    for run in layer.runs():
        for number in range(run.n_columns):
            first = run.start + number * run.n_categories
            parts.append(graph.Softmax(columns(first, first + run.n_categories), axis=1))
    return graph.join(parts)
