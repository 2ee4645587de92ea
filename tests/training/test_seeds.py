"""Random streams share no numbers, and depend on seed, purpose and epoch alone."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import GaussianNoise
from skae._training.seeds import Stream, generator

SEED, N = 0, 100_000


def noise_generator(seed):
    """The generator from which ``GaussianNoise(random_state=seed)`` draws."""
    drawn = []

    class Spy(GaussianNoise):
        def corrupt(self, X, rng):
            drawn.append(rng)
            return X

    Spy(random_state=seed).fit_transform(np.zeros((2, 2)))
    return drawn[0]


def streams():
    """Makers of generators by name."""
    made = {
        f"{stream.name} {epoch}": lambda stream=stream, epoch=epoch: generator(SEED, stream, epoch)
        for stream in Stream
        for epoch in (0, 1, 2)
    }
    return made | {
        # which is default_rng((seed, 0)) too, because NumPy pads seeds with zeros
        "default_rng(seed)": lambda: np.random.default_rng(SEED),
        "default_rng((seed, 1))": lambda: np.random.default_rng((SEED, 1)),
        "GaussianNoise": lambda: noise_generator(SEED),
        "other seed": lambda: generator(SEED + 1, Stream.ORDER, 0),
    }


@pytest.mark.parametrize("draw", ["random", "standard_normal"])
def test_streams_share_no_number(draw):
    """All numbers differ, of 100,000 numbers from each stream.

    Numbers with 53 random bits agree by chance with a probability below one in a thousand.
    """
    numbers = np.concatenate([getattr(make(), draw)(N) for make in streams().values()])

    assert len(np.unique(numbers)) == len(numbers)


def test_shared_numbers_would_be_found():
    """The comparison above finds a stream that begins later in another one."""
    rng = np.random.default_rng(SEED)
    rng.random(5_000)

    assert np.isin(rng.random(N), np.random.default_rng((SEED, 0)).random(N)).any()


def test_streams_are_reproducible():
    first, again = (generator(3, Stream.NOISE, 4).random(5) for _ in range(2))

    assert_array_equal(first, again)
