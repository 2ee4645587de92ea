"""Corruption of the mini-batches of an epoch."""

import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skae._corruption.base import Corruption, corrupt_copy
from skae._corruption.gaussian import GaussianNoise
from skae._rows.finite import as_float32, is_finite
from skae._typing import EpochNoise, Floats, Rng

TABLE_VALUES = 1 << 21  # 8 MiB


class FreshNoise:
    """Call a corruption for every mini-batch.

    ``gaps`` says whether it may return NaN, as an unknown value.
    """

    def __init__(self, corruption: Corruption, *, gaps: bool = False) -> None:
        self.corruption, self.gaps = corruption, gaps

    def start(self, rng: Rng) -> None:
        """Begin an epoch."""
        self.rng = rng

    def __call__(self, clean: Floats, out: Floats) -> None:
        """Write the corrupted rows of ``clean`` to ``out``."""
        with as_float32():
            out[...] = corrupt_copy(self.corruption, clean, self.rng)
            if is_finite(out) or (self.gaps and not np.isinf(out).any()):
                return
            if np.isnan(out).any() and not self.gaps:
                raise ValueError(f"{type(self.corruption).__name__}.corrupt returned NaN.")
            raise FloatingPointError  # `as_float32` explains it


class NoiseTable:
    """Gaussian noise for many rows, taken from a table that is drawn again for each epoch.

    Drawing 47 million normal numbers takes as long as training on them.  Therefore the noise of a
    row is a window of the table, and the window starts at a random place.  The numbers of a row are
    independent and exactly normal.  Two rows share numbers if their windows overlap.  The
    probability is twice the length of a row divided by the length of the table: less than one in a
    thousand for 784 features.  (T. Salimans et al., "Evolution Strategies as a Scalable Alternative
    to Reinforcement Learning", 2017.)
    """

    def __init__(self, noise: GaussianNoise, size: int) -> None:
        self.noise, self.size = noise, size

    def start(self, rng: Rng) -> None:
        """Begin an epoch: draw the table."""
        self.rng = rng
        self.table = rng.standard_normal(self.size, dtype=np.float32)
        self.scale = np.asarray(self.noise.scale, np.float32)
        if not self.scale.ndim:
            self._rescale(self.table)

    def __call__(self, clean: Floats, out: Floats) -> None:
        """Write the noisy rows of ``clean`` to ``out``."""
        windows = sliding_window_view(self.table, clean.shape[1])
        noise = windows[self.rng.integers(0, len(windows), len(clean))]  # a copy
        if self.scale.ndim:
            self._rescale(noise)
        with as_float32():
            np.add(clean, noise, out=out)
        if self.noise.clip is not None:
            np.clip(out, *self.noise.clip, out=out)

    def _rescale(self, noise: Floats) -> None:
        with as_float32():
            noise *= self.scale


@functools.singledispatch
def epoch_noise(
    corruption: Corruption,
    n_rows: int,
    n_features: int,
    table_values: int = TABLE_VALUES,
    *,
    gaps: bool = False,
) -> EpochNoise:
    """Return what corrupts the mini-batches of epochs of ``n_rows`` rows.

    Noise for more than ``table_values`` values comes from a table of this size.  ``gaps`` says
    whether rows may have NaN.  This function dispatches on the class of the corruption.
    """
    return FreshNoise(corruption, gaps=gaps)


@epoch_noise.register
def _(
    corruption: GaussianNoise,
    n_rows: int,
    n_features: int,
    table_values: int = TABLE_VALUES,
    *,
    gaps: bool = False,
) -> EpochNoise:
    size = max(table_values, 64 * n_features)
    is_large = n_rows * n_features > size
    if is_large and type(corruption) is GaussianNoise:  # a subclass may corrupt differently
        return NoiseTable(corruption, size)
    return FreshNoise(corruption, gaps=gaps)
