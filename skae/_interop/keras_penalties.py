"""Dropout and penalties of a user's Keras layers, as parameters of an estimator."""

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._engine.tensorflow import keras
from skae._network.folding import Affine

layers = keras.layers

# These layers change values in training only.
NOISES = (layers.Dropout, layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise)

# These layers do nothing at inference, or nothing to a row, which is flat.
INERT = (
    layers.InputLayer, *NOISES, layers.ActivityRegularization, layers.Identity,
    layers.Flatten, layers.Reshape,
)  # fmt: skip

# Attributes of Keras' layers that act in training only.
ATTRIBUTES = [
    f"{weight}_{kind}"
    for kind in ("regularizer", "constraint")
    for weight in ("kernel", "bias", "activity", "gamma", "beta")
]


@dataclass(frozen=True)
class Half:
    """An encoder or a decoder: its Keras layers, and the dense layers that compute the same.

    ``path`` is the Keras layer of a linear path beside all others, or None.  ``gaps`` says whether
    the first layer has inputs that tell which values are unknown.
    """

    layers: Sequence[Any]
    chain: Sequence[Affine]
    path: Any = None
    gaps: bool = False

    @property
    def n_inputs(self) -> int:
        """Number of values of a row."""
        return len(self.chain[0].kernel) // (1 + self.gaps)

    @property
    def dense(self) -> list[Any]:
        """The Keras layers that are dense, the linear path included."""
        path = () if self.path is None else (self.path,)
        return [*path, *(layer for layer in self.layers if _is_dense(layer))]


Halves = tuple[Half, Half]


def _is_dense(layer: Any) -> bool:
    return type(layer) is layers.Dense


def training_parameters(halves: Halves) -> dict[str, float]:
    """Return the parameters that have the effect of the layers' dropout and penalties."""
    encoder, _ = halves
    found = {
        "dropout": _common_dropout(halves),
        "alpha": _common_l2(layer for half in halves for layer in half.dense),
        "code_penalty": _code_l1(_code_layers(encoder)),
    }
    return {name: value for name, value in found.items() if value}


def _common_dropout(halves: Halves) -> float:
    """Return the rate of the dropout after all hidden layers, or 0.

    It is 0 if rates differ, or if there is dropout elsewhere.  It is also 0 if a scaling cannot be
    folded, because this scaling becomes a hidden layer without dropout.
    """
    rates: set[tuple[float, ...]] = set()
    for half in halves:
        before, *hidden, last = _dropout_rates(half)
        if before or last or len(hidden) + 1 != len(half.chain):
            return 0.0
        rates |= set(hidden)
    return rates.pop()[0] if len(rates) == 1 and all(len(each) == 1 for each in rates) else 0.0


def _dropout_rates(half: Half) -> list[tuple[float, ...]]:
    """Return the rates of dropout before the first dense layer, and after each of them.

    A layer that no parameter can replace adds NaN.
    """
    rates: list[tuple[float, ...]] = [()]
    for layer in half.layers:
        if _is_dense(layer):
            rates.append(())
        elif type(layer) is layers.Dropout and layer.rate:
            rates[-1] += (layer.rate,) if layer.noise_shape is None else (layer.rate, np.nan)
        elif rates[-1] and type(layer) not in INERT and not _is_relu(layer):
            rates[-1] += (np.nan,)
    return rates


def _is_relu(layer: Any) -> bool:
    """Return whether a layer is ReLU: dropout before it and dropout after it are the same."""
    if type(layer) is layers.ReLU:
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return getattr(layer, "activation", None) is keras.activations.relu


def _common_l2(dense: Iterable[Any]) -> float:
    """Return the weight of the L2 penalty that all kernels have, or 0."""
    weights = {_l1_l2(layer.kernel_regularizer) for layer in dense}
    l1, l2 = weights.pop() if len(weights) == 1 else (0.0, 0.0)
    return 0.0 if l1 else l2


def _code_layers(encoder: Half) -> list[Any]:
    """Return the last layer that computes and those after it: the code is their output."""
    places = [place for place, layer in enumerate(encoder.layers) if type(layer) not in INERT]
    return list(encoder.layers[places[-1] :])


def _code_l1(code: Iterable[Any]) -> float:
    """Return the weight of the L1 penalty of the code, or 0.

    An older Keras sums the penalty over a mini-batch.  Its weight then depends on the size of the
    mini-batches, which the models do not tell.
    """
    if not _is_mean():
        return 0.0
    weights = [_l1_l2(layer.activity_regularizer) for layer in code if layer.activity_regularizer]
    return 0.0 if any(l2 for _, l2 in weights) else sum(l1 for l1, _ in weights)


@functools.cache
def _is_mean() -> bool:
    """Return whether Keras penalises the mean over rows of an activity, as the estimators do.

    Keras 3.15 does, and Keras 3.13 takes the sum.
    """
    layer = layers.ActivityRegularization(l1=1.0)
    layer(keras.ops.ones((2, 1)))
    return float(layer.losses[0]) == 1.0


def _l1_l2(regularizer: Any) -> tuple[float, float]:
    """Return the weights of a regularizer that is an L1 or L2 norm, else NaN."""
    if regularizer is None:
        return 0.0, 0.0
    kinds = keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2
    config: Mapping[str, Any] = regularizer.get_config() if type(regularizer) in kinds else {}
    if not config:
        return np.nan, np.nan
    # Keras keeps some in float32: 0.009999999776482582 is the user's 0.01
    l1, l2 = (float(f"{config.get(name, 0.0):.7g}") for name in ("l1", "l2"))
    return l1, l2


def lost_in_training(halves: Halves, parameters: Collection[str]) -> Iterator[str]:
    """Describe the effects in training only, except those that ``parameters`` name."""
    code = _code_layers(halves[0])
    for name, half in zip(("encoder", "decoder"), halves, strict=True):
        path = () if half.path is None else (half.path,)
        for layer in (*path, *half.layers):
            for what, parameter in _training_only(layer, on_code=layer in code):
                if parameter not in parameters:
                    yield f"{what} of layer {layer.name!r} of the {name}"


def _training_only(layer: Any, *, on_code: bool) -> Iterator[tuple[str, str]]:
    """Yield the effects that a layer has in training only, each with its parameter or ""."""
    if type(layer) in NOISES and (layer.stddev if hasattr(layer, "stddev") else layer.rate):
        yield "noise", "dropout" if type(layer) is layers.Dropout else ""
    if layer.weights and (layer.non_trainable_weights if _is_dense(layer) else not layer.trainable):
        yield "frozen weights", ""
    parameters = {"kernel_regularizer": "alpha"}
    if on_code:
        parameters["activity_regularizer"] = "code_penalty"
    for name in ATTRIBUTES:
        if getattr(layer, name, None) is not None:
            yield name, parameters.get(name, "")
