"""Checks of parameters that say what was got and what was expected."""

import difflib
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

FLOAT32_MAX = float(np.finfo(np.float32).max)  # training computes in float32


def check_number(
    name: str,
    value: Any,
    *,
    low: float,
    high: float = np.inf,
    kind: type[Any] = Real,
    above: bool = False,
) -> None:
    """Raise unless ``value`` is a number from ``low`` to ``high`` that is finite in float32.

    ``above`` excludes ``low`` itself.
    """
    what = "an integer" if kind is Integral else "a number"
    if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {what}; got {value!r} of type {type(value).__name__}.")
    in_range = (low < value if above else low <= value) and value <= high
    if not in_range or not fits_float32(value):
        bounds = f"{'above' if above else 'at least'} {low}"
        bounds += " and finite in float32" if high == np.inf else f" and at most {high}"
        raise ValueError(f"{name} must be {what} {bounds}; got {value!r}.")


def fits_float32(value: Any) -> bool:
    """Whether a number is finite in float32."""
    # NumPy would convert the limit to a float16 that it is compared with
    value = value.item() if isinstance(value, np.generic) else value
    return bool(abs(value) <= FLOAT32_MAX)


def check_layer_sizes(sizes: Any) -> tuple[int, ...]:
    """Return ``hidden_layer_sizes`` as a tuple of positive int."""
    given = sizes
    if isinstance(sizes, Integral):
        sizes = (sizes,)
    try:
        sizes = tuple(sizes)
    except TypeError:
        sizes = (None,)
    if not all(
        isinstance(size, Integral) and not isinstance(size, bool) and int(size) > 0
        for size in sizes
    ):
        raise ValueError(f"hidden_layer_sizes must be positive integers; got {given!r}.")
    return tuple(map(int, sizes))


def check_clip(clip: Any) -> None:
    """Raise unless ``clip`` is None or a pair of numbers in ascending order."""
    if clip is None:
        return
    try:
        low, high = clip
    except (TypeError, ValueError):
        low = high = None
    if not (isinstance(low, Real) and isinstance(high, Real) and low < high):
        raise ValueError(f"clip must be None or a pair (low, high) with low < high; got {clip!r}.")


def make_seed(random_state: Any) -> int:
    """Draw a seed from ``random_state``; from the operating system where it is None.

    scikit-learn would draw from NumPy's global generator there, which is left untouched.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """End an error message by the names closest to ``name``."""
    close = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
