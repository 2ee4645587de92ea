"""Ctrl-C during a fit, as a real SIGINT."""

import os
import pickle
import signal
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._engine.limits import Limits
from skae._estimators import fitting
from skae._estimators.base import BaseAutoencoder
from skae._rows.batches.feeder import Feeder
from skae._training.watchers.base import Watcher
from tests.epochs import EachEpoch, lowest_loss
from tests.estimators.comparisons import UNCHANGED


@pytest.fixture
def interrupt_after(monkeypatch):
    """Return a function that triggers Ctrl-C after some epochs, from the watcher of verbose=1."""

    def arrange(n_epochs):
        class Interrupt(Watcher):
            def end_epoch(self, epoch, record):
                if epoch + 1 == n_epochs:
                    signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(fitting, "progress", lambda n_rows: Interrupt())

    return arrange


@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_interrupt_ends_training_with_warning(kind, interrupt_after, make_autoencoder, X):
    interrupt_after(4)
    estimator = make_autoencoder(kind, epochs=1000, verbose=1, learning_rate_schedule="constant")
    with pytest.warns(ConvergenceWarning, match="interrupted after 4 whole epochs"):
        assert estimator.fit(X) is estimator

    assert estimator.n_iter_ == len(estimator.history_["loss"]) == 4
    whole = make_autoencoder(kind, epochs=4, learning_rate_schedule="constant").fit(X)
    assert_allclose(
        estimator.transform(X), whole.transform(X), rtol=1e-3
    )  # one fit uses XLA, the other a plain graph


def test_interrupt_waits_for_running_epochs(make_autoencoder, X, monkeypatch):
    """If one call of the program runs several epochs, an interrupt takes effect after the call."""
    limits = Limits(max_chunk_steps=40)  # four epochs, as each has ten mini-batches
    monkeypatch.setattr(BaseAutoencoder, "_limits", limits)
    shuffled = Feeder.shuffled

    def interrupted(self, *rngs):
        signal.raise_signal(signal.SIGINT)
        return shuffled(self, *rngs)

    monkeypatch.setattr(Feeder, "shuffled", interrupted)
    estimator = make_autoencoder(epochs=12, learning_rate_schedule="constant")
    with pytest.warns(ConvergenceWarning, match="interrupted after 4 whole epochs"):
        estimator.fit(X)
    monkeypatch.undo()

    whole = make_autoencoder(epochs=4, learning_rate_schedule="constant").fit(X)
    assert estimator.history_ == whole.history_
    assert_array_equal(estimator.transform(X), whole.transform(X))


def test_interrupt_keeps_the_best_weights(interrupt_after, make_autoencoder, X):
    interrupt_after(25)
    estimator = make_autoencoder(
        **UNCHANGED, epochs=1000, verbose=1, early_stopping=True, n_iter_no_change=1000
    )
    # the high rate after 14 epochs of 7 steps makes the later epochs worse
    estimator.set_params(learning_rate_schedule=lambda step: 0.01 if step < 98 else 0.5)
    estimator.set_params(callbacks=EachEpoch())
    with pytest.warns(ConvergenceWarning, match="interrupted after 25"):
        estimator.fit(X[:200], X_val=X[200:])
    losses = estimator.history_["val_loss"]

    assert np.argmin(losses) < 24, "the last epoch was the best, so the test shows nothing"
    lowest = lowest_loss(estimator.callbacks_[0].weights, estimator, X[200:])
    assert lowest <= min(losses) * (1 + 1e-5)  # an average may be better
    assert -estimator.score(X[200:]) == pytest.approx(lowest, rel=1e-5)


def test_interrupted_estimator_is_fully_usable(interrupt_after, make_autoencoder, X):
    """It can be pickled, exported, trained further and fitted again."""
    interrupt_after(2)
    estimator = make_autoencoder(verbose=1, epochs=1000)
    with pytest.warns(ConvergenceWarning):
        estimator.fit(X)

    copy = pickle.loads(pickle.dumps(estimator))
    assert_array_equal(copy.transform(X), estimator.transform(X))
    assert estimator.encoder_.count_params() > 0
    estimator.set_params(verbose=0).partial_fit(X)
    assert estimator.n_iter_ == 3
    estimator.set_params(epochs=3).fit(X)
    assert_array_equal(estimator.transform(X), make_autoencoder().fit(X).transform(X))


def test_external_signal_ends_training(make_autoencoder, X, monkeypatch):
    """A signal from outside, at a moment that no hook of the fit chose, ends training."""
    monkeypatch.setattr(BaseAutoencoder, "_limits", Limits(xla=True))
    make_autoencoder().fit(X)  # imports TensorFlow and compiles the program first
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    estimator = make_autoencoder(epochs=100_000)
    timer.start()
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        estimator.fit(X)

    assert 0 < estimator.n_iter_ < 100_000
    assert np.isfinite(estimator.transform(X)).all()
