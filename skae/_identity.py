"""What has to be the same for a fit to go on from a checkpoint: versions, parameters, data."""

import hashlib
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from skae._records import Rows, State
from skae._sources import Source
from skae._typing import Array, Matrix

BLOCK_ROWS = 4096
NO_MATTER = ("verbose", "checkpoint", "random_state")  # the seed stands for the last


def identify(
    estimator: Any, seed: int, rows: Rows, validation: Rows | None, start: State | None
) -> dict[str, Any]:
    """Describe a fit in JSON's types, name by name.

    The data are read once, at some 1 GB/s, and known by a checksum of all values.
    """
    from skae import __version__
    from skae._keras import keras, tf

    params = {
        name: describe(value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in NO_MATTER
    }
    return {
        "skae": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "Keras' dtype policy": keras.config.dtype_policy().name,
        "estimator": type(estimator).__name__,
        **params,
        "random_state": seed,
        **_data(rows, ("X", "X_clean", "sample_weight")),
        **_data(validation, ("X_val", "X_val_clean"), rows),
        "weights to start from": start and _checksum([*start.weights, np.array(start.n_epochs)]),
    }


def _data(rows: Rows | None, names: Sequence[str], known: Rows | None = None) -> dict[str, Any]:
    """Describe the matrices and weights of `Rows`, but for those of ``known`` ones."""
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
    """Describe rows by their shape, dtype and a checksum of all values."""
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


def describe(value: Any) -> Any:
    """Describe a parameter so that another process can tell whether it has the same."""
    if isinstance(value, list | tuple):
        return list(map(describe, value))
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if hasattr(value, "get_config") and not inspect.isclass(value):
        config = {name: item for name, item in value.get_config().items() if name != "name"}
        return {_code(type(value)): describe(config)}  # Keras counts names: adam, adam_1, ...
    if hasattr(value, "__dict__") and not (inspect.isclass(value) or inspect.isroutine(value)):
        return {_code(type(value)): {name: _plain(item) for name, item in vars(value).items()}}
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _checksum([value])
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _code(value if inspect.isclass(value) or inspect.isroutine(value) else type(value))


def _code(value: Any) -> str:
    """Name a class or a function, and tell a changed one of the user's by its source."""
    name = f"{value.__module__}.{value.__qualname__}"
    if value.__module__.split(".")[0] in ("keras", "tensorflow", "skae", "numpy", "builtins"):
        return name
    try:
        source = inspect.getsource(value)
    except (OSError, TypeError):  # typed into an interpreter, or no Python
        return name
    return f"{name} {hashlib.blake2b(source.encode(), digest_size=8).hexdigest()}"
