"""Mean and variance of rows, against NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skae._network.moments import moments
from skae._rows.rows import Rows, all_rows
from skae._rows.sources import ReadLimits, Source


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(1.109, 0.0012, (500, 3)).astype(np.float32)


def as_dense(X):
    return X


def as_source(X):
    return Source(np.array(X), "X", ReadLimits(30, 60))


@pytest.mark.parametrize("kind", [as_dense, sparse.csr_matrix, as_source])
def test_moments_equal_numpy(X, kind):
    X_given = kind(X)
    mean, variance = moments(Rows(X_given, None, None, all_rows(X_given)))

    assert_allclose(mean, X.mean(axis=0, dtype=np.float64), rtol=1e-12)
    assert_allclose(variance, X.var(axis=0, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize(
    "kind", [as_dense, sparse.csr_matrix, lambda X: Source(X, "X", ReadLimits(30, 60), gaps=True)]
)
def test_unknown_values_do_not_count(X, kind):
    """The second column is unknown in all blocks but the last, and the third everywhere."""
    rng = np.random.default_rng(1)
    holes = np.where(rng.random(X.shape) < 0.4, np.nan, X).astype(np.float32)
    holes[0] = holes[:480, 1] = holes[:, 2] = np.nan
    given, weight = kind(holes), rng.integers(1, 4, 500).astype(np.float32)
    mean, variance = moments(Rows(given, None, weight, all_rows(given)))

    for column in (0, 1):
        known = ~np.isnan(holes[:, column])
        values, own = holes[known, column].astype(np.float64), weight[known]
        expected = np.average(values, weights=own)
        assert_allclose(mean[column], expected, rtol=1e-9)
        assert_allclose(
            variance[column], np.average((values - expected) ** 2, weights=own), rtol=1e-6
        )
    assert (mean[2], variance[2]) == (0, 0)


def test_weights_and_targets_count(X):
    targets, weight = 2 * X, np.arange(500, dtype=np.float32)
    index = np.arange(100, 500)
    mean, variance = moments(Rows(X, targets, weight, index))

    expected = np.average(targets[100:], axis=0, weights=weight[100:])
    assert_allclose(mean, expected, rtol=1e-6)
    spread = np.average((targets[100:] - expected) ** 2, axis=0, weights=weight[100:])
    assert_allclose(variance, spread, rtol=1e-4)
