"""Keras' own objects as JSON, which runs no code when it is read.

Keras' own deserialization makes any layer, some of which load files and programs.  An estimator's
parameters need far less, and nothing else is made here.
"""

import inspect
import json
from typing import Any

from skae._keras import keras, nameless_variables

NAMESPACES = ("optimizers", "losses", "metrics")  # whose classes may be parameters
MODULES = {
    "keras.optimizers", "keras.optimizers.schedules", "keras.losses", "keras.metrics",
    "keras.activations",
}  # fmt: skip
SINGLE = {
    ("builtins", "function"),  # one of Keras' losses, metrics and activations
    ("keras", "DTypePolicy"),
    *(("keras.layers", name) for name in ("Activation", "ELU", "LeakyReLU", "ReLU", "Softmax")),
}


def to_json(value: Any) -> str | None:
    """Configuration of what Keras can make again from it: its own objects, classes and functions.

    None for everything else, such as a user's function.
    """
    if inspect.isclass(value):
        for part in NAMESPACES:
            name = getattr(value, "__name__", "")
            if getattr(getattr(keras, part), name, None) is value:
                return json.dumps([part, name])
        return None
    try:
        config = json.dumps(keras.saving.serialize_keras_object(value))
        return config if _is_same(from_json(config), value) else None
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return None


def from_json(config: str) -> Any:
    """Undo `to_json`; raise ValueError where that would make anything else.

    Classes and functions that the user has registered with Keras are made as well.
    """
    made = json.loads(config)
    if isinstance(made, list) and made[0] in NAMESPACES:
        kind = getattr(getattr(keras, made[0]), made[1], None)
        if not inspect.isclass(kind):
            raise ValueError(f"{made[1]!r} is no class of keras.{made[0]}.")
        return kind
    _check(made)
    with nameless_variables():
        return keras.saving.deserialize_keras_object(made, safe_mode=True)


def _check(config: Any) -> None:
    """Refuse a configuration that names, at any depth, what no parameter can be."""
    if isinstance(config, dict):
        if "class_name" in config and not _is_known(config):
            raise ValueError(
                "A Keras object among the parameters may be an optimizer, schedule, loss, metric "
                f"or activation; got {config['class_name']!r} of {config.get('module')!r}. The "
                "file was changed, or needs a class to be registered first: see "
                "keras.saving.register_keras_serializable."
            )
        config = list(config.values())
    if isinstance(config, list):
        for item in config:
            _check(item)


def _is_known(config: dict[str, Any]) -> bool:
    kind, module = config["class_name"], config.get("module")
    name = config.get("config") if kind == "function" else config.get("registered_name")
    if isinstance(name, str) and keras.saving.get_registered_object(name) is not None:
        return True
    return kind == "__numpy__" or module in MODULES or (module, kind) in SINGLE


def _is_same(copy: Any, value: Any) -> bool:
    """Whether a copy is of the value's type; another function may have the name of Keras' own."""
    if isinstance(value, list | tuple):
        return len(copy) == len(value) and all(map(_is_same, copy, value))
    return copy is value if inspect.isroutine(value) else type(copy) is type(value)
