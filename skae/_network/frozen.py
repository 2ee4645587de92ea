"""Parameters as hashable values, for the key of a compiled program."""

import inspect
import json
import operator
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class KerasConfig:
    """The class and the configuration of a Keras object.

    Two objects of the same class and configuration have equal descriptions.  A grid search clones
    its parameters, so every candidate has its own ``Adam(beta_1=0.8)``.  If objects were compared
    by identity, each candidate would be compiled again.
    """

    kind: Any
    config: str

    @classmethod
    def of(cls, value: Any) -> "KerasConfig":
        """Describe a Keras object."""
        config = value.get_config()
        if "learning_rate" in config:  # of an optimizer; an argument of the compiled program
            config["learning_rate"] = 0.0
            config["name"] = value.__class__.__name__  # Keras counts them: adam, adam_1, ...
        as_list = operator.methodcaller("tolist")  # for NumPy's numbers and arrays
        return cls(type(value), json.dumps(config, sort_keys=True, default=as_list))

    @property
    def missing_arguments(self) -> list[str]:
        """The arguments of the class that the configuration lacks; a copy loses their values."""
        parameters = inspect.signature(self.kind).parameters.values()
        variable = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
        taken = {p.name for p in parameters if p.kind not in variable} - {"dtype"}
        return sorted(taken - set(json.loads(self.config)))

    def build(self) -> Any:
        """Make a new Keras object with this configuration."""
        return self.kind.from_config(json.loads(self.config))


def freeze(value: Any) -> Hashable:
    """Return a hashable equivalent of a parameter that may hold Keras objects, lists or arrays."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    if hasattr(value, "get_config") and not isinstance(value, type):
        return KerasConfig.of(value)
    return value


def thaw(value: Hashable) -> Any:
    """Undo `freeze`: make new Keras objects, and lists."""
    if isinstance(value, tuple):
        return list(map(thaw, value))
    return value.build() if isinstance(value, KerasConfig) else value


def name_of(value: object) -> str:
    """Return the name of an activation or a loss.

    It may be a string, a function, a class, an object or a `KerasConfig`.
    """
    if isinstance(value, str):
        return value
    value = value.kind if isinstance(value, KerasConfig) else value
    return getattr(value, "__name__", type(value).__name__)
