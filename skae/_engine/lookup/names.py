"""Optimizers, losses, metrics and activations by name, and the checks of their parameters."""

import inspect
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from skae._checks import check_bool, check_number, fits_float32
from skae._engine.lookup.tracing import named, shorten_error, traced_shape
from skae._engine.muon import Muon
from skae._engine.spec import ProgramSpec, activation_parameters, routed_options
from skae._engine.tensorflow import check_eager, keras
from skae._hints import did_you_mean
from skae._network.frozen import KerasConfig, thaw
from skae._process import check_not_forked
from skae._typing import Activation, Array, Tensor

LOSSES = {
    name: value
    for name, value in vars(keras.losses).items()
    if inspect.isclass(value) and issubclass(value, keras.losses.Loss)
}

KEYWORDS = inspect.Parameter.VAR_KEYWORD

WRAPPERS = ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")  # these cannot train by themselves

OPTIMIZERS = {
    name.lower(): value
    for name, value in vars(keras.optimizers).items()
    if inspect.isclass(value)
    and issubclass(value, keras.optimizers.Optimizer)
    and name not in WRAPPERS
} | {"muon": Muon}

ACTIVATIONS = [
    name
    for name, function in vars(keras.activations).items()
    if inspect.isfunction(function) and name not in ("get", "serialize", "deserialize")
]

# Options of optimizers whose default is None.  Keras ignores negative ones.
OPTIONAL_NUMBERS = (
    "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "ema_overwrite_frequency",
    "loss_scale_factor", "gradient_accumulation_steps",
)  # fmt: skip

ELEMENTWISE = {
    OPTIMIZERS[name]
    for name in (
        "adadelta", "adagrad", "adam", "adamax", "adamw", "ftrl", "lion", "nadam", "rmsprop", "sgd",
    )
}  # fmt: skip


def optimizer_class(optimizer: Any) -> Any:
    """Return the class of an optimizer given by name, class, instance or `KerasConfig`."""
    if isinstance(optimizer, str):
        if optimizer.lower() not in OPTIMIZERS:
            raise ValueError(
                f"optimizer must be one of {sorted(OPTIMIZERS)}, a Keras optimizer class or an "
                f"instance; got {optimizer!r}.{did_you_mean(optimizer.lower(), OPTIMIZERS)}"
            )
        return OPTIMIZERS[optimizer.lower()]
    kind = optimizer.kind if isinstance(optimizer, KerasConfig) else optimizer
    kind = kind if inspect.isclass(kind) else type(kind)
    if not issubclass(kind, keras.optimizers.Optimizer):
        raise TypeError(
            f"optimizer must be a name, a Keras optimizer class or an instance; got {optimizer!r}."
        )
    if kind.__module__.startswith("keras.") and kind.__name__ in WRAPPERS:
        raise ValueError(
            f"optimizer must be one of {sorted(OPTIMIZERS)}; got {kind.__name__}, which wraps "
            "others: pass the optimizer itself."
        )
    return kind


def default_learning_rate(optimizer: Any) -> Any:
    """Return the rate, or the ``LearningRateSchedule``, of an optimizer if the user sets none."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        rate = optimizer.get_config()["learning_rate"]
        return _schedule(optimizer, rate) if isinstance(rate, dict) else rate
    return inspect.signature(optimizer_class(optimizer)).parameters["learning_rate"].default


def _schedule(optimizer: Any, config: dict[str, Any]) -> Any:
    """Make the ``LearningRateSchedule`` of an optimizer from its configuration."""
    try:
        schedule = keras.optimizers.schedules.deserialize(config)
    except TypeError:
        schedule = None
    if not callable(schedule):  # Keras may return the name of a class that is not registered
        raise ValueError(
            f"optimizer must have a rate, or a schedule that Keras can copy; got "
            f"{type(optimizer).__name__} with a {config.get('class_name')}, which is not "
            "registered in this process: set learning_rate_schedule to the schedule instead."
        )
    return schedule


def loss_class(loss: Any) -> Any:
    """Return the class of a loss given by name, class, instance or `KerasConfig`.

    It is None for a function.
    """
    if isinstance(loss, KerasConfig):
        return loss.kind
    if isinstance(loss, str):
        return _loss_class_by_name(loss)
    if inspect.isclass(loss) and issubclass(loss, keras.losses.Loss):
        return loss
    if isinstance(loss, keras.losses.Loss):
        return type(loss)
    if callable(loss) and not inspect.isclass(loss):
        return None
    raise TypeError(
        "loss must be a name, a Keras loss class, an instance or a function of (y_true, y_pred); "
        f"got {loss!r}."
    )


def _loss_class_by_name(name: str) -> Any:
    """Return the class of a loss by any of its names.

    Keras knows a loss as ``BinaryCrossentropy``, ``binary_crossentropy`` and ``bce``.
    """
    if name in LOSSES:
        return LOSSES[name]
    try:
        function = keras.losses.get(name)
    except ValueError:
        function = None
    snake = getattr(function, "__name__", "").replace("_", "")
    for known, kind in LOSSES.items():
        if known.lower() == snake:
            return kind
    known = sorted(_snake(known) for known in LOSSES if known != "Loss")
    raise ValueError(
        f"loss must be 'auto', one of {known}, or a Keras loss; "
        f"got {name!r}.{did_you_mean(name, known)}"
    )


def _snake(name: str) -> str:
    """Turn ``MeanSquaredError`` into ``mean_squared_error``."""
    if name.isupper():
        return name.lower()
    return "".join("_" * (i > 0) + c.lower() if c.isupper() else c for i, c in enumerate(name))


def check_option(name: str, option: Any, optimizer: Any, loss: Any) -> None:
    """Refuse a routed parameter that its target does not take, such as ``optimizer__beta1``.

    A parameter whose default is a bool or a number must be one as well: Keras would take the string
    "False" for true.
    """
    target, _, argument = name.partition("__")
    value = {"optimizer": optimizer, "loss": loss}[target]
    kind = optimizer_class(value) if target == "optimizer" else loss_class(value)
    if kind is None or not (isinstance(value, str) or inspect.isclass(value)):
        raise ValueError(
            f"{name} needs {target} to be a name or a class; got {target}={thaw(value)!r}: set the "
            "parameter when you make this object, or pass its class."
        )
    defaults = _arguments(kind)
    known = defaults.keys() - {"self", "name", "reduction"}
    if target == "optimizer":
        known.discard("learning_rate")
        if argument == "learning_rate":
            raise ValueError(f"{name} is not used: set learning_rate instead.")
    if argument not in known:
        raise ValueError(
            f"{name} is not a parameter of {kind.__name__}, which takes "
            f"{sorted(known)}.{did_you_mean(argument, known)}"
        )
    if isinstance(defaults[argument], bool):
        check_bool(name, option)
    elif isinstance(defaults[argument], int | float):
        check_number(name, option, low=-np.inf)
    elif argument in OPTIONAL_NUMBERS and option is not None:
        check_number(name, option, low=0)


def _arguments(kind: Any) -> dict[str, Any]:
    """Return the parameters of a class with their defaults.

    They include those of its bases if it passes ``**kwargs`` to them.
    """
    defaults: dict[str, Any] = {}
    for base in kind.__mro__:
        parameters = inspect.signature(base.__init__).parameters.values()
        own = {p.name: p.default for p in parameters if p.kind not in (p.VAR_POSITIONAL, KEYWORDS)}
        defaults = own | defaults
        if all(p.kind is not KEYWORDS for p in parameters):
            break
    return defaults


def check_activation(name: str, value: Any) -> None:
    """Refuse an activation that Keras does not know."""
    try:
        keras.activations.get(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} must be the name of a Keras activation or a function; "
            f"got {thaw(value)!r}.{did_you_mean(value, ACTIVATIONS)}"
        ) from error


def check_activation_shape(name: str, value: Any, width: int) -> None:
    """Refuse an activation that does not return a tensor of its input's shape."""
    # A user's function may work for one number of rows only.
    for rows in [(2, width)] if isinstance(value, str) else [(2, width), (3, width)]:
        shape = _activated_shape(name, value, rows)
        if shape != rows:
            raise ValueError(
                f"{name} must keep the shape of its input; got {value!r}, which turns shape "
                f"{rows} into {shape}."
            )


def _activated_shape(name: str, value: Any, shape: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of an activation's result for an input of this shape."""
    if not isinstance(value, str):
        return traced_shape(name, value, 1, shape)
    try:
        return tuple(keras.activations.get(value)(keras.ops.zeros(shape)).shape)
    except Exception as error:
        raise ValueError(
            f"{name} must be a function of one tensor; got {value!r}, which fails for "
            f"{shape[0]} rows of width {shape[1]}: {shorten_error(error)}"
        ) from error


def activation_name(function: Callable[..., Any]) -> Activation:
    """Return the name of a function of `keras.activations`, and any other function itself."""
    name = getattr(function, "__name__", "")
    return name if getattr(keras.activations, name, None) is function else function


def eager_activation(activation: Activation) -> Callable[[Array], Array]:
    """Return a Keras activation as a function from array to array."""
    function = keras.activations.get(activation)

    def activate(h: Array) -> Array:
        check_not_forked()
        check_eager()
        return np.asarray(function(h)).astype(h.dtype, copy=False)

    return activate


def check_names(spec: ProgramSpec) -> None:
    """Refuse names and options in the spec that Keras does not know."""
    for name, layer in zip(activation_parameters(spec.network), spec.network.trained, strict=True):
        check_activation(name, layer.activation)
    loss = spec.objective.loss
    optimizer_class(spec.optimizer)
    loss_class(loss)
    _check_copyable("optimizer", spec.optimizer)
    _check_copyable("loss", loss)
    for name, value in routed_options(spec):
        check_option(name, value, spec.optimizer, loss)
        if isinstance(value, Real) and not fits_float32(value):
            raise ValueError(f"{name} must be finite in float32; got {value!r}.")
    for metric in thaw(spec.metrics):
        _check_metric(metric)


def _check_copyable(name: str, value: Any) -> None:
    """Refuse an instance that Keras cannot copy, such as ``Huber(delta=0.1)``: it loses delta."""
    if isinstance(value, KerasConfig) and value.missing_arguments:
        kind, argument = value.kind.__name__, value.missing_arguments[0]
        raise ValueError(
            f"{name} must be an instance that clone and pickle can copy; got a {kind}, whose "
            f"get_config() omits {value.missing_arguments}: set {name} to the class {kind} itself, "
            f"and set {name}__{argument}."
        )


def _check_metric(metric: Any) -> None:
    if metric in ("acc", "accuracy"):  # Model.compile resolves these
        return
    try:
        keras.metrics.get(metric)
    except (ValueError, TypeError) as error:
        raise ValueError(f"metrics must hold names of Keras metrics; got {metric!r}.") from error


def is_elementwise(optimizer: Any) -> bool:
    """Return whether an optimizer updates each number independently of all others."""
    return type(optimizer) in ELEMENTWISE and optimizer.clipnorm is None


def activation_function(activation: Any) -> Callable[[Tensor], Tensor]:
    """Return an activation, given by name or as a function, as a function of one tensor."""
    function = keras.activations.get(activation)
    return function if isinstance(activation, str) else named("activation", function)
