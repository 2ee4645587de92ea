"""The threshold: split-conformal p-values from the scores of rows that no network was trained on.

V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in a Random World", 2005; for outliers,
S. Bates et al., "Testing for outliers with conformal p-values", Annals of Statistics 51, 2023.
"""

from dataclasses import dataclass

import numpy as np

from skae._typing import Array


@dataclass(frozen=True)
class Calibration:
    """Sorted scores of normal rows, and the share of the weight below each.

    Attributes
    ----------
    scores : ndarray of shape (n_samples,)
        In ascending order.
    shares : ndarray of shape (n_samples + 1,)
        The share of the weight of the first rows: from 0 to 1.
    n_effective : float
        Kish's effective number of rows, ``sum(w) ** 2 / sum(w ** 2)``.  It is the number of rows if
        all weights are equal.
    """

    scores: Array
    shares: Array
    n_effective: float

    @classmethod
    def of(cls, scores: Array, weight: Array) -> "Calibration":
        """Sort scores, and add up the weights."""
        order = np.argsort(scores, kind="stable")
        total = np.cumsum(weight[order])
        n_effective = float(weight.sum() ** 2 / (weight**2).sum())
        return cls(scores[order], np.append(0, total / total[-1]), n_effective)

    def p_values(self, scores: Array) -> Array:
        """Return the share of normal rows that are at most as normal, the row itself included."""
        below = self.shares[np.searchsorted(self.scores, scores, side="right")]
        return (1 + self.n_effective * below) / (1 + self.n_effective)

    def offset(self, rate: float) -> float:
        """Return the score below which the p-value is at most ``rate``.

        With so few rows that no p-value is that small, it is the lowest score.
        """
        p_values = (1 + self.n_effective * self.shares[:-1]) / (1 + self.n_effective)
        n_alarms = int(np.searchsorted(p_values, rate * (1 + 1e-12), side="right"))
        return _just_below(self.scores[max(n_alarms - 1, 0)])

    def quantile(self, share: float) -> float:
        """Return the score that this share of the rows is below, as by `numpy.percentile`."""
        if self.n_effective > len(self.scores) * (1 - 1e-9):  # all weights are equal
            return _just_below(np.percentile(self.scores, 100 * share))
        return _just_below(self.scores[np.searchsorted(self.shares[1:], share * (1 - 1e-12))])


def _just_below(score: float) -> float:
    """Return a threshold that a row with this score stays above, whatever its rounding.

    The rounding of a score depends on the rows that it is computed with.
    """
    return float(score) - 1e-9 * abs(float(score))
