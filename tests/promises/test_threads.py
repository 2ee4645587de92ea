"""Nested fits, and fits on several threads, give the same results as each fit alone."""

import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sources import CallingRows, limit_reads

from skae._engine import cache as _cache
from skae._engine.cache import ProgramCache
from skae._engine.limits import Limits
from skae._estimators.base import BaseAutoencoder


@pytest.fixture
def cache(monkeypatch):
    """Replace the cache of the process by an empty one."""
    cache = ProgramCache()
    monkeypatch.setattr(_cache, "programs", cache)
    return cache


def assert_same_fit(ours, theirs):
    assert ours.history_ == theirs.history_
    for a, b in zip(ours._network.weights, theirs._network.weights, strict=True):
        assert_array_equal(a, b)


# ---------------------------------------------------------------------- nested fits


def from_a_keras_callback(fit, inner, X, monkeypatch):
    import keras

    def call(*_):
        inner()

    return fit(X, callbacks=keras.callbacks.LambdaCallback(on_epoch_begin=call, on_epoch_end=call))


def from_a_callback_of_scikit_learn(fit, inner, X, monkeypatch):
    pytest.importorskip("sklearn.callback")

    class Callback:
        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            inner()

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            inner()
            fitted_estimator.transform(X)

        def teardown(self, estimator, context):
            pass

    return fit(X, set_callbacks=Callback())


def from_a_schedule(fit, inner, X, monkeypatch):
    def schedule(step):
        if step % 9 == 3:
            inner()
        return 0.01

    return fit(X, learning_rate_schedule=schedule)


def from_a_source(fit, inner, X, monkeypatch):
    """Fit on rows that start another fit when they are read, on the thread of the feeder."""
    limit_reads(monkeypatch, block_values=64 * 64, buffer_values=64 * 64)
    monkeypatch.setattr(BaseAutoencoder, "_limits", Limits(chunk_bytes=64 * 64 * 4))
    return fit(CallingRows(X, inner))


def from_threads_of_a_callback(fit, inner, X, monkeypatch):
    def in_threads():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: inner(), range(2)))

    return from_a_keras_callback(fit, in_threads, X, monkeypatch)


@pytest.mark.parametrize(
    "place",
    [
        from_a_keras_callback,
        from_a_callback_of_scikit_learn,
        from_a_schedule,
        from_a_source,
        from_threads_of_a_callback,
    ],
)
def test_nested_fit_changes_no_bit(place, cache, make_autoencoder, X, monkeypatch):
    """A fit inside another fit of the same structure changes no bit of either."""
    X_inner, inner_fits, fitting = X[50:120], [], []

    def inner():
        if fitting:  # do not start a fit within the inner fit
            return
        fitting.append(True)
        inner_fits.append(
            make_autoencoder(metrics=["mse"], random_state=7, epochs=2).fit(X_inner, X_val=X[:20])
        )
        fitting.clear()

    def nothing():
        pass

    def fit(X_fit, set_callbacks=None, **params):
        outer = make_autoencoder(metrics=["mse"], **params)
        if set_callbacks is not None:
            outer.set_callbacks(set_callbacks)
        return outer.fit(X_fit, X_val=X[:40])

    alone = place(fit, nothing, X, monkeypatch)
    expected = make_autoencoder(metrics=["mse"], random_state=7, epochs=2).fit(
        X_inner, X_val=X[:20]
    )
    disturbed = place(fit, inner, X, monkeypatch)

    assert inner_fits, "no nested fit took place, so the test shows nothing"
    assert_same_fit(disturbed, alone)
    for one in inner_fits:
        assert_same_fit(one, expected)
    if place is not from_a_source:  # its shorter chunks need a second program
        assert [program.n_traces for program in cache._programs.values()] == [1]
    assert [program.owner for program in cache._programs.values()] == [None] * len(cache)


# ---------------------------------------------------------------------- threads


def all_results(estimator, X):
    """Return the results of all methods, in both precisions, for dense and sparse rows."""
    results = []
    for rows in (X, X.astype(np.float32), sparse.csr_array(X)):
        codes = estimator.transform(rows)
        results += [codes, estimator.inverse_transform(codes), estimator.reconstruct(rows)]
        results.append(estimator.score_samples(rows))
    return results


@pytest.mark.parametrize("activation", ["relu", "log_sigmoid"])  # Keras computes the second
def test_threads_share_one_estimator(activation, make_autoencoder, X):
    """Sixteen threads get the results of one thread, also at the first use of the estimator."""
    X = X[:50]  # few rows, because sixteen threads wait for each other in BLAS
    fitted = pickle.dumps(make_autoencoder(activation=activation).fit(X))
    expected = all_results(pickle.loads(fitted), X)
    for _ in range(3):
        estimator = pickle.loads(fitted)  # has not cast its weights yet
        together = threading.Barrier(16)

        def use(_, estimator=estimator, together=together):
            together.wait()
            return all_results(estimator, X)

        with ThreadPoolExecutor(16) as pool:
            for results in pool.map(use, range(16)):
                for one, other in zip(results, expected, strict=True):
                    assert_array_equal(one, other)


def test_threads_hand_one_program_around(cache, make_autoencoder, X):
    """Fits that take turns with one program get the bits of a single fit, from one trace."""
    import keras

    def fit(seed):
        let_others = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: time.sleep(0.002))
        params = {"metrics": ["mse"], "epochs": 5, "callbacks": let_others}
        return make_autoencoder(**params, random_state=seed).fit(X[: 300 - 10 * seed], X_val=X[:30])

    expected = list(map(fit, range(8)))
    cache.clear()
    with ThreadPoolExecutor(8) as pool:
        for ours, theirs in zip(pool.map(fit, range(8)), expected, strict=True):
            assert_same_fit(ours, theirs)
    assert [program.n_traces for program in cache._programs.values()] == [1]


@pytest.mark.filterwarnings(
    "ignore:Training was interrupted"
)  # pytest.warns works on one thread only
def test_interrupt_spares_other_threads(cache, make_autoencoder, X):
    import keras

    def interrupt(epoch, logs):
        if epoch == 3:
            signal.raise_signal(signal.SIGINT)

    expected = make_autoencoder(epochs=40).fit(X)
    on_interrupt = keras.callbacks.LambdaCallback(on_epoch_end=interrupt)
    with ThreadPoolExecutor(2) as pool:
        beside = [pool.submit(lambda: make_autoencoder(epochs=40).fit(X)) for _ in range(6)]
        for seed in range(4):
            params = {"epochs": 40, "callbacks": on_interrupt, "random_state": seed}
            assert make_autoencoder(**params).fit(X).n_iter_ == 4
    for future in beside:
        assert_same_fit(future.result(), expected)
