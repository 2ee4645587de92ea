"""Everything that touches Keras' layers, losses, optimizers and activations, and scikeras.

Imported inside ``fit`` and by the Keras attributes, never with the package.
"""

import contextlib
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np

from skae._architecture import Architecture, FromConfig, name_of, thaw
from skae._fork import check_not_severed
from skae._interrupts import interrupts_afterwards
from skae._parameters import did_you_mean, fits_float32
from skae._quiet import same_environment, without_banners
from skae._typing import Activation, Array, Floats, Tensor


def _check_backend(backend: str) -> None:
    if backend != "tensorflow":
        raise ImportError(
            f"skae trains with Keras' TensorFlow backend, but Keras runs on {backend!r}: set "
            "KERAS_BACKEND=tensorflow before Keras is imported."
        )


is_first = "tensorflow" not in sys.modules
if "keras" not in sys.modules:  # or it would import the other backend, which may not be there
    _check_backend(os.environ.get("KERAS_BACKEND", "tensorflow"))
try:
    with interrupts_afterwards(), same_environment(), without_banners():
        import keras
        import tensorflow as tf

        from skae._muon import Muon
        from skae._step import sigmoid_cross_entropy, with_gradient
except ImportError as error:
    raise ImportError(
        "skae trains with TensorFlow through Keras, and could not import them: "
        f"{error}. To install them: pip install keras tensorflow. Where Keras is configured for "
        "another backend: set KERAS_BACKEND=tensorflow."
    ) from error
_check_backend(keras.backend.backend())

if is_first and os.environ.get("OMP_NUM_THREADS", "").isdecimal():
    # joblib gives each worker its share of the cores so, and TensorFlow does not look there
    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ["OMP_NUM_THREADS"]))

LOSSES = {
    name: value
    for name, value in vars(keras.losses).items()
    if inspect.isclass(value) and issubclass(value, keras.losses.Loss)
}
WRAPPERS = ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")  # no optimizers by themselves
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
ELEMENTWISE = {
    OPTIMIZERS[name]
    for name in (
        "adadelta", "adagrad", "adam", "adamax", "adamw", "ftrl", "lion", "nadam", "rmsprop", "sgd",
    )
}  # fmt: skip


def compute_dtype() -> str:
    """Dtype of a fit's matrix products, by the dtype policy that the user gave Keras.

    Weights, optimizer and loss are float32 under both of the policies allowed.  Float16 would need
    the loss scaled, as its smallest numbers are too large for gradients.
    """
    policy = keras.config.dtype_policy()
    if policy.name not in ("float32", "mixed_bfloat16"):
        raise ValueError(
            "fit computes under Keras' dtype policies 'float32' and 'mixed_bfloat16'; got "
            f"{policy.name!r}: call keras.config.set_dtype_policy('float32') before fit."
        )
    return str(policy.compute_dtype)


def nameless_variables() -> Any:
    """Scope in which variables get no name, and the caller's device, not the one Keras asks for.

    TensorFlow keeps 60 kB for each name, device and shape of a variable that there ever was, in
    a cache that nothing public empties.  Alike, the variables of many objects share these.
    """
    if tf.distribute.has_strategy():  # which says where a variable lies
        return contextlib.nullcontext()
    device = current_device()

    def nameless(create: Callable[..., Any], **options: Any) -> Any:
        with tf.device(device), tf.name_scope("skae/"):  # the slash makes it the whole name
            return create(**options | {"name": "variable"})

    return tf.variable_creator_scope(nameless)


def current_device() -> str:
    """Name the device on which the caller computes: a GPU if there is one, or a scope's."""
    return str(tf.zeros(()).device)


@contextlib.contextmanager
def lean_variables(architecture: Architecture) -> Iterator[None]:
    """`nameless_variables` that do not tell TensorFlow their lengths, either.

    For an optimizer that asks the gradient for the shape, and not the variable.  Where one of its
    constants has several values, TensorFlow is to compare shapes before it computes.
    """
    with nameless_variables():
        shapes_matter = (
            optimizer_class(architecture.optimizer) not in {*ELEMENTWISE, Muon}
            or any(isinstance(value, tuple | list) for value in _constants(architecture))
            or tf.distribute.has_strategy()
        )
        if shapes_matter:
            yield
        else:
            with tf.variable_creator_scope(_of_any_length):
                yield


def _constants(architecture: Architecture) -> list[Any]:
    """The optimizer's constants that the user has set, and all of an instance's."""
    options, optimizer = architecture.options, architecture.optimizer
    routed = [value for name, value in options if name.startswith("optimizer__")]
    own = json.loads(optimizer.config).values() if isinstance(optimizer, FromConfig) else ()
    return [*routed, *own]


def _of_any_length(create: Callable[..., Any], **options: Any) -> Any:
    if callable(options["initial_value"]):  # or Keras would ask the variable for the shape
        value = options["initial_value"]()
        options |= {"initial_value": value, "shape": tf.TensorShape([None] * len(value.shape))}
    return create(**options)


def optimizer_class(optimizer: Any) -> Any:
    """Class of an optimizer given by name, class, instance or `FromConfig`."""
    if isinstance(optimizer, str):
        if optimizer.lower() not in OPTIMIZERS:
            raise ValueError(
                f"optimizer must be one of {sorted(OPTIMIZERS)}, a Keras optimizer class or an "
                f"instance; got {optimizer!r}.{did_you_mean(optimizer.lower(), OPTIMIZERS)}"
            )
        return OPTIMIZERS[optimizer.lower()]
    kind = optimizer.kind if isinstance(optimizer, FromConfig) else optimizer
    kind = kind if inspect.isclass(kind) else type(kind)
    if not issubclass(kind, keras.optimizers.Optimizer):
        raise TypeError(
            f"optimizer must be a name, a Keras optimizer class or an instance; got {optimizer!r}."
        )
    if kind.__module__.startswith("keras.") and kind.__name__ in WRAPPERS:
        raise ValueError(
            f"optimizer must be one that trains by itself, one of {sorted(OPTIMIZERS)}; got "
            f"{kind.__name__}, which wraps others."
        )
    return kind


def own_learning_rate(optimizer: Any) -> Any:
    """The rate, or ``LearningRateSchedule``, that an optimizer has when nobody sets one."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        rate = optimizer.get_config()["learning_rate"]
        return keras.optimizers.schedules.deserialize(rate) if isinstance(rate, dict) else rate
    return inspect.signature(optimizer_class(optimizer)).parameters["learning_rate"].default


def loss_class(loss: Any) -> Any:
    """Class of a loss given by name, class, instance or `FromConfig`; None for a function."""
    if isinstance(loss, FromConfig):
        return loss.kind
    if isinstance(loss, str):
        return _loss_class_by_name(loss)
    if inspect.isclass(loss) and issubclass(loss, keras.losses.Loss):
        return loss
    if isinstance(loss, keras.losses.Loss):
        return type(loss)
    if callable(loss):
        return None
    raise TypeError(
        "loss must be a name, a Keras loss class, an instance or a function of (y_true, y_pred); "
        f"got {loss!r}."
    )


def _loss_class_by_name(name: str) -> Any:
    """Keras knows a loss as ``BinaryCrossentropy``, ``binary_crossentropy`` and ``bce``."""
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


def check_option(name: str, optimizer: Any, loss: Any) -> None:
    """Refuse a routed parameter, such as ``optimizer__beta1``, that its target does not take."""
    target, _, argument = name.partition("__")
    value = {"optimizer": optimizer, "loss": loss}[target]
    if isinstance(value, str) and value == "auto":
        raise ValueError(
            f"{name} needs a loss by name; got loss='auto': set loss along with it, such as "
            "'binary_crossentropy' or 'mean_squared_error'."
        )
    kind = optimizer_class(value) if target == "optimizer" else loss_class(value)
    if kind is None or not (isinstance(value, str) or inspect.isclass(value)):
        raise ValueError(
            f"{name} needs {target} to be a name or a class; got {target}={value!r}, "
            "which takes no more parameters: give them where it is made."
        )
    known = _arguments(kind) - {"self", "kwargs", "name", "reduction"}
    if target == "optimizer":
        known.discard("learning_rate")
        if argument == "learning_rate":
            raise ValueError(f"{name} is not used: set learning_rate itself.")
    if argument not in known:
        raise ValueError(
            f"{name} is not a parameter of {kind.__name__}, which takes "
            f"{sorted(known)}.{did_you_mean(argument, known)}"
        )


def _arguments(kind: Any) -> set[str]:
    """Names that a class takes, and those that its ``**kwargs`` pass on to its bases."""
    names = set()
    for base in kind.__mro__:
        parameters = inspect.signature(base.__init__).parameters
        names |= set(parameters)
        if "kwargs" not in parameters:
            break
    return names


def check_activation(name: str, value: Any) -> None:
    """Refuse an activation that Keras does not know."""
    try:
        keras.activations.get(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} must be the name of a Keras activation or a function; "
            f"got {value!r}.{did_you_mean(value, ACTIVATIONS)}"
        ) from error


def _check_shape(name: str, value: Any, width: int) -> None:
    """Refuse what is no function from tensor to tensor of the same shape."""
    try:
        shape = tuple(keras.activations.get(value)(keras.ops.zeros((2, width))).shape)
    except Exception as error:
        raise ValueError(
            f"{name} must be a function of one tensor; got {value!r}, which fails for 2 rows of "
            f"width {width}: {plain(error)}"
        ) from error
    if shape != (2, width):
        raise ValueError(
            f"{name} must keep the shape of its input; got {value!r}, which makes {shape} of "
            f"{(2, width)}."
        )


def plain(error: Exception) -> str:
    """What an error says, without the names of operations and the links that TensorFlow adds."""
    first_line = (str(error) or type(error).__name__).splitlines()[0]
    return re.sub(r" for '?\{\{.*|\{\{[^}]*\}\} ?| See https://.*", "", first_line)


def activation_name(function: Callable[..., Any]) -> Activation:
    """Return the name of a function of `keras.activations`, and any other function itself."""
    name = getattr(function, "__name__", "")
    return name if getattr(keras.activations, name, None) is function else function


def eager_activation(activation: Activation) -> Callable[[Array], Array]:
    """A Keras activation as a function from array to array."""
    function = keras.activations.get(activation)

    def activate(h: Array) -> Array:
        check_not_severed()
        return np.asarray(function(h)).astype(h.dtype, copy=False)

    return activate


def check_names(architecture: Architecture) -> None:
    """Raise for a name in the architecture that Keras does not know."""
    for which in ("activation", "code_activation", "output_activation"):
        check_activation(which, getattr(architecture, which))
    optimizer_class(architecture.optimizer)
    loss_class(architecture.loss)
    for which in ("optimizer", "loss"):
        _check_whole(which, getattr(architecture, which))
    for name, value in architecture.options:
        check_option(name, architecture.optimizer, architecture.loss)
        if isinstance(value, Real) and not fits_float32(value):
            raise ValueError(f"{name} must be finite in float32; got {value!r}.")
    for metric in thaw(architecture.metrics):
        _check_metric(metric)


def _check_whole(name: str, value: Any) -> None:
    """Refuse an instance that Keras cannot copy, as ``Huber(delta=0.1)``: its delta gets lost."""
    if isinstance(value, FromConfig) and value.left_out:
        kind, argument = value.kind.__name__, value.left_out[0]
        raise ValueError(
            f"{name} must be an instance whose get_config() names all of its arguments; that of "
            f"{kind} leaves out {value.left_out}, which clone and pickle would lose: set "
            f"{name} to the class {kind} itself, and {name}__{argument}."
        )


def _check_metric(metric: Any) -> None:
    if metric in ("acc", "accuracy"):  # resolved by Model.compile
        return
    try:
        keras.metrics.get(metric)
    except (ValueError, TypeError) as error:
        raise ValueError(f"metrics must hold names of Keras metrics; got {metric!r}.") from error


def initial_weights(architecture: Architecture, seed: int) -> list[Floats]:
    """Kernels and biases to start from, as NumPy arrays: Glorot's uniform law, and zeros.

    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", 2010.
    """
    sizes = architecture.layer_sizes
    seeds = np.random.SeedSequence(seed).generate_state(len(sizes) - 1)
    weights = []
    for rows, columns, layer_seed in zip(sizes, sizes[1:], seeds, strict=False):
        limit = np.sqrt(6 / (rows + columns))
        rng = np.random.default_rng(layer_seed)
        weights.append(rng.uniform(-limit, limit, (rows, columns)).astype(np.float32))
        weights.append(np.zeros(columns, np.float32))
    return weights


def build_models(
    layer_sizes: Sequence[int], activations: Sequence[Any], n_encoder_layers: int
) -> tuple[Any, Any, Any]:
    """Encoder, decoder and autoencoder: Keras models over one set of layers.

    The kernels start at zero: Keras' default would draw its seed from Python's global
    generator, and every caller sets the weights anyway.
    """
    check_not_severed()
    names = _layer_names(len(activations), n_encoder_layers)
    layers = [
        keras.layers.Dense(units, activation=activation, kernel_initializer="zeros", name=name)
        for units, activation, name in zip(layer_sizes[1:], activations, names, strict=True)
    ]
    inputs = keras.Input((layer_sizes[0],), name="input")
    codes = _chain(layers[:n_encoder_layers], inputs)
    code_inputs = keras.Input((layer_sizes[n_encoder_layers],), name="code_input")
    decoded = layers[n_encoder_layers:]
    encoder = keras.Model(inputs, codes, name="encoder")
    decoder = keras.Model(code_inputs, _chain(decoded, code_inputs), name="decoder")
    autoencoder = keras.Model(inputs, _chain(decoded, codes), name="autoencoder")
    return encoder, decoder, autoencoder


def models_with_weights(
    layer_sizes: Sequence[int],
    activations: Sequence[Any],
    n_encoder_layers: int,
    weights: Iterable[Array],
) -> tuple[Any, Any, Any]:
    """`build_models` with the kernels and biases given."""
    with nameless_variables():
        models = build_models(layer_sizes, activations, n_encoder_layers)
    models[2].set_weights(list(weights))
    return models


def _layer_activations(architecture: Architecture) -> list[str]:
    """Name the parameter that gives each layer's activation."""
    hidden = ["activation"] * len(architecture.hidden_layer_sizes)
    return [*hidden, "code_activation", *hidden, "output_activation"]


def _layer_names(n_layers: int, n_encoder_layers: int) -> list[str]:
    encoder = [f"encoder_{i}" for i in range(1, n_encoder_layers)]
    decoder = [f"decoder_{i}" for i in range(1, n_layers - n_encoder_layers)]
    return [*encoder, "code", *decoder, "reconstruction"]


def _chain(layers: Iterable[Any], tensor: Tensor) -> Tensor:
    for layer in layers:
        tensor = layer(tensor)
    return tensor


def compiled_autoencoder(architecture: Architecture) -> Any:
    """Build the Keras autoencoder and have scikeras compile it.

    scikeras turns ``optimizer="adam", optimizer__beta_1=0.8`` into ``Adam(beta_1=0.8)``, and
    the same for the loss.
    """
    from scikeras.wrappers import BaseWrapper

    check_names(architecture)
    widths = architecture.layer_sizes[1:]
    for which, width in zip(_layer_activations(architecture), widths, strict=True):
        _check_shape(which, getattr(architecture, which), width)
    options = dict(architecture.options)
    optimizer, loss = thaw(architecture.optimizer), thaw(architecture.loss)
    if isinstance(optimizer, str):
        optimizer = optimizer_class(optimizer)  # "muon" is ours, and Keras forgets "lamb"
    # scikeras passes parameters to classes only, and Keras does not know every class by its name
    if any(name.startswith("loss__") for name in options) or loss in LOSSES:
        loss = loss_class(loss)

    def model(compile_kwargs: dict[str, Any]) -> Any:
        *_, autoencoder = build_models(
            architecture.layer_sizes, architecture.activations, architecture.n_encoder_layers
        )
        compile_kwargs["weighted_metrics"] = compile_kwargs.pop("metrics")
        autoencoder.compile(**compile_kwargs)
        return autoencoder

    wrapper = BaseWrapper(
        model,
        optimizer=optimizer,
        loss=loss,
        metrics=thaw(architecture.metrics) or None,
        **{name: thaw(value) for name, value in options.items()},
    )
    example = np.zeros((2, architecture.n_features), np.float32)
    return wrapper.initialize(example, example).model_


def is_elementwise(optimizer: Any) -> bool:
    """Whether it treats each number by itself, whichever array it belongs to."""
    return type(optimizer) in ELEMENTWISE and optimizer.clipnorm is None


def activation_function(activation: Any) -> Callable[[Tensor], Tensor]:
    """Function from tensor to tensor, of a name or a function."""
    return keras.activations.get(activation)


def row_losses(
    model: Any, activation: Callable[[Tensor], Tensor]
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The compiled loss as a function of targets and logits.

    It returns a loss per row, and the gradient by the logits.  ``activation`` leads from the
    logits to the outputs that Keras' own losses take.
    """
    loss = keras.losses.get(model.loss)
    if activation is keras.activations.sigmoid and _is_plain_cross_entropy(loss):
        return sigmoid_cross_entropy
    name = name_of(loss)
    if isinstance(loss, keras.losses.Loss):
        loss = loss.call  # before the reduction: the rows are weighted and summed here
    example = keras.ops.full((2, model.output_shape[-1]), 0.5)
    try:
        shape = tuple(loss(example, example).shape)
    except Exception as error:
        raise ValueError(
            "loss must compare rows of numbers with rows of numbers; got "
            f"{name}, which fails for 2 rows: {plain(error)}"
        ) from error
    if shape != (2,):
        raise ValueError(
            "loss must return one value for each row, of shape (n_rows,); "
            f"got {name}, which returned shape {shape} for 2 rows."
        )
    return with_gradient(lambda targets, z: loss(targets, activation(z)))


def _is_plain_cross_entropy(loss: Any) -> bool:
    """Whether a loss is Keras' binary cross-entropy with its defaults."""
    if isinstance(loss, keras.losses.Loss):
        plain = keras.losses.BinaryCrossentropy().get_config()
        same = {**loss.get_config(), "name": plain["name"], "reduction": plain["reduction"]}
        return type(loss) is keras.losses.BinaryCrossentropy and same == plain
    return loss is keras.losses.binary_crossentropy


def build_metrics(model: Any) -> None:
    """Create the metrics' variables, which Keras leaves to their first update."""
    example = np.zeros((2, model.output_shape[-1]), np.float32)
    model.compute_metrics(example, example, example, np.ones(2, np.float32))
    model.reset_metrics()


__all__ = ["keras", "tf"]
