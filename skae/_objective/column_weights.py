"""The weights that columns have in the loss and in the score."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skae._checks import check_number
from skae._typing import Array

NAME = "feature_weights"


def check_column_weights(value: Any) -> None:
    """Raise an error unless ``feature_weights`` is None, a list of weights, or a dict of them."""
    if value is None:
        return
    is_named = isinstance(value, Mapping)
    weights = dict(value) if is_named else dict(enumerate(_as_list(value)))
    for column, weight in weights.items():
        check_number(f"{NAME}[{column!r}]", weight, low=0)
    if not is_named and not any(weights.values()):
        raise ValueError(f"{NAME} must have a weight above 0; got {value!r}.")


def column_weights(
    value: Any, n_features: int, names: Sequence[Any] | None, order: Sequence[int] | None = None
) -> Array | None:
    """Return the weights of the columns that are compared, with a mean of one.

    Parameters
    ----------
    value : object
        The parameter ``feature_weights``.
    n_features : int
        Number of columns of X.
    names : sequence or None
        Names of these columns, if they have any.
    order : sequence of int, default=None
        The places of the columns that are compared.  None means all, in the order of X.

    Returns
    -------
    weights : ndarray of shape (n_columns,) or None
        A weight for each place in ``order``, in float64.  None if all are equal.

    Raises
    ------
    ValueError, TypeError
        If ``value`` does not have a weight for each column, or names others.
    """
    check_column_weights(value)
    if value is None:
        return None
    listed = _by_name(value, names) if isinstance(value, Mapping) else _as_list(value)
    if len(listed) != n_features:
        raise ValueError(
            f"{NAME} must have a weight for each of the {n_features} columns of X; got "
            f"{len(listed)} weights."
        )
    weights = np.array([float(weight) for weight in listed])
    weights = weights if order is None else weights[list(order)]
    if not weights.any():
        raise ValueError(
            f"{NAME} must have a weight above 0 for a column that has values in X; got {value!r}."
        )
    weights = weights / weights.max()  # the sum of large weights may overflow
    return None if np.ptp(weights) == 0 else weights / weights.mean()


def _as_list(value: Any) -> list[Any]:
    """Return the weights of a list, an array or a column of a frame."""
    is_text = isinstance(value, str | bytes)
    array: Any = None if is_text or not hasattr(value, "__len__") else np.asarray(value, object)
    if array is None or array.ndim != 1 or isinstance(value, set | frozenset):
        raise TypeError(
            f"{NAME} must be None, a list with a weight for each column of X, or a dict of weights "
            f"by names of columns; got {value!r}."
        )
    found: list[Any] = array.tolist()
    return found


def _by_name(weights: Mapping[Any, Any], names: Sequence[Any] | None) -> list[Any]:
    """Return the weights of columns by their names; columns that are not named have one."""
    if names is None:
        raise ValueError(
            f"{NAME} must be a list for an X without names of columns; got the dict {weights!r}."
        )
    known = list(names)
    unknown = [name for name in weights if name not in known]
    if unknown:
        raise ValueError(f"{NAME} must name columns of X, which are {known}; got {unknown}.")
    return [weights.get(name, 1) for name in known]
