"""Runs that are killed, and go on from their checkpoint."""

import copy
import json
import os
import pickletools
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV

import skae
from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._checkpoint import HEAD_BYTES, Checkpoint
from skae._watchers import Watcher


@pytest.fixture
def killed_after(monkeypatch):
    """Leave the file as a process does that is killed after a number of epochs."""

    def fit(estimator, n_epochs, *args, **kwargs):
        write, written = Checkpoint.write, []

        def write_and_keep(checkpoint, saved):
            write(checkpoint, saved)
            written.append(Path(checkpoint.path).read_bytes())

        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "write", write_and_keep)
            estimator.fit(*args, **kwargs)
        Path(estimator.checkpoint).write_bytes(written[n_epochs - 1])

    return fit


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


def assert_same_fit(ours, theirs, X):
    for a, b in zip(ours._network.weights, theirs._network.weights, strict=True):
        assert_array_equal(a, b)
    assert ours.history_ == theirs.history_
    assert_array_equal(ours.transform(X), theirs.transform(X))


CASES = {
    "defaults": {"optimizer": "muon"},
    "denoising": {"kind": DenoisingAutoencoder, "noise_scale": 0.3},
    "metrics": {"metrics": ["mse"]},
    "averaged weights": {"optimizer__use_ema": True, "optimizer__ema_momentum": 0.5},
    "constant rate": {"learning_rate_schedule": "constant", "learning_rate": 0.01},
}


@pytest.mark.parametrize("params", CASES.values(), ids=CASES)
def test_a_resumed_fit_ends_with_the_bits_of_an_undisturbed_one(
    params, killed_after, small, X, path
):
    whole = small(**params, epochs=5).fit(X, X_val=X[:50])
    for n_epochs in (1, 3, 5):  # the last after all epochs, before the result
        path.unlink(missing_ok=True)
        killed_after(small(**params, epochs=5, checkpoint=path), n_epochs, X, X_val=X[:50])
        resumed = small(**params, epochs=5, checkpoint=path).fit(X, X_val=X[:50])

        assert_same_fit(resumed, whole, X)


def test_early_stopping_goes_on_with_what_it_had_seen(killed_after, small, X, path):
    params = {
        "epochs": 60, "early_stopping": True, "n_iter_no_change": 3, "learning_rate": 0.1,
        "learning_rate_schedule": "constant", "tol": 0.0,
    }  # fmt: skip
    whole = small(**params).fit(X)
    losses = whole.history_["val_loss"]
    best, last = int(np.argmin(losses)) + 1, len(losses)
    assert best < last < 60, "did not stop early: shows nothing"
    for n_epochs in (best, best + 1, last):
        path.unlink(missing_ok=True)
        killed_after(small(**params, checkpoint=path), n_epochs, X)
        resumed = small(**params, checkpoint=path).fit(X)

        assert_same_fit(resumed, whole, X)


def test_a_warm_start_goes_on_from_its_checkpoint(killed_after, small, X, path):
    first = small().fit(X)
    whole = copy.deepcopy(first).set_params(warm_start=True).fit(X)
    killed_after(copy.deepcopy(first).set_params(warm_start=True, checkpoint=path), 2, X)
    resumed = copy.deepcopy(first).set_params(warm_start=True, checkpoint=path).fit(X)

    assert_same_fit(resumed, whole, X)
    with pytest.raises(ValueError, match="is of another fit: weights to start from"):
        resumed.fit(X)


def test_random_state_none_goes_on_with_the_seed_it_drew(killed_after, small, X, path):
    killed_after(small(random_state=None, checkpoint=path), 1, X)
    seed = Checkpoint.open(path).seed
    resumed = small(random_state=None, checkpoint=path).fit(X)

    assert Checkpoint.open(path).seed == seed
    assert resumed.n_iter_ == 3
    again = small(random_state=None, checkpoint=path).fit(X)
    assert_same_fit(again, resumed, X)


def test_a_fit_that_had_ended_gives_its_result_without_training(small, X, path, monkeypatch):
    estimator = small(checkpoint=path).fit(X)
    written = path.read_bytes()
    monkeypatch.setattr(Checkpoint, "write", lambda *_: pytest.fail("trained"))
    again = small(checkpoint=str(path)).fit(X)  # a path is a path, however it is given

    assert_same_fit(again, estimator, X)
    assert_same_fit(estimator, small().fit(X), X)
    assert path.read_bytes() == written
    assert os.listdir(path.parent) == [path.name]


def test_an_interrupted_fit_goes_on_from_its_last_whole_epoch(small, X, path, monkeypatch):
    class Interrupt(Watcher):
        def see_rows(self, n_rows):
            if path.exists():
                raise KeyboardInterrupt

    monkeypatch.setattr("skae._base.progress", lambda n_rows: Interrupt())
    with pytest.warns(ConvergenceWarning, match="after 1 whole epochs"):
        small(checkpoint=path, verbose=1).fit(X)

    assert_same_fit(small(checkpoint=path).fit(X), small().fit(X), X)


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epochs": 4}, "epochs is 3 there and 4 here"),
        ({"random_state": 1}, "random_state is"),
        ({"n_components": 5, "tol": 0.1}, "n_components is 4 there and 5 here; tol is 0.0001"),
        ({"optimizer__beta_1": 0.8}, "optimizer__beta_1 is None there and 0.8 here"),
        ({"kind": DenoisingAutoencoder}, "estimator is 'DeepAutoencoder' there"),
    ],
)
def test_a_checkpoint_of_other_parameters_is_refused_by_name(params, message, small, X, path):
    small(checkpoint=path).fit(X)
    written = path.read_bytes()
    with pytest.raises(ValueError, match=f"is of another fit: {message}"):
        small(checkpoint=path, **params).fit(X)

    assert path.read_bytes() == written


def test_what_does_not_change_the_result_may_differ(small, X, path, capsys):
    small(checkpoint=path).fit(X)
    small(checkpoint=path, verbose=1).fit(X)


@pytest.mark.parametrize("changed", ["X", "X_val", "sample_weight", "X_clean", "X_val_clean"])
def test_a_checkpoint_of_other_data_is_refused_by_name(changed, small, X, path):
    data = {
        "X": X, "X_val": X[:40], "sample_weight": np.ones(len(X)), "X_clean": X,
        "X_val_clean": X[:40],
    }  # fmt: skip
    estimator = small(DenoisingAutoencoder, checkpoint=path, epochs=1).fit(**data)
    other = data[changed].copy()
    other[(-1,) * other.ndim] = 0.5
    assert (other != data[changed]).sum() == 1, "one value is enough"
    with pytest.raises(ValueError, match=f"is of another fit: {changed} differs"):
        clone(estimator).fit(**(data | {changed: other}))


def test_data_are_the_same_wherever_they_are(small, X, path, tmp_path):
    X = X.astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    estimator = small(checkpoint=path).fit(X)
    for same in (np.asfortranarray(X), np.load(tmp_path / "X.npy", mmap_mode="r")):
        assert_same_fit(clone(estimator).fit(same), estimator, X)
    with pytest.raises(ValueError, match="is of another fit: X differs"):
        clone(estimator).fit(sparse.csr_array(X[::-1]))


@pytest.mark.parametrize("package", ["skae", "tensorflow", "keras", "numpy"])
def test_a_checkpoint_of_another_version_is_refused_by_name(package, small, X, path, monkeypatch):
    small(checkpoint=path).fit(X)
    monkeypatch.setattr(sys.modules[package], "__version__", "99.0")
    with pytest.raises(
        ValueError, match=rf"is of another fit: {package} is '[\d.]+' there and '99"
    ):
        small(checkpoint=path).fit(X)


def test_keras_objects_and_functions_are_told_apart_by_what_they_are(small, X, path):
    import keras

    def loss(y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

    def make(beta=0.8, loss=loss):
        optimizer = keras.optimizers.Adam(0.01, beta_1=beta)  # has another name each time
        return small(optimizer=optimizer, loss=loss, checkpoint=path)

    estimator = make().fit(X)
    assert_same_fit(make().fit(X), estimator, X)
    with pytest.raises(ValueError, match="is of another fit: optimizer differs"):
        make(beta=0.7).fit(X)
    with pytest.raises(ValueError, match="is of another fit: loss is"):
        make(loss=keras.losses.mean_absolute_error).fit(X)


def test_a_damaged_checkpoint_never_loads(small, X, path):
    small(checkpoint=path, epochs=1).fit(X)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    places = [*range(HEAD_BYTES), *rng.integers(HEAD_BYTES, len(whole), 200)]
    damaged = [
        whole[:i] + bytes([whole[i] ^ (1 << rng.integers(8))]) + whole[i + 1 :] for i in places
    ]
    damaged += [whole[:i] for i in (0, 1, HEAD_BYTES, len(whole) // 2, len(whole) - 1)]
    damaged += [whole + b"x"]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"checkpoint=.* is (damaged|no checkpoint)"):
            Checkpoint.open(path)

    with pytest.raises(ValueError, match="is damaged"):
        small(checkpoint=path, epochs=1).fit(X)


def test_another_file_is_left_as_it_is(small, X, path):
    path.write_text("my thesis")
    with pytest.raises(ValueError, match="is no checkpoint of skae"):
        small(checkpoint=path).fit(X)

    assert path.read_text() == "my thesis"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (3, TypeError, "checkpoint must be the path of a file or None; got 3"),
        ("missing/run.ckpt", FileNotFoundError, "there is no folder"),
        (".", IsADirectoryError, "is a folder"),
    ],
)
def test_a_path_that_cannot_be_is_refused_before_training(
    given, error, message, small, X, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        small(checkpoint=given).fit(X)


def test_partial_fit_says_that_it_takes_no_checkpoint(small, X, path):
    with pytest.raises(ValueError, match="checkpoint is for fit, and partial_fit"):
        small(checkpoint=path).partial_fit(X)


def test_a_full_disk_is_an_error_that_keeps_the_last_checkpoint(small, X, path):
    estimator = small(checkpoint=path, epochs=4)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    class FullAfterTwo(Watcher):
        def begin_epoch(self, epoch):
            if epoch == 2:  # a real error from the system, in this process alone
                resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, limits[1]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skae._base.progress", lambda n_rows: FullAfterTwo())
        try:
            with pytest.raises(OSError, match=r"could not be written after epoch 3.*still there"):
                clone(estimator).set_params(verbose=1).fit(X)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert os.listdir(path.parent) == [path.name]
    assert len(Checkpoint.open(path).saved.history) == 2
    assert_same_fit(clone(estimator).fit(X), small(epochs=4).fit(X), X)


def test_a_search_whose_fits_share_a_path_says_so(small, X, path):
    search = GridSearchCV(small(checkpoint=path), {"n_components": [2, 3]}, cv=2)
    with (
        pytest.warns(FitFailedWarning, match=r"is of another fit: .*Give a path of its own"),
        pytest.raises(ValueError, match="is of another fit"),
    ):
        search.fit(X)


def test_two_fits_at_once_on_one_path_are_noticed(small, X, path):
    class Other(Watcher):
        def begin_epoch(self, epoch):
            if epoch == 1:
                path.unlink()
                small(checkpoint=path, epochs=1).fit(X)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skae._base.progress", lambda n_rows: Other())
        with pytest.raises(RuntimeError, match="was written by another fit while this one ran"):
            small(checkpoint=path, n_components=3, verbose=1).fit(X)


def test_the_file_holds_arrays_and_json_and_no_pickle(small, X, path, tmp_path):
    small(checkpoint=path).fit(X)
    (tmp_path / "body.npz").write_bytes(path.read_bytes()[HEAD_BYTES:])

    with np.load(tmp_path / "body.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    assert all(array.dtype.kind in "biuf" for array in arrays.values())
    assert json.loads(arrays["json"].tobytes())["identity"]["skae"] == skae.__version__
    with zipfile.ZipFile(tmp_path / "body.npz") as archive:
        for name in archive.namelist():
            with pytest.raises(ValueError, match=r"."):
                list(pickletools.genops(archive.read(name)))


# ---------------------------------------------------------------------- real kills

# A process that has TensorFlow imported, but has run nothing with it, and forks a child per fit.
SERVER = """
import os, random, signal, sys, time
import numpy as np
import scikeras.wrappers, skae._base, skae._keras
from skae import DenoisingAutoencoder
from skae._checkpoint import Checkpoint
from skae._watchers import Watcher

folder, n_kills = sys.argv[1], int(sys.argv[2])
path = os.path.join(folder, "run.ckpt")
X = np.random.default_rng(0).uniform(size=(500, 20))

class Tell(Watcher):
    def end_epoch(self, epoch, record):
        os.write(pipe[1], b".")

skae._base.progress = lambda n_rows: Tell()

def fit(name, **params):
    estimator = DenoisingAutoencoder(
        4, hidden_layer_sizes=(), epochs={epochs}, batch_size=250, optimizer="adam",
        early_stopping=True, n_iter_no_change={epochs}, random_state=0, **params,
    ).fit(X)
    losses = [estimator.history_["loss"], estimator.history_["val_loss"]]
    np.savez(os.path.join(folder, name), *estimator._network.weights, losses=losses)

def fork(*args, **kwargs):
    child = os.fork()
    if child == 0:
        fit(*args, **kwargs)
        os._exit(0)
    return child

def wait(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

pipe = os.pipe()
assert wait(fork("whole.npz")) == 0
moments, places = random.Random(0), set()
for kill in range(n_kills):
    pipe = os.pipe()
    child = fork("resumed.npz", checkpoint=path, verbose=1)
    if kill % 5:
        os.read(pipe[0], 1)  # an epoch has ended; else the kill may come at the very beginning
    time.sleep(moments.uniform(0, 0.1))
    kind = signal.SIGTERM if kill % 3 == 2 else signal.SIGKILL
    os.kill(child, kind)
    if wait(child) != -kind:
        sys.exit("the fit had ended: too few epochs to show anything")
    if os.path.exists(path):
        places.add(len(Checkpoint.open(path).saved.history))
assert wait(fork("resumed.npz", checkpoint=path)) == 0
print(len(places), max(places))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_kills_at_random_moments_change_no_bit(tmp_path):
    program = SERVER.format(epochs=1200)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), "30"],  # twenty by SIGKILL
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    n_places, last = map(int, done.stdout.split())

    assert n_places >= 15
    assert last < 1200
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "resumed.npz") as resumed:
        for name in whole.files:
            assert_array_equal(resumed[name], whole[name])


def test_a_file_that_was_being_written_when_the_process_died_is_in_no_ones_way(
    killed_after, small, X, path
):
    killed_after(small(checkpoint=path), 1, X)
    (path.parent / f"{path.name}.tmp").write_bytes(b"half")
    assert_same_fit(small(checkpoint=path).fit(X), small().fit(X), X)

    assert os.listdir(path.parent) == [path.name]


def test_estimators_with_a_checkpoint_can_be_cloned(path):
    assert clone(DeepAutoencoder(checkpoint=path)).checkpoint == path
