"""Training agrees with ``Model.fit`` of scikeras' model, and with finite differences.

The tests cover every optimizer, loss and activation of the installed Keras, so that additions of a
new Keras version are tested too.
"""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special

from skae import DeepAutoencoder
from skae._engine.lookup import ACTIVATIONS, LOSSES, OPTIMIZERS
from skae._engine.models import compiled_autoencoder, models_with_weights
from skae._engine.spec import Architecture
from skae._network.inference import Network
from skae._network.layers import initial_weights
from skae._rows.rows import Rows
from skae._training.fit import train
from skae._training.plan import Plan, State

N_ROWS, N_FEATURES, BATCH, SEED = 40, 6, 16, 7  # the last batch has 8 rows
UNSUITABLE_LOSSES = {  # these do not compare two rows of numbers
    "CTC", "CategoricalGeneralizedCrossEntropy", "Circle", "Dice", "Loss",
    "SparseCategoricalCrossentropy", "Tversky",
}  # fmt: skip
# glu halves the width, and threshold takes three arguments.
UNSUITABLE_ACTIVATIONS = {"glu", "threshold"}


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).uniform(0.01, 0.99, (N_ROWS, N_FEATURES)).astype(np.float32)


def make_spec(**kwargs):
    defaults = {
        "n_features": N_FEATURES, "hidden_layer_sizes": (5,), "n_components": 2,
        "activation": "tanh", "code_activation": "linear", "output_activation": "sigmoid",
        "loss": "mean_squared_error", "optimizer": "sgd", "metrics": (), "options": (),
        "batch_size": BATCH,
    }  # fmt: skip
    return Architecture(**(defaults | kwargs))


def first_weights(architecture):
    """Return weights with random biases, so that no unit starts at a kink or dead."""
    rng = np.random.default_rng(3)
    return [
        (2 * array if array.ndim == 2 else rng.normal(0, 0.5, array.shape)).astype(np.float32)
        for array in initial_weights(architecture, SEED)
    ]


def train_with_skae(architecture, X, weight=None, targets=None, **kwargs):
    defaults = {"optimizer": "sgd", "learning_rate": 0.01, "schedule": "constant", "seed": SEED}
    rows = Rows(X, targets, weight, np.arange(len(X)))
    plan = Plan(**(defaults | {"epochs": 2} | kwargs))
    return train(architecture, rows, plan, start=State(first_weights(architecture)))


def train_with_model_fit(
    architecture, X, weight=None, targets=None, learning_rate=0.01, epochs=2, noise_scale=None,
    clip=None,
):  # fmt: skip
    """Train the model that scikeras builds, with the weights, batches and noise of skae."""
    model = compiled_autoencoder(architecture)
    model.run_eagerly = True
    model.set_weights(first_weights(architecture))
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


def assert_matches_model_fit(architecture, X, rtol=1e-3, atol=2e-5, **kwargs):
    ours = train_with_skae(architecture, X, **kwargs)
    weights, losses = train_with_model_fit(architecture, X, **kwargs)
    for array, same in zip(ours.weights, weights, strict=True):
        assert_allclose(array, same, rtol=rtol, atol=atol)
    assert abs(ours.weights[0] - first_weights(architecture)[0]).max() > 10 * atol
    assert_allclose(ours.history["loss"], losses, rtol=1e-4)
    return ours


# ---------------------------------------------------------------------- Model.fit


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizers_match_model_fit(name, X):
    rate = {"adadelta": 10.0, "sgd": 1.0, "adagrad": 0.1}.get(name, 0.01)
    assert_matches_model_fit(make_spec(optimizer=name), X, learning_rate=rate)


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
        # one epoch, because Model.fit applies the average after its last epoch only
        ("sgd", {"use_ema": True, "ema_momentum": 0.5}, 1),
    ],
)
def test_optimizer_options_match_model_fit(optimizer, options, epochs, X):
    """Decay, regularisation, clipping, accumulation and averaging match, all at a high rate."""
    routed = tuple((f"optimizer__{name}", value) for name, value in sorted(options.items()))
    architecture = make_spec(optimizer=optimizer, options=routed)
    rate = {"sgd": 1.0, "muon": 0.1}.get(optimizer, 0.03)
    assert_matches_model_fit(architecture, X, learning_rate=rate, epochs=epochs, atol=1e-4)
    plain = train_with_skae(make_spec(optimizer=optimizer), X, learning_rate=rate, epochs=epochs)
    penalised = train_with_skae(architecture, X, learning_rate=rate, epochs=epochs)
    assert abs(plain.weights[0] - penalised.weights[0]).max() > 1e-4


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - UNSUITABLE_LOSSES))
def test_losses_match_model_fit(name, X):
    assert_matches_model_fit(make_spec(loss=name, optimizer="adam"), X)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error", "log_cosh"])
def test_sample_weights_match_model_fit(loss, X):
    weight = np.random.default_rng(1).choice([0.5, 1, 3], N_ROWS).astype(np.float32)
    ours = train_with_skae(make_spec(loss=loss), X, weight, learning_rate=0.5, epochs=1)
    # skae divides the loss of a batch by the sum of its weights, Keras by its number of rows
    order = np.random.default_rng([SEED, 0]).permutation(N_ROWS)
    for i in range(0, N_ROWS, BATCH):
        weight[order[i : i + BATCH]] /= weight[order[i : i + BATCH]].mean()
    theirs, _ = train_with_model_fit(make_spec(loss=loss), X, weight, learning_rate=0.5, epochs=1)
    for array, same in zip(ours.weights, theirs, strict=True):
        assert_allclose(array, same, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("clip", [None, (0, 1)])
def test_noise_matches_model_fit(clip, X):
    assert_matches_model_fit(make_spec(optimizer="adam"), X, noise_scale=0.5, clip=clip)


def test_clean_targets_match_model_fit(X):
    """Training on pairs of corrupted and clean rows matches."""
    assert_matches_model_fit(make_spec(optimizer="adam"), X - 0.5, targets=X)


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", sorted(UNSUITABLE_LOSSES))
def test_unsuitable_loss_is_refused(name, X):
    with pytest.raises(ValueError, match=rf"^loss must .*; got {name}") as error:
        DeepAutoencoder(2, loss=getattr(keras.losses, name), random_state=0).fit(X)
    assert "{{" not in str(error.value)


@pytest.mark.parametrize("name", sorted(UNSUITABLE_ACTIVATIONS))
@pytest.mark.parametrize("which", ["activation", "code_activation", "output_activation"])
def test_unsuitable_activation_is_refused(which, name, X):
    params = {which: name, "loss": "mean_squared_error"}
    with pytest.raises(ValueError, match=rf"^{which} must (keep the shape|be a function of one)"):
        DeepAutoencoder(2, **params).fit(X)


@pytest.mark.parametrize("name", ["get", "serialize", "deserialize"])
def test_helper_function_is_no_activation(name, X):
    """Other functions in ``keras.activations`` are refused as activations."""
    with pytest.raises(ValueError, match=rf"activation must be the name .*; got '{name}'"):
        DeepAutoencoder(2, activation=name).fit(X)


@pytest.mark.parametrize("name", ["LossScaleOptimizer", "MultiOptimizer", "Optimizer"])
def test_wrapping_optimizer_is_refused(name, X):
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
def test_value_that_cannot_compile_is_refused(params, match, X):
    """The error names the parameter if possible, and shows no internals of TensorFlow."""
    with pytest.raises(ValueError, match=match) as error:
        DeepAutoencoder(2, **{"optimizer": "adam"} | params).fit(X)
    assert "{{" not in str(error.value)


# ---------------------------------------------------------------------- finite differences

LOSSES_IN_NUMPY = {
    "mean_squared_error": lambda y, p: (y - p) ** 2,
    "mean_absolute_error": lambda y, p: np.abs(y - p),
    "binary_crossentropy": lambda y, p: -special.xlogy(y, p) - special.xlogy(1 - y, 1 - p),
    "log_cosh": lambda y, p: np.log(np.cosh(y - p)),
    "poisson": lambda y, p: p - y * np.log(p),
}


def finite_differences(architecture, X, loss):
    """Return the gradients of the mean loss in float64, computed without TensorFlow."""
    weights = [array.astype(np.float64) for array in first_weights(architecture)]
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
    """Compare with skae's gradient: the change of the weights in one SGD step at rate 1."""
    expected = finite_differences(architecture, X, LOSSES_IN_NUMPY[architecture.loss])
    for before, array, gradient in zip(first_weights(architecture), after, expected, strict=True):
        assert_allclose(before - array, gradient, rtol=1e-3, atol=5e-6)
    assert abs(expected[0]).max() > 1e-3


@pytest.mark.parametrize("loss", LOSSES_IN_NUMPY)
def test_gradients_match_finite_differences(loss, X):
    architecture = make_spec(loss=loss)
    after = train_with_skae(architecture, X[:BATCH], learning_rate=1.0, epochs=1).weights
    assert_gradients(after, architecture, X[:BATCH])


# sparsemax is left out.  For some inputs Keras' version returns zeros only, and thus no gradient,
# while the published sparsemax returns a distribution.
@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - UNSUITABLE_ACTIVATIONS - {"sparsemax"}))
def test_step_of_every_activation(name, X):
    """One step of training matches Model.fit and finite differences."""
    output = "linear" if name == "exponential" else name  # two exponentials in a row overflow
    architecture = make_spec(activation=name, output_activation=output)
    after = assert_matches_model_fit(architecture, X[:BATCH], learning_rate=1.0, epochs=1).weights
    assert_gradients(after, architecture, X[:BATCH])


# ---------------------------------------------------------------------- inference


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - UNSUITABLE_ACTIVATIONS))
def test_inference_matches_keras(name):
    rng = np.random.default_rng(0)
    weights, names = first_weights(make_spec()), (name, "linear", "tanh", name)
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
