"""The attributes of Keras callbacks that a checkpoint keeps."""

import json
from typing import Any

import numpy as np

from skae._engine.tensorflow import keras
from skae._training.plan import DamageError
from skae._typing import Array

Stamp = tuple[str, list[bytes]]  # an attribute as JSON, and its arrays


class CallbackState:
    """The attributes of a callback that training changes.

    Numbers, text, arrays, and lists and dicts of these are kept.  Open files and other objects stay
    as the resumed fit makes them.  A text that existed before training is never restored, because
    it may name a file to write.

    Parameters
    ----------
    callback : keras.callbacks.Callback
        The callback when training begins.
    """

    def __init__(self, callback: Any) -> None:
        self.callback, self.before = callback, _stamps(callback)

    def changes(self, arrays: list[Array]) -> dict[str, Any]:
        """Return the attributes that have changed since, and append their arrays to ``arrays``.

        Raises
        ------
        ValueError
            If the callback has changed a text.
        """
        after = _stamps(self.callback)
        changed = [name for name, stamp in after.items() if self.before.get(name) != stamp]
        for name in changed:
            if name in self.before and _is_text(self.before[name]):
                raise ValueError(
                    f"callbacks: {type(self.callback).__name__} changed its text {name!r} during "
                    "training. A checkpoint restores no text, because it could name a file to "
                    "write. Keep a number instead, or set checkpoint=None."
                )
        values = vars(self.callback)
        return {name: encode(values[name], arrays) for name in changed if self._is_kept(name)}

    def restore(self, changes: dict[str, Any], arrays: list[Array]) -> None:
        """Set the attributes that `changes` returned, and no others.

        Raises
        ------
        DamageError
            If `changes` cannot have returned one of them.
        """
        for name, value in changes.items():
            if not self._is_kept(name):
                kind = type(self.callback).__name__
                raise DamageError(f"it would change {name!r} of the callback {kind}")
            vars(self.callback)[name] = decode(value, arrays)

    def _is_kept(self, name: str) -> bool:
        """Return whether an attribute is new, or can be encoded and was not a text before."""
        if name in self.before:
            return not _is_text(self.before[name])
        return not hasattr(self.callback, name)


def _stamps(callback: object) -> dict[str, Stamp]:
    """Return the values of all attributes that `encode` accepts."""
    stamps: dict[str, Stamp] = {}
    for name, value in vars(callback).items():
        arrays: list[Array] = []
        try:
            text = json.dumps(encode(value, arrays))
        except TypeError:
            continue
        stamps[name] = text, [array.tobytes() for array in arrays]
    return stamps


def _is_text(stamp: Stamp) -> bool:
    return stamp[0].startswith('"')


def encode(value: Any, arrays: list[Array]) -> Any:
    """Return a value in JSON's types, and append its arrays to a list.

    Raises
    ------
    TypeError
        If the value contains anything else.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.itemsize <= 8:
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [encode(item, arrays) for item in value]
    if isinstance(value, dict):
        return {"dict": [[key, encode(item, arrays)] for key, item in value.items()]}
    name = getattr(value, "__name__", "")
    if callable(value) and getattr(keras.ops, name, None) is value:
        return {"op": name}  # EarlyStopping keeps its comparison so
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} cannot be stored in a checkpoint.")


def decode(value: Any, arrays: list[Array]) -> Any:
    """Undo `encode`."""
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "op" in value:
        return getattr(keras.ops, value["op"])
    return {key: decode(item, arrays) for key, item in value["dict"]}
