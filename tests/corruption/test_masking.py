"""`MaskingNoise`: the value that replaces others."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import MaskingNoise


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fill_value_replaces_all(dtype):
    X = np.ones((50, 40), dtype)
    masked = MaskingNoise(1, fill_value=-2.5).fit_transform(X)

    assert_array_equal(masked, np.full_like(X, -2.5))


def test_other_values_stay_the_same():
    X = np.random.default_rng(0).normal(size=(50, 40))
    masked = MaskingNoise(0.3, fill_value=9, random_state=0).fit_transform(X)

    assert_array_equal(masked[masked != 9], X[masked != 9])
    assert 0 < (masked == 9).mean() < 0.5


@pytest.mark.parametrize("groups", [None, [[0, 1], [2, 3, 4]]])
def test_shares_vary_by_row(groups):
    """The share of a row is uniform from 0 to ``fraction``."""
    X = np.ones((2000, 400), np.float32)
    noise = MaskingNoise(0.8, vary=True, groups=groups, random_state=0)
    shares = (noise.fit_transform(X) == 0).mean(axis=1)

    assert abs(shares.mean() - 0.4) < 4 * 0.8 / np.sqrt(12 * 2000)
    for quantile in (0.1, 0.5, 0.9):
        assert abs(np.quantile(shares, quantile) - 0.8 * quantile) < 0.04


def test_values_become_unknown():
    X = np.arange(1.0, 61).reshape(6, 10)
    masked = MaskingNoise(0.5, fill_value=np.nan, random_state=0).fit_transform(X)
    unknown = np.isnan(masked)

    assert 10 < unknown.sum() < 50
    assert_array_equal(masked[~unknown], X[~unknown])
