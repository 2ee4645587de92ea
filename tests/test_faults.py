"""What goes wrong during a fit ends in a clear error and leaves nothing behind.

Not in the estimator, whose next fit gives the bits it always gives; nor a lock, thread or file.
"""

import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sources import CallingRows

import skae
from skae import _batches, _checkpoint, _programs, _sources, _streams
from skae._programs import Program

needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
PARAMS = {"metrics": ["mse"], "epochs": 4}


def open_files():
    if sys.platform != "linux":
        return []
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sorted(os.readlink(link) for link in links if os.path.islink(link))


@contextmanager
def nothing_left(folder):
    """Compare threads, open files and the files in a folder before and after."""
    before = set(threading.enumerate()), open_files(), sorted(os.listdir(folder))
    yield
    for thread in set(threading.enumerate()) - before[0]:
        thread.join(5)  # it ends by itself where Ctrl-C came while its end was waited for
    assert set(threading.enumerate()) <= before[0]
    assert open_files() == before[1]
    assert sorted(os.listdir(folder)) == before[2]


@contextmanager
def unharmed(estimator):
    """Compare all attributes, and what the fitted ones hold."""
    before = vars(estimator).copy()
    weights = [w.copy() for w in estimator._network.weights] if "_network" in before else []
    yield
    assert list(vars(estimator)) == list(before)
    assert all(vars(estimator)[name] is before[name] for name in before)
    for a, b in zip(weights, estimator._network.weights if weights else (), strict=True):
        assert_array_equal(a, b)


def fit_on_a_thread(estimator, X):
    """Fit where no lock is held already: one left behind would show."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(estimator.fit, X, X_val=X[:40]).result(timeout=60)


def assert_same_fit(ours, theirs):
    assert ours.history_ == theirs.history_
    for a, b in zip(ours._network.weights, theirs._network.weights, strict=True):
        assert_array_equal(a, b)


@pytest.fixture(scope="module", autouse=True)
def several_chunks():
    """Have two mini-batches to a chunk, so that a thread gathers them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_programs, "CHUNK_BYTES", 2 * 32 * 64 * 4)
        skae.clear_programs()  # their chunks are longer
        yield
    skae.clear_programs()


@pytest.fixture(scope="module")
def undisturbed(several_chunks, small, X):
    return small(**PARAMS).fit(X, X_val=X[:40])


# ---------------------------------------------------------------------- errors, wherever they arise


class Fault(Exception):
    pass


def raise_at(n, error):
    """Make a function that raises when it is called for the nth time."""
    calls = []

    def call(*_, **__):
        calls.append(1)
        if len(calls) == n:
            raise error

    return call


def callback_hook(hook):
    def arrange(patch, X):
        from keras.callbacks import LambdaCallback

        n = 1 if "train" in hook else 3
        callback = LambdaCallback()
        setattr(callback, hook, raise_at(n, Fault("by design")))
        return {"callbacks": callback}, X

    return arrange


def schedule(patch, X):
    fails = raise_at(15, Fault("by design"))

    def rate(step):
        fails()
        return 0.01

    return {"learning_rate_schedule": rate}, X


def source_read(n):
    def arrange(patch, X):
        for module in (_sources, _streams):
            patch.setattr(module, "BUFFER_VALUES", 64 * 64)
        patch.setattr(_sources, "BLOCK_VALUES", 32 * 64)
        return {}, CallingRows(X, raise_at(n, Fault("by design")))

    return arrange


def no_memory_to_gather(patch, X):
    take, fails = _batches.take_rows, raise_at(4, MemoryError("by design"))

    def take_rows(*args):
        fails()
        return take(*args)

    patch.setattr(_batches, "take_rows", take_rows)
    return {}, X


def no_memory_for_buffers(patch, X):
    fails = raise_at(1, MemoryError("by design"))
    patch.setattr(_batches, "aligned_zeros", fails)
    return {}, X


def no_memory_for_weights(patch, X):
    weights, fails = Program.weights, raise_at(1, MemoryError("by design"))

    def copy(program):
        fails()
        return weights(program)

    patch.setattr(Program, "weights", copy)
    return {}, X


def loss(patch, X):
    """It is traced when the first chunk is trained on."""
    fails = raise_at(2, Fault("by design"))

    def loss(y_true, y_pred):
        fails()
        return (y_true - y_pred)[:, 0] ** 2

    return {"loss": loss}, X


def terminated(patch, X):
    """SIGTERM, where the user's program turns it into SystemExit."""
    from keras.callbacks import LambdaCallback

    def terminate(*_):
        handler = signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated, by design"))
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, handler)

    return {"callbacks": LambdaCallback(on_epoch_end=terminate)}, X


CASES = {
    **{hook: (callback_hook(hook), Fault) for hook in (
        "on_train_begin", "on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end",
        "on_train_end",
    )},
    "schedule": (schedule, Fault),
    "source, as its range is looked for": (source_read(5), OSError),
    "source, in the first epoch": (source_read(18), OSError),
    "source, in a later epoch": (source_read(37), OSError),
    "no memory to gather": (no_memory_to_gather, MemoryError),
    "no memory for buffers": (no_memory_for_buffers, MemoryError),
    "no memory for weights": (no_memory_for_weights, MemoryError),
    "loss": (loss, Fault),
    "SIGTERM": (terminated, SystemExit),
}  # fmt: skip


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize(("fault", "error"), CASES.values(), ids=CASES)
def test_a_fault_is_an_error_that_leaves_nothing_behind(
    fault, error, warm_start, undisturbed, small, X, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    estimator = small(**PARAMS, warm_start=warm_start)
    if warm_start:
        estimator.fit(X)
    with pytest.MonkeyPatch.context() as patch:
        params, X_fit = fault(patch, X)
        estimator.set_params(**params)
        with nothing_left(tmp_path), unharmed(estimator):
            with pytest.raises(error, match="by design") as caught:
                estimator.fit(X_fit, X_val=X[:40])
            assert "skae-feeder" not in str(threading.enumerate()), "while the error is looked at"
            del caught

    assert_same_fit(fit_on_a_thread(small(**PARAMS), X), undisturbed)


@needs_dev_full
def test_a_full_standard_output_ends_a_verbose_fit_that_leaves_nothing_behind(
    undisturbed, small, X, tmp_path, monkeypatch
):
    estimator = small(**PARAMS, verbose=1)
    with nothing_left(tmp_path), unharmed(estimator):
        full = os.open("/dev/full", os.O_WRONLY)
        monkeypatch.setattr(sys, "stdout", os.fdopen(full, "w", closefd=False))
        with pytest.raises(OSError, match="No space left"):
            estimator.fit(X, X_val=X[:40])
        os.close(full)

    monkeypatch.undo()
    assert_same_fit(fit_on_a_thread(small(**PARAMS), X), undisturbed)


@needs_dev_full
@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump])
def test_a_disk_that_is_full_when_an_estimator_is_dumped_leaves_it_as_it_is(
    dump, undisturbed, X, tmp_path
):
    expected = undisturbed.transform(X)
    with nothing_left(tmp_path), unharmed(undisturbed):
        with pytest.raises(OSError, match="No space left"), open("/dev/full", "wb") as file:
            dump(undisturbed, file)
        assert_array_equal(undisturbed.transform(X), expected)


# ---------------------------------------------------------------------- Ctrl-C


def test_ctrl_c_while_a_checkpoint_is_written_leaves_a_whole_one(
    undisturbed, small, X, tmp_path, monkeypatch
):
    path = tmp_path / "run.ckpt"
    sync, calls = os.fsync, []

    def interrupted_sync(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:  # of the second epoch, before the file is in its place
            signal.raise_signal(signal.SIGINT)
        sync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_checkpoint.os, "fsync", interrupted_sync)
        with pytest.warns(ConvergenceWarning, match="interrupted after 2 whole epochs"):
            small(**PARAMS, checkpoint=path).fit(X, X_val=X[:40])

    assert os.listdir(tmp_path) == [path.name]
    assert len(_checkpoint.Checkpoint.open(path).saved.history) == 1
    assert_same_fit(fit_on_a_thread(small(**PARAMS, checkpoint=path), X), undisturbed)


@pytest.fixture
def interrupt_after():
    """Have Ctrl-C come after some seconds, also where pytest itself was started to ignore it."""

    def arrange(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)

    on_alarm = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    on_interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield arrange
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGINT, on_interrupt)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_ctrl_c_at_any_moment_leaves_a_fitted_estimator_or_the_one_that_was(
    undisturbed, small, X, tmp_path, interrupt_after, long
):
    start = time.perf_counter()
    skae.clear_programs()
    small(**PARAMS).fit(X, X_val=X[:40])
    seconds = time.perf_counter() - start  # with everything that a first fit does
    path, ends = tmp_path / "run.ckpt", Counter()
    for moment in np.random.default_rng(0).uniform(0, seconds, 300 if long else 20):
        skae.clear_programs()
        estimator = small(**PARAMS, checkpoint=path)
        before = vars(estimator).copy()
        with nothing_left(tmp_path), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            interrupt_after(moment)
            try:
                estimator.fit(X, X_val=X[:40])
                interrupt_after(0)
                ends["with a warning" if told else "whole"] += 1
            except KeyboardInterrupt:
                ends["with KeyboardInterrupt"] += 1
            path.unlink(missing_ok=True)
        if hasattr(estimator, "n_iter_"):
            assert np.isfinite(estimator.transform(X)).all()
            warned = any(issubclass(w.category, ConvergenceWarning) for w in told)
            assert warned or estimator.n_iter_ == 4
        else:
            assert vars(estimator) == before
        assert_same_fit(fit_on_a_thread(small(**PARAMS), X), undisturbed)

    assert ends["with a warning"] > 0, ends
    assert ends["with KeyboardInterrupt"] > 0, ends
