"""Draws: intervals hold their share of true values, and the draws of a row suit each other."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae._imputation.draws import draw, hidden_errors
from skae._imputation.fitting import Folds
from skae._imputation.scaling import Scaling
from tests.imputation.tables import able, cheap, related, with_gaps


class Regression:
    """A network that knows the best prediction for normal rows with this covariance."""

    def __init__(self, covariance):
        self.covariance = covariance

    def reconstruct(self, Z):
        return np.array([self._row(~np.isnan(z), z) for z in Z]).reshape(Z.shape)

    def _row(self, known, z):
        inner = self.covariance[np.ix_(known, known)]
        return self.covariance[:, known] @ np.linalg.solve(inner, z[known])


@pytest.fixture(scope="module")
def normal():
    """Rows with gaps, the known rows, and the errors of the best network."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T + 0.5 * np.eye(4)
    network = Regression(covariance)
    X = rng.multivariate_normal(np.zeros(4), covariance, size=500)
    Z, hidden = with_gaps(X)
    errors = hidden_errors(Folds([network], np.zeros(500, int)), Z, rng)
    return X, Z, hidden, network, errors


def drawn(normal, n_draws):
    X, Z, _, network, errors = normal
    limits, rng = (X.min(axis=0), X.max(axis=0)), np.random.default_rng(1)
    return np.array([draw(network, errors, limits, Z, rng=rng) for _ in range(n_draws)])


def coverage(draws, clean, hidden, share=0.9):
    low, high = np.quantile(draws, [(1 - share) / 2, (1 + share) / 2], axis=0)
    return np.mean(((low <= clean) & (clean <= high))[hidden])


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_intervals_of_best_network_cover(normal, share):
    X, _, hidden, _, _ = normal
    assert coverage(drawn(normal, 50), X, hidden, share) == pytest.approx(share, abs=0.05)


def test_columns_of_draws_keep_their_relations(normal):
    """Correlations of one completed table are those of the whole table; predictions add some."""
    X, Z, _, network, _ = normal
    true = np.corrcoef(X.T)
    assert np.abs(np.corrcoef(drawn(normal, 1)[0].T) - true).max() < 0.08
    predicted = np.where(np.isnan(Z), network.reconstruct(Z), Z)
    assert np.abs(np.corrcoef(predicted.T) - true).max() > 0.1


def test_errors_are_of_hidden_cells(normal):
    _, Z, _, _, errors = normal
    for column, found in enumerate(errors):
        predictions, share, differences = found.T
        known = Z[~np.isnan(Z[:, column]), column]
        assert len(known) <= len(found) <= 4 * len(known)
        values = np.unique((predictions + differences).round(9))
        np.testing.assert_allclose(values, np.unique(known.round(9)))
        assert share.min() >= 0.25


@pytest.mark.parametrize("n_folds", [5, 1])
def test_intervals_cover_true_values(n_folds):
    """90 % intervals hold 85 to 95 % of the true values, in rows of the fit and in new ones."""
    clean = related(1000)
    X, hidden = with_gaps(clean)
    imputer = able(n_folds=n_folds).fit(X)
    new = related(500, seed=1)
    assert 0.85 <= coverage(imputer.sample(X, 60), clean, hidden) <= 0.95
    for rate in (0.1, 0.5):
        gaps, hidden = with_gaps(new, rate)
        assert 0.85 <= coverage(imputer.sample(gaps, 60), new, hidden) <= 0.95


def test_spread_depends_on_value():
    """Draws vary more if the noise of their column is larger for such rows."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 1500)
    X = np.column_stack([x, 2 * x + rng.normal(size=1500) * np.where(x > 0.5, 0.5, 0.02)])
    imputer = able(n_folds=1).fit(X)
    spread = imputer.sample([[0.2, np.nan], [0.9, np.nan]], 300)[:, :, 1].std(axis=0)
    assert spread[1] > 4 * spread[0]


def test_transform_returns_mean_of_draws():
    X, hidden = with_gaps(related(80))
    imputer = cheap(sample_posterior=True, n_draws=5).fit(X)
    draws = imputer.sample(X)
    assert draws.shape == (5, 80, 4)
    np.testing.assert_allclose(imputer.transform(X), draws.mean(axis=0), rtol=1e-9, atol=1e-12)
    assert draws.std(axis=0)[hidden].min() > 0
    single = imputer.set_params(n_draws=1)
    assert_array_equal(single.transform(X), single.sample(X)[0])


def test_rare_column_has_a_spread():
    """A column with few known values has draws, though no row set aside has one."""
    X = related(100)
    X[4:, 3] = np.nan
    draws = cheap(n_folds=1).fit(X).sample(X, 4)
    assert np.isfinite(draws).all()


def test_scaling_is_standard_without_outliers():
    X, _ = with_gaps(np.random.default_rng(0).uniform(size=(100, 3)) * [1, 1e-300, 1e300])
    scaled = Scaling.of(X)(X)
    np.testing.assert_allclose(np.nanmean(scaled, axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.nanstd(scaled, axis=0), 1)


@pytest.mark.parametrize("outlier", [1e6, -1e30, 1e300])
def test_scale_ignores_an_outlier(outlier):
    X = np.random.default_rng(0).normal(size=(200, 1))
    before, after = Scaling.of(X), Scaling.of(np.vstack([X, [[outlier]]]))
    assert abs(after.scale / before.scale - 1) < 0.1
    assert abs(after.center - before.center) < 0.1


def test_scale_keeps_a_design():
    """Values that many rows have are no outliers, though most others are close together."""
    rng = np.random.default_rng(0)
    X = rng.choice([0, 0.52, 0.54, 0.56, 1], p=[0.18, 0.14, 0.46, 0.04, 0.18], size=(300, 1))
    np.testing.assert_allclose(Scaling.of(X).scale, X.std(axis=0))


@pytest.mark.parametrize("value", [0.0, 3.5, -1e308, 1e-310])
def test_constant_column_scales_to_zero(value):
    X = np.full((5, 1), value)
    scaling = Scaling.of(X)
    np.testing.assert_allclose(scaling(X), 0, atol=1e-6)
    assert_array_equal(scaling.undo(np.full((1, 1), 9.0)), X[:1])
