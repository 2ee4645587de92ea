"""Estimators on rows that are not in memory: an array's bits where they fit, as good beyond."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.datasets import load_digits

from skae import DeepAutoencoder, DenoisingAutoencoder, _sources, _streams, clear_programs
from skae._checkpoint import Checkpoint


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
    """A buffer holds whole chunks; of the usual ones a single one would hold all digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skae._programs.MAX_CHUNK_STEPS", 1)
        clear_programs()
        yield
    clear_programs()


@pytest.fixture
def large(monkeypatch):
    """Make 300 digits more than the buffer holds: 64 of them, in blocks of 16."""
    monkeypatch.setattr(_sources, "BLOCK_VALUES", 16 * 64)
    for module in (_sources, _streams):
        monkeypatch.setattr(module, "BUFFER_VALUES", 64 * 64)


@pytest.fixture(scope="module")
def fitted(X, small):
    return small(epochs=20).fit(X)


def assert_same_weights(first, second):
    for one, other in zip(first._network.weights, second._network.weights, strict=True):
        assert_array_equal(one, other)


# --------------------------------------------------------------------------- fitting


def test_rows_that_fit_in_the_buffer_give_the_bits_of_an_array(X, small, store):
    noisy = small(DenoisingAutoencoder)

    assert_same_weights(small().fit(store(X)), small().fit(X))
    assert_same_weights(noisy.fit(store(X), X_val=store(X[:50])), small(
        DenoisingAutoencoder
    ).fit(X, X_val=X[:50]))  # fmt: skip
    assert noisy.history_ == small(DenoisingAutoencoder).fit(X, X_val=X[:50]).history_


@pytest.mark.usefixtures("large")
def test_more_rows_than_the_buffer_holds_are_learned_as_well(X, small, store, fitted):
    streamed = small(epochs=20).fit(store(X))

    assert streamed.history_["loss"][-1] == pytest.approx(fitted.history_["loss"][-1], rel=0.02)
    assert streamed.score(X) == pytest.approx(fitted.score(X), rel=0.1)
    assert_same_weights(small(epochs=20).fit(store(X)), streamed)


def test_a_file_that_is_sorted_by_class_trains_as_well(small, tmp_path, monkeypatch):
    """1,797 digits, in blocks of 16 and a buffer of 512."""
    monkeypatch.setattr(_sources, "BLOCK_VALUES", 16 * 64)
    for module in (_sources, _streams):
        monkeypatch.setattr(module, "BUFFER_VALUES", 512 * 64)
    digits = load_digits()
    ordered = digits.data[np.argsort(digits.target, kind="stable")] / 16
    stored = memmap(ordered, tmp_path, "x")

    def mean_score(X):
        fits = [small(epochs=6, random_state=seed).fit(X) for seed in range(2)]
        return np.mean([autoencoder.score(ordered) for autoencoder in fits])

    assert mean_score(stored) == pytest.approx(mean_score(digits.data / 16), rel=0.05)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_all_storages_with_the_same_blocks_give_the_same_bits(X, small, tmp_path, kind):
    dask = pytest.importorskip("dask.array")
    in_file = small(kind).fit(memmap(X, tmp_path, "x"))
    in_tasks = small(kind).fit(dask.from_array(X, chunks=(8, 64)))

    assert_same_weights(in_file, in_tasks)


@pytest.mark.usefixtures("large")
def test_partial_fit_goes_on_from_source_to_source(X, small, store):
    whole = small()
    for _ in range(3):
        whole.partial_fit(store(X))

    assert whole.n_iter_ == 3
    assert whole.history_["loss"][2] < whole.history_["loss"][0]
    again = small().partial_fit(store(X)).partial_fit(store(X)).partial_fit(store(X))
    assert_same_weights(again, whole)


@pytest.mark.usefixtures("large")
def test_validation_rows_are_measured_where_they_lie(X, small, store):
    stored = small().fit(X, X_val=store(X[:150]))
    in_memory = small().fit(X, X_val=X[:150])

    assert_same_weights(stored, in_memory)
    np.testing.assert_allclose(stored.history_["val_loss"], in_memory.history_["val_loss"])


@pytest.mark.usefixtures("large")
def test_pairs_of_noisy_and_clean_rows_stay_together(X, small, store):
    clean, noisy = X, 1 - X
    denoiser = small(DenoisingAutoencoder, epochs=40).fit(
        store(noisy), X_clean=store(clean), X_val=store(noisy), X_val_clean=clean
    )

    error = ((denoiser.reconstruct(noisy) - clean) ** 2).mean()
    assert error < ((clean - clean.mean(axis=0)) ** 2).mean()
    assert denoiser.history_["val_loss"][-1] < denoiser.history_["val_loss"][0]


@pytest.mark.usefixtures("large")
def test_early_stopping_sets_the_same_rows_aside(X, small, store):
    stopping = {"early_stopping": True, "validation_fraction": 0.3, "epochs": 1}
    stored, in_memory = small(**stopping).fit(store(X)), small(**stopping).fit(X)

    np.testing.assert_allclose(
        stored.history_["val_loss"], in_memory.history_["val_loss"], rtol=0.05
    )


@pytest.mark.usefixtures("large")
def test_rows_of_weight_zero_are_left_out(X, small, store):
    weight = np.ones(300)
    weight[::3] = 0
    odd = X.copy()
    odd[::3] = 1  # would change the fit
    assert_same_weights(
        small().fit(store(odd), sample_weight=weight),
        small().fit(store(X), sample_weight=weight),
    )


@pytest.mark.usefixtures("large")
def test_output_and_loss_follow_the_range_of_all_rows(X, small, store):
    beyond = X.copy()
    beyond[299, 63] = 1.5

    assert small(epochs=1).fit(store(X))._network.activations[-1] == "sigmoid"
    assert small(epochs=1).fit(store(beyond))._network.activations[-1] == "linear"
    with pytest.raises(ValueError, match=r"needs data between 0 and 1; got values from 0 to 1\.5"):
        small(output_activation="sigmoid").fit(store(beyond))


@pytest.mark.parametrize("n_rows", [0, 1])
def test_too_few_rows_are_refused_as_those_of_an_array(X, small, tmp_path, n_rows):
    h5py = pytest.importorskip("h5py")
    stored = h5py.File(tmp_path / "x.h5", "w").create_dataset("rows", data=X[:n_rows])

    with pytest.raises(ValueError, match=f"{n_rows} sample.*minimum of 2 is required by DeepAuto"):
        small().fit(stored)


def test_other_features_are_refused_as_those_of_an_array(X, fitted, store):
    with pytest.raises(ValueError, match="X has 63 features, but DeepAutoencoder is expecting 64"):
        fitted.transform(store(X[:, 1:]))
    with pytest.raises(ValueError, match="X has 64 features, but the codes of DeepAutoencoder"):
        fitted.inverse_transform(store(X))


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_a_fit_that_was_killed_goes_on_with_the_same_bits(X, small, tmp_path, monkeypatch, kind):
    write, stored, path = Checkpoint.write, memmap(X, tmp_path, "x"), tmp_path / "run.ckpt"

    def write_and_end(checkpoint, saved):
        write(checkpoint, saved)
        if len(saved.history) == 2:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", write_and_end)
        with pytest.raises(RuntimeError, match="killed"):
            small(kind, epochs=4, checkpoint=path).fit(stored)
    resumed = small(kind, epochs=4, checkpoint=path).fit(stored)

    assert resumed.n_iter_ == 4
    assert_same_weights(resumed, small(kind, epochs=4).fit(stored))


@pytest.mark.usefixtures("large")
def test_callbacks_see_the_users_own_rows(X, small, tmp_path):
    callback = pytest.importorskip("sklearn.callback")
    seen, stored = [], memmap(X, tmp_path, "x")

    def scorer(estimator, X, y):
        seen.append(X)
        return {"score": estimator.score(X)}

    small(epochs=1).set_callbacks(callback.ScoringMonitor(scoring=scorer)).fit(stored)
    assert seen[0] is stored


# --------------------------------------------------------------------------- errors


@pytest.mark.usefixtures("large")
def test_block_with_nan_is_named_and_the_estimator_stays_as_it_was(X, small, store):
    broken = X.copy()
    broken[217, 5] = np.nan
    stored = store(broken)
    going_on = small().partial_fit(X)
    before = [array.copy() for array in going_on._network.weights]

    for attempt in (small().fit, going_on.partial_fit, going_on.transform, going_on.score):
        with pytest.raises(ValueError, match="NaN: first in row 217, column 5, in the block of"):
            attempt(stored)
    for array, kept in zip(going_on._network.weights, before, strict=True):
        assert_array_equal(array, kept)
    assert going_on.n_iter_ == 1
    with pytest.raises(ValueError, match="Input X_val contains NaN: first in row 217"):
        small().fit(X, X_val=stored)
    with pytest.raises(ValueError, match="Input X_clean contains NaN: first in row 217"):
        small(DenoisingAutoencoder).fit(X, X_clean=stored)


@pytest.mark.usefixtures("large")
def test_file_that_ends_early_is_named_and_the_estimator_stays_as_it_was(X, small, tmp_path):
    stored = memmap(X, tmp_path, "x")
    os.truncate(tmp_path / "x.npy", 128 + 8 * 64 * 200)
    autoencoder = small()

    with pytest.raises(OSError, match=r"X ends early: it has 300 rows .* of rows 192 to 207 only"):
        autoencoder.fit(stored)
    assert not hasattr(autoencoder, "n_features_in_")


@pytest.mark.usefixtures("large")
def test_file_that_is_cut_off_during_training_is_an_error(X, small, tmp_path):
    stored = memmap(X, tmp_path, "x")

    class Cut(DeepAutoencoder):
        def _plan(self, *args, **kwargs):  # all rows have been looked at by then
            os.truncate(tmp_path / "x.npy", 128 + 8 * 64 * 200)
            return super()._plan(*args, **kwargs)

    with pytest.raises(OSError, match="X ends early"):
        small(Cut).fit(stored)


# --------------------------------------------------------------------------- using


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_those_of_an_array(X, fitted, store, dtype):
    rows = X.astype(dtype)
    stored, codes = store(rows), fitted.transform(rows)

    assert_array_equal(fitted.transform(stored), codes, strict=True)
    assert_array_equal(fitted.reconstruct(stored), fitted.reconstruct(rows), strict=True)
    assert_array_equal(fitted.score_samples(stored), fitted.score_samples(rows), strict=True)
    assert fitted.score(stored) == fitted.score(rows)
    decoded = fitted.inverse_transform(store(codes))
    assert_array_equal(decoded, fitted.inverse_transform(codes), strict=True)


def test_results_go_where_the_user_says(X, fitted, tmp_path):
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


def test_rows_can_be_reconstructed_in_place(X, fitted, tmp_path):
    memmap(X, tmp_path, "x")
    rows = np.load(tmp_path / "x.npy", mmap_mode="r+")
    fitted.reconstruct(rows, out=rows)

    assert_array_equal(rows, fitted.reconstruct(X))


def test_out_keeps_to_set_output(X, small):
    pandas = pytest.importorskip("pandas")
    autoencoder = small(epochs=1).fit(X).set_output(transform="pandas")
    out = np.zeros((300, 4))

    assert isinstance(autoencoder.transform(X, out=out), pandas.DataFrame)
    assert_array_equal(out, autoencoder.transform(X).to_numpy())


def test_out_is_no_metadata(small):
    assert not hasattr(small(), "set_transform_request")
    assert not hasattr(small(), "set_inverse_transform_request")


# --------------------------------------------------------------------------- memory

WITHIN = """
import re, sys
import numpy as np
import keras, tensorflow
from skae import DeepAutoencoder

def megabytes(name):
    return int(re.search(rf"{name}:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024

X = np.memmap(sys.argv[1], np.float64, "r", shape=(171_000, 784))
codes = np.lib.format.open_memmap(sys.argv[2], "w+", np.float32, (len(X), 4))
open("/proc/self/clear_refs", "w").write("5")  # sets VmHWM back to VmRSS
before = megabytes("VmRSS")
autoencoder = DeepAutoencoder(
    4, hidden_layer_sizes=(), optimizer="adam", batch_size=256, epochs=1, random_state=0
).fit(X)
autoencoder.transform(X, out=codes)
print(megabytes("VmHWM") - before, *autoencoder.history_["loss"], float(np.var(codes)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's account of memory")
def test_a_gigabyte_is_fitted_and_transformed_within_400_megabytes(tmp_path):
    """Above the interpreter with TensorFlow loaded; 171,000 rows of 784 float64."""
    rng = np.random.default_rng(0)
    block = (rng.random((1710, 3)) @ rng.random((3, 784)) / 3).tobytes()
    with (tmp_path / "x.dat").open("wb") as file:
        for _ in range(100):
            file.write(block)
    assert (tmp_path / "x.dat").stat().st_size > 1e9

    command = [sys.executable, "-c", WITHIN, tmp_path / "x.dat", tmp_path / "codes.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (tmp_path / "x.dat").unlink()
    peak, loss, spread = map(float, done.stdout.split())

    assert peak < 400
    assert loss < np.log(2)  # that of an output of 1/2 for everything
    assert 0 < spread < np.inf
