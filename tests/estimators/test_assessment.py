"""A fit that did not converge says so, and no other fit does."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from skae import DeepAutoencoder


def test_nine_rows_need_more_epochs():
    X = load_digits().data[:9] / 16
    with pytest.warns(ConvergenceWarning, match="no better than the means.*raise epochs"):
        DeepAutoencoder(16, init="random", random_state=0).fit(X)


def test_short_fit_improved_to_the_end():
    X = scale(load_breast_cancer().data)
    with pytest.warns(ConvergenceWarning, match="improved steeply"):
        DeepAutoencoder(
            8, init="random", epochs=3, learning_rate_schedule="constant", random_state=0
        ).fit(X)


@pytest.mark.parametrize(
    "X",
    [
        load_digits().data / 16,
        scale(load_wine().data),
        scale(load_breast_cancer().data),
        load_diabetes().data,
        load_iris().data,
    ],
    ids=["digits", "wine", "breast_cancer", "diabetes", "iris"],
)
def test_converged_fit_is_silent(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DeepAutoencoder(max(2, X.shape[1] // 4), random_state=0).fit(X)


def test_constant_rows_are_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DeepAutoencoder(2, random_state=0).fit(np.ones((50, 4)))


def test_warning_does_not_lose_the_fit():
    X = load_digits().data[:9] / 16
    estimator = DeepAutoencoder(16, init="random", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            estimator.fit(X)

    assert estimator.n_iter_ == 20


def test_constant_column_is_reconstructed_exactly():
    X = np.random.default_rng(0).normal(size=(200, 5))
    X[:, 2] = 7
    fitted = DeepAutoencoder(2, random_state=0).fit(X)

    assert_array_equal(fitted.reconstruct(X.astype(np.float32))[:, 2], np.float32(7))
