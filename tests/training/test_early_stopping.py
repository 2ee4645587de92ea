"""Early stopping: when the rate begins to fall, when training ends, and which weights it keeps."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from skae import DeepAutoencoder
from skae._training.schedules import Rates
from skae._training.watchers.early_stopping import EarlyStopping, averaged
from tests.estimators.comparisons import assert_same_bits


class FakeFit:
    """A fit with one weight, the number of the epoch, and losses that are given."""

    def __init__(self, losses, schedule="constant", epochs=100, average_loss=math.inf, trained=0.0):
        self.losses, self.epochs, self.average_loss = losses, epochs, average_loss
        self.trained = trained  # the loss of later weights on the training rows; 5 before training
        self.rates = Rates(schedule, 1.0, 10, epochs, 0)
        self.history, self.kept = [], None

    def validation_loss(self):
        return 10.0

    def loss_of(self, weights, *, trained=False):
        if not trained:
            return self.average_loss
        return self.trained if weights[0] else 5.0

    def weights(self):
        return [np.float32([len(self.history)])]

    def set_weights(self, weights):
        self.kept = weights

    def run(self, **params):
        """Train until the watcher ends training; return the watcher."""
        stopping = EarlyStopping(**({"patience": 3, "tol": 0.0} | params))
        stopping.begin(self)
        for epoch in range(self.epochs):
            rate = float(self.rates.of_epoch(epoch)[-1])
            self.history.append({"val_loss": self.losses(epoch), "learning_rate": rate})
            if stopping.end_epoch(epoch, self.history[-1]):
                break
        return stopping

    @property
    def learning_rates(self):
        return [record["learning_rate"] for record in self.history]


def flat(epoch):
    return 1.0


@pytest.mark.parametrize(("n_gains", "n_fall"), [(1, 5), (2, 5), (27, 30), (57, 60)])
def test_rate_falls_before_the_end(n_gains, n_fall):
    fit = FakeFit(lambda epoch: -min(epoch, n_gains - 1), epochs=200)
    fit.run()

    assert len(fit.history) == n_gains + 3 + n_fall
    assert set(fit.learning_rates[:-n_fall]) == {1.0}
    assert (np.diff(fit.learning_rates[-n_fall - 1 :]) < 0).all()
    assert fit.learning_rates[-1] < 0.01


@pytest.mark.parametrize(("epochs", "n_fall"), [(4, 0), (6, 2), (9, 5)])
def test_fall_ends_with_the_epochs(epochs, n_fall):
    fit = FakeFit(flat, epochs=epochs)
    fit.run()

    assert len(fit.history) == epochs
    assert fit.rates.fall == ((4, n_fall) if n_fall else None)


def test_rising_rate_is_not_counted():
    fit = FakeFit(flat, "one_cycle")
    fit.run()

    assert fit.rates.fall[0] == 31 + 3
    assert np.argmax(fit.learning_rates) == 30


def test_gain_in_the_fall_does_not_prolong_it():
    fit = FakeFit(lambda epoch: 1.0 if epoch < 4 else -epoch)
    stopping = fit.run()

    assert len(fit.history) == 4 + 5
    assert_array_equal(stopping.chosen_weights(), [[9]])


def test_small_gain_is_no_gain():
    fit = FakeFit(lambda epoch: -0.01 * epoch)
    stopping = fit.run(tol=0.1)

    assert fit.rates.fall[0] == 4
    assert_array_equal(stopping.chosen_weights(), [[9]])


def test_average_of_weights_is_a_candidate():
    fit = FakeFit(flat, average_loss=0.5, epochs=30)
    stopping = fit.run()

    assert stopping.best_loss == 0.5
    assert_array_equal(stopping.chosen_weights(), [[1]])  # so far, the average is the weights
    stopping.end()
    assert_array_equal(fit.kept, [[1]])


def test_average_follows_the_weights():
    """Later, it reaches over about eight epochs; during the first three, it is the weights."""
    average = [np.float32([100])]
    for epoch in range(200):
        average = averaged(average, [np.float32([epoch])], epoch)
        if epoch < 3:
            assert average[0] == epoch

    assert_allclose(average[0], 199 - 7, rtol=1e-4)


def test_start_is_a_candidate():
    fit = FakeFit(lambda epoch: 11.0)

    assert_array_equal(fit.run().chosen_weights(), [[0]])


@pytest.mark.parametrize(("trained", "kept"), [(4.0, 1), (5.0, 1), (6.0, 0)])
def test_training_rows_confirm_the_choice(trained, kept):
    fit = FakeFit(flat, average_loss=0.5, epochs=30, trained=trained)
    fit.run().end()

    assert_array_equal(fit.kept, [[kept]])


def test_state_restores_the_fall():
    fit, other = FakeFit(flat), FakeFit(flat)
    stopping, restored = fit.run(), EarlyStopping(3, 0.0)
    restored.begin(other)
    restored.restore(stopping.state())

    assert other.rates.fall == fit.rates.fall == (4, 5)
    assert_array_equal(other.rates.of_epoch(6), fit.rates.of_epoch(6))
    assert restored.state().values == stopping.state().values


@pytest.mark.parametrize("fall", [[4], [4, 0], [0, 4], [4, 97], [4.0, 5], "45", 4])
def test_impossible_fall_is_refused(fall):
    stopping = FakeFit(flat).run()
    state = stopping.state()
    state.values["fall"] = fall

    with pytest.raises((ValueError, TypeError)):
        stopping.restore(state)


def test_other_weights_leave_training_unchanged(make_autoencoder, X):
    """Their evaluation changes no bit, with rows that the fit shifts and scales."""
    rows = 5 + 3 * X
    params = {"epochs": 6, "random_state": 0, "output_activation": "linear"}
    plain = make_autoencoder(**params).fit(rows, X_val=rows)
    stopping = make_autoencoder(**params, early_stopping=True).fit(rows, X_val=rows)

    assert stopping.history_ == plain.history_


def test_partial_fit_never_stops(make_autoencoder, X):
    plain, stopping = (
        make_autoencoder(early_stopping=value, n_iter_no_change=1, tol=1e6, random_state=0)
        for value in (False, True)
    )
    for _ in range(4):
        plain.partial_fit(X)
        stopping.partial_fit(X)

    assert stopping.n_iter_ == 4
    assert_same_bits(stopping, plain, X)


SETS = {
    "digits": lambda: load_digits().data / 16,
    "breast cancer": lambda: scale(load_breast_cancer().data),
}


@pytest.mark.parametrize("name", SETS)
def test_stopped_fit_equals_plain_fit(name):
    """It ends about as well as 20 plain epochs on the same rows."""
    rows, unseen = train_test_split(SETS[name]().astype(np.float32), random_state=0)
    seen, validation = train_test_split(rows, test_size=0.1, random_state=0)
    plain = DeepAutoencoder(8, init="random", early_stopping=False, random_state=0).fit(seen)
    stopping = DeepAutoencoder(8, init="random", epochs=100, early_stopping=True, random_state=0)
    stopping.fit(seen, X_val=validation)

    error, expected = (np.mean((m.reconstruct(unseen) - unseen) ** 2) for m in (stopping, plain))
    assert error <= 1.1 * expected
