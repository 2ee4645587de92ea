"""Estimators on rows that are not in memory.

Rows that fit into the buffer give the bits of an array, and more rows train as well.
"""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.datasets import load_digits
from sources import limit_reads

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._engine.limits import Limits
from skae._estimators.base import BaseAutoencoder
from skae._training.checkpoint import Checkpoint


def memmap(array, folder, name):
    np.save(folder / f"{name}.npy", array)
    return np.load(folder / f"{name}.npy", mmap_mode="r")


def hdf5(array, folder, name):
    h5py = pytest.importorskip("h5py")
    file = h5py.File(folder / f"{name}.h5", "w")
    return file.create_dataset("rows", data=array, chunks=(25, array.shape[1]), compression="gzip")


def zarr(array, folder, name):
    zarr = pytest.importorskip("zarr")
    shape, dtype = array.shape, array.dtype
    stored = zarr.create_array(folder / f"{name}.zarr", shape=shape, dtype=dtype, chunks=(30, 64))
    stored[...] = array
    return stored


def dask(array, folder, name):
    return pytest.importorskip("dask.array").from_array(array, chunks=(40, 32))


STORAGES = [memmap, hdf5, zarr, dask]


@pytest.fixture(params=STORAGES, ids=lambda store: store.__name__)
def store(request, tmp_path):
    names = map("x{}".format, itertools.count())
    return lambda array: request.param(array, tmp_path, next(names))


@pytest.fixture(scope="module", autouse=True)
def chunks_of_one_batch():
    """Make chunks small, because a buffer holds whole chunks.

    A single chunk of the usual size would hold all digits.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseAutoencoder, "_limits", Limits(max_chunk_steps=1))
        yield


@pytest.fixture
def small_buffer(monkeypatch):
    """Read blocks of 16 digits, and shuffle in a buffer of 64 digits; X has 300."""
    limit_reads(monkeypatch, block_values=16 * 64, buffer_values=64 * 64)


@pytest.fixture(scope="module")
def fitted(X, make_autoencoder):
    return make_autoencoder(epochs=20).fit(X)


def assert_same_weights(first, second):
    for one, other in zip(first._network.weights, second._network.weights, strict=True):
        assert_array_equal(one, other)


# --------------------------------------------------------------------------- fitting


def test_small_source_gives_same_bits(X, make_autoencoder, store):
    noisy = make_autoencoder(DenoisingAutoencoder)

    assert_same_weights(make_autoencoder().fit(store(X)), make_autoencoder().fit(X))
    assert_same_weights(noisy.fit(store(X), X_val=store(X[:50])), make_autoencoder(
        DenoisingAutoencoder
    ).fit(X, X_val=X[:50]))  # fmt: skip
    assert noisy.history_ == make_autoencoder(DenoisingAutoencoder).fit(X, X_val=X[:50]).history_


@pytest.mark.usefixtures("small_buffer")
def test_large_source_trains_as_well(X, make_autoencoder, store, fitted):
    streamed = make_autoencoder(epochs=20).fit(store(X))

    assert streamed.history_["loss"][-1] == pytest.approx(fitted.history_["loss"][-1], rel=0.02)
    assert streamed.score(X) == pytest.approx(fitted.score(X), rel=0.1)
    assert_same_weights(make_autoencoder(epochs=20).fit(store(X)), streamed)


def test_sorted_file_trains_as_well(make_autoencoder, tmp_path, monkeypatch):
    """1,797 digits that are sorted by class, in blocks of 16 and a buffer of 512."""
    limit_reads(monkeypatch, block_values=16 * 64, buffer_values=512 * 64)
    digits = load_digits()
    ordered = digits.data[np.argsort(digits.target, kind="stable")] / 16
    stored = memmap(ordered, tmp_path, "x")

    def mean_score(X):
        fits = [make_autoencoder(epochs=6, random_state=seed).fit(X) for seed in range(2)]
        return np.mean([autoencoder.score(ordered) for autoencoder in fits])

    assert mean_score(stored) == pytest.approx(mean_score(digits.data / 16), rel=0.05)


@pytest.mark.usefixtures("small_buffer")
@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_same_blocks_give_same_bits(X, make_autoencoder, tmp_path, kind):
    dask = pytest.importorskip("dask.array")
    in_file = make_autoencoder(kind).fit(memmap(X, tmp_path, "x"))
    in_tasks = make_autoencoder(kind).fit(dask.from_array(X, chunks=(8, 64)))

    assert_same_weights(in_file, in_tasks)


@pytest.mark.usefixtures("small_buffer")
def test_partial_fit_on_several_sources(X, make_autoencoder, store):
    whole = make_autoencoder()
    for _ in range(3):
        whole.partial_fit(store(X))

    assert whole.n_iter_ == 3
    assert whole.history_["loss"][2] < whole.history_["loss"][0]
    again = make_autoencoder().partial_fit(store(X)).partial_fit(store(X)).partial_fit(store(X))
    assert_same_weights(again, whole)


@pytest.mark.usefixtures("small_buffer")
def test_validation_on_source(X, make_autoencoder, store):
    stored = make_autoencoder().fit(X, X_val=store(X[:150]))
    in_memory = make_autoencoder().fit(X, X_val=X[:150])

    assert_same_weights(stored, in_memory)
    np.testing.assert_allclose(stored.history_["val_loss"], in_memory.history_["val_loss"])


@pytest.mark.usefixtures("small_buffer")
def test_noisy_and_clean_rows_stay_paired(X, make_autoencoder, store):
    clean, noisy = X, 1 - X
    denoiser = make_autoencoder(DenoisingAutoencoder, epochs=40).fit(
        store(noisy), X_clean=store(clean), X_val=store(noisy), X_val_clean=clean
    )

    error = ((denoiser.reconstruct(noisy) - clean) ** 2).mean()
    assert error < ((clean - clean.mean(axis=0)) ** 2).mean()
    assert denoiser.history_["val_loss"][-1] < denoiser.history_["val_loss"][0]


@pytest.mark.usefixtures("small_buffer")
def test_early_stopping_split_is_same(X, make_autoencoder, store):
    stopping = {"early_stopping": True, "validation_fraction": 0.3, "epochs": 1}
    stored, in_memory = (
        make_autoencoder(**stopping).fit(store(X)),
        make_autoencoder(**stopping).fit(X),
    )

    np.testing.assert_allclose(
        stored.history_["val_loss"], in_memory.history_["val_loss"], rtol=0.05
    )


@pytest.mark.usefixtures("small_buffer")
def test_rows_without_weight_are_ignored(X, make_autoencoder, store):
    weight = np.ones(300)
    weight[::3] = 0
    odd = X.copy()
    odd[::3] = 1  # would change the fit
    assert_same_weights(
        make_autoencoder().fit(store(odd), sample_weight=weight),
        make_autoencoder().fit(store(X), sample_weight=weight),
    )


@pytest.mark.usefixtures("small_buffer")
def test_output_depends_on_all_rows(X, make_autoencoder, store):
    beyond = X.copy()
    beyond[299, 63] = 1.5

    assert make_autoencoder(epochs=1).fit(store(X))._network.spec.activations[-1] == "sigmoid"
    assert make_autoencoder(epochs=1).fit(store(beyond))._network.spec.activations[-1] == "linear"
    with pytest.raises(ValueError, match=r"needs data between 0 and 1; got values from 0 to 1\.5"):
        make_autoencoder(output_activation="sigmoid").fit(store(beyond))


@pytest.mark.parametrize("n_rows", [0, 1])
def test_too_few_rows(X, make_autoencoder, tmp_path, n_rows):
    h5py = pytest.importorskip("h5py")
    stored = h5py.File(tmp_path / "x.h5", "w").create_dataset("rows", data=X[:n_rows])

    with pytest.raises(ValueError, match=f"{n_rows} sample.*minimum of 2 is required by DeepAuto"):
        make_autoencoder().fit(stored)


def test_wrong_number_of_features(X, fitted, store):
    with pytest.raises(ValueError, match="X has 63 features, but DeepAutoencoder is expecting 64"):
        fitted.transform(store(X[:, 1:]))
    with pytest.raises(ValueError, match="X has 64 features, but the codes of DeepAutoencoder"):
        fitted.inverse_transform(store(X))


@pytest.mark.usefixtures("small_buffer")
@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_killed_fit_resumes_with_same_bits(X, make_autoencoder, tmp_path, monkeypatch, kind):
    write, stored, path = Checkpoint.write, memmap(X, tmp_path, "x"), tmp_path / "run.ckpt"

    def write_then_die(checkpoint, saved):
        write(checkpoint, saved)
        if len(saved.history) == 2:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", write_then_die)
        with pytest.raises(RuntimeError, match="killed"):
            make_autoencoder(kind, epochs=4, checkpoint=path).fit(stored)
    resumed = make_autoencoder(kind, epochs=4, checkpoint=path).fit(stored)

    assert resumed.n_iter_ == 4
    assert_same_weights(resumed, make_autoencoder(kind, epochs=4).fit(stored))


@pytest.mark.usefixtures("small_buffer")
def test_callbacks_get_the_source(X, make_autoencoder, tmp_path):
    callback = pytest.importorskip("sklearn.callback")
    seen, stored = [], memmap(X, tmp_path, "x")

    def scorer(estimator, X, y):
        seen.append(X)
        return {"score": estimator.score(X)}

    make_autoencoder(epochs=1).set_callbacks(callback.ScoringMonitor(scoring=scorer)).fit(stored)
    assert seen[0] is stored


# --------------------------------------------------------------------------- errors


@pytest.mark.usefixtures("small_buffer")
def test_nan_is_located_and_changes_nothing(X, make_autoencoder, store):
    broken = X.copy()
    broken[217, 5] = np.nan
    stored = store(broken)
    trained = make_autoencoder().partial_fit(X)
    before = [array.copy() for array in trained._network.weights]

    for attempt in (
        make_autoencoder().fit,
        trained.partial_fit,
        trained.transform,
        trained.score,
    ):
        with pytest.raises(ValueError, match="NaN: first in row 217, column 5"):
            attempt(stored)
    for array, kept in zip(trained._network.weights, before, strict=True):
        assert_array_equal(array, kept)
    assert trained.n_iter_ == 1
    with pytest.raises(ValueError, match="Input X_val contains NaN: first in row 217"):
        make_autoencoder().fit(X, X_val=stored)
    with pytest.raises(ValueError, match="Input X_clean contains NaN: first in row 217"):
        make_autoencoder(DenoisingAutoencoder).fit(X, X_clean=stored)


@pytest.mark.usefixtures("small_buffer")
def test_truncated_file_changes_nothing(X, make_autoencoder, tmp_path):
    stored = memmap(X, tmp_path, "x")
    os.truncate(tmp_path / "x.npy", 128 + 8 * 64 * 200)
    autoencoder = make_autoencoder()

    with pytest.raises(OSError, match=r"X is truncated: .* 300 rows, but .* of rows 192 to 207"):
        autoencoder.fit(stored)
    assert not hasattr(autoencoder, "n_features_in_")


@pytest.mark.usefixtures("small_buffer")
def test_file_truncated_during_training(X, make_autoencoder, tmp_path):
    stored = memmap(X, tmp_path, "x")

    def truncate(step):  # called in training, after one pass over all rows
        os.truncate(tmp_path / "x.npy", 128 + 8 * 64 * 200)
        return 0.001

    with pytest.raises(OSError, match="X is truncated"):
        make_autoencoder(learning_rate_schedule=truncate).fit(stored)


# --------------------------------------------------------------------------- using


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_equal_those_of_array(X, fitted, store, dtype):
    rows = X.astype(dtype)
    stored, codes = store(rows), fitted.transform(rows)

    assert_array_equal(fitted.transform(stored), codes, strict=True)
    assert_array_equal(fitted.reconstruct(stored), fitted.reconstruct(rows), strict=True)
    assert_array_equal(fitted.score_samples(stored), fitted.score_samples(rows), strict=True)
    assert fitted.score(stored) == fitted.score(rows)
    decoded = fitted.inverse_transform(store(codes))
    assert_array_equal(decoded, fitted.inverse_transform(codes), strict=True)


def test_results_in_out(X, fitted, tmp_path):
    sources = X, sparse.csr_array(X), memmap(X, tmp_path, "x")
    wanted = {
        "transform": (300, 4),
        "inverse_transform": (300, 64),
        "reconstruct": (300, 64),
        "score_samples": (300,),
    }
    for name, shape in wanted.items():
        method = getattr(fitted, name)
        codes = fitted.transform(X)
        for rows in (
            [codes, memmap(codes, tmp_path, "codes")] if name == "inverse_transform" else sources
        ):
            out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.float64, shape)
            assert method(rows, out=out) is out
            assert_array_equal(np.load(tmp_path / "out.npy"), method(rows))


def test_reconstruct_in_place(X, fitted, tmp_path):
    memmap(X, tmp_path, "x")
    rows = np.load(tmp_path / "x.npy", mmap_mode="r+")
    fitted.reconstruct(rows, out=rows)

    assert_array_equal(rows, fitted.reconstruct(X))


def test_out_with_set_output(X, make_autoencoder):
    pandas = pytest.importorskip("pandas")
    autoencoder = make_autoencoder(epochs=1).fit(X).set_output(transform="pandas")
    out = np.zeros((300, 4))

    assert isinstance(autoencoder.transform(X, out=out), pandas.DataFrame)
    assert_array_equal(out, autoencoder.transform(X).to_numpy())


def test_out_is_not_metadata(make_autoencoder):
    assert not hasattr(make_autoencoder(), "set_transform_request")
    assert not hasattr(make_autoencoder(), "set_inverse_transform_request")


# --------------------------------------------------------------------------- memory

FIT_AND_TRANSFORM = """
import re, sys
import numpy as np
import keras, tensorflow
from skae import DeepAutoencoder

def megabytes(name):
    return int(re.search(rf"{name}:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024

X = np.memmap(sys.argv[1], np.float64, "r", shape=(171_000, 784))
codes = np.lib.format.open_memmap(sys.argv[2], "w+", np.float32, (len(X), 4))
open("/proc/self/clear_refs", "w").write("5")  # resets VmHWM to VmRSS
before = megabytes("VmRSS")
autoencoder = DeepAutoencoder(
    4, hidden_layer_sizes=(), optimizer="adam", batch_size=256, epochs=1, random_state=0
).fit(X)
autoencoder.transform(X, out=codes)
print(megabytes("VmHWM") - before, *autoencoder.history_["loss"], float(np.var(codes)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_large_fit(tmp_path):
    """1 GB, or 171,000 rows of 784 float64, needs 400 MB more than Python with TensorFlow."""
    rng = np.random.default_rng(0)
    block = (rng.random((1710, 3)) @ rng.random((3, 784)) / 3).tobytes()
    with (tmp_path / "x.dat").open("wb") as file:
        for _ in range(100):
            file.write(block)
    assert (tmp_path / "x.dat").stat().st_size > 1e9

    command = [sys.executable, "-c", FIT_AND_TRANSFORM, tmp_path / "x.dat", tmp_path / "codes.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (tmp_path / "x.dat").unlink()
    peak, loss, spread = map(float, done.stdout.split())

    assert peak < 400
    assert loss < np.log(2)  # the loss if every output is 1/2
    assert 0 < spread < np.inf
