"""Comparisons of estimators, and checks of refused calls."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import DeepAutoencoder, DenoisingAutoencoder

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
