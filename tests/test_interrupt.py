"""Ctrl-C during fit: a real SIGINT."""

import os
import pickle
import signal
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skae import DeepAutoencoder, DenoisingAutoencoder, _base, _training
from skae._batches import Feeder
from skae._watchers import Watcher

MSE = {"output_activation": "linear", "loss": "mean_squared_error"}


@pytest.fixture
def interrupt_after(monkeypatch):
    """Have Ctrl-C come after a number of epochs, in the place of what verbose=1 shows."""

    def arrange(n_epochs):
        class Interrupt(Watcher):
            def end_epoch(self, epoch, record):
                if epoch + 1 == n_epochs:
                    signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(_base, "progress", lambda n_rows: Interrupt())

    return arrange


@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_an_interrupt_ends_training_with_a_warning(kind, interrupt_after, small, X):
    interrupt_after(4)
    estimator = small(kind, epochs=1000, verbose=1, learning_rate_schedule="constant")
    with pytest.warns(ConvergenceWarning, match="interrupted after 4 whole epochs"):
        assert estimator.fit(X) is estimator

    assert estimator.n_iter_ == len(estimator.history_["loss"]) == 4
    whole = small(kind, epochs=4, learning_rate_schedule="constant").fit(X)
    assert_allclose(estimator.transform(X), whole.transform(X), rtol=1e-3)  # XLA and a graph


def test_an_interrupt_within_a_call_of_several_epochs_comes_after_them(small, X, monkeypatch):
    monkeypatch.setattr(_training, "epochs_at_once", lambda *_: 4)
    shuffled = Feeder.shuffled

    def interrupted(self, *rngs):
        signal.raise_signal(signal.SIGINT)
        return shuffled(self, *rngs)

    monkeypatch.setattr(Feeder, "shuffled", interrupted)
    estimator = small(epochs=12, learning_rate_schedule="constant")
    with pytest.warns(ConvergenceWarning, match="interrupted after 4 whole epochs"):
        estimator.fit(X)
    monkeypatch.undo()

    whole = small(epochs=4, learning_rate_schedule="constant").fit(X)
    assert estimator.history_ == whole.history_
    assert_array_equal(estimator.transform(X), whole.transform(X))


def test_an_interrupted_fit_with_early_stopping_keeps_the_best_weights(interrupt_after, small, X):
    interrupt_after(25)
    estimator = small(**MSE, epochs=1000, verbose=1, early_stopping=True, n_iter_no_change=1000)
    estimator.set_params(learning_rate=0.05, learning_rate_schedule="constant")
    with pytest.warns(ConvergenceWarning, match="interrupted after 25"):
        estimator.fit(X[:200], X_val=X[200:])
    losses = estimator.history_["val_loss"]

    assert np.argmin(losses) < 24, "the last epoch was the best: shows nothing"
    assert -estimator.score(X[200:]) == pytest.approx(min(losses), rel=1e-5)


def test_an_interrupted_estimator_is_like_any_other(interrupt_after, small, X):
    interrupt_after(2)
    estimator = small(verbose=1, epochs=1000)
    with pytest.warns(ConvergenceWarning):
        estimator.fit(X)

    copy = pickle.loads(pickle.dumps(estimator))
    assert_array_equal(copy.transform(X), estimator.transform(X))
    assert estimator.encoder_.count_params() > 0
    estimator.set_params(verbose=0).partial_fit(X)
    assert estimator.n_iter_ == 3
    estimator.set_params(epochs=3).fit(X)
    assert_array_equal(estimator.transform(X), small().fit(X).transform(X))


def test_a_signal_that_comes_at_any_time_ends_training(small, X, monkeypatch):
    monkeypatch.setattr(_training, "pays_for_xla", lambda *_: True)
    small().fit(X)  # imports and compiles what a long fit runs on
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    estimator = small(epochs=100_000)
    timer.start()
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        estimator.fit(X)

    assert 0 < estimator.n_iter_ < 100_000
    assert np.isfinite(estimator.transform(X)).all()
