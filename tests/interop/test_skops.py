"""skops files: they hold no pickle, and users must trust only skae's own types."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import skae
from skae import DenoisingAutoencoder, GaussianNoise
from skae._interop.pickling import Unavailable
from tests.interop.test_pickling import each_fitted, own_loss, squares

skops_io = pytest.importorskip("skops.io")


def trusted(file):
    """Return the types in a file that skops does not know; all of them are public in skae."""
    names = skops_io.get_untrusted_types(file=file)
    assert {name.removeprefix("skae.") for name in names} <= set(skae.__all__), names
    return names


@each_fitted
def test_skops_file_gives_same_bits(fit, make_autoencoder, X, tmp_path):
    estimator = fit(make_autoencoder, X)
    estimator.encoder_  # noqa: B018  the file leaves out the Keras models
    file = tmp_path / "estimator.skops"
    skops_io.dump(estimator, file)
    other = skops_io.load(file, trusted=trusted(file))

    assert_array_equal(other.transform(X), estimator.transform(X))
    assert_array_equal(other.reconstruct(X), estimator.reconstruct(X))
    assert other.history_ == estimator.history_
    assert other.get_params().keys() == estimator.get_params().keys()
    assert type(other.optimizer) is type(estimator.optimizer)
    assert_array_equal(other.fit(X).transform(X), clone(estimator).fit(X).transform(X))


@each_fitted
def test_skops_file_holds_no_pickle(fit, make_autoencoder, X, tmp_path):
    skops_io.dump(fit(make_autoencoder, X), tmp_path / "estimator.skops")

    with zipfile.ZipFile(tmp_path / "estimator.skops") as file:
        kinds = {name.rpartition(".")[2] for name in file.namelist()}
        assert kinds == {"npy", "json"}
        assert b"BytesNode" not in file.read("schema.json")


def test_pipeline_through_skops(make_autoencoder, X, tmp_path):
    y = X[:, 20] > 0.5
    noise = GaussianNoise(0.1, random_state=np.random.RandomState(0))
    ae = make_autoencoder(DenoisingAutoencoder)
    pipeline = make_pipeline(MinMaxScaler(), noise, ae, LogisticRegression()).fit(X, y)
    file = tmp_path / "pipeline.skops"
    skops_io.dump(pipeline, file)
    other = skops_io.load(file, trusted=trusted(file))

    assert_array_equal(other[2:].predict_proba(X), pipeline[2:].predict_proba(X))


def test_own_functions_need_trust(make_autoencoder, X, tmp_path):
    """skops lists a user's function by its name, wherever an estimator has it."""
    estimator = make_autoencoder(loss=own_loss, activation=squares).fit(X)
    estimator.set_params(activation="relu")
    file = tmp_path / "estimator.skops"
    skops_io.dump(estimator, file)
    names = skops_io.get_untrusted_types(file=file)

    assert {name for name in names if not name.startswith("skae.")} == {
        f"{own_loss.__module__}.own_loss", f"{own_loss.__module__}.squares",
    }  # fmt: skip
    loaded = skops_io.load(file, trusted=names)
    assert loaded.loss is own_loss
    assert_array_equal(loaded.transform(X), estimator.transform(X))


def test_keras_callback_needs_trust(make_autoencoder, X):
    import keras

    estimator = make_autoencoder(callbacks=[keras.callbacks.EarlyStopping("loss", patience=1)]).fit(
        X
    )
    file = skops_io.dumps(estimator)
    names = skops_io.get_untrusted_types(data=file)
    other = skops_io.loads(file, trusted=names)

    assert [name.split(".")[-1] for name in names if not name.startswith("skae.")] == [
        "EarlyStopping"
    ]
    assert_array_equal(other.fit(X).transform(X), estimator.transform(X))


def test_skops_file_needs_no_tensorflow(make_autoencoder, X, tmp_path):
    """A process without TensorFlow loads, transforms, and writes a complete file."""
    import keras

    estimator = make_autoencoder(
        optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.MeanSquaredError
    )
    skops_io.dump(estimator.fit(X), tmp_path / "estimator.skops")
    np.save(tmp_path / "X.npy", X)
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['tensorflow', 'keras', 'scikeras']))\n"
        "import numpy as np, skops.io\n"
        "names = skops.io.get_untrusted_types(file='estimator.skops')\n"
        "estimator = skops.io.load('estimator.skops', trusted=names)\n"
        "np.save('codes.npy', estimator.transform(np.load('X.npy')))\n"
        "skops.io.dump(estimator, 'again.skops')\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    again = skops_io.load(tmp_path / "again.skops", trusted=trusted(tmp_path / "again.skops"))

    assert_array_equal(np.load(tmp_path / "codes.npy"), estimator.transform(X))
    assert again.optimizer.get_config() == estimator.optimizer.get_config()
    assert again.loss is keras.losses.MeanSquaredError


def test_unavailable_parameter_is_refused(make_autoencoder, X):
    """A pickled parameter that could not be loaded is an error when a skops file is written."""
    loss = Unavailable("its module is missing", content=b"")
    with pytest.raises(TypeError, match=r"could not be loaded.*its module is missing"):
        skops_io.dumps(make_autoencoder().fit(X).set_params(loss=loss))
