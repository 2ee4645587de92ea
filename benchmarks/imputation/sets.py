"""Five tables of UCI with values in [0, 1], and scikit-learn's breast cancer, standardised."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

from benchmarks.imputation.gaps import MECHANISMS, standardised

FILES = {
    "concrete": "concrete",
    "housing": "bostonHousing",
    "kin8nm": "kin8nm",
    "wine": "wine-quality-red",
    "yacht": "yacht",
}
CHOSEN_WITH = ("concrete", "yacht", "wine", "breast cancer")  # the settings of the imputer
MOST_ROWS_QUICK = 120


@dataclass(frozen=True)
class Case:
    """A set, the share of its cells that are hidden, and how they are chosen."""

    name: str
    rate: float
    mechanism: str = "completely at random"

    @property
    def title(self):
        return f"{self.name}, {self.rate:.0%} {self.mechanism}"

    def load(self, seed, quick=False):
        """Return the rows and the mask of hidden cells; no row and no column is hidden whole."""
        X = table(self.name)
        if quick:
            X = X[:MOST_ROWS_QUICK]
        rng = np.random.default_rng(seed)
        hidden = MECHANISMS[self.mechanism](X, self.rate, rng)
        hidden[hidden.all(axis=1), rng.integers(X.shape[1])] = False
        return X, hidden


CASES = [
    *(Case(name, 0.3) for name in FILES),
    *(Case("breast cancer", rate) for rate in (0.05, 0.3, 0.5)),
    *(
        Case(name, 0.3, mechanism)
        for mechanism in ("at random", "self-masking")
        for name in (*FILES, "breast cancer")
    ),
]


def available(case):
    return case.name not in FILES or folder() is not None


def folder():
    """Where UCI's tables are, or None."""
    data = os.environ.get("SKAE_DATA")
    found = Path(data) / "uci" if data else None
    return found if found and found.is_dir() else None


def table(name):
    if name == "breast cancer":
        return standardised(load_breast_cancer().data)
    rows = np.loadtxt(folder() / f"{FILES[name]}.txt")
    X = rows[:, np.loadtxt(folder() / f"{FILES[name]}.feat").astype(int)]
    low, high = X.min(axis=0), X.max(axis=0)
    return (X - low) / np.where(high > low, high - low, 1)
