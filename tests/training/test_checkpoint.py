"""Fits that were killed continue from their checkpoint, and end with the same bits."""

import copy
import json
import os
import pickletools
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import load
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV

import skae
from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise, SwapNoise
from skae._estimators import fitting
from skae._training.checkpoint import HEAD_BYTES, Checkpoint
from skae._training.identity import describe_value
from skae._training.plan import Saved, WatcherState
from skae._training.watchers.base import Watcher


@pytest.fixture
def killed_after(monkeypatch):
    """Return a function that fits, and leaves the file of a process killed after some epochs."""

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
def watch(monkeypatch):
    """Return a function that adds a watcher to every fit with ``verbose=1``."""

    def add(watcher):
        monkeypatch.setattr(fitting, "progress", lambda n_rows: watcher)

    return add


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
    "dropout": {"dropout": 0.3},
    "tied weights": {"tied_weights": True, "init": "pca"},
    "metrics": {"metrics": ["mse"]},
    "averaged weights": {"optimizer__use_ema": True, "optimizer__ema_momentum": 0.5},
    "constant rate": {"learning_rate_schedule": "constant", "learning_rate": 0.01},
}


@pytest.mark.parametrize("params", CASES.values(), ids=CASES)
def test_resumed_fit_has_the_same_bits(params, killed_after, make_autoencoder, X, path):
    whole = make_autoencoder(**params, epochs=5).fit(X, X_val=X[:50])
    for n_epochs in (1, 3, 5):  # 5: after the last epoch, but before the result
        path.unlink(missing_ok=True)
        killed_after(
            make_autoencoder(**params, epochs=5, checkpoint=path), n_epochs, X, X_val=X[:50]
        )
        resumed = make_autoencoder(**params, epochs=5, checkpoint=path).fit(X, X_val=X[:50])

        assert_same_fit(resumed, whole, X)


def test_early_stopping_resumes(killed_after, make_autoencoder, X, path):
    """A resumed fit stops in the same epoch, with the same best weights, also within the fall."""
    params = {
        "epochs": 60, "early_stopping": True, "n_iter_no_change": 3, "learning_rate": 0.3,
        "learning_rate_schedule": "constant", "tol": 0.05,
    }  # fmt: skip
    whole = make_autoencoder(**params).fit(X)
    last = whole.n_iter_
    assert last < 60, "training did not stop early, so the test shows nothing"
    assert whole.history_["learning_rate"][last - 4] < 0.3
    for n_epochs in (1, 4, last - 3, last):  # last - 3: the rate falls
        path.unlink(missing_ok=True)
        killed_after(make_autoencoder(**params, checkpoint=path), n_epochs, X)
        resumed = make_autoencoder(**params, checkpoint=path).fit(X)

        assert_same_fit(resumed, whole, X)


def test_warm_start_resumes(killed_after, make_autoencoder, X, path):
    first = make_autoencoder().fit(X)
    whole = copy.deepcopy(first).set_params(warm_start=True).fit(X)
    killed_after(copy.deepcopy(first).set_params(warm_start=True, checkpoint=path), 2, X)
    resumed = copy.deepcopy(first).set_params(warm_start=True, checkpoint=path).fit(X)

    assert_same_fit(resumed, whole, X)
    with pytest.raises(ValueError, match="belongs to another fit: weights to start from"):
        resumed.fit(X)


def test_drawn_seed_is_resumed(killed_after, make_autoencoder, X, path):
    """With random_state=None, a resumed fit uses the seed that the killed fit drew."""
    killed_after(make_autoencoder(random_state=None, checkpoint=path), 1, X)
    seed = Checkpoint.open(path).seed
    resumed = make_autoencoder(random_state=None, checkpoint=path).fit(X)

    assert Checkpoint.open(path).seed == seed
    assert resumed.n_iter_ == 3
    again = make_autoencoder(random_state=None, checkpoint=path).fit(X)
    assert_same_fit(again, resumed, X)


def test_finished_fit_is_not_repeated(make_autoencoder, X, path, monkeypatch):
    """The same call returns the same result without training."""
    estimator = make_autoencoder(checkpoint=path).fit(X)
    written = path.read_bytes()
    monkeypatch.setattr(Checkpoint, "write", lambda *_: pytest.fail("trained"))
    again = make_autoencoder(checkpoint=str(path)).fit(X)  # a str or a Path

    assert_same_fit(again, estimator, X)
    assert_same_fit(estimator, make_autoencoder().fit(X), X)
    assert path.read_bytes() == written
    assert os.listdir(path.parent) == [path.name]


def test_interrupted_fit_resumes(make_autoencoder, X, path, watch):
    class Interrupt(Watcher):
        def see_rows(self, n_rows):
            if path.exists():
                raise KeyboardInterrupt

    watch(Interrupt())
    with pytest.warns(ConvergenceWarning, match="after 1 whole epochs"):
        make_autoencoder(checkpoint=path, verbose=1).fit(X)

    assert_same_fit(make_autoencoder(checkpoint=path).fit(X), make_autoencoder().fit(X), X)


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epochs": 4}, "epochs is 3 in the file and 4 here"),
        ({"random_state": 1}, "random_state is"),
        ({"n_components": 5, "tol": 0.1}, "n_components is 4 in the file and 5 here; tol is"),
        ({"optimizer__beta_1": 0.8}, "optimizer__beta_1 is None in the file and 0.8"),
        ({"kind": DenoisingAutoencoder}, "estimator is 'DeepAutoencoder' in the file"),
    ],
)
def test_changed_parameters_are_named(params, message, make_autoencoder, X, path):
    """A checkpoint of other parameters is refused, and stays unchanged."""
    make_autoencoder(checkpoint=path).fit(X)
    written = path.read_bytes()
    with pytest.raises(ValueError, match=f"belongs to another fit: {message}"):
        make_autoencoder(checkpoint=path, **params).fit(X)

    assert path.read_bytes() == written


def test_verbose_may_differ(make_autoencoder, X, path, capsys):
    make_autoencoder(checkpoint=path).fit(X)
    make_autoencoder(checkpoint=path, verbose=1).fit(X)


@pytest.mark.parametrize("changed", ["X", "X_val", "sample_weight", "X_clean", "X_val_clean"])
def test_changed_data_are_named(changed, make_autoencoder, X, path):
    data = {
        "X": X, "X_val": X[:40], "sample_weight": np.ones(len(X)), "X_clean": X,
        "X_val_clean": X[:40],
    }  # fmt: skip
    estimator = make_autoencoder(DenoisingAutoencoder, checkpoint=path, epochs=1).fit(**data)
    other = data[changed].copy()
    other[(-1,) * other.ndim] = 0.5
    assert (other != data[changed]).sum() == 1  # one value is enough
    with pytest.raises(ValueError, match=f"belongs to another fit: {changed} differs"):
        clone(estimator).fit(**(data | {changed: other}))


def test_storage_of_data_may_differ(make_autoencoder, X, path, tmp_path):
    """Equal data count as the same data in another memory order, or in a file."""
    X = X.astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    estimator = make_autoencoder(checkpoint=path).fit(X)
    for same in (np.asfortranarray(X), np.load(tmp_path / "X.npy", mmap_mode="r")):
        assert_same_fit(clone(estimator).fit(same), estimator, X)
    with pytest.raises(ValueError, match="belongs to another fit: X differs"):
        clone(estimator).fit(sparse.csr_array(X[::-1]))


@pytest.mark.parametrize("package", ["skae", "tensorflow", "keras", "numpy"])
def test_changed_versions_are_named(package, make_autoencoder, X, path, monkeypatch):
    make_autoencoder(checkpoint=path).fit(X)
    module = skae._version if package == "skae" else sys.modules[package]
    monkeypatch.setattr(module, "__version__", "99.0")
    with pytest.raises(
        ValueError, match=rf"belongs to another fit: {package} is '[\d.]+' in the file and '99"
    ):
        make_autoencoder(checkpoint=path).fit(X)


def test_keras_objects_are_compared_by_config(make_autoencoder, X, path):
    """Another object with an equal configuration is the same; functions are known by name."""
    import keras

    def loss(y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

    def make(beta=0.8, loss=loss):
        optimizer = keras.optimizers.Adam(0.01, beta_1=beta)  # has another name each time
        return make_autoencoder(optimizer=optimizer, loss=loss, checkpoint=path)

    estimator = make().fit(X)
    assert_same_fit(make().fit(X), estimator, X)
    with pytest.raises(ValueError, match="belongs to another fit: optimizer differs"):
        make(beta=0.7).fit(X)
    with pytest.raises(ValueError, match="belongs to another fit: loss is"):
        make(loss=keras.losses.mean_absolute_error).fit(X)


def test_damaged_checkpoint_never_loads(make_autoencoder, X, path):
    make_autoencoder(checkpoint=path, epochs=1).fit(X)
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
        with pytest.raises(ValueError, match=r"checkpoint=.* is (damaged|not a checkpoint)"):
            Checkpoint.open(path)

    with pytest.raises(ValueError, match="is damaged"):
        make_autoencoder(checkpoint=path, epochs=1).fit(X)


def test_other_files_stay_unchanged(make_autoencoder, X, path):
    path.write_text("my thesis")
    with pytest.raises(ValueError, match="is not a checkpoint of skae"):
        make_autoencoder(checkpoint=path).fit(X)

    assert path.read_text() == "my thesis"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (3, TypeError, "checkpoint must be the path of a file or None; got 3"),
        ("missing/run.ckpt", FileNotFoundError, "the folder .* does not exist"),
        (".", IsADirectoryError, "is a folder"),
    ],
)
def test_impossible_path_is_refused(
    given, error, message, make_autoencoder, X, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        make_autoencoder(checkpoint=given).fit(X)


def test_partial_fit_takes_no_checkpoint(make_autoencoder, X, path):
    with pytest.raises(ValueError, match="checkpoint is for fit; partial_fit keeps"):
        make_autoencoder(checkpoint=path).partial_fit(X)


def test_full_disk_keeps_the_last_checkpoint(make_autoencoder, X, path, watch):
    estimator = make_autoencoder(checkpoint=path, epochs=4)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    class FullAfterTwo(Watcher):
        def begin_epoch(self, epoch):
            if epoch == 2:  # gives a real error of the system
                resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, limits[1]))

    watch(FullAfterTwo())
    try:
        with pytest.raises(OSError, match=r"could not be written after epoch 3.*still holds"):
            clone(estimator).set_params(verbose=1).fit(X)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert os.listdir(path.parent) == [path.name]
    assert len(Checkpoint.open(path).saved.history) == 2
    assert_same_fit(clone(estimator).fit(X), make_autoencoder(epochs=4).fit(X), X)


def test_search_with_one_path_is_refused(make_autoencoder, X, path):
    search = GridSearchCV(make_autoencoder(checkpoint=path), {"n_components": [2, 3]}, cv=2)
    with (
        pytest.warns(
            FitFailedWarning, match=r"belongs to another fit: .*Give every fit its own path"
        ),
        pytest.raises(ValueError, match="belongs to another fit"),
    ):
        search.fit(X)


def test_simultaneous_fits_are_noticed(make_autoencoder, X, path, watch):
    """A fit raises an error if another fit has written the same file since."""

    class Other(Watcher):
        def begin_epoch(self, epoch):
            if epoch == 1:
                path.unlink()
                make_autoencoder(checkpoint=path, epochs=1).fit(X)

    watch(Other())
    with pytest.raises(RuntimeError, match="was written by another fit while this one ran"):
        make_autoencoder(checkpoint=path, n_components=3, verbose=1).fit(X)


# ---------------------------------------------------------------------- the file


def test_file_contains_no_pickle(make_autoencoder, X, path):
    """The file contains arrays of numbers, and JSON in one of them."""
    make_autoencoder(checkpoint=path, early_stopping=True).fit(X)
    arrays = load(path.read_bytes()[HEAD_BYTES:])

    assert all(array.dtype.kind in "biuf" for array in arrays.values())
    assert json.loads(arrays["json"].tobytes())["identity"]["skae"] == skae.__version__
    for array in arrays.values():
        with pytest.raises(ValueError, match=r"."):
            list(pickletools.genops(array.tobytes()))


ARRAYS = [
    np.float32([[1, np.nan], [-0.0, np.inf]]), np.array(3), np.array(True), np.zeros((0, 3)),
    np.arange(3, dtype=np.uint8), np.float16([0.5]), np.array([1 << 63], np.uint64),
    np.arange(6.0).reshape(2, 3).T, np.arange(9)[::-2], np.array(2.5), np.int8([-1]),
]  # fmt: skip


def test_every_array_survives(path):
    """Scalars, empty and strided arrays, and all dtypes of numbers keep their bits."""
    state = WatcherState({"best_loss": np.inf, "names": ["a"]}, ARRAYS[::-1])
    saved = Saved(ARRAYS, [], [{"loss": 0.1}], 0.5, False, {"Spy": state})
    checkpoint = Checkpoint.open(path)
    checkpoint.check_same_fit({"random_state": 3})
    checkpoint.write(saved)
    found = Checkpoint.open(path).saved

    assert (found.history, found.rate_factor, found.stopped) == ([{"loss": 0.1}], 0.5, False)
    assert found.optimizer_state == []
    assert found.watchers["Spy"].values == state.values
    for arrays, expected in (
        (found.weights, ARRAYS), (found.watchers["Spy"].arrays, ARRAYS[::-1]),
    ):  # fmt: skip
        for array, same in zip(arrays, expected, strict=True):
            assert_array_equal(array, same, strict=True)


def test_nested_parameters_are_compared():
    """Two corruptions that differ in a tuple are two values; equal ones are one value."""
    first, same = (describe_value(GaussianNoise(clip=(0, 1))) for _ in range(2))

    assert first == same != describe_value(GaussianNoise(clip=(0, 2)))


@pytest.mark.parametrize("form", [list, tuple, np.array])
def test_nested_lists_are_compared(form):
    """The rates and the groups of a corruption count, and whether it is fitted does not."""
    noise = SwapNoise(form([0.1, 0.2]), groups=[form([0, 1])])
    others = [
        SwapNoise(form([0.1, 0.3]), groups=[form([0, 1])]),
        SwapNoise(form([0.1, 0.2]), groups=[form([0, 2])]),
        SwapNoise(form([0.1, 0.2]), groups=[range(2, 3)]),
        SwapNoise(form([0.1, 0.2]), groups=[range(1)]),
    ]
    descriptions = [json.dumps(describe_value(value)) for value in (noise, *others)]

    assert len(set(descriptions)) == 5
    assert describe_value(clone(noise)) == describe_value(noise)
    assert describe_value(SwapNoise().fit(np.eye(3))) == describe_value(SwapNoise())


# ---------------------------------------------------------------------- real kills

# This process imports TensorFlow but does not run it, and forks a child for each fit.
SERVER = """
import os, random, signal, sys, time
import numpy as np
import scikeras.wrappers, skae._estimators.fitting, skae._engine.tensorflow
from skae import DenoisingAutoencoder
from skae._training.checkpoint import Checkpoint
from skae._training.watchers.base import Watcher

folder, n_kills = sys.argv[1], int(sys.argv[2])
path = os.path.join(folder, "run.ckpt")
X = np.random.default_rng(0).uniform(size=(500, 20))

class Tell(Watcher):
    def end_epoch(self, epoch, record):
        os.write(pipe[1], b".")

skae._estimators.fitting.progress = lambda n_rows: Tell()

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
        os.read(pipe[0], 1)  # an epoch has ended; otherwise the kill comes early
    time.sleep(moments.uniform(0, 0.1))
    kind = signal.SIGTERM if kill % 3 == 2 else signal.SIGKILL
    os.kill(child, kind)
    if wait(child) != -kind:
        sys.exit("the fit had ended, so the test shows nothing: it needs more epochs")
    if os.path.exists(path):
        places.add(len(Checkpoint.open(path).saved.history))
assert wait(fork("resumed.npz", checkpoint=path)) == 0
print(len(places), max(places))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_random_kills_change_no_bit(tmp_path):
    """A fit that is killed 30 times, at random moments, ends with the same bits."""
    program = SERVER.format(epochs=1200)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), "30"],  # 20 of them by SIGKILL
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    n_places, last = map(int, done.stdout.split())

    assert n_places >= 15
    assert last < 1200
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "resumed.npz") as resumed:
        for name in whole.files:
            assert_array_equal(resumed[name], whole[name])


def test_half_written_file_is_ignored(killed_after, make_autoencoder, X, path):
    """The temporary file of a killed process does not disturb the next fit, which removes it."""
    killed_after(make_autoencoder(checkpoint=path), 1, X)
    (path.parent / f"{path.name}.tmp").write_bytes(b"half")
    assert_same_fit(make_autoencoder(checkpoint=path).fit(X), make_autoencoder().fit(X), X)

    assert os.listdir(path.parent) == [path.name]


def test_clone_keeps_the_path(path):
    assert clone(DeepAutoencoder(checkpoint=path)).checkpoint == path


# ---------------------------------------------------------------------- paths


@pytest.mark.parametrize("kind", [str, Path])
def test_home_folder_is_expanded(kind, make_autoencoder, X, tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    make_autoencoder(checkpoint=kind("~/run.ckpt"), epochs=1).fit(X)

    assert os.listdir(tmp_path) == ["run.ckpt"]
    with pytest.raises(FileNotFoundError, match=r"folder '.*runs' does not exist; create it first"):
        make_autoencoder(checkpoint=kind("~/runs/run.ckpt"), epochs=1).fit(X)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
@pytest.mark.parametrize("exists", [False, True])
def test_link_writes_its_target(exists, make_autoencoder, X, tmp_path):
    """A link to another disk, dangling before the first fit, is neither removed nor replaced."""
    disk = tmp_path / "disk"
    disk.mkdir()
    target, link, other = disk / "run.ckpt", tmp_path / "link.ckpt", tmp_path / "other.ckpt"
    other.symlink_to(target)
    link.symlink_to(other)
    if exists:
        make_autoencoder(checkpoint=target, epochs=1).fit(X)
    whole = make_autoencoder(epochs=1).fit(X)
    linked = make_autoencoder(checkpoint=link, epochs=1).fit(X)

    assert link.is_symlink()
    assert other.is_symlink()
    assert os.listdir(disk) == ["run.ckpt"]
    assert Checkpoint.open(target).saved is not None
    assert_array_equal(linked.transform(X), whole.transform(X))


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_link_into_missing_folder(make_autoencoder, X, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone" / "run.ckpt")
    with pytest.raises(FileNotFoundError, match=r"gone' does not exist; create it first"):
        make_autoencoder(checkpoint=tmp_path / "link", epochs=1).fit(X)
