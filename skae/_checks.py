"""Checks of parameters.  Each error names the expected and the given value."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator
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
    """Raise an error unless ``value`` is a number in a range, and finite in float32.

    Parameters
    ----------
    name : str
        Name of the parameter, for the error.
    value : object
        Value of the parameter.
    low, high : float
        Limits of the range.  Both are part of it, unless ``above`` excludes ``low``.
    kind : {Real, Integral}, default=Real
        Whether any number is allowed, or only integers.
    above : bool, default=False
        Whether the number must be above ``low``.

    Raises
    ------
    TypeError
        If ``value`` is not of this kind, or is a bool.
    ValueError
        If ``value`` is outside the range, or overflows float32.
    """
    noun = "an integer" if kind is Integral else "a number"
    if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {noun}; got {value!r} of type {type(value).__name__}.")
    if not ((low < value if above else low <= value) and value <= high):
        expected = _describe_range(noun, low, high, above=above)
        raise ValueError(f"{name} must be {expected}; got {value!r}.")
    if not fits_float32(value):
        raise ValueError(f"{name} must be finite in float32; got {value!r}.")


def _describe_range(noun: str, low: float, high: float, *, above: bool) -> str:
    if noun == "an integer" and (low, high) == (1, np.inf):
        return "a positive integer"
    if low == -np.inf:
        return "a finite number"
    end = "" if high == np.inf else f" and at most {high}"
    return f"{noun} {'above' if above else 'of at least'} {low}{end}"


def fits_float32(value: Any) -> bool:
    """Return whether a number is finite in float32."""
    # NumPy would convert the limit to float16 to compare it with a float16
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
    """Raise ValueError unless ``clip`` is None or a pair of numbers in ascending order."""
    if clip is None:
        return
    try:
        low, high = clip
    except (TypeError, ValueError):
        low = high = None
    if not (isinstance(low, Real) and isinstance(high, Real) and low < high):
        raise ValueError(f"clip must be None or a pair (low, high) with low < high; got {clip!r}.")


def make_seed(random_state: Any) -> int:
    """Draw a seed from ``random_state``, or from the operating system if it is None.

    scikit-learn would draw from NumPy's global generator if it is None.  This function leaves
    the global generator untouched.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a question that suggests the known names closest to ``name``, or an empty string."""
    close = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


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
