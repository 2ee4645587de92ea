"""Estimators of Keras models that the user brings, and Keras models that skae gives away."""

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
def test_an_estimator_of_keras_models_is_fitted_and_computes_the_same(kind, X):
    models = encoder(), decoder()
    estimator = kind.from_keras(*models, learning_rate=0.01)

    check_is_fitted(estimator)
    assert_same(estimator, *models, X)
    assert estimator.n_features_in_ == 12
    assert estimator.history_ == {}
    assert estimator.n_iter_ == 0
    assert estimator.get_params() | {"n_components": 3, "learning_rate": 0.01} == (
        kind(
            3, hidden_layer_sizes=(9,), output_activation="sigmoid", learning_rate=0.01
        ).get_params()
    )
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
        layers.Dropout(0.5),
    ],
    "an activation after an activation": [layers.Activation("softplus"), layers.ReLU()],
    "noise": [layers.GaussianNoise(0.3), layers.GaussianDropout(0.2), layers.AlphaDropout(0.1)],
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
def test_layers_between_the_dense_ones_are_folded(inside, X):
    config = [layers.serialize(layer) for layer in inside]
    models = encoder(*map(layers.deserialize, config)), decoder(*map(layers.deserialize, config))

    assert_same(DeepAutoencoder.from_keras(*models), *models, X)


def test_scaling_at_either_end_is_folded(X):
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


def test_functional_models_and_functions_of_the_user_are_taken_over(X):
    inputs = keras.Input((12,))
    codes = layers.Dense(3, activation=square)(layers.Dense(5, "silu")(inputs))
    models = keras.Model(inputs, codes), decoder()

    assert_same(DeepAutoencoder.from_keras(*models), *models, X)


def square(h):
    return h * h


def test_training_goes_on_from_keras_weights_and_leaves_the_models_alone(X):
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


def test_a_decoder_that_is_no_mirror_works_and_cannot_be_trained(X):
    models = encoder(), sequential(keras.Input((3,)), *[layers.Dense(12, "relu") for _ in "1234"])
    estimator = DeepAutoencoder.from_keras(*models)

    assert_same(estimator, *models, X)
    assert [layer.name for layer in estimator.decoder_.layers[1:]] == [
        "decoder_1", "decoder_2", "decoder_3", "reconstruction",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"goes on from a network of widths \(12, 9, 3, 12"):
        estimator.partial_fit(X)
    assert_same(estimator, *models, X)


def test_other_activations_than_the_parameters_say_cannot_be_trained(X):
    models = encoder(), sequential(keras.Input((3,)), layers.Dense(9, "tanh"), layers.Dense(12))

    with pytest.raises(ValueError, match="goes on from a network of activations"):
        DeepAutoencoder.from_keras(*models).partial_fit(X)


REFUSED = {
    "a layer by name": ([layers.PReLU(name="p")], "layer 'p' of encoder, a PReLU, is none of"),
    "another slope": (
        [layers.LeakyReLU(0.3)],
        "a LeakyReLU, has parameters that no activation by name has",
    ),
    "a layer of more dimensions": (
        [layers.Reshape((3, 3)), layers.Dense(3), layers.Flatten()],
        "a Dense, takes 3 columns and not the row's 9",
    ),
}


@pytest.mark.parametrize(("inside", "message"), REFUSED.values(), ids=REFUSED)
def test_other_layers_are_refused_by_name(inside, message):
    config = [layers.serialize(layer) for layer in inside]

    with pytest.raises(ValueError, match=message):
        DeepAutoencoder.from_keras(encoder(*map(layers.deserialize, config)), decoder())


def test_a_layer_that_is_used_twice_is_refused():
    inputs = keras.Input((12,))
    twice = layers.Dense(12, "relu")
    model = keras.Model(inputs, layers.Dense(3)(twice(twice(inputs))))

    with pytest.raises(ValueError, match="encoder must be a chain"):
        DeepAutoencoder.from_keras(model, decoder())


def test_models_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="encoder's 3 outputs back to its 12 inputs; got one from"):
        DeepAutoencoder.from_keras(encoder(), sequential(keras.Input((4,)), layers.Dense(12)))


def test_what_is_no_built_model_is_refused():
    with pytest.raises(TypeError, match="encoder must be a Keras model; got 'encoder'"):
        DeepAutoencoder.from_keras("encoder", decoder())
    with pytest.raises(ValueError, match="decoder must have been built"):
        DeepAutoencoder.from_keras(encoder(), keras.Sequential([layers.Dense(12)]))


def test_parameters_that_the_models_determine_are_refused():
    with pytest.raises(TypeError, match="n_components"):
        DeepAutoencoder.from_keras(encoder(), decoder(), n_components=5)


BARE_KERAS = """
import sys
import keras, numpy as np, tensorflow as tf
X = np.load("X.npy")
encoder = keras.saving.load_model("encoder.keras")
served = tf.saved_model.load("autoencoder")
np.savez("out.npz", codes=encoder.predict(X, verbose=0), rows=served.serve(X))
assert not [name for name in sys.modules if name.startswith("skae")]
"""


def test_saved_keras_models_predict_the_same_in_a_process_without_skae(small, X, tmp_path):
    estimator = small(optimizer="muon").fit(X)
    estimator.encoder_.save(tmp_path / "encoder.keras")
    estimator.autoencoder_.export(tmp_path / "autoencoder", verbose=False)
    np.save(tmp_path / "X.npy", X)
    subprocess.run([sys.executable, "-c", BARE_KERAS], cwd=tmp_path, check=True)
    out = np.load(tmp_path / "out.npz")

    assert_allclose(out["codes"], estimator.transform(X), atol=1e-5)
    assert_allclose(out["rows"], estimator.reconstruct(X), atol=1e-5)
