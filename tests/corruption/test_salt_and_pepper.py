"""`SaltAndPepperNoise`: how much of it is salt, and the values of salt and pepper."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import SaltAndPepperNoise
from tests.corruption.cells import check_share, check_uncorrelated, distinct_rows
from tests.estimators.comparisons import refused


def corrupt(X, fraction=0.4, **params):
    return SaltAndPepperNoise(fraction, random_state=0, **params).fit_transform(X)


def test_defaults_are_black_and_white():
    noisy = corrupt(np.full((300, 200), 0.5))

    assert_array_equal(np.unique(noisy), [0, 0.5, 1])


@pytest.mark.parametrize("salt_vs_pepper", [0, 0.2, 0.5, 1, np.float64(0.7)])
def test_share_of_salt_is_binomial(salt_vs_pepper):
    noisy = corrupt(np.full((300, 200), 0.5), salt_vs_pepper=salt_vs_pepper)

    check_share(noisy == 1, 0.4 * salt_vs_pepper)
    check_share(noisy == 0, 0.4 * (1 - salt_vs_pepper))


def test_salt_is_independent():
    """Among the replaced cells, neither the row nor the column decides about salt."""
    check_uncorrelated(corrupt(np.full((2000, 40), 0.5), fraction=1).T)
    check_uncorrelated(corrupt(np.full((40, 2000), 0.5), fraction=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_feature_has_its_values(dtype):
    X = distinct_rows(300, 5, dtype)
    low, high = X.min(axis=0), X.max(axis=0)
    noisy = corrupt(X, fraction=1, low=low, high=list(high))

    assert noisy.dtype == dtype
    assert_array_equal(np.sort(np.unique(noisy)), np.sort([*low, *high]))
    for column, *limits in zip(noisy.T, low, high, strict=True):
        assert_array_equal(np.unique(column), limits)


def test_other_values_stay_the_same():
    X = np.random.default_rng(0).normal(size=(50, 40))
    noisy = corrupt(X, low=-9, high=9)
    same = abs(noisy) != 9

    assert_array_equal(noisy[same], X[same])
    assert 0.5 < same.mean() < 0.7


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"low": 2}, "low must be at most high; got 2 and 1"),
        ({"high": [1, 1, -1]}, r"low must be at most high; got 0 and \[1, 1, -1\]"),
        ({"low": [0, 0]}, "low must be a number, or hold .* 3 features of X; got 2 numbers"),
        ({"high": [1, 1, np.inf]}, r"high\[2\] must be finite in float32; got inf"),
    ],
)
def test_bad_limits_are_refused(params, match):
    refused(SaltAndPepperNoise(**params), ValueError, match, np.ones((4, 3)))
