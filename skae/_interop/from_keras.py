"""Reading a user's Keras models: their network, and parameters of an estimator."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from skae._engine.lookup.names import activation_name
from skae._engine.tensorflow import keras
from skae._interop.keras_models import eager_fallback
from skae._interop.keras_penalties import INERT, Half, Halves, lost_in_training, training_parameters
from skae._network.folding import Affine, activated, fold
from skae._network.inference import Network
from skae._network.layers import Shortcut
from skae._network.spec import NetworkSpec, dense_chain, with_shortcut
from skae._network.tables import Gaps
from skae._objective.column_weights import NAME, column_weights
from skae._typing import Activation, Array

layers = keras.layers

ACTIVATION_LAYERS: dict[str, dict[str, Any]] = {
    "relu": {"class": layers.ReLU, "max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    "relu6": {"class": layers.ReLU, "max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0},
    "leaky_relu": {"class": layers.LeakyReLU, "negative_slope": 0.2},
    "elu": {"class": layers.ELU, "alpha": 1.0},
    "softmax": {"class": layers.Softmax, "axis": -1},
}

# Largest difference from the model's own outputs, relative to the largest output.  Half precision
# needs as much.
TOLERANCE = 2e-2


def read(
    encoder: Any, decoder: Any, given: Mapping[str, Any] | None = None
) -> tuple[Network, dict[str, Any]]:
    """Return the network in an encoder and a decoder, and parameters that describe it.

    The parameters cannot describe hidden layers of different activations, nor a linear path beside
    the hidden layers of one half only.  They include dropout and penalties, except those in
    ``given``, which the user has set.

    Raises
    ------
    TypeError, ValueError
        If the models are not chains of known layers that fit together.

    Warns
    -----
    UserWarning
        If a layer has a regularizer, a constraint, noise or frozen weights, and no parameter has
        this effect.
    """
    given = given or {}
    halves = _read_half("encoder", encoder), _read_half("decoder", decoder)
    _check_sizes(*halves)
    found = training_parameters(halves)
    lost = list(lost_in_training(halves, {*found, *given}))
    if lost:
        warnings.warn(
            "No parameter of the estimator has these effects of the models, so a fit will not have "
            f"them: {', '.join(lost)}. The results of transform and reconstruct are the same.",
            stacklevel=3,
        )
    found = {name: value for name, value in found.items() if name not in given}
    network = _network(halves, found.get("dropout", 0.0))
    n_features = network.spec.n_features
    network.column_weights = column_weights(given.get(NAME), n_features, names=None)
    _check_outputs("encoder", encoder, network.encode, network.spec.has_gaps)
    _check_outputs("decoder", decoder, network.decode)
    return network, _network_parameters(network.spec) | found


def _network(halves: Halves, dropout: float) -> Network:
    encoder, decoder = halves
    parts = [_dense_layers(half, dropout) for half in (encoder, decoder)]
    weights = [
        np.ascontiguousarray(array, np.float32)
        for array in (*_weights(encoder), *_weights(decoder))
    ]
    return Network(NetworkSpec((*parts[0], *parts[1]), len(parts[0])), weights, eager_fallback)


def _dense_layers(half: Half, dropout: float) -> list[Any]:
    sizes = [len(half.chain[0].kernel), *(len(layer.bias) for layer in half.chain)]
    make = dense_chain if half.path is None else with_shortcut
    opening = [Gaps(half.n_inputs)] if half.gaps else []
    return [*opening, *make(sizes, [layer.activation for layer in half.chain], dropout)]


def _weights(half: Half) -> Iterator[Array]:
    """Yield the weights of a half, in the order of its network's layers."""
    *inner, last = half.chain
    for layer in inner:
        yield from (layer.kernel, layer.bias)
    if half.path is not None:
        yield _float64(half.path.kernel)
    yield from (last.kernel, last.bias)


def _network_parameters(spec: NetworkSpec) -> dict[str, Any]:
    """Return the parameters that describe a network, with the first hidden layer's activation."""
    n = len(spec.trained_encoder)
    encoder, decoder = spec.widths[1:n], spec.widths[n + 1 : -1]
    hidden = [*spec.activations[: n - 1], *spec.activations[n:-1]]
    has_path = any(isinstance(layer, Shortcut) for layer in spec.layers)
    optional = {"activation": hidden[0]} if hidden else {}
    optional |= {"missing_values": "mask"} if spec.has_gaps else {}
    return optional | {
        "n_components": spec.n_components,
        "hidden_layer_sizes": encoder,
        "decoder_layer_sizes": None if decoder == encoder[::-1] else decoder,
        "code_activation": spec.activations[n - 1],
        "output_activation": spec.activations[-1],
        "init": "pca" if has_path else "random",
    }


# --------------------------------------------------------------------------- layers


def _read_half(name: str, model: Any) -> Half:
    """Check a model and fold its layers into dense ones."""
    _check_model(name, model)
    chain: list[Affine] = []
    width = int(np.prod(model.input_shape[1:]))
    flat = list(_flatten(model))
    gaps = name == "encoder" and _tells_gaps(flat, width)
    width *= 1 + gaps
    path = _linear_path(flat, width)
    flat = [layer for layer in flat if layer is not path and (path is None or not _is_sum(layer))]
    for layer in flat:
        if type(layer) in INERT:
            continue
        if type(layer) is layers.Dense:
            chain.append(_dense(name, layer, width))
        elif type(layer) in SCALINGS:
            chain.append(_scaling(name, layer, width))
        else:
            chain = activated(chain, _activation(name, layer), width)
        width = chain[-1].kernel.shape[1]
    if not chain:
        raise ValueError(f"{name} must have a Dense layer; got {[layer.name for layer in flat]}.")
    return Half(flat, fold(chain), path, gaps)


def _tells_gaps(flat: Sequence[Any], width: int) -> bool:
    """Return whether the first dense layer has two inputs for each value, as after `Gaps`.

    What makes them of a row is no layer; `_check_outputs` compares what the model computes.
    """
    dense = [layer for layer in flat if type(layer) is layers.Dense]
    return bool(dense) and dense[0].kernel.shape[0] == 2 * width


def _linear_path(flat: Sequence[Any], width: int) -> Any:
    """Return the dense layer that is a linear path from the first layer to the last, or None.

    The order of the layers does not tell; `_check_outputs` compares what the model computes.
    """
    if sum(map(_is_sum, flat)) != 1:
        return None
    dense = [layer for layer in flat if type(layer) is layers.Dense]
    paths = [
        layer
        for layer in dense
        if layer.kernel.shape == (width, dense[-1].units)
        and not layer.use_bias
        and layer.activation is keras.activations.linear
    ]
    return paths[0] if len(dense) > len(paths) == 1 else None


def _is_sum(layer: Any) -> bool:
    return type(layer) is layers.Add


def _check_model(name: str, model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(f"{name} must be a Keras model; got {model!r}.")
    if not model.built or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"{name} must have been built and have one input and one output: give "
            "keras.Sequential a keras.Input first, or call the model once."
        )


def _check_sizes(encoder: Half, decoder: Half) -> None:
    n_features, n_components = encoder.n_inputs, len(encoder.chain[-1].bias)
    given = len(decoder.chain[0].kernel), len(decoder.chain[-1].bias)
    if given != (n_components, n_features):
        raise ValueError(
            f"decoder must lead from the encoder's {n_components} outputs back to its "
            f"{n_features} inputs; got one from {given[0]} to {given[1]}."
        )


def _flatten(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, and those of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _flatten(layer)
        else:
            yield layer


def _refusal(name: str, layer: Any, why: str = "is not of a kind that skae supports") -> ValueError:
    kinds = [kind.__name__ for kind in (layers.Dense, *SCALINGS, *INERT, layers.Activation)]
    kinds += ["ReLU", "LeakyReLU", "ELU"]
    return ValueError(
        f"{name} must be a chain of the layers {', '.join(kinds)} and Softmax; got {layer.name!r}, "
        f"a {type(layer).__name__}, which {why}."
    )


def _float64(values: Any) -> Array:
    return np.asarray(values.numpy() if hasattr(values, "numpy") else values).astype(np.float64)


def _dense(name: str, layer: Any, width: int) -> Affine:
    kernel = _float64(layer.kernel)
    if len(kernel) != width:
        raise _refusal(name, layer, f"takes {len(kernel)} columns, but a row has {width} there")
    bias = _float64(layer.bias) if layer.use_bias else np.zeros(kernel.shape[1])
    return Affine(kernel, bias, _activation(name, layer))


def _scaling(name: str, layer: Any, width: int) -> Affine:
    scale, shift = SCALINGS[type(layer)](layer)
    if scale.size not in (1, width):
        raise _refusal(name, layer, f"scales {scale.size} columns, but a row has {width} there")
    return Affine.scaling(
        np.broadcast_to(scale.ravel(), width), np.broadcast_to(shift.ravel(), width)
    )


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
    """Return the name of a layer's activation, or the user's function."""
    config = layer.get_config()
    for known, wanted in ACTIVATION_LAYERS.items():
        if type(layer) is wanted["class"] and all(
            config[key] == value for key, value in wanted.items() if key != "class"
        ):
            return known
    if type(layer) in [wanted["class"] for wanted in ACTIVATION_LAYERS.values()]:
        raise _refusal(name, layer, "has parameters that no activation by name has")
    if type(layer) not in (layers.Dense, layers.Activation):
        raise _refusal(name, layer)
    function = layer.activation
    if isinstance(function, layers.Layer):
        return _activation(name, function)
    return activation_name(function)


def _check_outputs(
    name: str, model: Any, ours: Callable[[Array], Array], gaps: bool = False
) -> None:
    """Compare with the model's own outputs: it may branch, or use a layer twice."""
    rng = np.random.default_rng(0)
    rows = rng.uniform(size=(8, *model.input_shape[1:])).astype(np.float32)
    if gaps:
        rows[rng.uniform(size=rows.shape) < 0.5] = np.nan
    expected = _float64(model(rows, training=False)).reshape(len(rows), -1)
    got = ours(rows.reshape(len(rows), -1))
    if not np.allclose(got, expected, atol=TOLERANCE * np.abs(expected).max()):
        raise ValueError(
            f"{name} must be a chain of layers, each used once and fed by the one before; "
            "this one computes something else."
        )
