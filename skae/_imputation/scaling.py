"""Columns on a common scale, computed from their known values and robust to outliers."""

from dataclasses import dataclass

import numpy as np

from skae._typing import Array

# The fences are beyond these quantiles, by their distance: 4.9 standard deviations from the mean of
# normal values.  Fences beyond the quartiles would cut off the values of a design: the first column
# of the yacht table has six values in ten that are about equal, and two in ten at each end.
QUANTILES = (0.05, 0.95)
LIMIT = 20.0  # of scaled values: an outlier beyond it would determine the rest of its row


@dataclass(frozen=True)
class Scaling:
    """The map ``(X - center) / scale`` with limits, and the range of the known values.

    Each attribute has a number for each column.
    """

    center: Array
    scale: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, X: Array) -> "Scaling":
        """Compute center and scale from the values that are not NaN; every column needs one.

        They are the mean and the standard deviation after far outliers were moved to the fences.
        Without outliers, this is the usual standardisation.
        """
        X = X.astype(np.float64, copy=False)
        low, lower, upper, high = np.nanquantile(X, [0, *QUANTILES, 1], axis=0, method="nearest")
        spreads = upper > lower  # else nine in ten values are equal, and none is far
        unit = np.maximum(*np.abs(np.where(spreads, (lower, upper), (low, high))))
        unit[unit == 0] = 1
        lower, upper = lower / unit, upper / unit
        fence = np.where(spreads, upper - lower, np.inf)
        with np.errstate(over="ignore"):
            inside = np.clip(X / unit, lower - fence, upper + fence)
        center = np.clip(np.nanmean(inside, axis=0) * unit, low, high)
        scale = np.nanstd(inside, axis=0) * unit
        scale[scale <= np.finfo(np.float32).eps * np.abs(center)] = 1
        return cls(center, scale, low, high)

    def __call__(self, X: Array) -> Array:
        """Return scaled values within the limits; NaN stays NaN."""
        with np.errstate(over="ignore"):
            scaled = (X.astype(np.float64, copy=False) - self.center) / self.scale
        return np.clip(scaled, -LIMIT, LIMIT)

    @property
    def limits(self) -> tuple[Array, Array]:
        """The smallest and the largest known values, scaled."""
        return (self.low - self.center) / self.scale, (self.high - self.center) / self.scale

    def undo(self, Z: Array) -> Array:
        """Return scaled values in the units of X, moved into the range of the known values."""
        return np.clip(Z * self.scale + self.center, self.low, self.high)
