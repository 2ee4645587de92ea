"""The frozen description of a network and of how a step of its training is computed.

Two fits with equal architectures share one compiled program, so everything that changes
the program stands here, and nothing that does not: learning rates, the noise scale,
seeds, sample weights and the number of rows are arguments of the program.
"""

import functools
import inspect
import itertools
import json
import operator
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._parameters import check_layer_sizes
from skae._typing import Activation, Matrix

ROUTED = ("optimizer__", "loss__")
# Where an activation's values lie; targets beyond cannot be reconstructed.
OUTPUT_RANGES = {
    "sigmoid": (0, 1),
    "hard_sigmoid": (0, 1),
    "softmax": (0, 1),
    "tanh": (-1, 1),
    "softsign": (-1, 1),
}
CROSS_ENTROPIES = (
    "binary_crossentropy",
    "BinaryCrossentropy",
    "bce",
    "BCE",
    "binary_focal_crossentropy",
    "BinaryFocalCrossentropy",
)


@dataclass(frozen=True)
class FromConfig:
    """A Keras object known by its class and configuration: equal whenever those are.

    A grid search clones its parameters, and every clone of ``Adam(beta_1=0.8)`` is
    another object; by identity each would ask for a compilation of its own.
    """

    kind: Any
    config: str

    @classmethod
    def of(cls, value: Any) -> "FromConfig":
        config = value.get_config()
        if "learning_rate" in config:  # an optimizer's: an argument, no part of the structure
            config["learning_rate"] = 0.0
            config["name"] = value.__class__.__name__  # Keras counts them: adam, adam_1, ...
        as_list = operator.methodcaller("tolist")  # NumPy's numbers and arrays
        return cls(type(value), json.dumps(config, sort_keys=True, default=as_list))

    @property
    def left_out(self) -> list[str]:
        """What the class takes but its configuration does not name: a copy loses it."""
        taken = set(inspect.signature(self.kind).parameters) - {"args", "kwargs", "dtype"}
        return sorted(taken - set(json.loads(self.config)))

    def build(self) -> Any:
        """Make a new object, which shares nothing with the one described."""
        return self.kind.from_config(json.loads(self.config))


def freeze(value: Any) -> Hashable:
    """Make a hashable equivalent of a parameter that may hold Keras objects, lists or arrays."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    if hasattr(value, "get_config") and not isinstance(value, type):
        return FromConfig.of(value)
    return value


def thaw(value: Hashable) -> Any:
    """Undo `freeze`: new Keras objects, and lists."""
    if isinstance(value, tuple):
        return list(map(thaw, value))
    return value.build() if isinstance(value, FromConfig) else value


@dataclass(frozen=True)
class Architecture:
    """A dense autoencoder: its layers, its loss, its optimizer and its mini-batches.

    ``loss``, ``optimizer`` and each of ``metrics`` is a name, a class, a function or
    a `FromConfig`; ``options`` are their routed parameters, such as
    ``("optimizer__beta_1", 0.8)``.  ``compute_dtype`` is that of the layers' matrix products.
    """

    n_features: int
    hidden_layer_sizes: tuple[int, ...]
    n_components: int
    activation: Activation
    code_activation: Activation
    output_activation: Activation
    loss: Hashable
    optimizer: Hashable
    metrics: tuple[Hashable, ...]
    options: tuple[tuple[str, Hashable], ...]
    batch_size: int
    compute_dtype: str = "float32"

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Widths from the input to the output, the code in the middle."""
        hidden = self.hidden_layer_sizes
        return (self.n_features, *hidden, self.n_components, *hidden[::-1], self.n_features)

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activation of each dense layer, from the first to the output."""
        hidden = (self.activation,) * len(self.hidden_layer_sizes)
        return (*hidden, self.code_activation, *hidden, self.output_activation)

    @property
    def n_encoder_layers(self) -> int:
        return len(self.hidden_layer_sizes) + 1

    @property
    def n_parameters(self) -> int:
        sizes = self.layer_sizes
        return sum((rows + 1) * columns for rows, columns in itertools.pairwise(sizes))

    @property
    def batch_bytes(self) -> int:
        """Bytes of a mini-batch's inputs."""
        return 4 * self.batch_size * self.n_features

    def n_steps(self, n_rows: int) -> int:
        """How many mini-batches some rows make, the last one filled up."""
        return -(-n_rows // self.batch_size)


def _activation(value: Any) -> Any:
    """Know a function of Keras by its name, for which NumPy and ONNX have a form.

    What is no activation at all passes here, and `skae._keras.check_names` refuses it.
    """
    if not callable(value):
        return freeze(value)
    from skae._keras import activation_name

    return freeze(activation_name(value))


def auto_batch_size(n_rows: int) -> int:
    """Pick a power of two, from 32 to 256, that makes some 32 steps an epoch or more.

    With fewer steps a small data set is undertrained after the default 20 epochs; see
    docs/performance.md.
    """
    return 1 << min(max((n_rows // 32).bit_length() - 1, 5), 8)


class ValueRange:
    """The lowest and the highest value of a dense or sparse matrix, each looked for once."""

    def __init__(self, X: Matrix) -> None:
        self.X = X

    @functools.cached_property
    def low(self) -> Any:
        return self.X.min()

    @functools.cached_property
    def high(self) -> Any:
        return self.X.max()

    def within(self, low: float, high: float) -> bool:
        """Whether all values lie between two numbers; NaN does not."""
        return bool(low <= self.low and self.high <= high)


def describe(
    params: Mapping[str, Any], shape: tuple[int, int], values: ValueRange, *, bounded: bool
) -> Architecture:
    """Name the program for an estimator's parameters: resolve "auto", check what goes together.

    ``shape`` is that of the rows to train on, ``values`` where those to reconstruct lie, and
    ``bounded`` whether that is in [0, 1].
    """
    from skae._keras import compute_dtype

    output, loss = params["output_activation"], params["loss"]
    if output == "auto":
        output = "sigmoid" if bounded else "linear"
    if loss == "auto":
        binary = bounded and output == "sigmoid"
        loss = "binary_crossentropy" if binary else "mean_squared_error"
    metrics = params["metrics"] or ()
    n_rows, n_features = shape
    architecture = Architecture(
        n_features=n_features,
        hidden_layer_sizes=check_layer_sizes(params["hidden_layer_sizes"]),
        n_components=int(params["n_components"]),
        activation=_activation(params["activation"]),
        code_activation=_activation(params["code_activation"]),
        output_activation=_activation(output),
        loss=_frozen("loss", loss),
        optimizer=_frozen("optimizer", params["optimizer"]),
        metrics=tuple(
            _frozen("metrics", metric)
            for metric in (metrics if isinstance(metrics, list | tuple) else [metrics])
        ),
        options=tuple(
            (name, _frozen(name, value))
            for name, value in sorted(params.items())
            if name.startswith(ROUTED)
        ),
        batch_size=auto_batch_size(n_rows)
        if params["batch_size"] == "auto"
        else int(params["batch_size"]),
        compute_dtype=compute_dtype(),
    )
    _check_output(architecture, values)
    return architecture


def _frozen(name: str, value: Any) -> Hashable:
    """`freeze` a parameter, or say which one a description cannot hold."""
    try:
        frozen = freeze(value)
        hash(frozen)
    except (TypeError, AttributeError) as error:
        raise TypeError(
            f"{name} must be made of numbers, strings, lists, functions and Keras' objects; "
            f"got {value!r}."
        ) from error
    return frozen


def _check_output(architecture: Architecture, values: ValueRange) -> None:
    """Raise where the output, or the loss, does not go with the data."""
    output, loss = name_of(architecture.output_activation), name_of(architecture.loss)
    ranges = {}
    if output in OUTPUT_RANGES:
        ranges[f"output_activation={output!r}"] = OUTPUT_RANGES[output]
    if loss in CROSS_ENTROPIES:
        ranges[f"loss={loss!r}"] = (0, 1)
    _check_ranges(ranges, values)
    if loss in CROSS_ENTROPIES and output == "linear" and not _takes_logits(architecture):
        raise ValueError(
            f"loss={loss!r} needs outputs between 0 and 1; got output_activation='linear': "
            "set output_activation='sigmoid'."
        )


def name_of(value: object) -> str:
    """Name an activation or a loss: a string, a function, a class, an object or a `FromConfig`."""
    if isinstance(value, str):
        return value
    value = value.kind if isinstance(value, FromConfig) else value
    return getattr(value, "__name__", type(value).__name__)


def _takes_logits(architecture: Architecture) -> bool:
    if isinstance(architecture.loss, FromConfig):
        return json.loads(architecture.loss.config).get("from_logits", False)
    return ("loss__from_logits", True) in architecture.options


def _check_ranges(ranges: Mapping[str, tuple[float, float]], values: ValueRange) -> None:
    for what, (low, high) in ranges.items():
        if not values.within(low, high):
            raise ValueError(
                f"{what} needs data between {low} and {high}; got values from {values.low:.4g} to "
                f"{values.high:.4g}. Scale the data (MinMaxScaler(clip=True)), or set "
                "output_activation='linear' and loss='mean_squared_error'."
            )
