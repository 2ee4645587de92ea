"""A failure during a fit raises a clear error and leaves nothing behind.

The estimator is unchanged, its next fit gives the same bits as ever, and no lock, thread or file
remains.
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
from sources import CallingRows, limit_reads

import skae
from skae._engine.limits import Limits
from skae._engine.program import Program
from skae._estimators.base import BaseAutoencoder
from skae._rows import readers as _readers
from skae._rows.batches import dense as _dense
from skae._training import checkpoint as _checkpoint

needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
PARAMS = {"metrics": ["mse"], "epochs": 4}


def open_files():
    if sys.platform != "linux":
        return []
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sorted(os.readlink(link) for link in links if os.path.islink(link))


@contextmanager
def leaves_nothing_behind(folder):
    """Check that threads, open files and the files in a folder are the same before and after."""
    before = set(threading.enumerate()), open_files(), sorted(os.listdir(folder))
    yield
    for thread in set(threading.enumerate()) - before[0]:
        thread.join(5)  # after Ctrl-C during the join in skae, the thread ends by itself
    assert set(threading.enumerate()) <= before[0]
    assert open_files() == before[1]
    assert sorted(os.listdir(folder)) == before[2]


@contextmanager
def unchanged(estimator):
    """Check that all attributes, and the fitted weights, are the same before and after."""
    before = vars(estimator).copy()
    weights = [w.copy() for w in estimator._network.weights] if "_network" in before else []
    yield
    assert list(vars(estimator)) == list(before)
    assert all(vars(estimator)[name] is before[name] for name in before)
    for a, b in zip(weights, estimator._network.weights if weights else (), strict=True):
        assert_array_equal(a, b)


def fit_on_a_thread(estimator, X):
    """Fit on a new thread; a lock that this thread still holds would cause a timeout."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(estimator.fit, X, X_val=X[:40]).result(timeout=60)


def assert_same_fit(ours, theirs):
    assert ours.history_ == theirs.history_
    for a, b in zip(ours._network.weights, theirs._network.weights, strict=True):
        assert_array_equal(a, b)


@pytest.fixture(scope="module", autouse=True)
def several_chunks():
    """Make chunks of two mini-batches, so that a thread gathers the rows of each chunk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseAutoencoder, "_limits", Limits(chunk_bytes=2 * 32 * 64 * 4))
        yield


@pytest.fixture(scope="module")
def undisturbed(several_chunks, make_autoencoder, X):
    return make_autoencoder(**PARAMS).fit(X, X_val=X[:40])


# ---------------------------------------------------------------------- errors from all places


class Fault(Exception):
    pass


def raise_at(n, error):
    """Return a function that raises `error` at its nth call."""
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
        limit_reads(patch, block_values=32 * 64, buffer_values=64 * 64)
        return {}, CallingRows(X, raise_at(n, Fault("by design")))

    return arrange


def no_memory_to_gather(patch, X):
    take, fails = _readers.take_rows, raise_at(4, MemoryError("by design"))

    def take_rows(*args):
        fails()
        return take(*args)

    patch.setattr(_readers, "take_rows", take_rows)
    return {}, X


def no_memory_for_buffers(patch, X):
    fails = raise_at(1, MemoryError("by design"))
    patch.setattr(_dense, "aligned_zeros", fails)
    return {}, X


def no_memory_for_weights(patch, X):
    weights, fails = Program.weights, raise_at(1, MemoryError("by design"))

    def copy(program):
        fails()
        return weights(program)

    patch.setattr(Program, "weights", copy)
    return {}, X


def loss(patch, X):
    """Fail in a loss function, which TensorFlow traces when it trains on the first chunk."""
    fails = raise_at(2, Fault("by design"))

    def loss(y_true, y_pred):
        fails()
        return (y_true - y_pred)[:, 0] ** 2

    return {"loss": loss}, X


def terminated(patch, X):
    """Raise SIGTERM while a user's handler turns it into SystemExit."""
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
    "schedule": (schedule, ValueError),
    "source, while its range is computed": (source_read(5), OSError),
    "source, in the first epoch": (source_read(18), OSError),
    "source, in a later epoch": (source_read(37), OSError),
    "no memory to gather": (no_memory_to_gather, MemoryError),
    "no memory for buffers": (no_memory_for_buffers, MemoryError),
    "no memory for weights": (no_memory_for_weights, MemoryError),
    "loss": (loss, ValueError),
    "SIGTERM": (terminated, SystemExit),
}  # fmt: skip


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize(("fault", "error"), CASES.values(), ids=CASES)
def test_fault_leaves_nothing_behind(
    fault, error, warm_start, undisturbed, make_autoencoder, X, tmp_path, monkeypatch
):
    """The thread is gone while the exception, with its traceback, is still alive."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    estimator = make_autoencoder(**PARAMS, warm_start=warm_start)
    if warm_start:
        estimator.fit(X)
    with pytest.MonkeyPatch.context() as patch:
        params, X_fit = fault(patch, X)
        estimator.set_params(**params)
        with leaves_nothing_behind(tmp_path), unchanged(estimator):
            with pytest.raises(error, match="by design") as caught:
                estimator.fit(X_fit, X_val=X[:40])
            assert "skae-feeder" not in str(threading.enumerate()), "the thread outlives the error"
            del caught

    assert_same_fit(fit_on_a_thread(make_autoencoder(**PARAMS), X), undisturbed)


@needs_dev_full
def test_full_stdout_leaves_nothing_behind(undisturbed, make_autoencoder, X, tmp_path, monkeypatch):
    estimator = make_autoencoder(**PARAMS, verbose=1)
    with leaves_nothing_behind(tmp_path), unchanged(estimator):
        full = os.open("/dev/full", os.O_WRONLY)
        monkeypatch.setattr(sys, "stdout", os.fdopen(full, "w", closefd=False))
        with pytest.raises(OSError, match="No space left"):
            estimator.fit(X, X_val=X[:40])
        os.close(full)

    monkeypatch.undo()
    assert_same_fit(fit_on_a_thread(make_autoencoder(**PARAMS), X), undisturbed)


@needs_dev_full
@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump])
def test_failed_dump_keeps_the_estimator(dump, undisturbed, X, tmp_path):
    expected = undisturbed.transform(X)
    with leaves_nothing_behind(tmp_path), unchanged(undisturbed):
        with pytest.raises(OSError, match="No space left"), open("/dev/full", "wb") as file:
            dump(undisturbed, file)
        assert_array_equal(undisturbed.transform(X), expected)


# ---------------------------------------------------------------------- Ctrl-C


def test_interrupt_keeps_the_last_checkpoint(
    undisturbed, make_autoencoder, X, tmp_path, monkeypatch
):
    """Ctrl-C while the second checkpoint is written leaves the first one, which is complete."""
    path = tmp_path / "run.ckpt"
    sync, calls = os.fsync, []

    def interrupted_sync(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:  # in the second epoch, before the new file replaces the old one
            signal.raise_signal(signal.SIGINT)
        sync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_checkpoint.os, "fsync", interrupted_sync)
        with pytest.warns(ConvergenceWarning, match="interrupted after 2 whole epochs"):
            make_autoencoder(**PARAMS, checkpoint=path).fit(X, X_val=X[:40])

    assert os.listdir(tmp_path) == [path.name]
    assert len(_checkpoint.Checkpoint.open(path).saved.history) == 1
    assert_same_fit(fit_on_a_thread(make_autoencoder(**PARAMS, checkpoint=path), X), undisturbed)


@pytest.fixture
def interrupt_after():
    """Return a function that triggers Ctrl-C after some seconds."""

    def arrange(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)

    on_alarm = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    yield arrange
    signal.signal(signal.SIGALRM, on_alarm)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_interrupt_is_atomic(undisturbed, make_autoencoder, X, tmp_path, interrupt_after, long):
    """Ctrl-C at any moment leaves either a fitted estimator or the unchanged one."""
    start = time.perf_counter()
    skae.clear_programs()
    make_autoencoder(**PARAMS).fit(X, X_val=X[:40])
    seconds = time.perf_counter() - start  # includes the compilation, which only a first fit does
    path, ends = tmp_path / "run.ckpt", Counter()
    for moment in np.random.default_rng(0).uniform(0, seconds, 300 if long else 20):
        skae.clear_programs()
        estimator = make_autoencoder(**PARAMS, checkpoint=path)
        before = vars(estimator).copy()
        with leaves_nothing_behind(tmp_path), warnings.catch_warnings(record=True) as told:
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
        assert_same_fit(fit_on_a_thread(make_autoencoder(**PARAMS), X), undisturbed)

    assert ends["with a warning"] > 0, ends
    assert ends["with KeyboardInterrupt"] > 0, ends
