"""Keras callbacks in the epoch loop."""

import copy
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from skae._architecture import Architecture
from skae._interrupts import interrupts_afterwards
from skae._keras import build_metrics, compiled_autoencoder, keras, nameless_variables
from skae._typing import Array, Floats
from skae._watchers import Watcher

HOOKS = ("on_train_begin", "on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end")
BATCH_HOOKS = (
    "on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end",
    "on_test_batch_begin", "on_test_batch_end",
)  # fmt: skip
Callback = keras.callbacks.Callback
Stamp = tuple[str, list[bytes]]  # a value as JSON and arrays
# Keras' own that have batch hooks, and what keeps these idle.  A loss that is not finite ends
# every fit with an error, so nothing is left to do for TerminateOnNaN.
BY_EPOCH = {
    keras.callbacks.ModelCheckpoint: ("save_freq", "epoch"),
    keras.callbacks.TensorBoard: ("update_freq", "epoch"),
    keras.callbacks.TerminateOnNaN: None,
}
REPLACED = {
    keras.callbacks.BackupAndRestore: "set checkpoint= to a path",
    keras.callbacks.ProgbarLogger: "set verbose=1",
    keras.callbacks.SwapEMAWeights: "averaged weights are in place when training ends",
}


def check_callbacks(callbacks: Any) -> list[Any]:
    """Return callbacks as a list; raise where one is none of Keras', or needs batches."""
    callbacks = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in callbacks:
        name = type(callback).__name__
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks must be a Keras callback or a list of them; got {callback!r}. "
                "scikit-learn's own go to set_callbacks."
            )
        for kind, instead in REPLACED.items():
            if isinstance(callback, kind):
                raise ValueError(f"callbacks: {name} does not work here: {instead} instead.")
        for hook in BATCH_HOOKS:
            if _overrides(callback, hook) and not _is_idle(callback, hook):
                raise ValueError(
                    f"callbacks: {name} needs batches ({hook}), and training runs many of them in "
                    f"one compiled call. {_advice(callback)}"
                )
    return callbacks


def _overrides(callback: Any, hook: str) -> bool:
    """Whether a callback has a hook of its own, be it from its class or set on it."""
    return hook in vars(callback) or getattr(type(callback), hook) is not getattr(Callback, hook)


def _is_idle(callback: Any, hook: str) -> bool:
    """Whether a hook is that of a callback of Keras' which is set to act by the epoch."""
    for kind, setting in BY_EPOCH.items():
        if isinstance(callback, kind) and getattr(type(callback), hook) is getattr(kind, hook):
            # TensorBoard keeps of profile_batch only the first batch to profile
            profiles = vars(callback).get("_start_batch", 0) > 0
            return setting is None or (getattr(callback, setting[0]) == setting[1] and not profiles)
    return False


def _advice(callback: Any) -> str:
    for kind, setting in BY_EPOCH.items():
        if isinstance(callback, kind) and setting is not None:
            also = " and profile_batch=0" if kind is keras.callbacks.TensorBoard else ""
            return f"Set {setting[0]}={setting[1]!r}{also}."
    return "Move what it does to on_epoch_begin or on_epoch_end."


class KerasCallbacks(Watcher):
    """Call Keras callbacks with a Keras model that has the weights of the moment.

    The model is this fit's own: what callbacks do to it touches no other fit.  Of what they
    change, weights, learning rate and ``stop_training`` count.

    The callbacks called are shallow copies, so that the user's can be cloned, pickled and used
    again, whatever files a fit opens; what they refer to (lists, an Optuna trial) is the user's.
    """

    def __init__(self, callbacks: Iterable[Any], architecture: Architecture) -> None:
        self.callbacks = list(map(copy.copy, callbacks))
        self.architecture = architecture
        self.used = {
            hook
            for hook in (*HOOKS, "on_train_end")
            if any(_overrides(callback, hook) for callback in self.callbacks)
        }

    def begin(self, fit: Any) -> None:
        self.fit = fit
        self.first = fit.start.n_epochs if fit.plan.single_epoch else 0
        with interrupts_afterwards(), nameless_variables():
            self.model = compiled_autoencoder(self.architecture)
            if self.architecture.metrics:
                build_metrics(self.model)  # there a callback looks up whether more is better
        self.model.stop_training = False
        self.rate = fit.rates_of(0)[0]
        params = {"epochs": self.first + fit.epochs, "steps": fit.steps_per_epoch, "verbose": 0}
        for callback in self.callbacks:
            callback.set_params(dict(params))
            callback.set_model(self.model)
        self._call("on_train_begin")
        self.at_begin = [_stamps(callback) for callback in self.callbacks]

    def begin_epoch(self, epoch: int) -> None:
        self._call("on_epoch_begin", self.first + epoch, rate=self.fit.rates_of(epoch)[0])

    def begin_validation(self) -> None:
        self._call("on_test_begin")

    def end_validation(self, record: dict[str, float]) -> None:
        self._call("on_test_end", logs=record)

    def end_epoch(self, epoch: int, record: dict[str, float]) -> bool:
        """Let callbacks add to ``record``, as to Keras' logs."""
        logs = dict(record)
        self._call("on_epoch_end", self.first + epoch, logs=logs, rate=record["learning_rate"])
        record.update({k: float(v) for k, v in logs.items() if k not in record and _is_number(v)})
        return self.model.stop_training

    def end(self) -> None:
        """Call ``on_train_end`` with the weights to leave behind, which it may change."""
        logs = dict(self.fit.history[-1]) if self.fit.history else {}
        if self._call("on_train_end", logs=logs, weights=self.fit.weights()):
            self.fit.best_weights = None

    def close(self) -> None:
        for callback in self.callbacks:
            Callback.set_model(callback, None)  # TensorBoard's own would open a file

    def state(self) -> tuple[list[dict[str, Any]], list[Array]]:
        """What the callbacks know that they did not when training began, for a checkpoint.

        Numbers, text, arrays, and lists and dicts of these are kept; open files and the like are
        left as the resumed fit makes them.  Text that was there before may name a file to write,
        and no checkpoint changes that.
        """
        arrays: list[Array] = []
        states = []
        for callback, before in zip(self.callbacks, self.at_begin, strict=True):
            after = _stamps(callback)
            changed = [name for name, stamp in after.items() if before.get(name) != stamp]
            _check_texts(callback, before, changed)
            states.append(
                {
                    name: _encode(vars(callback)[name], arrays)
                    for name in changed
                    if _is_state(callback, name, before)
                }
            )
        return states, arrays

    def restore(self, states: list[dict[str, Any]], arrays: list[Array]) -> None:
        """Give back what `state` has kept, and change nothing else."""
        for callback, before, state in zip(self.callbacks, self.at_begin, states, strict=True):
            for name, value in state.items():
                if not _is_state(callback, name, before):
                    raise ValueError(
                        f"The checkpoint is damaged: it would change {name!r} of the callback "
                        f"{type(callback).__name__}. Delete it to train anew."
                    )
                vars(callback)[name] = _decode(value, arrays)

    def _call(
        self,
        hook: str,
        *args: int,
        logs: dict[str, float] | None = None,
        rate: float | None = None,
        weights: list[Floats] | None = None,
    ) -> bool:
        """Call a hook of every callback; return whether that changed the weights."""
        if hook not in self.used:
            return False
        weights = weights or self.fit.current_weights()
        rate = float(np.float32(self.rate if rate is None else rate))
        self._show(weights, rate)
        for callback in self.callbacks:
            try:
                getattr(callback, hook)(*args, logs)
            except Exception as error:
                where = f", epoch {args[0]}" if args else ""
                error.add_note(f"Raised by the callback {type(callback).__name__} ({hook}{where}).")
                raise
        self._take_rate(rate)
        return self._take_weights(weights)

    def _show(self, weights: list[Floats], rate: float) -> None:
        """Bring the model to the moment."""
        self.model.set_weights(weights)
        self.model.optimizer.learning_rate.assign(rate)
        self.model.optimizer.iterations.assign(self.fit.n_steps)

    def _take_weights(self, shown: list[Floats]) -> bool:
        weights = self.model.get_weights()
        if all(map(np.array_equal, weights, shown)):
            return False
        self.fit.set_weights(weights)
        return True

    def _take_rate(self, shown: float) -> None:
        """Scale the rest of the schedule, so that it goes on from the rate that was set."""
        self.rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if self.rate == shown:
            return
        if shown == 0:
            raise ValueError(
                f"A callback set the learning rate to {self.rate:.3g} where the schedule has come "
                "to 0, which cannot be scaled: set learning_rate_schedule='constant'."
            )
        self.fit.rate_factor *= self.rate / shown


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number)


def _stamps(callback: object) -> dict[str, Stamp]:
    """Know each attribute that `_encode` takes by its value."""
    stamps: dict[str, Stamp] = {}
    for name, value in vars(callback).items():
        arrays: list[Array] = []
        try:
            text = json.dumps(_encode(value, arrays))
        except TypeError:
            continue
        stamps[name] = text, [array.tobytes() for array in arrays]
    return stamps


def _is_text(stamp: Stamp) -> bool:
    return stamp[0].startswith('"')


def _check_texts(callback: object, before: dict[str, Stamp], changed: list[str]) -> None:
    for name in changed:
        if name in before and _is_text(before[name]):
            raise ValueError(
                f"callbacks: {type(callback).__name__} has changed its text {name!r}, which no "
                "checkpoint can give back, as text may name a file to write. Keep a number "
                "instead, or leave out checkpoint."
            )


def _is_state(callback: object, name: str, before: dict[str, Stamp]) -> bool:
    """Whether an attribute is new, or one that had a value of `_encode`'s, other than text."""
    return not _is_text(before[name]) if name in before else not hasattr(callback, name)


def _encode(value: Any, arrays: list[Array]) -> Any:
    """Turn a value into JSON's types and a list of arrays; raise TypeError where that cannot be."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_encode(item, arrays) for item in value]
    if isinstance(value, dict):
        return {"dict": [[key, _encode(item, arrays)] for key, item in value.items()]}
    name = getattr(value, "__name__", "")
    if callable(value) and getattr(keras.ops, name, None) is value:
        return {"op": name}  # how EarlyStopping remembers what is better
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} does not go into a checkpoint.")


def _decode(value: Any, arrays: list[Array]) -> Any:
    """Undo `_encode`; raise ValueError where the value is none of its."""
    try:
        return _decoded(value, arrays)
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            "The checkpoint is damaged: what it knows of the callbacks cannot be read. Delete it "
            "to train anew."
        ) from error


def _decoded(value: Any, arrays: list[Array]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "op" in value:
        return getattr(keras.ops, value["op"])
    return {key: _decoded(item, arrays) for key, item in value["dict"]}
