"""Other processes give the same results as this one, or explain why they cannot."""

import multiprocessing
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from joblib.externals import loky
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from skae import DeepAutoencoder
from skae._process import n_threads

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
DIGITS = load_digits().data[:200] / 16


def fit(seed):
    return DeepAutoencoder(
        4, hidden_layer_sizes=(16,), optimizer="adam", batch_size=32, epochs=3, random_state=seed
    ).fit(DIGITS)


def use_and_fit_again(pickled):
    """Return the codes of an estimator that was sent here, and an equal estimator fitted here."""
    estimator = pickle.loads(pickled)
    return estimator.transform(DIGITS), pickle.dumps(fit(estimator.random_state))


def error_of(call, *args):
    try:
        call(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def transform_in_forked(pickled):
    return pickle.loads(pickled).transform(DIGITS)


def train_in_forked(pickled):
    """Return the errors of all methods that need TensorFlow, and whether they changed anything."""
    estimator = pickle.loads(pickled)
    before = pickle.dumps(estimator)
    attempts = {
        "fit": (fit, 0),
        "partial_fit": (estimator.partial_fit, DIGITS),
        "encoder_": (getattr, estimator, "encoder_"),
    }
    errors = {name: error_of(*attempt) for name, attempt in attempts.items()}
    return errors, estimator.transform(DIGITS), pickle.dumps(estimator) == before


@pytest.fixture(scope="module")
def fitted():
    return fit(3)


def assert_same_elsewhere(results, fitted):
    codes, again = results
    assert_array_equal(codes, fitted.transform(DIGITS))
    again = pickle.loads(again)
    assert again.history_ == fitted.history_
    for a, b in zip(again._network.weights, fitted._network.weights, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_fresh_process_gives_same_bits(method, fitted):
    """A new process gives the same codes for a pickle, and the same bits for a new fit."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"{method} is not available here")
    with multiprocessing.get_context(method).Pool(1) as pool:
        results = pool.apply_async(use_and_fit_again, (pickle.dumps(fitted),)).get(timeout=120)

    assert_same_elsewhere(results, fitted)


def test_loky_workers_give_same_bits(fitted):
    tasks = [joblib.delayed(use_and_fit_again)(pickle.dumps(fitted))] * 2
    for results in joblib.Parallel(n_jobs=2, backend="loky")(tasks):
        assert_same_elsewhere(results, fitted)


@needs_fork
def test_forked_process_transforms_but_cannot_train(fitted):
    pickled = pickle.dumps(fitted)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        codes = pool.apply_async(transform_in_forked, (pickled,)).get(timeout=60)
        errors, codes_after, unchanged = pool.apply_async(train_in_forked, (pickled,)).get(60)

    assert_array_equal(codes, fitted.transform(DIGITS))
    assert_array_equal(codes_after, fitted.transform(DIGITS))
    assert unchanged
    for name, error in errors.items():
        assert error is not None, name
        assert error.startswith("RuntimeError: TensorFlow cannot compute in this process"), name
        assert "spawn" in error


@needs_fork
def test_parent_trains_after_a_fork(fitted):
    """A process can still train after it was forked."""
    assert_array_equal(fit(3).transform(DIGITS), fitted.transform(DIGITS))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply_async(np.sum, (DIGITS,)).get(timeout=60)

    assert_array_equal(fit(3).transform(DIGITS), fitted.transform(DIGITS))


THREAD_VARIABLES = ["OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"]


def without_threads():
    """The environment without the variables that set a number of threads."""
    return {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}


@pytest.fixture
def no_threads(monkeypatch):
    """Remove the variables that set a number of threads from the environment of this process."""
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)


THREADS = """
{before}
from skae._engine.tensorflow import tf
print(tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.parametrize(
    ("before", "variables", "expected"),
    [
        pytest.param(
            "from joblib.externals import loky\n"
            "loky.cpu_count = lambda only_physical_cores: 2 - only_physical_cores",
            {},
            1,
            id="two threads of one core",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="TensorFlow decides there"),
        ),
        pytest.param(
            "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])",
            {},
            1,
            id="affinity",
            marks=pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only"),
        ),
        pytest.param("", {"OMP_NUM_THREADS": "3"}, 3, id="worker of joblib"),
        pytest.param("import tensorflow", {"OMP_NUM_THREADS": "3"}, 0, id="user's TensorFlow"),
    ],
)
def test_threads_follow_the_cores(before, variables, expected):
    """TensorFlow gets a thread for each core, unless the user has imported it before."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS.format(before=before)],
        env=without_threads() | variables,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == [str(expected)]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OMP_NUM_THREADS": "2,1"}, 2),
        ({"OMP_NUM_THREADS": " 4"}, 4),
        ({"OMP_NUM_THREADS": "0"}, 7),
        ({"OMP_NUM_THREADS": "many"}, 7),
        ({"OMP_NUM_THREADS": "3", "TF_NUM_INTRAOP_THREADS": "5"}, 0),
    ],
)
def test_threads_follow_the_environment(variables, expected, no_threads, monkeypatch):
    """0 leaves the choice to TensorFlow, which reads its own variable."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(loky, "cpu_count", lambda only_physical_cores: 7)
    assert n_threads() == expected


def test_wrong_limit_of_joblib_leaves_tensorflow_the_choice(no_threads, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "x")
    assert n_threads() == 0


def test_threads_on_windows_are_tensorflows(no_threads, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert n_threads() == 0


UNKNOWN_CORES = """
from joblib.externals.loky.backend import context

def fail():
    raise OSError("no lscpu")

context._count_physical_cores_linux = fail
context._cpu_count_user = lambda os_cpu_count: os_cpu_count
from skae._process import n_threads
print(n_threads())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="replaces a function for Linux")
def test_unknown_number_of_cores_is_silent():
    done = subprocess.run(
        [sys.executable, "-c", UNKNOWN_CORES],
        env=without_threads(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(done.stdout) >= 1
    assert done.stderr == ""


BITS = """
import hashlib, json, sys
import numpy as np
from sklearn.datasets import load_digits
from skae import DeepAutoencoder, DenoisingAutoencoder

X = load_digits().data.astype("float32") / 16
wide = np.tile(X, (3, 2))
fits = {
    "default": DeepAutoencoder(epochs=2),
    "adam": DeepAutoencoder(optimizer="adam", epochs=2),
    "denoising": DenoisingAutoencoder(epochs=2),
    "XLA": DeepAutoencoder(epochs=40),
    "several chunks": DeepAutoencoder(optimizer="adam", epochs=2, batch_size=16),
}
bits = {}
for name, estimator in fits.items():
    rows = wide if name == "several chunks" else X
    estimator.set_params(random_state=0).fit(rows)
    digest = hashlib.sha256(json.dumps(estimator.history_).encode())
    for array in estimator.autoencoder_.get_weights():
        digest.update(array.tobytes())
    bits[name] = digest.hexdigest(), estimator.score(rows[:287])
print(json.dumps(bits))
"""


def test_thread_count_changes_no_bit():
    """Fits and their scores have the same bits with 1, 2 and 3 threads."""
    one, two, three = (
        subprocess.run(
            [sys.executable, "-c", BITS],
            env=os.environ | {"OMP_NUM_THREADS": str(n_threads)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n_threads in (1, 2, 3)
    )

    assert "several chunks" in one
    assert two == one
    assert three == one
