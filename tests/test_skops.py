"""skops: files without a pickle, of which only skae's own types have to be trusted."""

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

from skae import DenoisingAutoencoder, GaussianNoise
from tests.test_pickle import each_fitted

skops_io = pytest.importorskip("skops.io")


def trusted(file):
    """Types in a file that skops does not know; all of them have to be skae's."""
    names = skops_io.get_untrusted_types(file=file)
    assert all(name.startswith("skae.") for name in names), names
    return names


@each_fitted
def test_a_skops_file_gives_the_same_bits(fit, small, X, tmp_path):
    estimator = fit(small, X)
    estimator.encoder_  # noqa: B018  the Keras models stay behind
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
def test_there_is_no_pickle_in_a_skops_file(fit, small, X, tmp_path):
    skops_io.dump(fit(small, X), tmp_path / "estimator.skops")

    with zipfile.ZipFile(tmp_path / "estimator.skops") as file:
        kinds = {name.rpartition(".")[2] for name in file.namelist()}
        assert kinds == {"npy", "json"}
        assert b"BytesNode" not in file.read("schema.json")


def test_a_pipeline_goes_through_skops(small, X, tmp_path):
    y = X[:, 20] > 0.5
    noise = GaussianNoise(0.1, random_state=np.random.RandomState(0))
    ae = small(DenoisingAutoencoder)
    pipeline = make_pipeline(MinMaxScaler(), noise, ae, LogisticRegression()).fit(X, y)
    file = tmp_path / "pipeline.skops"
    skops_io.dump(pipeline, file)
    other = skops_io.load(file, trusted=trusted(file))

    assert_array_equal(other[2:].predict_proba(X), pipeline[2:].predict_proba(X))


def own_loss(y_true, y_pred):
    import keras

    return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


def test_a_users_function_has_to_be_trusted_by_its_name(small, X, tmp_path):
    estimator = small(loss=own_loss).fit(X)
    file = tmp_path / "estimator.skops"
    skops_io.dump(estimator, file)
    names = skops_io.get_untrusted_types(file=file)

    assert [name for name in names if not name.startswith("skae.")] == [f"{__name__}.own_loss"]
    assert skops_io.load(file, trusted=names).loss is own_loss


def test_a_keras_callback_has_to_be_trusted_by_its_name(small, X):
    import keras

    estimator = small(callbacks=[keras.callbacks.EarlyStopping("loss", patience=1)]).fit(X)
    file = skops_io.dumps(estimator)
    names = skops_io.get_untrusted_types(data=file)
    other = skops_io.loads(file, trusted=names)

    assert [name.split(".")[-1] for name in names if not name.startswith("skae.")] == [
        "EarlyStopping"
    ]
    assert_array_equal(other.fit(X).transform(X), estimator.transform(X))


def test_a_skops_file_loads_and_transforms_without_tensorflow(small, X, tmp_path):
    import keras

    estimator = small(optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.MeanSquaredError)
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
