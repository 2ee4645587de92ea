"""Which cells are hidden: at random, depending on other columns, or depending on themselves."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

STEEPNESS = 2.0  # of the logistic functions, for columns of variance one


def completely_at_random(X, rate, rng):
    """Every cell has the same probability."""
    return rng.random(X.shape) < rate


def at_random(X, rate, rng):
    """About a third of the columns have no gaps; the others depend on these.

    B. Muzellec et al., "Missing Data Imputation using Optimal Transport", ICML 2020.
    """
    n_features = X.shape[1]
    known = rng.permutation(n_features)[: max(n_features // 3, 1)]
    Z = standardised(X)
    scores = Z[:, known] @ rng.normal(size=(len(known), n_features))
    hidden = _hide(standardised(scores), rate, rng)
    hidden[:, known] = False
    return hidden


def self_masking(X, rate, rng):
    """High values of some columns are rarely known, and low values of the others."""
    return _hide(standardised(X) * rng.choice([-1, 1], X.shape[1]), rate, rng)


MECHANISMS = {
    "completely at random": completely_at_random,
    "at random": at_random,
    "self-masking": self_masking,
}


def standardised(X):
    scale = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(scale > 0, scale, 1)


def _hide(scores, rate, rng):
    """Hide cells with logistic probabilities, whose mean in each column is ``rate``."""
    starts = [brentq(_excess, -50, 50, args=(column, rate)) for column in STEEPNESS * scores.T]
    return rng.random(scores.shape) < expit(STEEPNESS * scores + starts)


def _excess(start, column, rate):
    return expit(column + start).mean() - rate
