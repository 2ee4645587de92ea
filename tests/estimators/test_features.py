"""`features`: codes and hidden layers as Keras computes them."""

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import DeepAutoencoder, DenoisingAutoencoder

HIDDEN = (7, 5)
each_init = pytest.mark.parametrize("init", ["random", "pca"])
each_kind = pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])


@pytest.fixture
def fitted(make_autoencoder, X):
    def fit(init="random", kind=DeepAutoencoder, **params):
        return make_autoencoder(kind, init=init, hidden_layer_sizes=HIDDEN, **params).fit(X)

    return fit


def by_keras(estimator, X):
    """Return the code and the hidden layers of rows, one array for each."""
    encoder = estimator.encoder_
    names = ["code", "encoder_1", "encoder_2"]
    outputs = [encoder.get_layer(name).output for name in names]
    return [array.numpy() for array in keras.Model(encoder.input, outputs)(X)]


@each_init
@each_kind
@pytest.mark.parametrize(("features", "parts"), [("hidden", slice(1, 3)), ("all", slice(0, 3))])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_features_match_keras(init, kind, features, parts, dropout, fitted, X):
    estimator = fitted(init, kind, dropout=dropout)
    expected = np.concatenate(by_keras(estimator, X)[parts], axis=1)
    codes = estimator.transform(X)

    estimator.set_params(features=features)  # needs no other fit
    got = estimator.transform(X)
    assert_allclose(got, expected, atol=1e-5)
    assert_array_equal(got[:, :4] if features == "all" else codes, codes)
    assert len(estimator.get_feature_names_out()) == got.shape[1]


@each_init
@pytest.mark.parametrize("features", ["code", "hidden", "all"])
def test_inverse_takes_features(init, features, fitted, X):
    estimator = fitted(init, features=features)
    rows = estimator.transform(X)

    if init == "pca" and features == "hidden":
        with pytest.raises(ValueError, match="set features='all'"):
            estimator.inverse_transform(rows)
        return
    assert_allclose(estimator.inverse_transform(rows), estimator.reconstruct(X), atol=1e-6)
    with pytest.raises(ValueError, match=f"have {rows.shape[1]}"):
        estimator.inverse_transform(rows[:, 1:])


@each_init
def test_features_go_to_other_containers(init, fitted, X, tmp_path):
    """Frames have names, ``out`` is filled, and float32 stays float32."""
    estimator = fitted(init, features="all")
    expected = estimator.transform(X)
    out = np.memmap(tmp_path / "out", np.float64, "w+", shape=expected.shape)
    frame = clone(estimator).set_output(transform="pandas").fit_transform(pd.DataFrame(X))

    assert estimator.transform(X, out=out) is out
    assert_array_equal(out, expected)
    assert_array_equal(frame, expected)
    assert list(frame)[-1] == f"deepautoencoder{expected.shape[1] - 1}"
    assert estimator.transform(X.astype(np.float32)).dtype == np.float32
    blocks = np.concatenate([estimator.transform(X[i : i + 1]) for i in range(20)])
    assert_allclose(blocks, expected[:20], atol=1e-6)


def test_classifier_uses_hidden_layers(make_autoencoder, X):
    y = X[:, 20] > 0.5
    encoder = make_autoencoder(features="all", hidden_layer_sizes=HIDDEN)
    pipeline = make_pipeline(encoder, LogisticRegression()).fit(X, y)

    assert pipeline[-1].n_features_in_ == 4 + sum(HIDDEN)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"features": "layers"}, "features must be 'code' or 'hidden' or 'all'; got 'layers'"),
        ({"features": None}, "features must be"),
        ({"features": "hidden", "hidden_layer_sizes": ()}, "needs hidden layers"),
    ],
)
def test_other_features_are_refused(params, message, make_autoencoder, X):
    with pytest.raises(ValueError, match=message):
        make_autoencoder(**params).fit(X)
    fitted = make_autoencoder().fit(X)
    if "hidden_layer_sizes" not in params:
        with pytest.raises(ValueError, match=message):
            fitted.set_params(**params).transform(X)
