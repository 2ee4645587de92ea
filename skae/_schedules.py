"""Learning rates: one for each step of a fit, computed before the step runs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skae._typing import Array, Floats

# Peak rates at which a one-cycle or cosine schedule trains best; see docs/performance.md.
# The losses are means over the features, so plain gradients are small and SGD's rate is large.
PEAKS = {
    "muon": 2e-2,
    "adam": 8e-3,
    "adamw": 8e-3,
    "nadam": 8e-3,
    "adamax": 2e-2,
    "rmsprop": 8e-3,
    "lion": 2e-3,
    "adagrad": 0.3,
    "adadelta": 10.0,
    "sgd": 1.0,
}
RISE = 0.3  # the part of a one-cycle schedule in which the rate rises
START = 0.04  # the rate at which it starts, as a part of the peak


def one_cycle(at: Array) -> Array:
    """Rise linearly for 30 % of the way, then fall along a cosine to zero.

    L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks
    Using Large Learning Rates", 2018.
    """
    rising = START + (1 - START) * at / RISE
    falling = (1 + np.cos(np.pi * (at - RISE) / (1 - RISE))) / 2
    return np.where(at < RISE, rising, falling)


def cosine(at: Array) -> Array:
    """Fall along a cosine from the peak to zero (Loshchilov and Hutter, 2017)."""
    return (1 + np.cos(np.pi * at)) / 2


def constant(at: Array) -> Array:
    return np.ones_like(at)


SCHEDULES = {"one_cycle": one_cycle, "cosine": cosine, "constant": constant}


def learning_rates(
    schedule: str | Callable[[Any], Any],
    peak: float | None,
    first_step: int,
    n_steps: int,
    total_steps: int,
) -> Floats:
    """Rates of the ``n_steps`` steps from ``first_step`` on, out of ``total_steps``.

    ``schedule`` is one of the names above, scaled to ``peak``, or a Keras
    ``LearningRateSchedule``, which gives the rates itself.
    """
    steps = np.arange(first_step, first_step + n_steps)
    if callable(schedule):
        rates = np.array([float(schedule(step)) for step in steps])
        with np.errstate(over="ignore"):  # training will say that it diverged
            return rates.astype(np.float32)
    return (peak * SCHEDULES[schedule](steps / total_steps)).astype(np.float32)


def rate_and_schedule(
    optimizer: object,
    learning_rate: float | str,
    schedule: str | Callable[[Any], Any],
    own_learning_rate: Callable[[Any], Any],
    single_epoch: bool = False,
) -> tuple[Any, str | Callable[[Any], Any]]:
    """Resolve ``learning_rate="auto"`` and find what gives the rates.

    ``own_learning_rate`` looks an optimizer's own rate up in Keras.  A single epoch cannot
    follow a schedule by name, whose end is not known: its rate is constant.
    """
    if callable(schedule):
        if learning_rate != "auto":
            raise ValueError(
                "learning_rate must be 'auto' where learning_rate_schedule gives the rates; "
                f"got learning_rate={learning_rate!r} with {schedule!r}."
            )
        return None, schedule
    if single_epoch:
        schedule = "constant"
    if learning_rate != "auto":
        return learning_rate, schedule
    own = own_learning_rate(optimizer)
    if callable(own):
        return None, own
    name = optimizer if isinstance(optimizer, str) else getattr(optimizer, "__name__", "")
    tuned = own if schedule == "constant" else PEAKS.get(name.lower(), own)
    return tuned, schedule
