"""Keras' own objects as JSON, which runs no code when it is read.

Keras can deserialize any layer, and some layers load files or run programs.  The parameters of an
estimator need only optimizers, schedules, losses, metrics and activations.  This module refuses
everything else.
"""

import inspect
import json
from typing import Any

from skae._engine.tensorflow import keras, unnamed_variables

NAMESPACES = ("optimizers", "losses", "metrics")  # modules of classes that may be parameters

MODULES = {
    "keras.optimizers", "keras.optimizers.schedules", "keras.losses", "keras.metrics",
    "keras.activations",
}  # fmt: skip

SINGLE = {
    ("builtins", "function"),  # a loss, metric or activation of Keras
    ("keras", "DTypePolicy"),
    *(("keras.layers", name) for name in ("Activation", "ELU", "LeakyReLU", "ReLU", "Softmax")),
}


class UnknownClassError(ValueError):
    """A class or a function of the user is not registered with Keras in this process."""


def to_json(value: Any) -> str | None:
    """Return the configuration of an object, class or function of Keras, as JSON.

    Return None if Keras cannot make the same again from it, as with a user's function.
    """
    if inspect.isclass(value):
        for part in NAMESPACES:
            name = getattr(value, "__name__", "")
            if getattr(getattr(keras, part), name, None) is value:
                return json.dumps([part, name])
        return None
    if any(map(_is_own_function, value if isinstance(value, list | tuple) else [value])):
        return None
    try:
        config = json.dumps(keras.saving.serialize_keras_object(value))
        return config if _is_same(from_json(config), value) else None
    except (TypeError, ValueError, AttributeError, NotImplementedError, OSError):
        return None


def _is_own_function(value: Any) -> bool:
    """Return whether a value is a user's function that is not registered with Keras.

    For a lambda, Keras would read the source and issue a warning.
    """
    if not inspect.isfunction(value) or value.__module__.startswith("keras."):
        return False
    registered = keras.saving.get_registered_object(keras.saving.get_registered_name(value))
    return registered is not value


def from_json(config: str) -> Any:
    """Undo `to_json`, also for classes and functions that the user has registered with Keras.

    Raises
    ------
    UnknownClassError
        If a class or a function of the user is not registered.
    ValueError
        If the configuration is not of an object that may be a parameter.
    """
    made = json.loads(config)
    if isinstance(made, list) and made[0] in NAMESPACES:
        kind = getattr(getattr(keras, made[0]), made[1], None)
        if not inspect.isclass(kind):
            raise ValueError(f"{made[1]!r} must be a class of keras.{made[0]}; there is none.")
        return kind
    _check(made)
    with unnamed_variables():
        return keras.saving.deserialize_keras_object(made, safe_mode=True)


def _check(config: Any) -> None:
    """Raise an error if a configuration names, at any depth, an object that is not allowed."""
    if isinstance(config, dict):
        if "class_name" in config and not _is_known(config):
            raise _refusal(config)
        config = list(config.values())
    if isinstance(config, list):
        for item in config:
            _check(item)


def _name(config: dict[str, Any]) -> Any:
    """Return the name under which Keras has registered a class or a function."""
    return config.get("config" if config["class_name"] == "function" else "registered_name")


def _refusal(config: dict[str, Any]) -> ValueError:
    kind, module, name = config["class_name"], config.get("module"), _name(config)
    if isinstance(name, str) and ">" in name:
        return UnknownClassError(
            f"{name} is not registered in this process: import its module, or register it with "
            "keras.saving.register_keras_serializable, before you load the file"
        )
    return ValueError(
        "A Keras object among the parameters may be an optimizer, schedule, loss, metric or "
        f"activation; got {kind!r} of {module!r}. If it is a class of your own, register it "
        "before you load the file, with keras.saving.register_keras_serializable."
    )


def _is_known(config: dict[str, Any]) -> bool:
    """Return whether Keras may make the object that a configuration names."""
    kind, module, name = config["class_name"], config.get("module"), _name(config)
    if isinstance(name, str) and keras.saving.get_registered_object(name) is not None:
        return True
    return kind == "__numpy__" or module in MODULES or (module, kind) in SINGLE


def _is_same(copy: Any, value: Any) -> bool:
    """Return whether a copy is of the same type, or is the same function.

    A user's function may have the name of a function of Keras.
    """
    if isinstance(value, list | tuple):
        return len(copy) == len(value) and all(map(_is_same, copy, value))
    return copy is value if inspect.isroutine(value) else type(copy) is type(value)
