"""Training agrees with ``Model.fit`` of scikeras' model, and with finite differences.

The tests cover every optimizer, loss and activation of the installed Keras, so that additions of a
new Keras version are tested too.
"""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from sklearn.datasets import load_digits
from sklearn.decomposition import IncrementalPCA
from sklearn.preprocessing import scale

from skae import DeepAutoencoder, GaussianNoise
from skae._engine.lookup.names import ACTIVATIONS, LOSSES, OPTIMIZERS, optimizer_class
from skae._engine.models import compiled_autoencoder, models_with_weights
from skae._interop.keras_models import eager_fallback
from skae._network.inference import Network
from skae._network.layers import Dense
from skae._network.spec import NetworkSpec
from skae._objective.penalties import KernelL2
from skae._rows.rows import Rows
from skae._training.fit import train
from skae._training.plan import Plan, State
from skae._training.seeds import Stream, generator
from skae._training.start import initial_weights
from tests.specs import make_spec

N_ROWS, N_FEATURES, BATCH, SEED = 40, 6, 16, 1  # the last batch has 8 rows
UNSUITABLE_LOSSES = {  # these do not compare two rows of numbers
    "CTC", "CategoricalGeneralizedCrossEntropy", "Circle", "Dice", "Loss",
    "SparseCategoricalCrossentropy", "Tversky",
}  # fmt: skip
# glu halves the width, and threshold takes three arguments.
UNSUITABLE_ACTIVATIONS = {"glu", "threshold"}


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).uniform(0.01, 0.99, (N_ROWS, N_FEATURES)).astype(np.float32)


def describe(**changes):
    return make_spec(**({"output_activation": "sigmoid", "batch_size": BATCH} | changes))


def first_weights(spec):
    """Return weights with random biases, so that no unit starts at a kink or dead."""
    rng = np.random.default_rng(3)
    return [
        (2 * array if array.ndim == 2 else rng.normal(0, 0.5, array.shape)).astype(np.float32)
        for array in initial_weights(spec.network, SEED)
    ]


def train_with_skae(
    spec, X, weight=None, targets=None, learning_rate=0.01, epochs=2, corruption=None, strengths=()
):
    rows = Rows(X, targets, weight, np.arange(len(X)))
    plan = Plan(epochs, "sgd", learning_rate, "constant", SEED, corruption, strengths)
    return train(spec, rows, plan, start=State(first_weights(spec)))


def train_with_model_fit(
    spec, X, weight=None, targets=None, learning_rate=0.01, epochs=2, corruption=None
):
    """Train the model that scikeras builds, with the weights, batches and noise of skae."""
    model = compiled_autoencoder(spec)
    model.run_eagerly = True
    model.set_weights(first_weights(spec))
    model.optimizer.learning_rate = learning_rate
    targets, losses = X if targets is None else targets, []
    for epoch in range(epochs):
        order = generator(SEED, Stream.ORDER, epoch).permutation(len(X))
        inputs = X[order]
        if corruption is not None:
            noise = generator(SEED, Stream.NOISE, epoch)
            batches = np.split(inputs, range(BATCH, len(X), BATCH))
            inputs = np.concatenate([corruption.corrupt(batch, noise) for batch in batches])
        losses += model.fit(
            inputs, targets[order], BATCH, verbose=0, shuffle=False,
            sample_weight=None if weight is None else weight[order],
        ).history["loss"]  # fmt: skip
    return model.get_weights(), losses


def assert_matches_model_fit(spec, X, rtol=1e-3, atol=2e-5, **kwargs):
    ours = train_with_skae(spec, X, **kwargs)
    weights, losses = train_with_model_fit(spec, X, **kwargs)
    for array, same in zip(ours.weights, weights, strict=True):
        assert_allclose(array, same, rtol=rtol, atol=atol)
    assert abs(ours.weights[0] - first_weights(spec)[0]).max() > 10 * atol
    assert_allclose(ours.history["loss"], losses, rtol=1e-4)
    return ours


# ---------------------------------------------------------------------- Model.fit


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizers_match_model_fit(name, X):
    rate = {"adadelta": 10.0, "sgd": 1.0, "adagrad": 0.1}.get(name, 0.01)
    assert_matches_model_fit(describe(optimizer=name), X, learning_rate=rate)


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
    spec = describe(optimizer=optimizer, optimizer_options=tuple(sorted(options.items())))
    rate = {"sgd": 1.0, "muon": 0.1}.get(optimizer, 0.03)
    assert_matches_model_fit(spec, X, learning_rate=rate, epochs=epochs, atol=1e-4)
    plain = train_with_skae(describe(optimizer=optimizer), X, learning_rate=rate, epochs=epochs)
    penalised = train_with_skae(spec, X, learning_rate=rate, epochs=epochs)
    assert abs(plain.weights[0] - penalised.weights[0]).max() > 1e-4


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - UNSUITABLE_LOSSES))
def test_losses_match_model_fit(name, X):
    assert_matches_model_fit(describe(loss=name, optimizer="adam"), X)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error", "log_cosh"])
def test_sample_weights_match_model_fit(loss, X):
    weight = np.random.default_rng(1).choice([0.5, 1, 3], N_ROWS).astype(np.float32)
    ours = train_with_skae(describe(loss=loss), X, weight, learning_rate=0.5, epochs=1)
    # skae divides the loss of a batch by the sum of its weights, Keras by its number of rows
    order = generator(SEED, Stream.ORDER, 0).permutation(N_ROWS)
    for i in range(0, N_ROWS, BATCH):
        weight[order[i : i + BATCH]] /= weight[order[i : i + BATCH]].mean()
    theirs, _ = train_with_model_fit(describe(loss=loss), X, weight, learning_rate=0.5, epochs=1)
    for array, same in zip(ours.weights, theirs, strict=True):
        assert_allclose(array, same, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("clip", [None, (0, 1)])
def test_noise_matches_model_fit(clip, X):
    assert_matches_model_fit(
        describe(optimizer="adam"), X, corruption=GaussianNoise(0.5, clip=clip)
    )


def test_clean_targets_match_model_fit(X):
    """Training on pairs of corrupted and clean rows matches."""
    assert_matches_model_fit(describe(optimizer="adam"), X - 0.5, targets=X)


class Transposed(keras.layers.Layer):
    """The kernel of another layer, transposed, and a bias of its own."""

    def __init__(self, of):
        super().__init__()
        self.kernel = lambda: keras.ops.transpose(of.kernel)  # Keras tracks layers, not functions

    def build(self, shape):
        self.bias = self.add_weight(self.kernel().shape[1:], "zeros", name="bias")

    def call(self, rows):
        return rows @ self.kernel() + self.bias


def tied_model(alpha, *, shortcut):
    """Make an autoencoder 6-5-4-2-4-5-6 in Keras with tied weights; return its variables, too."""
    options = {"kernel_regularizer": keras.regularizers.L2(alpha)}
    first, second, last = (keras.layers.Dense(n, **options) for n in (5, 4, 2))
    path = keras.layers.Dense(2, use_bias=False, **options)
    decoder = [Transposed(layer) for layer in (last, second, first)]
    path_back = Transposed(path)
    path_back.trainable = False  # its bias stays zero
    inputs = keras.Input((N_FEATURES,))
    code = last(keras.ops.tanh(second(keras.ops.tanh(first(inputs)))))
    code = code + path(inputs) if shortcut else code
    z = decoder[2](keras.ops.tanh(decoder[1](keras.ops.tanh(decoder[0](code)))))
    z = z + path_back(code) if shortcut else z
    model = keras.Model(inputs, keras.ops.sigmoid(z))
    paths = [path] if shortcut else []
    encoder = [variable for layer in (first, second, *paths, last) for variable in layer.variables]
    return model, [*encoder, *(layer.bias for layer in decoder)]


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.01])
@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 1.0), ("adam", 0.01), ("muon", 0.02)])
def test_tied_weights_match_model_fit(optimizer, rate, alpha, shortcut, X):
    """Keras too counts the penalty of a kernel once if two layers share it."""
    sizes = {"hidden_layer_sizes": (5, 4), "shortcut": shortcut}
    penalties = {"penalties": (KernelL2(),)} if alpha else {}
    spec = describe(optimizer=optimizer, tied=True, **sizes, **penalties)
    strengths = (alpha,) if alpha else ()
    ours = train_with_skae(spec, X, learning_rate=rate, strengths=strengths)
    model, variables = tied_model(alpha, shortcut=shortcut)
    model.compile(optimizer_class(optimizer)(rate), spec.objective.loss, run_eagerly=True)
    places = [place for place in range(len(ours.weights)) if place not in spec.transposes]
    for variable, place in zip(variables, places, strict=True):
        variable.assign(first_weights(spec)[place])
    losses = []
    for epoch in range(2):
        rows = X[generator(SEED, Stream.ORDER, epoch).permutation(len(X))]
        losses += model.fit(rows, rows, BATCH, verbose=0, shuffle=False).history["loss"]

    for variable, place in zip(variables, places, strict=True):
        assert_allclose(ours.weights[place], variable.numpy(), rtol=1e-3, atol=2e-5)
    for place, source in spec.transposes.items():
        assert_array_equal(ours.weights[place], ours.weights[source].T)
    assert_allclose(ours.history["loss"], losses, rtol=1e-4)
    assert abs(ours.weights[0] - first_weights(spec)[0]).max() > 1e-3


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
        ({"optimizer__beta_1": np.nan}, "optimizer__beta_1 must be a finite number; got nan"),
        ({"optimizer__epsilon": []}, r"optimizer__epsilon must be a finite number; got \(\)"),
        (
            {"optimizer": keras.optimizers.Adam(epsilon=[])},
            "The parameters give no program that can be compiled: Dim",
        ),
    ],
)
def test_value_that_cannot_compile_is_refused(params, match, X):
    """The error names the parameter if possible, and shows no internals of TensorFlow."""
    with pytest.raises((TypeError, ValueError), match=match) as error:
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


def finite_differences(spec, X, loss):
    """Return the gradients of the mean loss in float64, computed without TensorFlow."""
    weights = [array.astype(np.float64) for array in first_weights(spec)]
    X = X.astype(np.float64)

    def mean_loss():
        network = Network(spec.network, weights, eager_fallback)
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


def assert_gradients(after, spec, X):
    """Compare with skae's gradient: the change of the weights in one SGD step at rate 1."""
    expected = finite_differences(spec, X, LOSSES_IN_NUMPY[spec.objective.loss])
    for before, array, gradient in zip(first_weights(spec), after, expected, strict=True):
        assert_allclose(before - array, gradient, rtol=1e-3, atol=5e-6)
    assert abs(expected[0]).max() > 1e-3


@pytest.mark.parametrize("loss", LOSSES_IN_NUMPY)
def test_gradients_match_finite_differences(loss, X):
    spec = describe(loss=loss)
    after = train_with_skae(spec, X[:BATCH], learning_rate=1.0, epochs=1).weights
    assert_gradients(after, spec, X[:BATCH])


# sparsemax is left out.  For some inputs Keras' version returns zeros only, and thus no gradient,
# while the published sparsemax returns a distribution.
@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - UNSUITABLE_ACTIVATIONS - {"sparsemax"}))
def test_step_of_every_activation(name, X):
    """One step of training matches Model.fit and finite differences."""
    output = "linear" if name == "exponential" else name  # two exponentials in a row overflow
    spec = describe(activation=name, output_activation=output)
    after = assert_matches_model_fit(spec, X[:BATCH], learning_rate=1.0, epochs=1).weights
    assert_gradients(after, spec, X[:BATCH])


# ---------------------------------------------------------------------- long fits


@pytest.mark.parametrize(("n_rows", "n_features", "epochs"), [(100, 1000, 200), (50, 300, 400)])
def test_long_fits_end_at_their_lowest(n_rows, n_features, epochs):
    """With ReLUs, more and more units died, and the loss rose to five times its lowest."""
    rng = np.random.default_rng(0)
    subspace = rng.normal(size=(n_rows, 10)) @ rng.normal(size=(10, n_features))
    wide = scale(subspace + rng.normal(size=(n_rows, n_features)))
    estimator = DeepAutoencoder(8, epochs=epochs, random_state=0).fit(wide)

    losses = estimator.history_["loss"]
    assert losses[-1] <= 1.02 * min(losses)
    hidden = estimator.set_params(features="hidden").transform(wide)
    assert (hidden.std(axis=0) > 0).all()


def test_partial_fits_come_close_to_a_fit():
    """Twenty calls on the same rows, and one pass in twenty batches against IncrementalPCA."""
    X = np.random.default_rng(0).permutation(load_digits().data / 16)
    whole = DeepAutoencoder(8, random_state=0).fit(X)
    calls, batches = (DeepAutoencoder(8, random_state=0) for _ in range(2))
    pca = IncrementalPCA(8)
    for start in range(20):
        calls.partial_fit(X)
        batches.partial_fit(X[start::20])
        pca.partial_fit(X[start::20])

    assert calls.score(X) > 1.5 * whole.score(X)
    assert -batches.score(X) < np.mean((pca.inverse_transform(pca.transform(X)) - X) ** 2)


# ---------------------------------------------------------------------- inference


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - UNSUITABLE_ACTIVATIONS))
def test_inference_matches_keras(name):
    rng = np.random.default_rng(0)
    layers = Dense(6, 5, name), Dense(5, 2), Dense(2, 5, "tanh"), Dense(5, 6, name)
    spec = NetworkSpec(layers, n_encoder_layers=2)
    X = rng.normal(size=(200, N_FEATURES)).astype(np.float32)
    network = Network(spec, first_weights(describe()), eager_fallback)
    encoder, decoder, autoencoder = models_with_weights(spec, network.weights)
    codes = network.encode(X)
    for ours, theirs in (
        (codes, encoder(X)),
        (network.decode(codes), decoder(codes)),
        (network.reconstruct(X), autoencoder(X)),
    ):
        assert ours.dtype == np.float32
        assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
