"""Comparisons of estimators, and checks of refused calls."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._network.inference import Network

each_kind = pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
MSE = {"output_activation": "linear", "loss": "mean_squared_error"}
# A sigmoid is only changed at the end of a fit if a column is worse than its mean.
BOUNDED = {"output_activation": "sigmoid", "loss": "mean_squared_error"}
# The outputs of a hard sigmoid are never changed then.
UNCHANGED = BOUNDED | {"output_activation": "hard_sigmoid"}
FROZEN = {"learning_rate": 1e-12, "learning_rate_schedule": "constant"}  # weights stay the same


def assert_same_bits(one, other, X):
    assert_array_equal(one.reconstruct(X), other.reconstruct(X))


def assert_other_bits(one, other, X):
    assert not np.array_equal(one.reconstruct(X), other.reconstruct(X))


def refused(estimator, error, match, *args, method="fit", **kwargs):
    """Check that a call raises an error and leaves every attribute the same object."""
    before = vars(estimator).copy()
    with pytest.raises(error, match=match):
        getattr(estimator, method)(*args, **kwargs)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())


class EachEpoch(keras.callbacks.Callback):
    """Keeps the weights after each epoch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())


def lowest_loss(weights, estimator, X):
    """Return the lowest mean squared error of the weights of each epoch, and of their averages.

    An average reaches over 30 % of the epochs so far, and over 8 at most.
    """
    average, losses = weights[0], []
    for epoch, current in enumerate(weights):
        share = 1 / max(1, min(8, 0.3 * (epoch + 1)))
        average = [old + share * (new - old) for old, new in zip(average, current, strict=True)]
        for candidate in (current, average):
            network = Network(estimator._network.spec, candidate, fallback=None)
            losses.append(-network.scores(X).mean())
    return min(losses)
