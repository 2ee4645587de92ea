"""The user's functions while TensorFlow traces them: their checks, and the errors that name them.

A program computes with tensors that have no values yet.  A function of NumPy, or a Python ``if``,
works on arrays and on Keras' eager tensors, and fails there.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from skae._engine.tensorflow import tf
from skae._network.frozen import name_of
from skae._typing import Tensor

KINDS = {"metrics": "functions that return a value for each row and", "optimizer": "an optimizer"}

ADVICE = (
    "If it calls NumPy or has a Python `if` on tensors, use keras.ops or tf, and keras.ops.where, "
    "instead."
)

# What follows is TensorFlow's advice, which does not apply here.
FOREIGN_ADVICE = re.compile(r" (You can attempt the following|This error may indicate).*")


class ResultError(Exception):
    """A program cannot use a function's result; the message is a clause about the function."""


class TracingError(ValueError):
    """A function of the user failed while TensorFlow traced it; the message names it."""


def is_of_keras(value: object) -> bool:
    """Return whether Keras or skae defines a function, a class or the class of an object."""
    module = getattr(value, "__module__", None) or type(value).__module__
    return module.partition(".")[0] in ("keras", "skae")


def named(parameter: str, function: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """Return a function that does the same; if it fails, the error names parameter and function."""

    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except TracingError:
            raise
        except Exception as error:
            raise failure(parameter, name or _name(function), error) from error

    return call


def failure(parameter: str, name: str, error: Exception) -> TracingError:
    """Return the error that names a parameter, its function, and what to do."""
    kind = KINDS.get(parameter, "a function")
    message = FOREIGN_ADVICE.sub("", shorten_error(error)).rstrip(".")
    if not isinstance(error, ResultError):
        message = f"raised {type(error).__name__}: {message}"
    return TracingError(
        f"{parameter} must be {kind} that TensorFlow can compile; got {name}, which {message}. "
        f"{ADVICE}"
    )


def _name(function: object) -> str:
    """Return the name of a function, also of one in a ``functools.partial``."""
    return name_of(getattr(function, "func", function))


def traced_shape(
    parameter: str,
    function: Callable[..., Any],
    n_arguments: int,
    shape: Sequence[int],
    name: str = "",
) -> tuple[int, ...]:
    """Trace a function of tensors of one shape, call the result, and return the result's shape.

    Raises
    ------
    TracingError
        If the function fails, or does not return float32 that has a gradient with respect to the
        last argument.
    """
    example = tf.fill(shape, 0.5)

    def probe(*tensors: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            tape.watch(tensors[-1])
            result = function(*tensors)
        if not tf.is_tensor(result):
            raise ResultError(f"returned a {type(result).__name__} instead of a tensor")
        if result.dtype != tf.float32:
            raise ResultError(f"returned {result.dtype.name} instead of float32")
        if tape.gradient(result, tensors[-1]) is None:
            raise ResultError("returned a result without a gradient")
        return result

    try:
        traced = tf.function(probe, autograph=False).get_concrete_function(
            *[tf.TensorSpec(shape)] * n_arguments
        )
        return tuple(traced(*[example] * n_arguments).shape)
    except Exception as error:
        raise failure(parameter, name or _name(function), error) from error


def shorten_error(error: Exception) -> str:
    """Return an error's message without the names and the links that TensorFlow adds."""
    first_line = (str(error) or type(error).__name__).splitlines()[0]
    return re.sub(r" for '?\{\{.*|\{\{[^}]*\}\} ?| See https://.*", "", first_line)
