"""Every random stream of a fit.

Each purpose has its own key, so no two streams have numbers in common.  Neither do they share
numbers with ``numpy.random.default_rng(seed)``, from which `GaussianNoise` and a user's own code
may draw with the same seed.
"""

from enum import IntEnum

import numpy as np

from skae._typing import Rng


class Stream(IntEnum):
    """Purposes of random numbers."""

    WEIGHTS = 1
    ORDER = 2
    NOISE = 3
    SPLIT = 4
    VALIDATION_NOISE = 5
    DROPOUT = 6
    START = 7


def generator(seed: int, stream: Stream, part: int = 0) -> Rng:
    """Make the generator of a stream; ``part`` is the number of an epoch or of a layer."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, part)))
