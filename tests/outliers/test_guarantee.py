"""False alarms: p-values over many draws, and rows that are far away."""

import numpy as np
import pytest
from scipy.stats import binom

from skae._outliers.calibration import Calibration
from tests.outliers.test_detector import cheap, normal

N_DRAWS = 200


@pytest.fixture(scope="module", params=[1, 3], ids=["one network", "folds"])
def p_values(request):
    """p-value of one new row, for each of many draws of rows to fit."""
    n_draws, n_rows = (N_DRAWS, 300) if request.param == 1 else (N_DRAWS // 4, 120)
    return np.array([p_value(seed, request.param, n_rows) for seed in range(n_draws)])


def p_value(seed, n_folds, n_rows):
    X = normal(n_rows + 1, seed=seed)
    detector = cheap(n_folds=n_folds, random_state=seed).fit(X[1:])
    return detector.p_values(X[:1])[0]


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1])
def test_false_alarms_keep_rate(p_values, rate):
    """Not more than the upper end of the 99.9 % interval of the binomial distribution."""
    assert (p_values <= rate).sum() <= binom.ppf(0.999, len(p_values), rate)


def test_p_values_are_not_idle(p_values):
    """They are spread over (0, 1], so that the guarantee is not kept by flagging nothing."""
    assert (p_values <= 0.3).sum() >= binom.ppf(0.001, len(p_values), 0.2)
    assert p_values.max() <= 1


def test_calibration_is_exact():
    """Of n + 1 exchangeable scores, each is as likely to be the lowest as any other."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 100))
    for rate in (0.01, 0.05, 0.1):
        offsets = [Calibration.of(row[1:], np.ones(99)).offset(rate) for row in scores]
        assert np.mean(scores[:, 0] < offsets) == pytest.approx(rate, abs=0.012)


def test_few_rows_use_smallest_rate():
    calibration = Calibration.of(-np.arange(9.0), np.ones(9))
    assert calibration.offset(0.05) == pytest.approx(-8)
    assert calibration.p_values(np.array([-9.0, 0.0])).tolist() == [0.1, 1]


def test_weighted_scores_are_repeated_ones():
    scores, weight = np.array([-3.0, -1, -2, -4]), np.array([1, 4, 2, 1])
    weighted = Calibration.of(scores, weight)
    repeated = np.sort(scores.repeat(weight))
    for share in (0.1, 0.3, 0.6):
        assert weighted.quantile(share) == pytest.approx(repeated[int(np.ceil(share * 8)) - 1])


@pytest.mark.parametrize("distance", [3, 10, 30, 100])
def test_far_rows_are_outliers(distance):
    """Far in one column, in all columns, and along the relation that the network has learnt."""
    detector = cheap().fit(normal(600))
    center, scale = normal(600).mean(0), normal(600).std(0)
    along = np.array([[1, 0], [0, 1], [1, 1], [-1, 2]])
    along = np.hstack([along, along @ [[1, 0.5], [-1, 2]]])
    directions = np.vstack([np.eye(4), -np.eye(4), np.ones((1, 4))])
    rows = np.vstack([directions, 1.5 * along]) * distance * scale + center
    assert (detector.predict(rows) == -1).all()
    assert (np.diff(detector.score_samples(np.outer([1, 2, 4], distance * scale))) < 0).all()
