"""Which cells a corruption replaced, and which rows they came from, read off its result."""

import numpy as np
from scipy import stats

from skae import MaskingNoise, SaltAndPepperNoise, SwapNoise

# Corruptions that replace cells, with parameters that give values outside of `distinct_rows`.
KINDS = {
    MaskingNoise: {"fill_value": -1},
    SwapNoise: {},
    SaltAndPepperNoise: {"low": -2, "high": -1},
}


def distinct_rows(n_rows, n_features, dtype=np.float64):
    """Return rows of different values, all at least 0."""
    return np.arange(n_rows * n_features, dtype=dtype).reshape(n_rows, n_features)


def make(kind, fraction, **params):
    return kind(fraction, **KINDS[kind], **params)


def replaced(kind, fraction, shape=(400, 500), **params):
    """Return whether `transform` replaced each cell."""
    X = distinct_rows(*shape)
    return make(kind, fraction, random_state=0, **params).fit_transform(X) != X


def check_share(masks, fraction):
    """Check that binomial intervals hold the counts of the columns, the rows and the whole."""
    for axis in (0, 1, None):
        counts, n = masks.sum(axis), masks.shape[axis] if axis is not None else masks.size
        low, high = stats.binom.interval(1 - 1e-7, n, fraction)
        assert np.all((low <= counts) & (counts <= high))


def check_uncorrelated(variables):
    """Check that the rows of a matrix correlate as independent numbers do."""
    n = variables.shape[1]
    correlations = np.corrcoef(variables)[np.triu_indices(len(variables), 1)]
    assert abs(correlations.mean()) < 5 / np.sqrt(n * correlations.size)
    assert abs(correlations).max() < 6 / np.sqrt(n)


def distances(clean, swapped):
    """Return by how many rows each cell's donor is below it, from 0 up, in one mini-batch.

    The cells of a row of ``clean`` are equal, and those of two rows differ.
    """
    order = np.argsort(clean[:, 0])
    donors = order[np.searchsorted(clean[order, 0], swapped)]
    return (donors - np.arange(len(clean))[:, None]) % len(clean)


def check_uniform(distances, n_rows):
    """Check that the donors are the other rows, all equally often, by a chi-square test."""
    counts = np.bincount(distances.ravel(), minlength=n_rows)
    assert counts[0] == 0
    assert len(counts) == n_rows
    assert n_rows == 2 or stats.chisquare(counts[1:]).pvalue > 1e-5


def check_independent(one, other):
    """Check that two arrays of small integers are independent, by a chi-square test."""
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one.ravel(), other.ravel()), 1)
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    assert stats.chi2_contingency(table).pvalue > 1e-5
