"""Keras callbacks during a fit."""

import contextlib
import copy
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from skae._engine.lookup.tracing import is_of_keras
from skae._engine.models import build_metrics, compiled_autoencoder
from skae._engine.spec import ProgramSpec
from skae._engine.tensorflow import keras, unnamed_variables
from skae._interop.callback_state import CallbackState
from skae._process import defer_interrupts
from skae._training.plan import WatcherState
from skae._training.watchers.base import Running, Watcher
from skae._typing import Array, Floats

HOOKS = (
    "on_train_begin", "on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end",
    "on_train_end",
)  # fmt: skip

BATCH_HOOKS = (
    "on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end",
    "on_test_batch_begin", "on_test_batch_end",
)  # fmt: skip

Callback = keras.callbacks.Callback

# The callbacks of Keras that have batch hooks, and the setting with which these hooks do nothing.
# TerminateOnNaN never has anything to do, because every loss that is not finite raises an error.
BY_EPOCH = {
    keras.callbacks.ModelCheckpoint: ("save_freq", "epoch"),
    keras.callbacks.TensorBoard: ("update_freq", "epoch"),
    keras.callbacks.TerminateOnNaN: None,
}

REPLACED = {
    keras.callbacks.BackupAndRestore: "set checkpoint= to a path instead",
    keras.callbacks.ProgbarLogger: "set verbose=1 instead",
    keras.callbacks.SwapEMAWeights: "the averaged weights are set when training ends",
}


def check_callbacks(callbacks: Any) -> list[Any]:
    """Return callbacks as a list.

    Raises
    ------
    TypeError
        If one is not a Keras callback.
    ValueError
        If one needs batches, or cannot work here for another reason.
    """
    callbacks = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in callbacks:
        name = type(callback).__name__
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks must be a Keras callback or a list of them; got {callback!r}. Pass "
                "scikit-learn's callbacks to set_callbacks."
            )
        for kind, instead in REPLACED.items():
            if isinstance(callback, kind):
                raise ValueError(f"callbacks: {name} does not work here: {instead}.")
        for hook in BATCH_HOOKS:
            if _overrides(callback, hook) and not _is_idle(callback, hook):
                raise ValueError(
                    f"callbacks: {name} needs batches ({hook}), but one compiled call trains on "
                    f"many batches. {_advice(callback)}"
                )
    return callbacks


def _overrides(callback: Any, hook: str) -> bool:
    """Return whether a callback, or its class, has its own version of a hook."""
    return hook in vars(callback) or getattr(type(callback), hook) is not getattr(Callback, hook)


def _is_idle(callback: Any, hook: str) -> bool:
    """Return whether a hook belongs to a callback of Keras that is set to act after each epoch."""
    for kind, setting in BY_EPOCH.items():
        if isinstance(callback, kind) and getattr(type(callback), hook) is getattr(kind, hook):
            # Of profile_batch, TensorBoard keeps only the first batch to profile.
            profiles = vars(callback).get("_start_batch", 0) > 0
            return setting is None or (getattr(callback, setting[0]) == setting[1] and not profiles)
    return False


def _advice(callback: Any) -> str:
    for kind, setting in BY_EPOCH.items():
        if isinstance(callback, kind) and setting is not None:
            also = " and profile_batch=0" if kind is keras.callbacks.TensorBoard else ""
            return f"Set {setting[0]}={setting[1]!r}{also}."
    return "Move its work to on_epoch_begin or on_epoch_end."


class KerasCallbacks(Watcher):
    """Call Keras callbacks with a Keras model that has the current weights.

    Each fit has a model of its own, so callbacks cannot change another fit.  A fit takes over the
    changes that callbacks make to weights, learning rate and ``stop_training``.

    The fit calls shallow copies of the user's callbacks.  So the user's callbacks can be cloned,
    pickled and used again, even if the copies open files.  Copy and original share the objects
    that they refer to (lists, an Optuna trial).

    Parameters
    ----------
    callbacks : iterable of keras.callbacks.Callback
        The user's callbacks.
    spec : ProgramSpec
        Describes the model.
    """

    def __init__(self, callbacks: Iterable[Any], spec: ProgramSpec) -> None:
        self.callbacks = list(map(copy.copy, callbacks))
        self.spec = spec
        self.used = {
            hook for hook in HOOKS if any(_overrides(callback, hook) for callback in self.callbacks)
        }

    def begin(self, fit: Running) -> None:
        self.fit = fit
        with defer_interrupts(), unnamed_variables():
            self.model = compiled_autoencoder(self.spec)
            if self.spec.metrics:
                build_metrics(
                    self.model, self.spec
                )  # callbacks look up there whether higher is better
        self.model.stop_training = False
        self.rate = fit.rates.of_epoch(0)[0]
        epochs, steps = fit.epochs_before + fit.epochs, fit.rates.steps_per_epoch
        for callback in self.callbacks:
            callback.set_params({"epochs": epochs, "steps": steps, "verbose": 0})
            callback.set_model(self.model)
        self._call("on_train_begin")
        self.states = list(map(CallbackState, self.callbacks))

    def begin_epoch(self, epoch: int) -> None:
        rate = self.fit.rates.of_epoch(epoch)[0]
        self._call("on_epoch_begin", self.fit.epochs_before + epoch, rate=rate)

    def begin_validation(self) -> None:
        self._call("on_test_begin")

    def end_validation(self, record: dict[str, float]) -> None:
        self._call("on_test_end", logs=record)

    def end_epoch(self, epoch: int, record: dict[str, float]) -> bool:
        """Copy numbers that callbacks add to Keras' logs to ``record``."""
        logs, rate = dict(record), record["learning_rate"]
        self._call("on_epoch_end", self.fit.epochs_before + epoch, logs=logs, rate=rate)
        record.update({k: float(v) for k, v in logs.items() if k not in record and _is_number(v)})
        return bool(self.model.stop_training)

    def end(self) -> None:
        """Call ``on_train_end`` with the weights of the result, which callbacks may change."""
        self._call("on_train_end", logs=dict(self.fit.history[-1]) if self.fit.history else {})

    def close(self) -> None:
        for callback in self.callbacks:
            Callback.set_model(callback, None)  # TensorBoard's own method would open a file

    def state(self) -> WatcherState:
        arrays: list[Array] = []
        return WatcherState({"callbacks": [s.changes(arrays) for s in self.states]}, arrays)

    def restore(self, state: WatcherState) -> None:
        changes = state.values["callbacks"]
        for number, callback_state in enumerate(self.states):
            callback_state.restore(changes[number], state.arrays)

    def _call(
        self,
        hook: str,
        *args: int,
        logs: dict[str, float] | None = None,
        rate: float | None = None,
    ) -> None:
        """Call a hook of every callback with the current weights and a learning rate."""
        if hook not in self.used:
            return
        weights = self.fit.weights()
        rate = float(np.float32(self.rate if rate is None else rate))
        self._update_model(weights, rate)
        for callback in self.callbacks:
            try:
                with _tolerated_warnings(callback):
                    getattr(callback, hook)(*args, logs)
            except Exception as error:
                where = f", epoch {args[0]}" if args else ""
                error.add_note(f"Raised by the callback {type(callback).__name__} ({hook}{where}).")
                raise
        self._take_rate(rate)
        self._take_weights(weights)

    def _update_model(self, weights: list[Floats], rate: float) -> None:
        self.model.set_weights(weights)
        self.model.optimizer.learning_rate.assign(rate)
        self.model.optimizer.iterations.assign(self.fit.n_steps)

    def _take_weights(self, shown: list[Floats]) -> None:
        """Continue from the model's weights if callbacks have changed them."""
        weights = self.model.get_weights()
        if not all(map(np.array_equal, weights, shown)):
            self.fit.set_weights(weights)

    def _take_rate(self, shown: float) -> None:
        """Scale the rest of the schedule, so that it continues from the rate that was set."""
        self.rate = float(self.model.optimizer.learning_rate.numpy())
        if self.rate == shown:
            return
        if shown == 0:
            raise ValueError(
                f"A callback set the learning rate to {self.rate:.3g} after the schedule had "
                "reached 0, which cannot be scaled: set learning_rate_schedule='constant'."
            )
        self.fit.rates.scale(self.rate / shown)


@contextlib.contextmanager
def _tolerated_warnings(callback: Any) -> Iterator[None]:
    """Let Keras' own callbacks work if the user's filters turn warnings into errors.

    They convert variables to arrays in a way that NumPy 2 deprecates.  All threads share the
    filters, so in all other cases the filters stay untouched.
    """
    if not is_of_keras(callback) or all(action != "error" for action, *_ in warnings.filters):
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        yield


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number)
