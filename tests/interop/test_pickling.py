"""Copies of estimators by clone, pickle, cloudpickle, joblib, copy and deepcopy."""

import copy
import importlib
import io
import pickle
import subprocess
import sys
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

import skae
from skae import (
    DeepAutoencoder,
    DenoisingAutoencoder,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
)


def through_pickle(estimator, tmp_path):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator, tmp_path):
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    return joblib.load(tmp_path / "estimator.joblib")


def through_cloudpickle(estimator, tmp_path):
    return cloudpickle.loads(cloudpickle.dumps(estimator))


def through_deepcopy(estimator, tmp_path):
    return copy.deepcopy(estimator)


each_copy = pytest.mark.parametrize(
    "through", [through_pickle, through_joblib, through_cloudpickle, through_deepcopy]
)


def fit_with_keras_objects(make_autoencoder, X):
    import keras

    return make_autoencoder(
        optimizer=keras.optimizers.Adam(0.01, beta_1=0.8),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=0.1),
        metrics=[keras.metrics.MeanAbsoluteError()],
    ).fit(X)


def keras_activation(name):
    import keras

    return getattr(keras.activations, name)


def keras_schedule():
    import keras

    return keras.optimizers.schedules.CosineDecay(0.01, 30)


FITTED = {
    "deep": lambda make_autoencoder, X: make_autoencoder().fit(X),
    "denoising": lambda make_autoencoder, X: make_autoencoder(DenoisingAutoencoder).fit(X),
    "corruption": lambda make_autoencoder, X: make_autoencoder(
        DenoisingAutoencoder, corruption=MaskingNoise(0.3)
    ).fit(X),
    "dropout": lambda make_autoencoder, X: make_autoencoder(dropout=0.2).fit(X),
    "default": lambda make_autoencoder, X: make_autoencoder(optimizer="muon").fit(X),
    "after partial_fit": lambda make_autoencoder, X: make_autoencoder().partial_fit(X),
    "optimizer class": lambda make_autoencoder, X: make_autoencoder(
        optimizer=type(fit_with_keras_objects(make_autoencoder, X).optimizer), optimizer__beta_1=0.8
    ).fit(X),
    "Keras objects": fit_with_keras_objects,
    "Keras activation": lambda make_autoencoder, X: make_autoencoder(
        activation=keras_activation("gelu")
    ).fit(X),
    "Keras schedule": lambda make_autoencoder, X: make_autoencoder(
        learning_rate_schedule=keras_schedule(), metrics=["mse"]
    ).fit(X),
}
each_fitted = pytest.mark.parametrize("fit", FITTED.values(), ids=FITTED)


@each_copy
@each_fitted
def test_copy_gives_same_bits(through, fit, make_autoencoder, X, tmp_path):
    estimator = fit(make_autoencoder, X)
    other = through(estimator, tmp_path)

    assert_array_equal(other.transform(X), estimator.transform(X))
    assert_array_equal(other.reconstruct(X), estimator.reconstruct(X))
    assert other.history_ == estimator.history_
    assert other.get_params().keys() == estimator.get_params().keys()
    assert_array_equal(other.fit(X).transform(X), clone(estimator).fit(X).transform(X))


@each_copy
def test_copy_continues_partial_fit(through, make_autoencoder, X, tmp_path):
    """A copy continues `partial_fit` with the same bits as the original."""
    estimator = make_autoencoder().partial_fit(X).partial_fit(X)
    other = through(estimator, tmp_path)

    assert_array_equal(other.partial_fit(X).transform(X), estimator.partial_fit(X).transform(X))


@each_copy
def test_copy_shares_nothing(through, make_autoencoder, X, tmp_path):
    estimator = make_autoencoder().fit(X)
    codes = estimator.transform(X)
    through(estimator, tmp_path).set_params(random_state=1, warm_start=True).fit(X).partial_fit(X)

    assert_array_equal(estimator.transform(X), codes)
    assert estimator.n_iter_ == 3


@each_copy
@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder, GaussianNoise])
def test_unfitted_copy_is_equal(through, kind, tmp_path):
    other = through(kind(random_state=3), tmp_path)

    assert repr(other) == repr(kind(random_state=3))


def test_shallow_copy_shares_arrays(make_autoencoder, X):
    estimator = make_autoencoder(metrics=[own_loss]).fit(X)
    other = copy.copy(estimator)

    assert other.metrics is estimator.metrics
    assert other._network.weights[0] is estimator._network.weights[0]
    assert_array_equal(other.set_params(epochs=1).transform(X), estimator.transform(X))
    assert estimator.epochs == 3


def test_deep_copy_of_a_cycle(make_autoencoder):
    """A parameter that refers to the estimator refers to its copy afterwards."""
    estimator = make_autoencoder()
    estimator.callbacks = [[estimator]]
    other = copy.deepcopy(estimator)

    assert other.callbacks[0][0] is other


def test_clone_is_unfitted(make_autoencoder, X):
    import keras

    estimator = make_autoencoder(optimizer=keras.optimizers.Adam(0.02, beta_1=0.8)).fit(X)
    other = clone(estimator)

    assert not hasattr(other, "history_")
    assert other.optimizer is not estimator.optimizer
    assert other.optimizer.get_config() == estimator.optimizer.get_config()
    assert_array_equal(other.fit(X).transform(X), estimator.transform(X))


def test_pickle_is_small(make_autoencoder, X):
    """A pickle holds the weights once, and no Keras model."""
    estimator = make_autoencoder(hidden_layer_sizes=(256,), epochs=1).fit(X)
    weights = estimator.autoencoder_.get_weights()  # builds the Keras models
    estimator.transform(X)  # makes a copy of the weights in float64

    pickled = pickle.dumps(estimator)
    assert len(pickled) < 1.05 * sum(weight.nbytes for weight in weights) + 5000
    assert b"keras" not in pickled.lower()


# --------------------------------------------------------------------------- the content


class Recorder(pickle.Unpickler):
    """Collects (module, name) of everything that a pickle imports."""

    def __init__(self, pickled):
        super().__init__(io.BytesIO(pickled))
        self.names = set()

    def find_class(self, module, name):
        self.names.add((module, name))
        return super().find_class(module, name)


def fit_with_own_functions(make_autoencoder, X):
    return make_autoencoder(
        loss=own_loss, activation=squares, code_activation=lambda h: 2 * h, metrics=[own_loss]
    ).fit(X)


def own_loss(y_true, y_pred):
    import keras

    return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


def squares(h):
    return h * h


CONTENTS = FITTED | {
    "own functions": fit_with_own_functions,
    "noise": lambda make_autoencoder, X: GaussianNoise(0.1, random_state=0).fit(X),
    "masking": lambda make_autoencoder, X: MaskingNoise(0.1, random_state=0).fit(X),
    "swap": lambda make_autoencoder, X: SwapNoise([0.1] * X.shape[1], groups=[[0, 1]]).fit(X),
    "salt and pepper": lambda make_autoencoder, X: SaltAndPepperNoise(random_state=0).fit(X),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("fit", CONTENTS.values(), ids=CONTENTS)
def test_pickle_names_public_classes(fit, protocol, make_autoencoder, X):
    """Of skae, a pickle names public classes only: private ones can be moved and renamed."""
    pickled = pickle.dumps(fit(make_autoencoder, X), protocol=protocol)
    recorder = Recorder(pickled)
    recorder.load()
    for module, name in recorder.names:
        if module == "skae":
            assert name in skae.__all__
        elif module in ("_pickle", "pickle"):
            assert (name, fit) == ("loads", fit_with_own_functions)
        else:
            assert module.split(".")[0] in ("numpy", "copyreg", "builtins", "_codecs"), module


def test_objects_outlive_their_parameters(make_autoencoder, X):
    """After `set_params`, a copy still computes with the activations that it was fitted with."""
    estimator = make_autoencoder(activation=squares, code_activation=lambda h: 2 * h).fit(X)
    estimator.set_params(activation="relu", code_activation="linear")
    other = pickle.loads(pickle.dumps(estimator))

    assert_array_equal(other.transform(X), estimator.transform(X))
    assert other.get_params() == estimator.get_params()
    assert vars(other).keys() == vars(estimator).keys()


def test_loaded_activation_is_the_parameter(make_autoencoder, X):
    """Otherwise `partial_fit` of a copy would find another network than its parameters say."""
    estimator = fit_with_own_functions(make_autoencoder, X)
    other = pickle.loads(pickle.dumps(estimator))

    assert other._network.spec.activations[0] is other.activation
    assert_array_equal(other.partial_fit(X).transform(X), estimator.partial_fit(X).transform(X))


# --------------------------------------------------------------------------- functions


@pytest.mark.parametrize("through", [through_pickle, through_cloudpickle, through_joblib])
def test_lambdas_are_copied(through, make_autoencoder, X, tmp_path):
    estimator = make_autoencoder(code_activation=lambda h: h + 1).fit(X)
    other = through(estimator, tmp_path)

    assert_array_equal(other.transform(X), estimator.transform(X))
    assert other.code_activation is not estimator.code_activation


def test_deepcopy_keeps_functions(make_autoencoder, X):
    estimator = make_autoencoder(code_activation=lambda h: h + 1, loss=own_loss).fit(X)
    other = copy.deepcopy(estimator)

    assert other.code_activation is estimator.code_activation
    assert other.loss is own_loss


def test_equal_pickles_share_functions(make_autoencoder):
    """A search sends the same function with each fit; as one object, it is compiled once."""
    pickled = pickle.dumps(make_autoencoder(loss=lambda y, z: y - z))

    assert pickle.loads(pickled).loss is pickle.loads(pickled).loss


# --------------------------------------------------------------------------- without a module


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """Return a module of the user, and a function that deletes it."""
    (tmp_path / "own_functions.py").write_text(
        "import keras\n"
        "def loss(y_true, y_pred):\n    return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)\n"
        "def double(h):\n    return 2 * h\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("own_functions")
    yield (
        module,
        lambda: [
            sys.modules.pop("own_functions"),
            (tmp_path / "own_functions.py").unlink(),
            importlib.invalidate_caches(),
        ],
    )
    sys.modules.pop("own_functions", None)


def forget_functions():
    """Let pickles be opened as in a new process."""
    from skae._interop import pickling

    pickling._functions.clear()


def test_missing_module_leaves_transform(own_module, make_autoencoder, X):
    """A file loads and transforms without the module of its loss; a fit asks for it."""
    module, delete = own_module
    estimator = make_autoencoder(loss=module.loss).fit(X)
    codes, pickled = estimator.transform(X), pickle.dumps(estimator)
    delete()
    forget_functions()
    loaded = pickle.loads(pickled)

    assert_array_equal(loaded.transform(X), codes)
    reason = "ModuleNotFoundError: No module named 'own_functions'"
    assert repr(loaded.loss) == f"<not available: {reason}>"
    for training in (loaded.fit, clone(loaded).fit, loaded.partial_fit):
        with pytest.raises(ValueError, match=r"loss could not be loaded.*No module named 'own_fu"):
            training(X)
    assert_array_equal(loaded.transform(X), codes)
    assert_array_equal(loaded.set_params(loss="mse").fit(X).transform(X), codes)


def test_unavailable_parameter_survives_pickling(own_module, make_autoencoder, X):
    """A process without the module passes the parameter on to one that has it."""
    module, delete = own_module
    file = Path(module.__file__)
    source = file.read_text(encoding="utf-8")
    estimator = make_autoencoder(DenoisingAutoencoder, activation=module.double, epochs=1).fit(X)
    pickled = pickle.dumps(estimator)
    delete()
    forget_functions()
    again = pickle.dumps(copy.deepcopy(pickle.loads(pickled)))
    assert "not available" in repr(pickle.loads(again).activation)
    file.write_text(source, encoding="utf-8")
    importlib.invalidate_caches()
    loaded = pickle.loads(again)

    assert loaded.activation.__module__ == "own_functions"
    assert_array_equal(loaded.transform(X), estimator.transform(X))


def test_missing_activation_is_an_error(own_module, make_autoencoder, X):
    """A network cannot compute without its activation, and says so."""
    module, delete = own_module
    pickled = pickle.dumps(make_autoencoder(activation=module.double, epochs=1).fit(X))
    delete()
    forget_functions()
    loaded = pickle.loads(pickled)

    with pytest.raises(ValueError, match=r"activation .* could not be loaded: ModuleNotFoundError"):
        loaded.transform(X)
    assert "not available" in repr(loaded)


class OwnCorruption:
    def corrupt(self, X, rng):
        return np.where(rng.random(X.shape) < 0.1, 0, X).astype(X.dtype)


def test_own_corruption_is_copied(make_autoencoder, X):
    estimator = make_autoencoder(DenoisingAutoencoder, corruption=OwnCorruption()).fit(X)
    other = pickle.loads(pickle.dumps(estimator))

    assert isinstance(other.corruption, OwnCorruption)
    assert_array_equal(other.fit(X).transform(X), estimator.transform(X))


# --------------------------------------------------------------------------- without TensorFlow

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
def test_pickle_needs_no_tensorflow(fit, make_autoencoder, X, tmp_path):
    """A process without TensorFlow loads, computes the same bits, and writes a complete pickle."""
    estimator = fit(make_autoencoder, X)
    estimator.encoder_  # noqa: B018  the pickle leaves out the Keras models
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
    assert type(again.optimizer) is type(estimator.optimizer)
    assert_array_equal(again.partial_fit(X).transform(X), estimator.partial_fit(X).transform(X))


def test_keras_models_name_missing_tensorflow(make_autoencoder, X, monkeypatch):
    estimator = make_autoencoder().fit(X)
    monkeypatch.setitem(sys.modules, "skae._engine.models", None)

    with pytest.raises(AttributeError, match="need TensorFlow"):
        estimator.encoder_  # noqa: B018
