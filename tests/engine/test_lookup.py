"""The Keras models of a fitted estimator."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skae import DeepAutoencoder, DenoisingAutoencoder


@pytest.fixture(params=[DeepAutoencoder, DenoisingAutoencoder])
def fitted(request, make_autoencoder, X):
    return make_autoencoder(request.param).fit(X)


def test_keras_models_match_the_estimator(fitted, X):
    codes = fitted.transform(X)

    assert_allclose(fitted.encoder_.predict(X, verbose=0), codes, atol=1e-5)
    assert_allclose(fitted.autoencoder_(X), fitted.reconstruct(X), atol=1e-5)
    assert_allclose(fitted.decoder_(codes), fitted.inverse_transform(codes), atol=1e-5)


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (9, 8, 7), "activation": "gelu", "code_activation": "tanh"},
        {"output_activation": "softmax", "loss": "kl_divergence"},
        {"hidden_layer_sizes": (9, 8), "dropout": 0.5},
        {"hidden_layer_sizes": 9, "decoder_layer_sizes": [5, 7], "init": "pca"},
        {"hidden_layer_sizes": (9, 8), "decoder_layer_sizes": (), "init": "pca", "dropout": 0.1},
    ],
)
def test_keras_models_match_other_networks(params, make_autoencoder, X):
    estimator = make_autoencoder(epochs=1, **params).fit(X)

    assert_allclose(estimator.encoder_(X), estimator.transform(X), atol=1e-5)
    assert_allclose(estimator.autoencoder_(X), estimator.reconstruct(X), atol=1e-5)


def test_keras_models_share_their_weights(fitted, X):
    before = np.asarray(fitted.autoencoder_(X))
    encoder, decoder = fitted.encoder_, fitted.decoder_
    encoder.set_weights([weight + 1 for weight in encoder.get_weights()])
    assert not np.allclose(fitted.autoencoder_(X), before)

    decoder.set_weights([0 * weight for weight in decoder.get_weights()])
    assert_allclose(fitted.autoencoder_(X), 0.5)  # the sigmoid of zero


def test_estimator_keeps_its_weights(fitted, X):
    codes = fitted.transform(X)
    fitted.encoder_.set_weights([0 * weight for weight in fitted.encoder_.get_weights()])

    assert_array_equal(fitted.transform(X), codes)


def test_keras_models_are_ordinary(fitted, capsys):
    import keras

    for model in (fitted.encoder_, fitted.decoder_, fitted.autoencoder_):
        assert isinstance(model, keras.Model)
        model.summary()
    out = capsys.readouterr().out

    for name in ("encoder", "decoder", "autoencoder", "code", "reconstruction"):
        assert name in out
    assert fitted.autoencoder_.count_params() == 64 * 16 + 16 + 16 * 4 + 4 + 4 * 16 + 16 + 17 * 64


def test_keras_models_are_built_once(make_autoencoder, X):
    estimator = make_autoencoder().fit(X)
    encoder = estimator.encoder_
    assert estimator.encoder_ is encoder

    estimator.set_params(random_state=1).fit(X)
    assert estimator.encoder_ is not encoder
    assert_allclose(estimator.encoder_(X), estimator.transform(X), atol=1e-5)


def test_keras_models_save_and_train(make_autoencoder, X, tmp_path):
    import keras

    estimator = make_autoencoder().fit(X)
    estimator.autoencoder_.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_allclose(loaded(X), estimator.reconstruct(X), atol=1e-5)

    model = estimator.autoencoder_
    model.compile("adam", "mse")
    assert np.isfinite(model.fit(X, X, epochs=1, verbose=0).history["loss"]).all()
