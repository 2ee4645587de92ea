"""Checks of the parameters that all autoencoders share."""

import os
from numbers import Integral
from typing import Any

import numpy as np

from skae._checks import check_number, did_you_mean
from skae._estimators.routing import routed_parameters
from skae._interop.pickling import check_available
from skae._training.schedules import SCHEDULES


def check_parameters(estimator: Any) -> None:
    """Check the types and ranges of an autoencoder's parameters.

    `skae._engine.lookup` checks the parameters that name Keras objects.

    Raises
    ------
    ValueError, TypeError
        If a parameter does not have the documented type or range.
    """
    check_available(vars(estimator))
    _check_network(estimator)
    _check_training(estimator)
    _check_schedule(estimator)
    _check_routed(estimator)


def _check_network(estimator: Any) -> None:
    check_number("n_components", estimator.n_components, low=1, kind=Integral)
    check_number("dropout", estimator.dropout, low=0, high=1)
    if estimator.dropout == 1:
        raise ValueError("dropout must be below 1; got 1.")
    check_number("alpha", estimator.alpha, low=0)
    check_number("code_penalty", estimator.code_penalty, low=0)


def _check_training(estimator: Any) -> None:
    if estimator.batch_size != "auto":
        check_number("batch_size", estimator.batch_size, low=1, kind=Integral)
    check_number("epochs", estimator.epochs, low=1, kind=Integral)
    check_number("n_iter_no_change", estimator.n_iter_no_change, low=1, kind=Integral)
    check_number("tol", estimator.tol, low=0)
    if not isinstance(estimator.verbose, bool | np.bool_):
        check_number("verbose", estimator.verbose, low=0, kind=Integral)
    fraction = estimator.validation_fraction
    check_number("validation_fraction", fraction, low=0, high=1, above=True)
    if fraction == 1:
        raise ValueError("validation_fraction must be below 1; got 1.")
    if not isinstance(estimator.checkpoint, str | os.PathLike | None):
        raise TypeError(
            f"checkpoint must be the path of a file or None; got {estimator.checkpoint!r}."
        )


def _check_schedule(estimator: Any) -> None:
    if estimator.learning_rate != "auto":
        check_number("learning_rate", estimator.learning_rate, low=0, above=True)
    schedule = estimator.learning_rate_schedule
    if not callable(schedule) and schedule not in list(SCHEDULES):
        raise ValueError(
            f"learning_rate_schedule must be one of {sorted(SCHEDULES)}, or a Keras "
            f"LearningRateSchedule; got {schedule!r}.{did_you_mean(schedule, SCHEDULES)}"
        )


def _check_routed(estimator: Any) -> None:
    """Refuse parameters of a loss that depends on the data."""
    if not (isinstance(estimator.loss, str) and estimator.loss == "auto"):
        return
    for name in routed_parameters(estimator):
        if name.startswith("loss__"):
            raise ValueError(
                f"{name} needs the name of a loss; got loss='auto': also set loss, for example to "
                "'binary_crossentropy' or 'mean_squared_error'."
            )
