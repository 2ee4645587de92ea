"""The identity of a fit: versions, parameters and data, which a checkpoint must match."""

import dataclasses
import hashlib
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from skae._corruption.base import CorruptingTransformer
from skae._rows.rows import Rows
from skae._rows.sources import Source
from skae._training.plan import State
from skae._typing import Array, Matrix

BLOCK_ROWS = 4096

IGNORED_PARAMETERS = ("verbose", "checkpoint", "random_state")  # the seed replaces the last one


def fingerprint_fit(
    estimator: Any, seed: int, rows: Rows, validation: Rows | None, start: State | None
) -> dict[str, Any]:
    """Describe a fit by names and values of JSON's types.

    The data are read once, at about 1 GB/s, and described by a checksum of all values.
    """
    from skae import _version
    from skae._engine.tensorflow import versions

    params = {
        name: describe_value(value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in IGNORED_PARAMETERS
    }
    return {
        "skae": _version.__version__,
        "numpy": np.__version__,
        **versions(),
        "estimator": type(estimator).__name__,
        **params,
        "random_state": seed,
        **_data(rows, ("X", "X_clean", "sample_weight")),
        **_data(validation, ("X_val", "X_val_clean"), rows),
        "weights to start from": start and _checksum([*start.weights, np.array(start.n_epochs)]),
    }


def _data(rows: Rows | None, names: Sequence[str], known: Rows | None = None) -> dict[str, Any]:
    """Describe the matrices and the weights of `Rows`, except for the matrices of ``known``."""
    if rows is None:
        return {}
    there = () if known is None else known.matrices
    matrices = dict(zip(names, rows.matrices, strict=False))
    described = {
        name: fingerprint(matrix)
        for name, matrix in matrices.items()
        if not any(matrix is other for other in there)
    }
    if len(names) > 2 and rows.weight is not None:
        described[names[2]] = fingerprint(rows.weight[:, None])
    return described


def fingerprint(X: Matrix) -> dict[str, Any]:
    """Describe rows by their shape, their dtype and a checksum of all values."""
    parts: Iterable[Array]
    if sparse.issparse(X):
        parts = [X.data, X.indices, X.indptr]
    elif isinstance(X, Source):
        parts = map(X.block, range(len(X.starts)))
    else:
        parts = (X[start : start + BLOCK_ROWS] for start in range(0, X.shape[0], BLOCK_ROWS))
    return {"shape": list(X.shape), "dtype": str(X.dtype), "checksum": _checksum(parts)}


def _checksum(arrays: Iterable[Array]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def describe_value(value: Any) -> Any:
    """Describe a value so that another process can tell whether it has the same value."""
    if hasattr(value, "to_list"):  # a column of a frame
        value = value.to_list()
    if isinstance(value, list | tuple | range):
        return list(map(describe_value, value))
    if isinstance(value, dict):
        return {str(key): describe_value(item) for key, item in value.items()}
    if inspect.isclass(value) or inspect.isroutine(value) or not hasattr(value, "__dict__"):
        return _describe_scalar(value)
    return {_qualified_name(type(value)): _describe_attributes(value)}


def _describe_attributes(value: Any) -> Any:
    if hasattr(value, "get_config"):
        config = {name: item for name, item in value.get_config().items() if name != "name"}
        return describe_value(config)  # Keras numbers the names: adam, adam_1, ...
    if isinstance(value, CorruptingTransformer):
        return describe_value(value.get_params(deep=False))
    if dataclasses.is_dataclass(value):
        return {
            field.name: describe_value(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    return {name: _describe_scalar(item) for name, item in vars(value).items()}


def _describe_scalar(value: Any) -> Any:
    """Describe a value in one step: objects may refer to each other in cycles."""
    if isinstance(value, np.ndarray):
        return _checksum([value])
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return list(map(_describe_scalar, value))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    is_code = inspect.isclass(value) or inspect.isroutine(value)
    return _qualified_name(value if is_code else type(value))


def _qualified_name(value: Any) -> str:
    """Return the name of a class or a function, with a checksum of the source if it is a user's."""
    name = f"{value.__module__}.{value.__qualname__}"
    if value.__module__.split(".")[0] in ("keras", "tensorflow", "skae", "numpy", "builtins"):
        return name
    try:
        source = inspect.getsource(value)
    except (OSError, TypeError):  # typed into an interpreter, or not written in Python
        return name
    return f"{name} {hashlib.blake2b(source.encode(), digest_size=8).hexdigest()}"
