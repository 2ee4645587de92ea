"""Read the dense layers out of Keras models that a user brings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._forward import Network
from skae._keras import activation_name, keras
from skae._typing import Activation, Array

layers = keras.layers
# Layers that do nothing at inference, or nothing to a row that is flat.
INERT = (
    layers.InputLayer, layers.Dropout, layers.AlphaDropout, layers.GaussianDropout,
    layers.GaussianNoise, layers.ActivityRegularization, layers.Identity,
    layers.Flatten, layers.Reshape,
)  # fmt: skip
ACTIVATION_LAYERS: dict[str, dict[str, Any]] = {
    "relu": {"class": layers.ReLU, "max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    "relu6": {"class": layers.ReLU, "max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0},
    "leaky_relu": {"class": layers.LeakyReLU, "negative_slope": 0.2},
    "elu": {"class": layers.ELU, "alpha": 1.0},
    "softmax": {"class": layers.Softmax, "axis": -1},
}
# How far from the model's own outputs ours may be, as a part of the largest: half precision.
TOLERANCE = 2e-2


@dataclass
class _Layer:
    """A dense layer in float64; a ``diagonal`` one only scales and shifts its columns."""

    kernel: Array
    bias: Array
    activation: Activation = "linear"
    diagonal: bool = False


def read(encoder: Any, decoder: Any) -> Network:
    """Make a `Network` of a Keras encoder and decoder; raise ValueError where that cannot be."""
    _check_model("encoder", encoder)
    _check_model("decoder", decoder)
    encoding, decoding = _chain("encoder", encoder), _chain("decoder", decoder)
    n_features, n_components = len(encoding[0].kernel), encoding[-1].kernel.shape[1]
    given = len(decoding[0].kernel), decoding[-1].kernel.shape[1]
    if given != (n_components, n_features):
        raise ValueError(
            f"decoder must lead from the encoder's {n_components} outputs back to its "
            f"{n_features} inputs; got one from {given[0]} to {given[1]}."
        )
    weights = [
        np.ascontiguousarray(array, np.float32)
        for layer in encoding + decoding
        for array in (layer.kernel, layer.bias)
    ]
    activations = [layer.activation for layer in encoding + decoding]
    network = Network(weights, activations, len(encoding))
    _check_outputs("encoder", encoder, network.encode)
    _check_outputs("decoder", decoder, network.decode)
    return network


def parameters(network: Network) -> dict[str, Any]:
    """Name the parameters that describe a network, or its encoder where they cannot all of it."""
    n = network.n_encoder_layers
    sizes, activations = network.layer_sizes, network.activations
    hidden = {"activation": activations[0]} if n > 1 else {}
    return hidden | {
        "n_components": sizes[n],
        "hidden_layer_sizes": sizes[1:n],
        "code_activation": activations[n - 1],
        "output_activation": activations[-1],
    }


def _check_model(name: str, model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(f"{name} must be a Keras model; got {model!r}.")
    if not model.built or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"{name} must have been built and have one input and one output: give "
            "keras.Sequential a keras.Input first, or call the model once."
        )


def _chain(name: str, model: Any) -> list[_Layer]:
    """Fold the layers of a model into dense ones."""
    chain: list[_Layer] = []
    width = int(np.prod(model.input_shape[1:]))
    for layer in _flatten(model):
        if type(layer) in INERT:
            continue
        if type(layer) is layers.Dense:
            chain.append(_dense(name, layer, width))
        elif type(layer) in SCALINGS:
            chain.append(_diagonal(name, layer, width))
        else:
            _set_activation(chain, _activation(name, layer), width)
        width = chain[-1].kernel.shape[1]
    if not chain:
        raise ValueError(f"{name} has no Dense layer.")
    return _merge(chain)


def _flatten(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _flatten(layer)
        else:
            yield layer


def _refuse(
    name: str, layer: Any, why: str = "is none of the layers that skae can take over"
) -> ValueError:
    return ValueError(
        f"The layer {layer.name!r} of {name}, a {type(layer).__name__}, {why}. These are: Dense, "
        f"{', '.join(kind.__name__ for kind in (*SCALINGS, *INERT))}, Activation, ReLU, LeakyReLU, "
        "ELU and Softmax, one after the other."
    )


def _float64(values: Any) -> Array:
    return keras.ops.convert_to_numpy(values).astype(np.float64)


def _dense(name: str, layer: Any, width: int) -> _Layer:
    kernel = _float64(layer.kernel)
    if len(kernel) != width:
        raise _refuse(name, layer, f"takes {len(kernel)} columns and not the row's {width}")
    bias = _float64(layer.bias) if layer.use_bias else np.zeros(kernel.shape[1])
    return _Layer(kernel, bias, _activation(name, layer))


def _diagonal(name: str, layer: Any, width: int) -> _Layer:
    scale, shift = SCALINGS[type(layer)](layer)
    if scale.size not in (1, width):
        raise _refuse(name, layer, f"scales {scale.size} columns and not the row's {width}")
    scale, shift = np.broadcast_to(scale.ravel(), width), np.broadcast_to(shift.ravel(), width)
    return _Layer(np.diag(scale), shift, diagonal=True)


def _batch_normalization(layer: Any) -> tuple[Array, Array]:
    config = layer.get_config()
    mean = _float64(layer.moving_mean)
    scale = 1 / np.sqrt(_float64(layer.moving_variance) + config["epsilon"])
    if config["scale"]:
        scale = scale * _float64(layer.gamma)
    shift = -mean * scale
    return scale, shift + _float64(layer.beta) if config["center"] else shift


def _rescaling(layer: Any) -> tuple[Array, ...]:
    scale = _float64(layer.scale)
    return np.broadcast_arrays(scale, _float64(layer.offset))


SCALINGS = {
    layers.BatchNormalization: _batch_normalization,
    layers.Rescaling: _rescaling,
}


def _activation(name: str, layer: Any) -> Activation:
    """Name of a layer's activation, or a user's function."""
    config = layer.get_config()
    for known, wanted in ACTIVATION_LAYERS.items():
        if type(layer) is wanted["class"] and all(
            config[key] == value for key, value in wanted.items() if key != "class"
        ):
            return known
    if type(layer) in [wanted["class"] for wanted in ACTIVATION_LAYERS.values()]:
        raise _refuse(name, layer, "has parameters that no activation by name has")
    if type(layer) not in (layers.Dense, layers.Activation):
        raise _refuse(name, layer)
    function = layer.activation
    if isinstance(function, layers.Layer):
        return _activation(name, function)
    return activation_name(function)


def _set_activation(chain: list[_Layer], activation: Activation, width: int) -> None:
    """Give the last layer an activation; a layer that has one is followed by another layer."""
    if not chain or chain[-1].activation != "linear":
        chain.append(_Layer(np.eye(width), np.zeros(width), diagonal=True))
    chain[-1].activation = activation


def _merge(chain: list[_Layer]) -> list[_Layer]:
    """Multiply diagonal layers into the dense ones beside them, where nothing lies between."""
    merged = chain[:1]
    for layer in chain[1:]:
        last = merged[-1]
        if last.activation == "linear" and (last.diagonal or layer.diagonal):
            merged[-1] = _Layer(
                last.kernel @ layer.kernel,
                last.bias @ layer.kernel + layer.bias,
                layer.activation,
                last.diagonal and layer.diagonal,
            )
        else:
            merged.append(layer)
    return merged


def _check_outputs(name: str, model: Any, ours: Callable[[Array], Array]) -> None:
    """Compare with the model itself: it may branch, or a layer may be used twice."""
    rows = np.random.default_rng(0).uniform(size=(8, *model.input_shape[1:])).astype(np.float32)
    expected = _float64(model(rows, training=False)).reshape(len(rows), -1)
    got = ours(rows.reshape(len(rows), -1))
    if not np.allclose(got, expected, atol=TOLERANCE * np.abs(expected).max()):
        raise ValueError(
            f"{name} must be a chain of layers, each used once and fed by the one before; "
            "this one computes something else."
        )
