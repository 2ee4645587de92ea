"""Copies: clone, pickle, joblib and deepcopy; and the pickle where TensorFlow is missing."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise


def through_pickle(estimator, tmp_path):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator, tmp_path):
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    return joblib.load(tmp_path / "estimator.joblib")


def through_deepcopy(estimator, tmp_path):
    return copy.deepcopy(estimator)


each_copy = pytest.mark.parametrize("through", [through_pickle, through_joblib, through_deepcopy])


def fit_with_keras_objects(small, X):
    import keras

    return small(
        optimizer=keras.optimizers.Adam(0.01, beta_1=0.8),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=0.1),
        metrics=[keras.metrics.MeanAbsoluteError()],
    ).fit(X)


FITTED = {
    "deep": lambda small, X: small().fit(X),
    "denoising": lambda small, X: small(DenoisingAutoencoder).fit(X),
    "default": lambda small, X: small(optimizer="muon").fit(X),
    "after partial_fit": lambda small, X: small().partial_fit(X),
    "optimizer class": lambda small, X: small(
        optimizer=type(fit_with_keras_objects(small, X).optimizer), optimizer__beta_1=0.8
    ).fit(X),
    "Keras objects": fit_with_keras_objects,
    "Keras activation": lambda small, X: small(activation=keras_activation("gelu")).fit(X),
    "Keras schedule": lambda small, X: small(
        learning_rate_schedule=keras_schedule(), metrics="mse"
    ).fit(X),
}
each_fitted = pytest.mark.parametrize("fit", FITTED.values(), ids=FITTED)


def keras_activation(name):
    import keras

    return getattr(keras.activations, name)


def keras_schedule():
    import keras

    return keras.optimizers.schedules.CosineDecay(0.01, 30)


@each_copy
@each_fitted
def test_a_copy_gives_the_same_bits(through, fit, small, X, tmp_path):
    estimator = fit(small, X)
    other = through(estimator, tmp_path)

    assert_array_equal(other.transform(X), estimator.transform(X))
    assert_array_equal(other.reconstruct(X), estimator.reconstruct(X))
    assert other.history_ == estimator.history_
    assert other.get_params().keys() == estimator.get_params().keys()
    assert_array_equal(other.fit(X).transform(X), clone(estimator).fit(X).transform(X))


@each_copy
def test_a_copy_goes_on_with_partial_fit_as_the_original_does(through, small, X, tmp_path):
    estimator = small().partial_fit(X).partial_fit(X)
    other = through(estimator, tmp_path)

    assert_array_equal(other.partial_fit(X).transform(X), estimator.partial_fit(X).transform(X))


@each_copy
def test_a_copy_shares_nothing(through, small, X, tmp_path):
    estimator = small().fit(X)
    codes = estimator.transform(X)
    through(estimator, tmp_path).set_params(random_state=1, warm_start=True).fit(X).partial_fit(X)

    assert_array_equal(estimator.transform(X), codes)
    assert estimator.n_iter_ == 3


@each_copy
@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder, GaussianNoise])
def test_unfitted_estimators_can_be_copied(through, kind, tmp_path):
    other = through(kind(random_state=3), tmp_path)

    assert repr(other) == repr(kind(random_state=3))


def test_a_clone_is_unfitted_and_has_the_same_parameters(small, X):
    import keras

    estimator = small(optimizer=keras.optimizers.Adam(0.02, beta_1=0.8)).fit(X)
    other = clone(estimator)

    assert not hasattr(other, "history_")
    assert other.optimizer is not estimator.optimizer
    assert other.optimizer.get_config() == estimator.optimizer.get_config()
    assert_array_equal(other.fit(X).transform(X), estimator.transform(X))


def test_a_pickle_holds_the_weights_and_no_keras_model(small, X):
    estimator = small(hidden_layer_sizes=(256,), epochs=1).fit(X)
    weights = estimator.autoencoder_.get_weights()  # builds the Keras models
    estimator.transform(X)  # and the weights in float64

    pickled = pickle.dumps(estimator)
    assert len(pickled) < 1.05 * sum(weight.nbytes for weight in weights) + 5000
    assert b"keras" not in pickled.lower().replace(b"_keras_models", b"")


WITHOUT_TENSORFLOW = """
import pickle, sys
for missing in ("tensorflow", "keras", "scikeras"):
    sys.modules[missing] = None  # importing it raises ImportError
import numpy as np
with open("estimator.pickle", "rb") as file:
    estimator = pickle.load(file)
X = np.load("X.npy")
assert "keras" not in [name for name, module in sys.modules.items() if module]
np.savez(
    "out.npz",
    codes=estimator.transform(X),
    decoded=estimator.reconstruct(X.astype(np.float32)),
    back=estimator.inverse_transform(estimator.transform(X)),
    scores=estimator.score_samples(X),
)
repr(estimator)
assert not hasattr(estimator, "encoder_")
with open("again.pickle", "wb") as file:
    pickle.dump(estimator, file)
"""


@each_fitted
def test_a_pickle_gives_the_same_bits_where_tensorflow_cannot_be_imported(fit, small, X, tmp_path):
    estimator = fit(small, X)
    estimator.encoder_  # noqa: B018  the Keras models stay behind
    (tmp_path / "estimator.pickle").write_bytes(pickle.dumps(estimator))
    np.save(tmp_path / "X.npy", X)
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TENSORFLOW]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    out = np.load(tmp_path / "out.npz")
    assert_array_equal(out["codes"], estimator.transform(X))
    assert_array_equal(out["decoded"], estimator.reconstruct(X.astype(np.float32)))
    assert_array_equal(out["back"], estimator.inverse_transform(estimator.transform(X)))
    assert_array_equal(out["scores"], estimator.score_samples(X))
    again = pickle.loads((tmp_path / "again.pickle").read_bytes())
    assert type(again.optimizer) is type(estimator.optimizer)  # survives a process without Keras
    assert_array_equal(again.partial_fit(X).transform(X), estimator.partial_fit(X).transform(X))


def test_keras_models_say_what_is_missing_without_tensorflow(small, X, monkeypatch):
    estimator = small().fit(X)
    monkeypatch.setitem(sys.modules, "skae._keras", None)

    with pytest.raises(AttributeError, match="need TensorFlow"):
        estimator.encoder_  # noqa: B018
