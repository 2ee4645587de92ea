"""Checks of parameters.  Each error names the expected and the given value."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import sklearn.utils

FLOAT32_MAX = float(np.finfo(np.float32).max)  # training computes in float32
LARGEST = 2**31 - 1  # of integers, which TensorFlow holds in 32 bits
MAX_SEED = 2**32 - 1  # of a RandomState


def check_number(
    name: str,
    value: Any,
    *,
    low: float,
    high: float = np.inf,
    kind: type[Any] = Real,
    above: bool = False,
    below: bool = False,
    auto: bool = False,
) -> None:
    """Raise an error unless ``value`` is a number in a range, and finite in float32.

    Parameters
    ----------
    name : str
        Name of the parameter, for the error.
    value : object
        Value of the parameter.
    low, high : float
        Limits of the range.  Both are part of it, unless ``above`` or ``below`` excludes them.
    kind : {Real, Integral}, default=Real
        Whether any number is allowed, or only integers, which must be at most ``LARGEST``.
    above, below : bool, default=False
        Whether the number must be above ``low``, and below ``high``.
    auto : bool, default=False
        Whether "auto" is allowed as well.

    Raises
    ------
    TypeError
        If ``value`` is not of this kind, or is a bool.
    ValueError
        If ``value`` is outside the range, or overflows float32.
    """
    if auto and is_auto(value):
        return
    expected = "'auto' or " * auto + _describe_range(kind, low, high, above=above, below=below)
    if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {expected}; got {value!r} of type {type(value).__name__}.")
    is_low = value > low if above else value >= low
    is_high = value < high if below else value <= high
    if not (is_low and is_high):
        raise ValueError(f"{name} must be {expected}; got {value!r}.")
    if kind is Integral and int(value) > LARGEST:
        raise ValueError(f"{name} must be at most {LARGEST}; got {value!r}.")
    if not fits_float32(value):
        raise ValueError(f"{name} must be finite in float32; got {value!r}.")


def _describe_range(kind: type[Any], low: float, high: float, *, above: bool, below: bool) -> str:
    if kind is Integral and (low, high) == (1, np.inf):
        return "a positive integer"
    if low == -np.inf:
        return "a finite number"
    noun = "an integer" if kind is Integral else "a number"
    end = "" if high == np.inf else f" and {'below' if below else 'at most'} {high}"
    return f"{noun} {'above' if above else 'of at least'} {low}{end}"


def is_auto(value: Any) -> bool:
    """Return whether a parameter is "auto"; comparing an array with it would give an array."""
    return isinstance(value, str) and value == "auto"


def fits_float32(value: Any) -> bool:
    """Return whether a number is finite in float32."""
    # NumPy would convert the limit to float16 to compare it with a float16
    value = value.item() if isinstance(value, np.generic) else value
    return bool(abs(value) <= FLOAT32_MAX)


def check_bool(name: str, value: Any, *, auto: bool = False) -> None:
    """Raise TypeError unless ``value`` is True or False: the string "False" would count as true.

    ``auto`` says whether "auto" is a value, too.
    """
    if not (isinstance(value, bool | np.bool_) or (auto and is_auto(value))):
        values = "True, False or 'auto'" if auto else "True or False"
        raise TypeError(f"{name} must be {values}; got {value!r} of type {type(value).__name__}.")


def check_option(name: str, value: Any, options: Sequence[str]) -> None:
    """Raise ValueError unless ``value`` is one of some strings."""
    if not isinstance(value, str) or value not in options:
        known = " or ".join(map(repr, options))
        raise ValueError(f"{name} must be {known}; got {value!r}.")


def check_path(name: str, value: Any) -> None:
    """Raise TypeError unless ``value`` is the path of a file, as a string or an object, or None."""
    if not isinstance(value, str | os.PathLike | None):
        raise TypeError(f"{name} must be the path of a file or None; got {value!r}.")


def check_hidden_layer_sizes(sizes: Any) -> tuple[int, ...]:
    """Return ``hidden_layer_sizes`` as a tuple of positive int."""
    return _layer_sizes("hidden_layer_sizes", sizes, "positive integers")


def check_decoder_layer_sizes(sizes: Any) -> tuple[int, ...] | None:
    """Return ``decoder_layer_sizes`` as a tuple of positive int, or None."""
    if sizes is None:
        return None
    return _layer_sizes("decoder_layer_sizes", sizes, "None or positive integers")


def _layer_sizes(name: str, sizes: Any, expected: str) -> tuple[int, ...]:
    given = sizes
    if isinstance(sizes, Integral):
        sizes = (sizes,)
    if isinstance(sizes, np.ndarray):
        sizes = list(np.atleast_1d(sizes))
    # a set or a dict has no order, and an iterator would be empty in the next fit
    if not isinstance(sizes, Sequence) or isinstance(sizes, str | bytes):
        sizes = (None,)
    if not all(_is_size(size) for size in sizes):
        raise ValueError(f"{name} must be {expected}; got {given!r}.")
    return tuple(map(int, sizes))


def _is_size(value: Any) -> bool:
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    return is_integer and 0 < int(value) <= LARGEST


def check_clip(clip: Any) -> None:
    """Raise ValueError unless ``clip`` is None or a pair of numbers in ascending order."""
    if clip is None:
        return
    is_pair = isinstance(clip, list | tuple | np.ndarray) and np.shape(clip)[:1] == (2,)
    if not (is_pair and all(map(_is_limit, clip)) and clip[0] < clip[1]):
        raise ValueError(f"clip must be None or a pair (low, high) with low < high; got {clip!r}.")


def _is_limit(value: Any) -> bool:
    """Return whether ``value`` is a number that float32 holds, or infinity."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and (math.isinf(value) or fits_float32(value))


def check_random_state(random_state: Any) -> None:
    """Raise an error unless ``random_state`` is None, an integer or a RandomState."""
    if isinstance(random_state, np.random.RandomState | None):
        return
    expected = f"random_state must be None, an integer from 0 to {MAX_SEED} or a RandomState"
    if isinstance(random_state, bool) or not isinstance(random_state, Integral):
        hint = ""
        if isinstance(random_state, np.random.Generator):
            hint = " Draw an integer from it: int(rng.integers(2**32))."
        raise TypeError(f"{expected}; got {random_state!r}.{hint}")
    if not 0 <= int(random_state) <= MAX_SEED:
        raise ValueError(f"{expected}; got {random_state!r}.")


def make_seed(random_state: Any) -> int:
    """Draw a seed from ``random_state``, or from the operating system if it is None.

    scikit-learn would draw from NumPy's global generator if it is None.  This function leaves
    the global generator untouched.
    """
    check_random_state(random_state)
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    return int(sklearn.utils.check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextlib.contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Restore every attribute of an estimator if the code inside raises an exception."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
