"""The cells that a corruption replaces: their rates, and columns that are replaced together.

A cell is the value of one column in one row.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from skae._checks import check_number
from skae._typing import Array, Floats, Rng

PerFeature = float | Sequence[float] | Array
Groups = Sequence[Sequence[int] | Array] | Array | None

LISTS = (list, tuple, range, np.ndarray)


def check_per_feature(name: str, value: Any, n_features: int | None, **limits: Any) -> None:
    """Raise an error unless ``value`` is a number, or a list of one number for each feature.

    Parameters
    ----------
    name : str
        Name of the parameter, for errors.
    value : object
        Value of the parameter.
    n_features : int or None
        The length that a list must have.  None allows any length.
    **limits
        The range of each number, for `check_number`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range, or the list has another length.
    """
    if not _is_list(value):
        check_number(name, value, **limits)
        return
    for place, number in enumerate(value):
        check_number(f"{name}[{place}]", number, **limits)
    if n_features is not None and len(value) != n_features:
        raise ValueError(
            f"{name} must be a number, or hold one number for each of the {n_features} features "
            f"of X; got {len(value)} numbers."
        )


def check_cells(fraction: Any, groups: Any, n_features: int | None) -> None:
    """Raise an error unless ``fraction`` and ``groups`` choose cells of rows with these features.

    If ``n_features`` is None, only what does not depend on the number of features is checked.
    """
    check_per_feature("fraction", fraction, n_features, low=0, high=1)
    if groups is None:
        return
    _check_groups(groups, np.inf if n_features is None else n_features - 1)
    if n_features is not None and _is_list(fraction):
        _check_equal_rates(fraction, groups)


def _is_list(value: Any) -> bool:
    return isinstance(value, LISTS) and getattr(value, "ndim", 1) > 0


def _check_groups(groups: Any, last: float) -> None:
    """Raise an error unless ``groups`` are disjoint lists of column numbers up to ``last``."""
    if not (_is_list(groups) and all(map(_is_filled, groups))):
        raise TypeError(
            "groups must be None or a list of groups, each a list of column numbers such as "
            f"[[0, 1], [4, 5, 6]]; got {groups!r}."
        )
    for place, group in enumerate(groups):
        for i, column in enumerate(group):
            check_number(f"groups[{place}][{i}]", column, low=0, high=last, kind=Integral)
    counts = Counter(map(int, itertools.chain.from_iterable(groups)))
    if shared := [column for column, count in counts.items() if count > 1]:
        raise ValueError(f"groups must not share columns; got columns {shared} more than once.")


def _is_filled(group: Any) -> bool:
    return _is_list(group) and len(group) > 0


def _check_equal_rates(fraction: Any, groups: Any) -> None:
    for place, group in enumerate(groups):
        rates = sorted({float(fraction[column]) for column in group})
        if len(rates) > 1:
            raise ValueError(
                "fraction must be the same for all columns of a group, because they are replaced "
                f"together; the columns of groups[{place}] have {rates}."
            )


def number_units(groups: Groups, n_features: int) -> Array:
    """Return a number for each column.  The columns of a group share it; other columns do not."""
    first = np.arange(n_features)
    for group in () if groups is None else groups:
        first[list(group)] = group[0]
    return np.unique(first, return_inverse=True)[1]


def rates(fraction: PerFeature) -> Floats:
    """Return the probabilities as an array that broadcasts against rows."""
    return np.asarray(fraction, np.float32)


def choose_cells(fraction: PerFeature, groups: Groups, shape: tuple[int, ...], rng: Rng) -> Array:
    """Return a boolean array that is True for the cells to replace.

    There is one random decision for each row and column, or for each row and group.
    """
    if groups is None:
        return rng.random(shape, np.float32) < rates(fraction)
    units = number_units(groups, shape[1])
    decisions = rng.random((shape[0], units.max() + 1), np.float32)
    return decisions.take(units, axis=1) < rates(fraction)
