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
