"""Fits within fits, and in threads beside each other: each gives what it gives alone."""

import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sources import CallingRows

from skae import _cache, _programs, _sources, _streams, _training
from skae._cache import ProgramCache


@pytest.fixture
def cache(monkeypatch):
    """An empty cache in place of the one of the process."""
    cache = ProgramCache()
    monkeypatch.setattr(_training, "programs", cache)
    monkeypatch.setattr(_cache, "programs", cache)
    return cache


def assert_same_fit(ours, theirs):
    assert ours.history_ == theirs.history_
    for a, b in zip(ours._network.weights, theirs._network.weights, strict=True):
        assert_array_equal(a, b)


# ---------------------------------------------------------------------- a fit within a fit


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
    """Rows are read on the thread of the feeder."""
    monkeypatch.setattr(_sources, "BUFFER_VALUES", 64 * 64)
    monkeypatch.setattr(_streams, "BUFFER_VALUES", 64 * 64)
    monkeypatch.setattr(_sources, "BLOCK_VALUES", 64 * 64)
    monkeypatch.setattr(_programs, "CHUNK_BYTES", 64 * 64 * 4)
    return fit(CallingRows(X, inner))


def from_threads_that_a_callback_waits_for(fit, inner, X, monkeypatch):
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
        from_threads_that_a_callback_waits_for,
    ],
)
def test_a_fit_within_a_fit_of_its_structure_changes_no_bit(place, cache, small, X, monkeypatch):
    X_inner, inners, fitting = X[50:120], [], []

    def inner():
        if fitting:  # not within itself
            return
        fitting.append(True)
        inners.append(small(metrics=["mse"], random_state=7, epochs=2).fit(X_inner, X_val=X[:20]))
        fitting.clear()

    def nothing():
        pass

    def fit(X_fit, set_callbacks=None, **params):
        outer = small(metrics=["mse"], **params)
        if set_callbacks is not None:
            outer.set_callbacks(set_callbacks)
        return outer.fit(X_fit, X_val=X[:40])

    alone = place(fit, nothing, X, monkeypatch)
    expected = small(metrics=["mse"], random_state=7, epochs=2).fit(X_inner, X_val=X[:20])
    disturbed = place(fit, inner, X, monkeypatch)

    assert inners, "no fit within the fit: shows nothing"
    assert_same_fit(disturbed, alone)
    for one in inners:
        assert_same_fit(one, expected)
    if place is not from_a_source:  # whose shorter chunks are another program's
        assert [program.n_traces for program in cache._programs.values()] == [1]
    assert [program.tenant for program in cache._programs.values()] == [None] * len(cache)


# ---------------------------------------------------------------------- threads


def used(estimator, X):
    """What each method gives, in both precisions, dense and sparse."""
    results = []
    for rows in (X, X.astype(np.float32), sparse.csr_array(X)):
        codes = estimator.transform(rows)
        results += [codes, estimator.inverse_transform(codes), estimator.reconstruct(rows)]
        results.append(estimator.score_samples(rows))
    return results


@pytest.mark.parametrize("activation", ["relu", "log_sigmoid"])  # the second through Keras
def test_sixteen_threads_that_use_one_estimator_get_what_one_thread_gets(activation, small, X):
    X = X[:50]  # sixteen threads wait for each other in BLAS
    fitted = pickle.dumps(small(activation=activation).fit(X))
    expected = used(pickle.loads(fitted), X)
    for _ in range(3):
        estimator = pickle.loads(fitted)  # has cast no weights yet
        together = threading.Barrier(16)

        def use(_, estimator=estimator, together=together):
            together.wait()
            return used(estimator, X)

        with ThreadPoolExecutor(16) as pool:
            for results in pool.map(use, range(16)):
                for one, other in zip(results, expected, strict=True):
                    assert_array_equal(one, other)


def test_threads_whose_callbacks_hand_the_program_around_get_the_bits_of_a_single_one(
    cache, small, X
):
    import keras

    def fit(seed):
        let_others = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: time.sleep(0.002))
        params = {"metrics": ["mse"], "epochs": 5, "callbacks": let_others}
        return small(**params, random_state=seed).fit(X[: 300 - 10 * seed], X_val=X[:30])

    expected = list(map(fit, range(8)))
    cache.clear()
    with ThreadPoolExecutor(8) as pool:
        for ours, theirs in zip(pool.map(fit, range(8)), expected, strict=True):
            assert_same_fit(ours, theirs)
    assert [program.n_traces for program in cache._programs.values()] == [1]


@pytest.mark.filterwarnings("ignore:Training was interrupted")  # pytest.warns is for one thread
def test_a_fit_on_a_thread_is_not_disturbed_where_another_is_interrupted(cache, small, X):
    import keras

    def interrupt(epoch, logs):
        if epoch == 3:
            signal.raise_signal(signal.SIGINT)

    expected = small(epochs=40).fit(X)
    on_interrupt = keras.callbacks.LambdaCallback(on_epoch_end=interrupt)
    with ThreadPoolExecutor(2) as pool:
        beside = [pool.submit(lambda: small(epochs=40).fit(X)) for _ in range(6)]
        for seed in range(4):
            params = {"epochs": 40, "callbacks": on_interrupt, "random_state": seed}
            assert small(**params).fit(X).n_iter_ == 4
    for future in beside:
        assert_same_fit(future.result(), expected)
