"""`MaskingNoise`: which values it replaces, and by what."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from skae import MaskingNoise
from skae._corruption.epochs import FreshNoise, epoch_noise


def replaced(fraction, shape=(400, 500), **params):
    """Return whether each value was replaced."""
    return MaskingNoise(fraction, random_state=0, **params).fit_transform(np.ones(shape)) == 0


@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.9])
def test_replaced_share_is_binomial(fraction):
    masks = replaced(fraction)

    for counts, n in ((masks.sum(axis=0), 400), (masks.sum(axis=1), 500), (masks.sum(), 200_000)):
        low, high = stats.binom.interval(1 - 1e-7, n, fraction)
        assert np.all((low <= counts) & (counts <= high))


def test_values_are_replaced_independently():
    masks = replaced(0.5, (2000, 50))
    correlations = np.corrcoef(masks.T)[np.triu_indices(50, 1)]

    assert abs(correlations.mean()) < 5 / np.sqrt(2000 * correlations.size)
    assert correlations.std() == pytest.approx(1 / np.sqrt(2000), rel=0.15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fraction_of_one_replaces_all(dtype):
    X = np.ones((50, 40), dtype)
    masked = MaskingNoise(1, fill_value=-2.5).fit_transform(X)

    assert_array_equal(masked, np.full_like(X, -2.5))


def test_other_values_stay_the_same():
    X = np.random.default_rng(0).normal(size=(50, 40))
    masked = MaskingNoise(0.3, fill_value=9, random_state=0).fit_transform(X)

    assert_array_equal(masked[masked != 9], X[masked != 9])
    assert 0 < (masked == 9).mean() < 0.5


def test_training_masks_every_step_anew():
    noise = epoch_noise(MaskingNoise(0.5), 10_000_000, 64)
    noise.start(np.random.default_rng(0))
    steps = np.empty((2, 1000, 64), np.float32)
    for out in steps:
        noise(np.ones_like(out), out)

    assert type(noise) is FreshNoise
    assert abs(np.corrcoef(steps[0].ravel(), steps[1].ravel())[0, 1]) < 5 / np.sqrt(64_000)
