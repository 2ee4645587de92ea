"""Learning rates: one for each step of a fit, computed before the step runs."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from skae._typing import Array, Floats

Schedule = str | Callable[[Any], Any]

# The best peak rates of a one-cycle or cosine schedule; see docs/performance.md.
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

# In this many steps, calls of `partial_fit` lower Muon's rate to 1 / sqrt(2).  At a constant
# rate, 20 calls leave twice the error on the digits, and more on breast cancer; Adam gains nothing.
DECAY_STEPS = 60

RISE = 0.3  # the share of a one-cycle schedule during which the rate rises

START = 0.04  # the first rate of a one-cycle schedule, as a share of the peak


def one_cycle(at: Array) -> Array:
    """Rise linearly for 30 % of the steps, then fall along a cosine to zero.

    L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks
    Using Large Learning Rates", 2018.
    """
    rising = START + (1 - START) * at / RISE
    falling = (1 + np.cos(np.pi * (at - RISE) / (1 - RISE))) / 2
    return np.where(at < RISE, rising, falling)


def cosine(at: Array) -> Array:
    """Fall along a cosine from the peak to zero.

    I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.
    """
    return (1 + np.cos(np.pi * at)) / 2


def constant(at: Array) -> Array:
    return np.ones_like(at)


SCHEDULES = {"one_cycle": one_cycle, "cosine": cosine, "constant": constant}


class Rates:
    """The learning rates of a fit.

    Parameters
    ----------
    schedule : str or callable
        Name of a schedule, or a Keras ``LearningRateSchedule``.
    peak : float or None
        The highest rate of a schedule with a name.
    steps_per_epoch : int
        Number of steps in an epoch.
    epochs : int
        Number of epochs of the whole schedule.
    first_step : int
        Number of steps that earlier fits have trained.

    Attributes
    ----------
    fall : tuple (first_epoch, n_epochs) or None
        From this epoch on, the rates also fall along a cosine, to zero within this many epochs.
    """

    def __init__(
        self,
        schedule: Schedule,
        peak: float | None,
        steps_per_epoch: int,
        epochs: int,
        first_step: int,
    ) -> None:
        self.schedule, self.peak, self.steps_per_epoch = schedule, peak, steps_per_epoch
        self.n_steps, self.first_step, self.factor = steps_per_epoch * epochs, first_step, 1.0
        self.fall: tuple[int, int] | None = None

    def of_epoch(self, epoch: int) -> Floats:
        """Return the learning rate of each step of an epoch; the first epoch has the number 0."""
        first = self.first_step + epoch * self.steps_per_epoch
        rates = learning_rates(self.schedule, self.peak, first, self.steps_per_epoch, self.n_steps)
        rates *= np.float32(self.factor)
        return rates if self.fall is None else rates * self._falling(epoch, *self.fall)

    def _falling(self, epoch: int, first_epoch: int, n_epochs: int) -> Floats:
        """Return the factors of the steps of an epoch within a fall."""
        at = epoch - first_epoch + np.arange(self.steps_per_epoch) / self.steps_per_epoch
        return cosine(at / n_epochs).astype(np.float32)

    def scale(self, factor: float) -> None:
        """Multiply all rates from here on by a factor."""
        self.factor *= factor


def learning_rates(
    schedule: Schedule,
    peak: float | None,
    first_step: int,
    n_steps: int,
    total_steps: int,
) -> Floats:
    """Return the rates of ``n_steps`` steps from ``first_step`` on, out of ``total_steps``.

    ``schedule`` is one of the names above, scaled to ``peak``, or a Keras
    ``LearningRateSchedule``, which gives the rates itself.
    """
    steps = np.arange(first_step, first_step + n_steps)
    if callable(schedule):
        rates = np.array([_rate(schedule, step) for step in steps])
        with np.errstate(over="ignore"):  # the fit reports that it diverged
            return rates.astype(np.float32)
    return (peak * SCHEDULES[schedule](steps / total_steps)).astype(np.float32)


def _rate(schedule: Callable[[Any], Any], step: np.integer[Any]) -> float:
    """Return the rate that a function gives for a step, or raise an error that names it."""
    name = getattr(schedule, "__name__", type(schedule).__name__)
    try:
        rate = float(schedule(step))
    except Exception as error:
        raise ValueError(
            "learning_rate_schedule must be a function of the number of a step that returns a "
            f"rate; got {name}, which raised {type(error).__name__} for step {step}: {error}"
        ) from error
    if not rate >= 0:
        raise ValueError(
            f"learning_rate_schedule must return rates of at least 0; got {name}, which returned "
            f"{rate} for step {step}."
        )
    return rate


def rate_and_schedule(
    optimizer: object,
    learning_rate: float | str,
    schedule: Schedule,
    default_learning_rate: Callable[[Any], Any],
    single_epoch: bool = False,
) -> tuple[Any, Schedule]:
    """Return the peak rate and the schedule that the parameters describe.

    Parameters
    ----------
    optimizer : object
        Name, class or instance of an optimizer.
    learning_rate : float or "auto"
        The parameter of the estimator.
    schedule : str or callable
        Name of a schedule, or a Keras ``LearningRateSchedule``.
    default_learning_rate : callable
        Function that looks up an optimizer's own rate, or its own schedule, in Keras.
    single_epoch : bool, default=False
        Whether to train one epoch only.  It cannot follow a schedule with a name, because the end
        of the schedule is not known.  So its rate is constant, or falls with the number of steps.

    Returns
    -------
    peak : float or None
        The highest rate; None if the user's ``schedule`` gives the rates.
    schedule : str or callable
        The schedule to follow.

    Raises
    ------
    ValueError
        If both ``learning_rate`` and a callable ``schedule`` give the rates.
    """
    if callable(schedule):
        if learning_rate != "auto":
            raise ValueError(
                "learning_rate must be 'auto' if learning_rate_schedule gives the rates; got "
                f"learning_rate={learning_rate!r} with {schedule!r}."
            )
        return None, schedule
    if single_epoch:
        schedule = "constant"
    if learning_rate != "auto":
        return learning_rate, schedule
    own = default_learning_rate(optimizer)
    if callable(own):
        return None, own
    name = optimizer if isinstance(optimizer, str) else getattr(optimizer, "__name__", "")
    if single_epoch and name.lower() == "muon":
        return own, lambda step: own / math.sqrt(1 + step / DECAY_STEPS)
    tuned = own if schedule == "constant" else PEAKS.get(name.lower(), own)
    return tuned, schedule
