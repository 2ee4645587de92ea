"""Estimators made of a user's Keras models, and the Keras models of estimators."""

import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._interop import keras_penalties


def sequential(*chain):
    model = keras.Sequential(chain)
    rng = np.random.default_rng(0)
    for variable in model.weights:  # also moving means and variances, which must be positive
        variable.assign(rng.uniform(0.1, 0.9, variable.shape) / np.sqrt(variable.shape[0]))
    return model


def encoder(*inside):
    return sequential(
        keras.Input((12,)), layers.Dense(9, "relu"), *inside, layers.Dense(3, name="codes")
    )


def decoder(*inside):
    return sequential(
        keras.Input((3,)), layers.Dense(9, "relu"), *inside, layers.Dense(12, "sigmoid")
    )


@pytest.fixture
def X():
    return np.random.default_rng(1).uniform(size=(50, 12)).astype(np.float32)


def by_keras(model, rows):
    return np.asarray(model(rows, training=False)).reshape(len(rows), -1)


def assert_same(estimator, encoder, decoder, X):
    codes = by_keras(encoder, X)

    assert_allclose(estimator.transform(X), codes, rtol=1e-4, atol=1e-5)
    assert_allclose(
        estimator.inverse_transform(codes), by_keras(decoder, codes), rtol=1e-5, atol=1e-5
    )
    assert_allclose(by_keras(estimator.encoder_, X), codes, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_estimator_computes_as_models(kind, X):
    """The estimator is fitted, its parameters describe the models, and its results are theirs."""
    models = encoder(), decoder()
    estimator = kind.from_keras(*models, learning_rate=0.01)

    check_is_fitted(estimator)
    assert_same(estimator, *models, X)
    assert estimator.n_features_in_ == 12
    assert estimator.history_ == {}
    assert estimator.n_iter_ == 0
    described = {"hidden_layer_sizes": (9,), "activation": "relu", "output_activation": "sigmoid"}
    expected = kind(3, **described, init="random", learning_rate=0.01)
    assert estimator.get_params() == expected.get_params()
    assert_same(pickle.loads(pickle.dumps(estimator)), *models, X)
    assert "sigmoid" in estimator._repr_html_()


FOLDED = {
    "batch normalization after a linear layer": [layers.Dense(5), layers.BatchNormalization()],
    "batch normalization after an activation": [layers.BatchNormalization()],
    "batch normalization without scale and centre": [
        layers.BatchNormalization(scale=False, center=False)
    ],
    "two in a row": [layers.BatchNormalization(), layers.Rescaling(2.0, offset=-0.5)],
    "the usual block": [
        layers.Dense(6, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("tanh"),
    ],
    "an activation after an activation": [layers.Activation("softplus"), layers.ReLU()],
    "identity": [layers.Identity(), layers.Dropout(0.0), layers.GaussianNoise(0.0)],
    "layers of activations": [
        layers.Dense(6), layers.ReLU(max_value=6.0),
        layers.Dense(6), layers.ELU(),
        layers.Dense(6), layers.LeakyReLU(negative_slope=0.2),
        layers.Dense(6), layers.Softmax(),
        layers.Dense(6, activation=layers.ReLU()),
    ],
    "a model within": [keras.Sequential([keras.Input((9,)), layers.Dense(4, "gelu")])],
}  # fmt: skip


@pytest.mark.parametrize("inside", FOLDED.values(), ids=FOLDED)
@pytest.mark.filterwarnings("error::UserWarning")
def test_layers_are_folded(inside, X):
    config = [layers.serialize(layer) for layer in inside]
    models = encoder(*map(layers.deserialize, config)), decoder(*map(layers.deserialize, config))

    assert_same(DeepAutoencoder.from_keras(*models), *models, X)


def test_scaling_at_ends_is_folded(X):
    models = (
        sequential(
            keras.Input((12,)), layers.Rescaling(1 / 255), layers.Dense(3),
            layers.Activation("relu"), layers.BatchNormalization(),
        ),
        sequential(
            keras.Input((3,)), layers.BatchNormalization(), layers.Dense(12, "tanh"),
            layers.Rescaling(255.0, offset=1.0),
        ),
    )  # fmt: skip
    assert_same(DeepAutoencoder.from_keras(*models), *models, 255 * X)


def test_images_are_flat_rows(X):
    models = (
        sequential(keras.Input((3, 4)), layers.Flatten(), layers.Dense(2)),
        sequential(keras.Input((2,)), layers.Dense(12), layers.Reshape((3, 4))),
    )
    estimator = DeepAutoencoder.from_keras(*models)

    images = X.reshape(-1, 3, 4)
    assert_allclose(estimator.transform(X), by_keras(models[0], images), atol=1e-5)
    assert_allclose(
        estimator.reconstruct(X), by_keras(models[1], by_keras(models[0], images)), atol=1e-5
    )


def test_functional_models_are_supported(X):
    """An activation may be a function of the user."""
    inputs = keras.Input((12,))
    codes = layers.Dense(3, activation=square)(layers.Dense(5, "silu")(inputs))
    models = keras.Model(inputs, codes), decoder()

    assert_same(DeepAutoencoder.from_keras(*models), *models, X)


def square(h):
    return h * h


def test_training_continues_from_weights(X):
    """`partial_fit` starts with the weights of the models, and does not change the models."""
    models = encoder(), decoder()
    before = models[0].get_weights()
    start = DeepAutoencoder.from_keras(*models, random_state=0)
    error = -start.score(X)
    estimator = DeepAutoencoder.from_keras(*models, random_state=0)
    for _ in range(30):
        estimator.partial_fit(X)

    assert -estimator.score(X) < 0.8 * error
    assert estimator.n_iter_ == 30
    for weight, old in zip(models[0].get_weights(), before, strict=True):
        assert_array_equal(weight, old)
    assert clone(start).fit(X).n_iter_ == 20


def chain(n_inputs, *hidden, activation="relu"):
    """Return a model with hidden layers of one activation before its last layer."""
    *inner, last = hidden
    made = [layers.Dense(width, activation) for width in inner]
    return sequential(keras.Input((n_inputs,)), *made, layers.Dense(last))


def with_path(n_inputs, hidden, n_outputs):
    """Return a model with a linear path beside one hidden layer."""
    inputs = keras.Input((n_inputs,))
    path = layers.Dense(n_outputs, use_bias=False)(inputs)
    outputs = layers.Dense(n_outputs)(layers.Dense(hidden, "relu")(inputs))
    return keras.Model(inputs, layers.Add()([path, outputs]))


OTHER_DECODERS = {
    "more layers": (lambda: (encoder(), chain(3, 12, 11, 10, 12)), (12, 11, 10)),
    "another width": (lambda: (encoder(), chain(3, 5, 12)), (5,)),
    "no hidden layers": (lambda: (encoder(), chain(3, 12)), ()),
    "hidden layers in the decoder": (lambda: (chain(12, 3), chain(3, 5, 12)), (5,)),
    "same order as the encoder": (lambda: (chain(12, 7, 5, 3), chain(3, 7, 5, 12)), (7, 5)),
    "a linear path": (lambda: (with_path(12, 9, 3), with_path(3, 5, 12)), (5,)),
    "a linear path in the encoder": (lambda: (with_path(12, 9, 3), chain(3, 12)), ()),
    "a linear path in the decoder": (lambda: (chain(12, 3), with_path(3, 5, 12)), (5,)),
}


@pytest.mark.parametrize(("make", "sizes"), OTHER_DECODERS.values(), ids=OTHER_DECODERS)
@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_other_decoder_continues_training(kind, make, sizes, X):
    """`partial_fit`, a warm start and `fit` keep the sizes of a decoder that is not mirrored."""
    models = make()
    estimator = kind.from_keras(*models, epochs=1, random_state=0)
    assert estimator.decoder_layer_sizes == sizes
    assert_same(estimator, *models, X)
    spec = estimator._network.spec

    frozen = {"optimizer": "sgd", "learning_rate": 1e-30}
    assert_same(estimator.set_params(**frozen).partial_fit(X), *models, X)
    warm = estimator.set_params(warm_start=True).fit(X)  # which calibrates linear outputs
    assert_allclose(warm.transform(X), by_keras(models[0], X), rtol=1e-4, atol=1e-5)
    again = pickle.loads(pickle.dumps(estimator))
    assert again.partial_fit(X).n_iter_ == 3
    assert clone(estimator).fit(X)._network.spec.shapes == spec.shapes


def test_mirrored_decoder_needs_no_sizes():
    """A search over the encoder's sizes then changes both halves."""
    models = chain(12, 7, 5, 3), chain(3, 5, 7, 12)

    assert DeepAutoencoder.from_keras(*models).decoder_layer_sizes is None
    with pytest.raises(TypeError, match="decoder_layer_sizes"):
        DeepAutoencoder.from_keras(*models, decoder_layer_sizes=(5, 7))


SEVERAL_ACTIVATIONS = {
    "of the decoder": lambda: (encoder(), chain(3, 9, 12, activation="tanh")),
    "of another decoder": lambda: (encoder(), chain(3, 5, 12, activation="tanh")),
    "within the encoder": lambda: (encoder(layers.Dense(9, "tanh")), chain(3, 9, 9, 12)),
}


@pytest.mark.parametrize("make", SEVERAL_ACTIVATIONS.values(), ids=SEVERAL_ACTIVATIONS)
def test_other_activations_cannot_be_trained(make, X):
    """The estimator computes as the models do, and says what `partial_fit` cannot continue from."""
    models = make()
    estimator = DeepAutoencoder.from_keras(*models)

    with pytest.raises(ValueError, match="continues from a network of activations"):
        estimator.partial_fit(X)
    assert_same(estimator, *models, X)
    assert set(clone(estimator).fit(X)._network.spec.activations[:-1]) == {"relu", "linear"}


REFUSED = {
    "a layer by name": (
        [layers.PReLU(name="p")],
        r"encoder must be a chain of .* got 'p', a PReLU, which is not of a kind",
    ),
    "another slope": (
        [layers.LeakyReLU(0.3)],
        "a LeakyReLU, which has parameters that no activation by name has",
    ),
    "a layer of more dimensions": (
        [layers.Reshape((3, 3)), layers.Dense(3), layers.Flatten()],
        "a Dense, which takes 3 columns, but a row has 9 there",
    ),
}


@pytest.mark.parametrize(("inside", "message"), REFUSED.values(), ids=REFUSED)
def test_other_layers_are_refused(inside, message):
    config = [layers.serialize(layer) for layer in inside]

    with pytest.raises(ValueError, match=message):
        DeepAutoencoder.from_keras(encoder(*map(layers.deserialize, config)), decoder())


def test_branches_are_refused():
    inputs = keras.Input((12,))
    twice = layers.Dense(12, "relu")
    model = keras.Model(inputs, layers.Dense(3)(twice(twice(inputs))))

    with pytest.raises(ValueError, match="encoder must be a chain"):
        DeepAutoencoder.from_keras(model, decoder())


def test_sizes_must_fit():
    with pytest.raises(ValueError, match="encoder's 3 outputs back to its 12 inputs; got one from"):
        DeepAutoencoder.from_keras(encoder(), sequential(keras.Input((4,)), layers.Dense(12)))


def test_models_must_be_built():
    with pytest.raises(TypeError, match="encoder must be a Keras model; got 'encoder'"):
        DeepAutoencoder.from_keras("encoder", decoder())
    with pytest.raises(ValueError, match="decoder must have been built"):
        DeepAutoencoder.from_keras(encoder(), keras.Sequential([layers.Dense(12)]))


def test_empty_encoder_is_refused():
    inert = sequential(keras.Input((12,)), layers.Dropout(0.1))
    with pytest.raises(ValueError, match="encoder must have a Dense layer"):
        DeepAutoencoder.from_keras(inert, decoder())


def test_determined_parameters_are_refused():
    with pytest.raises(TypeError, match="n_components"):
        DeepAutoencoder.from_keras(encoder(), decoder(), n_components=5)


# --------------------------------------------------------------------------- training


def penalised(rate=0.2, l2=1e-3, **code):
    """Return an encoder and a decoder with dropout and an L2 penalty."""

    def dense(*args, **kwargs):
        return layers.Dense(*args, kernel_regularizer=keras.regularizers.L2(l2), **kwargs)

    return (
        sequential(keras.Input((12,)), dense(9, "relu"), layers.Dropout(rate), dense(3, **code)),
        sequential(keras.Input((3,)), dense(9, "relu"), layers.Dropout(rate), dense(12, "sigmoid")),
    )


def l1(weight):
    return keras.regularizers.L1(weight)


needs_mean = pytest.mark.skipif(
    not keras_penalties._is_mean(), reason="this Keras penalises the sum over a mini-batch"
)


@pytest.mark.filterwarnings("error::UserWarning")
@needs_mean
def test_penalties_become_parameters(X):
    models = penalised(activation="tanh", activity_regularizer=l1(1e-2))
    estimator = DenoisingAutoencoder.from_keras(*models, epochs=1)

    assert estimator.dropout == 0.2
    assert estimator.alpha == 1e-3
    assert estimator.code_penalty == 1e-2
    assert_same(estimator, *models, X)
    assert [layer.rate for layer in estimator.autoencoder_.layers if hasattr(layer, "rate")] == [
        0.2, 0.2,
    ]  # fmt: skip
    assert estimator.partial_fit(X).n_iter_ == 1
    again = DenoisingAutoencoder.from_keras(estimator.encoder_, estimator.decoder_)
    assert again.dropout == 0.2


@needs_mean
def test_penalties_equal_those_of_keras(X):
    """The penalties of the estimator have the value of Keras' losses in training."""
    models = penalised(rate=0.0, activity_regularizer=l1(1e-2))
    estimator = DeepAutoencoder.from_keras(*models)
    for model in models:
        model(X if model is models[0] else models[0](X))
    kernels = [array for array in estimator._network.weights if array.ndim == 2]
    ours = estimator.alpha * sum((kernel**2).sum() for kernel in kernels)
    ours += estimator.code_penalty * np.abs(estimator.transform(X)).sum(axis=1).mean()
    models[1](models[0](X))

    assert_allclose(ours, sum(float(loss) for model in models for loss in model.losses), rtol=1e-5)


@needs_mean
def test_separate_layer_penalises_code():
    inside = sequential(
        keras.Input((12,)), layers.Dense(3), layers.ReLU(),
        layers.ActivityRegularization(l1=0.01),
    )  # fmt: skip
    assert DeepAutoencoder.from_keras(inside, decoder()).code_penalty == 0.01


@pytest.mark.filterwarnings("error::UserWarning")
def test_given_parameters_win():
    """A parameter that the user sets takes the place of the one in the models, without warning."""
    models = penalised(activity_regularizer=l1(1e-2))
    given = {"dropout": 0.5, "alpha": 0.0, "code_penalty": 0.0}
    estimator = DeepAutoencoder.from_keras(*models, **given)

    assert {name: getattr(estimator, name) for name in given} == given


def with_layers(*inside, code=(), **last):
    """Return an encoder with layers between its dense layers, and after the last one."""
    return sequential(
        keras.Input((12,)), layers.Dense(9, "relu", name="first"), *inside,
        layers.Dense(3, name="last", **last), *code,
    )  # fmt: skip


LOST = {
    "dropout in one half": (
        lambda: with_layers(layers.Dropout(0.2, name="drop")), "noise of layer 'drop' of the enc",
    ),
    "dropout on the code": (
        lambda: with_layers(code=[layers.Dropout(0.2, name="drop")]), "noise of layer 'drop'",
    ),
    "other noise": (
        lambda: with_layers(layers.GaussianNoise(0.2, name="noise")), "noise of layer 'noise'",
    ),
    "L2 on one kernel": (
        lambda: with_layers(kernel_regularizer="l2"), "kernel_regularizer of layer 'last'",
    ),
    "L2 on the code": (
        lambda: with_layers(activity_regularizer="l2"), "activity_regularizer of layer 'last'",
    ),
    "L1 before the last activation": (
        lambda: with_layers(activity_regularizer="l1", code=[layers.ReLU()]),
        "activity_regularizer of layer 'last'",
    ),
    "L1 on hidden units": (
        lambda: with_layers(layers.Dense(5, name="h", activity_regularizer="l1")),
        "activity_regularizer of layer 'h'",
    ),
    "bias": (lambda: with_layers(bias_regularizer="l2"), "bias_regularizer of layer 'last'"),
    "constraint": (
        lambda: with_layers(kernel_constraint="non_neg"), "kernel_constraint of layer 'last'",
    ),
    "frozen": (lambda: with_layers(trainable=False), "frozen weights of layer 'last'"),
    "frozen scaling": (
        lambda: with_layers(layers.BatchNormalization(name="b", trainable=False)),
        "frozen weights of layer 'b'",
    ),
}  # fmt: skip


def only(warned):
    (warning,) = warned
    return warning


@pytest.mark.parametrize(("make", "message"), LOST.values(), ids=LOST)
def test_lost_penalties_are_named(make, message, X):
    """A warning names what acts in training and has no parameter."""
    models = make(), decoder()
    with pytest.warns(UserWarning, match=message) as warned:
        estimator = DeepAutoencoder.from_keras(*models)

    assert only(warned).filename == __file__
    assert_same(estimator, *models, X)
    assert (estimator.dropout, estimator.alpha, estimator.code_penalty) == (0, 0, 0)


def dropped(*after, **options):
    """Return an encoder and a decoder with dropout, and other layers after it."""
    return tuple(
        keras.Sequential(
            [keras.Input((n_inputs,)), layers.Dense(5), layers.Dropout(0.3, **options)]
            + [make() for make in after]
            + [layers.Dense(n_outputs)]
        )
        for n_inputs, n_outputs in ((6, 2), (2, 6))
    )


OTHER_DROPOUT = {
    "sigmoid": lambda: dropped(lambda: layers.Activation("sigmoid")),
    "scaling": lambda: dropped(layers.BatchNormalization, layers.ReLU),
    "six": lambda: dropped(lambda: layers.ReLU(6.0)),
    "whole rows": lambda: dropped(noise_shape=(None, 1)),
}


@pytest.mark.parametrize("make", OTHER_DROPOUT.values(), ids=OTHER_DROPOUT)
def test_other_dropout_is_lost(make):
    """Dropout before an activation differs from dropout after it, except with ReLU."""
    with pytest.warns(UserWarning, match="noise of layer"):
        estimator = DeepAutoencoder.from_keras(*make())
    assert estimator.dropout == 0


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("after", [[], [layers.ReLU], [lambda: layers.Activation("relu")]])
def test_dropout_before_relu_is_kept(after):
    assert DeepAutoencoder.from_keras(*dropped(*after)).dropout == 0.3


def test_differing_penalties_are_lost():
    """Penalties of other kinds or weights, and dropout of two rates, have no parameter."""
    first, _ = penalised(rate=0.2, l2=1e-3)
    _, second = penalised(rate=0.3, l2=1e-2)
    with pytest.warns(UserWarning, match="so a fit will not have them") as warned:
        estimator = DeepAutoencoder.from_keras(first, second)

    message = str(only(warned).message)
    assert message.count("kernel_regularizer of layer") == 4
    assert message.count("noise of layer") == 2
    assert (estimator.dropout, estimator.alpha) == (0, 0)


# --------------------------------------------------------------------------- Keras models


def test_dropout_is_in_keras_models(make_autoencoder, X):
    estimator = make_autoencoder(dropout=0.3, epochs=1).fit(X)
    names = [layer.name for layer in estimator.autoencoder_.layers]

    assert names == [
        "input", "encoder_1", "encoder_1_dropout", "code", "decoder_1", "decoder_1_dropout",
        "reconstruction",
    ]  # fmt: skip
    assert estimator.encoder_.layers[2].rate == 0.3
    assert_allclose(
        estimator.autoencoder_.predict(X, verbose=0), estimator.reconstruct(X), atol=1e-5
    )
    assert_allclose(estimator.encoder_.predict(X, verbose=0), estimator.transform(X), atol=1e-5)


BARE_KERAS = """
import sys
import keras, numpy as np, tensorflow as tf
X = np.load("X.npy")
encoder = keras.saving.load_model("encoder.keras")
served = tf.saved_model.load("autoencoder")
np.savez("out.npz", codes=encoder.predict(X, verbose=0), rows=served.serve(X))
assert not [name for name in sys.modules if name.startswith("skae")]
"""


def test_saved_models_need_no_skae(make_autoencoder, X, tmp_path):
    """A process without skae loads the saved models, which compute the same."""
    estimator = make_autoencoder(optimizer="muon").fit(X)
    estimator.encoder_.save(tmp_path / "encoder.keras")
    estimator.autoencoder_.export(tmp_path / "autoencoder", verbose=False)
    np.save(tmp_path / "X.npy", X)
    subprocess.run([sys.executable, "-c", BARE_KERAS], cwd=tmp_path, check=True)
    out = np.load(tmp_path / "out.npz")

    assert_allclose(out["codes"], estimator.transform(X), atol=1e-5)
    assert_allclose(out["rows"], estimator.reconstruct(X), atol=1e-5)
