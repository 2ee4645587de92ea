"""Checks of the parameters that all autoencoders share."""

from numbers import Integral
from typing import Any

import numpy as np

from skae._checks import (
    check_bool,
    check_decoder_layer_sizes,
    check_hidden_layer_sizes,
    check_number,
    check_option,
    check_path,
    check_random_state,
    is_auto,
)
from skae._estimators.routing import routed_parameters
from skae._hints import did_you_mean
from skae._interop.pickling import check_available
from skae._network.features import FEATURES, determine_code
from skae._objective.column_weights import check_column_weights
from skae._training.schedules import SCHEDULES


def check_parameters(estimator: Any) -> None:
    """Check the types and ranges of an autoencoder's parameters, without TensorFlow.

    `skae._engine.lookup.names` checks the names of Keras objects later.

    Raises
    ------
    ValueError, TypeError
        If a parameter does not have the documented type or range.
    """
    check_available(vars(estimator))
    _check_network(estimator)
    _check_keras_objects(estimator)
    _check_training(estimator)
    _check_stopping(estimator)
    _check_schedule(estimator)
    _check_routed(estimator)
    estimator._corruption(bounded=False, paired=False)  # raises an error for bad parameters


def _check_network(estimator: Any) -> None:
    check_number("n_components", estimator.n_components, low=1, kind=Integral)
    check_hidden_layer_sizes(estimator.hidden_layer_sizes)
    check_decoder_layer_sizes(estimator.decoder_layer_sizes)
    check_option("init", estimator.init, ("pca", "random"))
    check_features(estimator)
    _check_tied(estimator)
    _check_missing(estimator)
    _check_categories(estimator)
    check_column_weights(estimator.feature_weights)
    check_number("dropout", estimator.dropout, low=0, high=1, below=True)
    check_number("alpha", estimator.alpha, low=0)
    check_number("code_penalty", estimator.code_penalty, low=0)
    check_number("contraction", estimator.contraction, low=0)


def _check_keras_objects(estimator: Any) -> None:
    """Check that each parameter for Keras is a name, or an object that Keras could take."""
    for name in ("activation", "code_activation", "output_activation"):
        if not _may_be_keras(value := getattr(estimator, name)):
            hint = " 'linear' is the identity." if value is None else ""
            raise TypeError(
                f"{name} must be the name of a Keras activation or a function; got {value!r}.{hint}"
            )
    if not _may_be_keras(estimator.loss):
        raise TypeError(
            "loss must be a name, a Keras loss class, an instance or a function of "
            f"(y_true, y_pred); got {estimator.loss!r}."
        )
    if not (_may_be_keras(estimator.optimizer) or hasattr(estimator.optimizer, "get_config")):
        raise TypeError(
            "optimizer must be a name, a Keras optimizer class or an instance; got "
            f"{estimator.optimizer!r}."
        )
    metrics = estimator.metrics
    if metrics is not None and not all(
        map(_may_be_keras, metrics if isinstance(metrics, list | tuple) else [metrics])
    ):
        raise TypeError(
            f"metrics must be None, a name, a Keras metric or a list of these; got {metrics!r}."
        )


def _may_be_keras(value: Any) -> bool:
    return callable(value) or (isinstance(value, str) and value != "")


def _check_training(estimator: Any) -> None:
    check_number("batch_size", estimator.batch_size, low=1, kind=Integral, auto=True)
    check_number("epochs", estimator.epochs, low=1, kind=Integral)
    check_bool("warm_start", estimator.warm_start)
    check_path("checkpoint", estimator.checkpoint)
    check_random_state(estimator.random_state)
    if not isinstance(estimator.verbose, bool | np.bool_):
        check_number("verbose", estimator.verbose, low=0, kind=Integral)


def _check_stopping(estimator: Any) -> None:
    check_bool("early_stopping", estimator.early_stopping, auto=True)
    fraction = estimator.validation_fraction
    check_number("validation_fraction", fraction, low=0, high=1, above=True, below=True)
    check_number("n_iter_no_change", estimator.n_iter_no_change, low=1, kind=Integral)
    check_number("tol", estimator.tol, low=0)


def _check_schedule(estimator: Any) -> None:
    if callable(estimator.learning_rate):
        raise TypeError(
            "learning_rate must be 'auto' or a number above 0; got "
            f"{estimator.learning_rate!r}: set learning_rate_schedule to it."
        )
    check_number("learning_rate", estimator.learning_rate, low=0, above=True, auto=True)
    schedule = estimator.learning_rate_schedule
    if isinstance(schedule, str) and schedule in SCHEDULES:
        return
    if isinstance(schedule, type) or not callable(schedule):
        raise ValueError(
            f"learning_rate_schedule must be one of {sorted(SCHEDULES)}, or a Keras "
            f"LearningRateSchedule; got {schedule!r}.{did_you_mean(schedule, SCHEDULES)}"
        )


def _check_routed(estimator: Any) -> None:
    """Refuse parameters of a loss that depends on the data."""
    if not is_auto(estimator.loss):
        return
    for name in routed_parameters(estimator):
        if name.startswith("loss__"):
            raise ValueError(
                f"{name} needs the name of a loss; got loss='auto': also set loss, for example to "
                "'binary_crossentropy' or 'mean_squared_error'."
            )


def _check_tied(estimator: Any) -> None:
    check_bool("tied_weights", estimator.tied_weights)
    encoder = check_hidden_layer_sizes(estimator.hidden_layer_sizes)
    decoder = check_decoder_layer_sizes(estimator.decoder_layer_sizes)
    if estimator.tied_weights and decoder not in (None, encoder[::-1]):
        raise ValueError(
            "tied_weights=True needs a decoder that mirrors the encoder; got hidden_layer_sizes="
            f"{encoder} and decoder_layer_sizes={decoder}: set decoder_layer_sizes=None."
        )


def _check_missing(estimator: Any) -> None:
    check_option("missing_values", estimator.missing_values, ("error", "mask"))
    if estimator.missing_values == "error":
        return
    for name, default in (("tied_weights", False), ("contraction", 0), ("metrics", None)):
        value = getattr(estimator, name)
        if value not in (default, []):
            raise ValueError(
                f"missing_values='mask' cannot be combined with {name}={value!r}: set {name}="
                f"{default!r}, or impute the missing values (SimpleImputer) and leave "
                "missing_values at 'error'."
            )


def _check_categories(estimator: Any) -> None:
    check_option("handle_unknown", estimator.handle_unknown, ("ignore", "error"))
    if estimator.min_frequency is not None:
        whole = isinstance(estimator.min_frequency, Integral)
        high = np.inf if whole else 1
        check_number("min_frequency", estimator.min_frequency, low=0, high=high)
    columns = estimator.categorical_features
    if columns is None or columns == "from_dtype":
        return
    is_list = isinstance(columns, list | tuple | np.ndarray) and np.ndim(columns) == 1
    if not (is_list and all(isinstance(column, str | Integral) for column in columns)):
        raise ValueError(
            "categorical_features must be 'from_dtype', None, or a list of names or places of "
            f"columns; got {columns!r}."
        )


def check_continues_tied(estimator: Any, conditioned: bool) -> float:
    """Return the scale of the rows for which a fitted estimator's kernels are transposes.

    Raises
    ------
    ValueError
        If its weights are not tied, or if training would not scale the rows.
    """
    scale: float | None = getattr(estimator, "_tied_scale", None)
    if scale is None:
        raise ValueError(
            f"tied_weights=True: {type(estimator).__name__} continues from a network that was not "
            "trained with it, so the decoder has kernels of its own. Set tied_weights=False, or "
            "fit with warm_start=False."
        )
    if scale != 1 and not conditioned:
        raise ValueError(
            f"tied_weights=True: the last kernel of the network is {scale**2:.3g} times the "
            "transpose of the first, because it was trained with a squared or an absolute error. "
            f"Keep such a loss, or fit with warm_start=False; got loss={estimator.loss!r}."
        )
    return scale


def check_features(estimator: Any) -> str:
    """Return the parameter after checking it, against the layers of the network as well."""
    features: str = estimator.features
    check_option("features", features, FEATURES)
    if features == "hidden" and not check_hidden_layer_sizes(estimator.hidden_layer_sizes):
        raise ValueError(
            "features='hidden' needs hidden layers; got hidden_layer_sizes=(): use features='code'."
        )
    return features


def check_decodes(estimator: Any) -> str:
    """Return the parameter ``features`` of a fitted estimator if the features determine the code.

    Raises
    ------
    ValueError
        If they do not.
    """
    features = check_features(estimator)
    if not determine_code(estimator._network.spec, features):
        raise ValueError(
            "inverse_transform needs the code, which features='hidden' does not determine if "
            "linear paths are beside the hidden layers (init='pca'): set features='all'."
        )
    return features


def check_nested(autoencoder: Any, base: type[Any], example: str) -> None:
    """Raise an error unless an estimator can train clones of its parameter ``autoencoder``.

    ``base`` is the class that all autoencoders have.
    """
    if autoencoder is None:
        return
    if not isinstance(autoencoder, base):
        raise TypeError(
            f"autoencoder must be None or an estimator of skae, such as {example}(); got "
            f"{autoencoder!r}."
        )
    checkpoint = vars(autoencoder)["checkpoint"]
    if checkpoint is not None:
        raise ValueError(
            "autoencoder must have checkpoint=None, because several networks would share one file; "
            f"got checkpoint={checkpoint!r}."
        )
