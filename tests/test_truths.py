"""Independent truths: ``Model.fit`` of the model that scikeras builds, and finite differences.

For every optimizer, penalty, loss and activation that Keras has: what a new version of Keras adds
is tested from then on.
"""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special

from skae import DeepAutoencoder
from skae._architecture import Architecture
from skae._forward import Network
from skae._keras import (
    ACTIVATIONS,
    LOSSES,
    OPTIMIZERS,
    compiled_autoencoder,
    initial_weights,
    models_with_weights,
)
from skae._records import Plan, Rows, State
from skae._training import train

N_ROWS, N_FEATURES, BATCH, SEED = 40, 6, 16, 7  # the last batch: 8 rows
NO_ROWS = {  # these do not compare a row of numbers with another
    "CTC", "CategoricalGeneralizedCrossEntropy", "Circle", "Dice", "Loss",
    "SparseCategoricalCrossentropy", "Tversky",
}  # fmt: skip
NO_FUNCTION = {"glu", "threshold"}  # one halves the width, the other takes three arguments


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).uniform(0.01, 0.99, (N_ROWS, N_FEATURES)).astype(np.float32)


def describe(**kwargs):
    defaults = {
        "n_features": N_FEATURES, "hidden_layer_sizes": (5,), "n_components": 2,
        "activation": "tanh", "code_activation": "linear", "output_activation": "sigmoid",
        "loss": "mean_squared_error", "optimizer": "sgd", "metrics": (), "options": (),
        "batch_size": BATCH,
    }  # fmt: skip
    return Architecture(**(defaults | kwargs))


def start(architecture):
    """Weights with biases, so that no activation begins at a bend, and none is dead."""
    rng = np.random.default_rng(3)
    return [
        (2 * array if array.ndim == 2 else rng.normal(0, 0.5, array.shape)).astype(np.float32)
        for array in initial_weights(architecture, SEED)
    ]


def engine(architecture, X, weight=None, targets=None, **kwargs):
    defaults = {"optimizer": "sgd", "learning_rate": 0.01, "schedule": "constant", "seed": SEED}
    rows = Rows(X, targets, weight, np.arange(len(X)))
    plan = Plan(**(defaults | {"epochs": 2} | kwargs))
    return train(architecture, rows, plan, start=State(start(architecture)))


def by_model_fit(
    architecture, X, weight=None, targets=None, learning_rate=0.01, epochs=2, noise_scale=None,
    clip=None,
):  # fmt: skip
    """Train the model that scikeras builds on the engine's weights, batches and noise."""
    model = compiled_autoencoder(architecture)
    model.run_eagerly = True
    model.set_weights(start(architecture))
    model.optimizer.learning_rate = learning_rate
    targets, losses = X if targets is None else targets, []
    for epoch in range(epochs):
        rng = np.random.default_rng([SEED, epoch])
        order = rng.permutation(len(X))
        inputs = X[order]
        if noise_scale is not None:
            batches = [inputs[i : i + BATCH] for i in range(0, len(X), BATCH)]
            noise = [rng.standard_normal(batch.shape, np.float32) for batch in batches]
            inputs = inputs + np.float32(noise_scale) * np.concatenate(noise)
        losses += model.fit(
            inputs if clip is None else np.clip(inputs, *clip), targets[order], BATCH, verbose=0,
            shuffle=False, sample_weight=None if weight is None else weight[order],
        ).history["loss"]  # fmt: skip
    return model.get_weights(), losses


def assert_same(architecture, X, rtol=1e-3, atol=2e-5, **kwargs):
    ours = engine(architecture, X, **kwargs)
    weights, losses = by_model_fit(architecture, X, **kwargs)
    for array, same in zip(ours.weights, weights, strict=True):
        assert_allclose(array, same, rtol=rtol, atol=atol)
    assert abs(ours.weights[0] - start(architecture)[0]).max() > 10 * atol
    assert_allclose(ours.history["loss"], losses, rtol=1e-4)
    return ours


# ---------------------------------------------------------------------- Model.fit


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_training_is_that_of_model_fit_for_every_optimizer(name, X):
    rate = {"adadelta": 10.0, "sgd": 1.0, "adagrad": 0.1}.get(name, 0.01)
    assert_same(describe(optimizer=name), X, learning_rate=rate)


@pytest.mark.parametrize(
    ("optimizer", "options", "epochs"),
    [
        ("sgd", {"momentum": 0.9, "nesterov": True}, 2),
        ("sgd", {"weight_decay": 0.5}, 2),
        ("adam", {"weight_decay": 0.1, "amsgrad": True}, 2),
        ("adamw", {"weight_decay": 0.5}, 2),
        ("muon", {"weight_decay": 0.5}, 2),
        ("lion", {"weight_decay": 0.5}, 2),
        ("ftrl", {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.1}, 2),
        ("rmsprop", {"centered": True, "momentum": 0.5}, 2),
        ("sgd", {"clipnorm": 0.01}, 2),
        ("sgd", {"clipvalue": 0.001}, 2),
        ("adam", {"global_clipnorm": 0.01}, 2),
        ("sgd", {"gradient_accumulation_steps": 3}, 2),
        ("sgd", {"use_ema": True, "ema_momentum": 0.5}, 1),  # Model.fit averages at its end
    ],
)
def test_training_is_that_of_model_fit_for_every_penalty(optimizer, options, epochs, X):
    """Decay, regularisation, clipping, accumulation and averaging, all at a high rate."""
    routed = tuple((f"optimizer__{name}", value) for name, value in sorted(options.items()))
    architecture = describe(optimizer=optimizer, options=routed)
    rate = {"sgd": 1.0, "muon": 0.1}.get(optimizer, 0.03)
    assert_same(architecture, X, learning_rate=rate, epochs=epochs, atol=1e-4)
    plain = engine(describe(optimizer=optimizer), X, learning_rate=rate, epochs=epochs)
    penalised = engine(architecture, X, learning_rate=rate, epochs=epochs)
    assert abs(plain.weights[0] - penalised.weights[0]).max() > 1e-4


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - NO_ROWS))
def test_training_is_that_of_model_fit_for_every_loss(name, X):
    assert_same(describe(loss=name, optimizer="adam"), X)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error", "log_cosh"])
def test_training_is_that_of_model_fit_with_weights_of_rows(loss, X):
    weight = np.random.default_rng(1).choice([0.5, 1, 3], N_ROWS).astype(np.float32)
    ours = engine(describe(loss=loss), X, weight, learning_rate=0.5, epochs=1)
    # skae takes a batch's mean by the weights, Keras by the rows
    order = np.random.default_rng([SEED, 0]).permutation(N_ROWS)
    for i in range(0, N_ROWS, BATCH):
        weight[order[i : i + BATCH]] /= weight[order[i : i + BATCH]].mean()
    theirs, _ = by_model_fit(describe(loss=loss), X, weight, learning_rate=0.5, epochs=1)
    for array, same in zip(ours.weights, theirs, strict=True):
        assert_allclose(array, same, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("clip", [None, (0, 1)])
def test_training_is_that_of_model_fit_with_the_same_noise(clip, X):
    assert_same(describe(optimizer="adam"), X, noise_scale=0.5, clip=clip)


def test_training_is_that_of_model_fit_on_pairs(X):
    assert_same(describe(optimizer="adam"), X - 0.5, targets=X)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", sorted(NO_ROWS))
def test_a_loss_that_does_not_compare_rows_is_refused(name, X):
    with pytest.raises(ValueError, match=rf"^loss must .*; got {name}") as error:
        DeepAutoencoder(2, loss=getattr(keras.losses, name), random_state=0).fit(X)
    assert "{{" not in str(error.value)


@pytest.mark.parametrize("name", sorted(NO_FUNCTION))
@pytest.mark.parametrize("which", ["activation", "code_activation", "output_activation"])
def test_an_activation_that_is_no_function_of_a_tensor_is_refused(which, name, X):
    params = {which: name, "loss": "mean_squared_error"}
    with pytest.raises(ValueError, match=rf"^{which} must (keep the shape|be a function of one)"):
        DeepAutoencoder(2, **params).fit(X)


@pytest.mark.parametrize("name", ["get", "serialize", "deserialize"])
def test_what_is_no_activation_in_kerass_module_is_refused(name, X):
    with pytest.raises(ValueError, match=rf"activation must be the name .*; got '{name}'"):
        DeepAutoencoder(2, activation=name).fit(X)


@pytest.mark.parametrize("name", ["LossScaleOptimizer", "MultiOptimizer", "Optimizer"])
def test_an_optimizer_that_wraps_others_is_refused(name, X):
    with pytest.raises(ValueError, match=rf"^optimizer must .*; got {name}, which wraps others"):
        DeepAutoencoder(2, optimizer=getattr(keras.optimizers, name)).fit(X)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"optimizer__epsilon": 1e40}, "optimizer__epsilon must be finite in float32; got 1e"),
        ({"optimizer__beta_1": np.nan}, "optimizer__beta_1 must be finite in float32; got nan"),
        ({"optimizer__epsilon": []}, "The parameters give no program that can be compiled: Dim"),
        (
            {"optimizer": keras.optimizers.Adam(epsilon=[])},
            "The parameters give no program that can be compiled: Dim",
        ),
    ],
)
def test_a_value_that_does_not_compute_is_refused(params, match, X):
    with pytest.raises(ValueError, match=match) as error:
        DeepAutoencoder(2, **{"optimizer": "adam"} | params).fit(X)
    assert "{{" not in str(error.value)


# ---------------------------------------------------------------------- finite differences

BY_HAND = {
    "mean_squared_error": lambda y, p: (y - p) ** 2,
    "mean_absolute_error": lambda y, p: np.abs(y - p),
    "binary_crossentropy": lambda y, p: -special.xlogy(y, p) - special.xlogy(1 - y, 1 - p),
    "log_cosh": lambda y, p: np.log(np.cosh(y - p)),
    "poisson": lambda y, p: p - y * np.log(p),
}


def finite_differences(architecture, X, loss):
    """Gradient of the mean loss by each weight, in float64 and without TensorFlow's gradients."""
    weights = [array.astype(np.float64) for array in start(architecture)]
    X = X.astype(np.float64)

    def mean_loss():
        network = Network(weights, architecture.activations, architecture.n_encoder_layers)
        return loss(X, network.reconstruct(X)).mean()

    gradients = [np.zeros_like(array) for array in weights]
    for array, gradient in zip(weights, gradients, strict=True):
        for i in np.ndindex(array.shape):
            value = array[i]
            array[i] = value + 1e-5
            above = mean_loss()
            array[i] = value - 1e-5
            gradient[i] = (above - mean_loss()) / 2e-5
            array[i] = value
    return gradients


def assert_gradients(after, architecture, X):
    """Take the engine's gradient from one step of plain descent at a rate of one."""
    expected = finite_differences(architecture, X, BY_HAND[architecture.loss])
    for before, array, gradient in zip(start(architecture), after, expected, strict=True):
        assert_allclose(before - array, gradient, rtol=1e-3, atol=5e-6)
    assert abs(expected[0]).max() > 1e-3


@pytest.mark.parametrize("loss", BY_HAND)
def test_gradients_are_finite_differences_for_every_kind_of_loss(loss, X):
    architecture = describe(loss=loss)
    after = engine(architecture, X[:BATCH], learning_rate=1.0, epochs=1).weights
    assert_gradients(after, architecture, X[:BATCH])


# Keras' sparsemax gives zeros, and so no gradient, where the sparsemax of the literature gives
# a distribution
@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - NO_FUNCTION - {"sparsemax"}))
def test_a_step_is_that_of_model_fit_and_of_finite_differences_for_every_activation(name, X):
    output = "linear" if name == "exponential" else name  # twice in turn it overflows
    architecture = describe(activation=name, output_activation=output)
    after = assert_same(architecture, X[:BATCH], learning_rate=1.0, epochs=1).weights
    assert_gradients(after, architecture, X[:BATCH])


# ---------------------------------------------------------------------- inference


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - NO_FUNCTION))
def test_inference_is_that_of_keras_for_every_activation(name):
    rng = np.random.default_rng(0)
    weights, names = start(describe()), (name, "linear", "tanh", name)
    X = rng.normal(size=(200, N_FEATURES)).astype(np.float32)
    network = Network(weights, names, 2)
    encoder, decoder, autoencoder = models_with_weights(network.layer_sizes, names, 2, weights)
    codes = network.encode(X)
    for ours, theirs in (
        (codes, encoder(X)),
        (network.decode(codes), decoder(codes)),
        (network.reconstruct(X), autoencoder(X)),
    ):
        assert ours.dtype == np.float32
        assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
