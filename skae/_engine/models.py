"""Keras models of a network, and the scope that makes their variables."""

import contextlib
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from skae._engine.lookup.names import (
    ELEMENTWISE,
    LOSSES,
    check_activation_shape,
    check_names,
    loss_class,
    optimizer_class,
)
from skae._engine.lookup.tracing import named
from skae._engine.muon import Muon
from skae._engine.spec import ProgramSpec, activation_parameters, routed_options
from skae._engine.tensorflow import check_eager, keras, tf, unnamed_variables
from skae._network.frozen import KerasConfig, name_of, thaw
from skae._network.layers import Dense, Dropout, Layer, Shortcut
from skae._network.spec import NetworkSpec
from skae._network.tables import Gaps, Probabilities
from skae._process import check_not_forked
from skae._typing import Array, Tensor


@functools.singledispatch
def keras_layer(layer: Layer, half: str, name: str) -> Callable[[Tensor], Tensor]:
    """Make the Keras layer, or several of them, that compute a layer; dispatches on its class.

    Layers inside it are named after the ``half`` of the network.
    """
    raise NotImplementedError(f"There is no Keras layer for {type(layer).__name__}.")


@keras_layer.register
def _(layer: Dense, half: str, name: str) -> Any:
    return _keras_dense(layer, name, activation=layer.activation)


@keras_layer.register
def _(layer: Dropout, half: str, name: str) -> Any:
    return keras.layers.Dropout(layer.rate, seed=0, name=name)


@keras_layer.register
def _(layer: Gaps, half: str, name: str) -> Callable[[Tensor], Tensor]:
    def gaps(rows: Tensor) -> Tensor:
        # operations, and no layer of skae: a saved model can be opened without skae
        unknown = keras.ops.isnan(rows)
        values = keras.ops.where(unknown, 0.0, rows)
        told = keras.ops.cast(unknown[:, : layer.width], "float32")
        return keras.ops.concatenate([values, told], axis=-1)

    return gaps


@keras_layer.register
def _(layer: Probabilities, half: str, name: str) -> Callable[[Tensor], Tensor]:
    def probabilities(logits: Tensor) -> Tensor:
        ops, parts = keras.ops, [logits[:, : layer.n_numbers]]
        if layer.n_booleans:
            parts.append(ops.sigmoid(logits[:, layer.booleans]))
        for run in layer.runs():
            block = ops.reshape(logits[:, run.start : run.stop], run.shape)
            flat = (-1, run.stop - run.start)
            # Keras warns of a softmax over one value.
            shares = ops.softmax(block, axis=-1) if run.n_categories > 1 else ops.ones_like(block)
            parts.append(ops.reshape(shares, flat))
        return ops.concatenate(parts, axis=-1)

    return probabilities


@keras_layer.register
def _(layer: Shortcut, half: str, name: str) -> Callable[[Tensor], Tensor]:
    path = _keras_dense(layer, f"{name}_linear", use_bias=False)
    chain = _keras_chain(layer.layers, half, f"{name}_nonlinear")
    add = keras.layers.Add(name=f"{name}_sum")
    activate = keras.layers.Activation(layer.activation, name=name)
    return lambda rows: activate(add([path(rows), chain(rows)]))


def _keras_dense(layer: Dense | Shortcut, name: str, **options: Any) -> Any:
    # All callers set the weights.  Keras' default initializer would draw a seed from Python's
    # global generator.
    return keras.layers.Dense(layer.n_outputs, kernel_initializer="zeros", name=name, **options)


def _keras_chain(layers: Sequence[Layer], half: str, last: str) -> Callable[[Tensor], Tensor]:
    """Make the Keras layers of a chain.

    They are named encoder_1, encoder_1_dropout, encoder_2 and so on; ``last`` is the name of the
    last one.
    """
    names: list[str] = []
    n_dense = 0
    for layer in layers[:-1]:
        is_dense = isinstance(layer, Dense)
        n_dense += is_dense
        kind = type(layer).__name__.lower()
        before = names[-1] if names else half
        names.append(f"{half}_{n_dense}" if is_dense else f"{before}_{kind}")
    made = list(map(keras_layer, layers, itertools.repeat(half), [*names, last]))
    return lambda rows: functools.reduce(lambda h, apply: apply(h), made, rows)


def build_models(network: NetworkSpec) -> tuple[Any, Any, Any]:
    """Make encoder, decoder and autoencoder as Keras models that share their layers."""
    check_not_forked()
    check_eager()
    n = network.n_encoder_layers
    encode = _keras_chain(network.layers[:n], "encoder", "code")
    decode = _keras_chain(network.layers[n:], "decoder", "reconstruction")
    inputs = keras.Input((network.n_features,), name="input")
    codes = encode(inputs)
    code_inputs = keras.Input((network.n_components,), name="code_input")
    encoder = keras.Model(inputs, codes, name="encoder")
    decoder = keras.Model(code_inputs, decode(code_inputs), name="decoder")
    autoencoder = keras.Model(inputs, decode(codes), name="autoencoder")
    return encoder, decoder, autoencoder


def models_with_weights(network: NetworkSpec, weights: Iterable[Array]) -> tuple[Any, Any, Any]:
    """Make the models of `build_models` and set their weights."""
    with unnamed_variables():
        models = build_models(network)
    models[2].set_weights(list(weights))
    return models


def compiled_autoencoder(spec: ProgramSpec) -> Any:
    """Build the Keras autoencoder and have scikeras compile it.

    scikeras turns ``optimizer="adam", optimizer__beta_1=0.8`` into ``Adam(beta_1=0.8)``, and does
    the same for the loss.

    Raises
    ------
    ValueError, TypeError
        If Keras does not know a name or a parameter, or if an activation changes the shape.
    """
    from scikeras.wrappers import BaseWrapper

    check_names(spec)
    for name, layer in zip(activation_parameters(spec.network), spec.network.trained, strict=True):
        check_activation_shape(name, layer.activation, layer.n_outputs)
    optimizer, loss = thaw(spec.optimizer), thaw(spec.objective.loss)
    if isinstance(optimizer, str):
        optimizer = optimizer_class(optimizer)  # Keras knows neither skae's "muon" nor "lamb"
    # scikeras passes parameters to classes only, and Keras does not know all classes by their names
    if spec.objective.options or loss in LOSSES:
        loss = loss_class(loss)

    def model(compile_kwargs: dict[str, Any]) -> Any:
        *_, autoencoder = build_models(spec.network)
        compile_kwargs["weighted_metrics"] = compile_kwargs.pop("metrics")
        autoencoder.compile(**compile_kwargs)
        return autoencoder

    wrapper = BaseWrapper(
        model,
        optimizer=optimizer,
        loss=loss,
        metrics=thaw(spec.metrics) or None,
        **{name: thaw(value) for name, value in routed_options(spec)},
    )
    example = np.zeros((2, spec.network.n_features), np.float32)
    return wrapper.initialize(example, example).model_


def build_metrics(model: Any, spec: ProgramSpec) -> None:
    """Create the variables of the metrics, which Keras otherwise creates when it updates them."""
    example = np.zeros((2, model.output_shape[-1]), np.float32)
    metric_updater(model, spec)(example, example, example, np.ones(2, np.float32))
    model.reset_metrics()


def metric_updater(model: Any, spec: ProgramSpec) -> Callable[..., Any]:
    """Return the method that updates a model's metrics; its errors name them."""
    names = " or ".join(map(name_of, spec.metrics))
    return named("metrics", model.compute_metrics, names)


@contextlib.contextmanager
def shape_free_variables(spec: ProgramSpec) -> Iterator[None]:
    """Return a scope like `unnamed_variables`; variables have unknown shapes if possible.

    Then models of different widths share the entries of TensorFlow's cache.  It is possible if the
    optimizer takes shapes from the gradients and not from the variables.  It is impossible if a
    constant of the optimizer has several values, because TensorFlow then compares shapes.
    """
    with unnamed_variables():
        needs_shapes = (
            optimizer_class(spec.optimizer) not in {*ELEMENTWISE, Muon}
            or any(isinstance(value, tuple | list) for value in _constants(spec))
            or tf.distribute.has_strategy()
        )
        if needs_shapes:
            yield
        else:
            with tf.variable_creator_scope(_with_unknown_shape):
                yield


def _constants(spec: ProgramSpec) -> list[Any]:
    """Return the optimizer's constants that the user set; of an instance, all its constants."""
    routed = [value for _, value in spec.optimizer_options]
    own = json.loads(spec.optimizer.config) if isinstance(spec.optimizer, KerasConfig) else {}
    return [*routed, *own.values()]


def _with_unknown_shape(create: Callable[..., Any], **options: Any) -> Any:
    # If a variable is made from a value, Keras later takes the shape from the variable.
    if callable(options["initial_value"]):
        value = options["initial_value"]()
        options |= {"initial_value": value, "shape": tf.TensorShape([None] * len(value.shape))}
    return create(**options)
