"""`StreamReader` gives every row once in an epoch, in random order, and reads each block once."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skae._rows.batches.dense import flat
from skae._rows.batches.feeder import Feeder
from skae._rows.rows import Rows
from skae._rows.sources import ReadLimits, Source

N_ROWS = 103
X = np.arange(2.0 * N_ROWS, dtype=np.float32).reshape(N_ROWS, 2)  # a row contains its number


class Blocks:
    """Storage that gives only slices, in chunks of ten rows, and records which ones were read."""

    def __init__(self, data=X):
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.chunks = (10, 2)
        self.read = []

    def __getitem__(self, rows):
        self.read.append(rows.start)
        return self.data[rows]


def make_source(blocks=None, name="X"):
    """Make a source with blocks of ten rows and a buffer of 40."""
    limits = ReadLimits(block_values=20, buffer_values=80)
    return Source(Blocks() if blocks is None else blocks, name, limits)


def make_rows(inputs=None, targets=None, weight=None, index=range(N_ROWS)):
    return Rows(make_source() if inputs is None else inputs, targets, weight, index)


def row_numbers(chunks):
    """Numbers of the rows with weight, in the order of the chunks."""
    seen = [flat(x)[weight.ravel() > 0] for x, _, weight, _ in chunks]
    return (np.concatenate(seen)[:, 0] / 2).astype(int)


def shuffled(feeder, seed=0):
    """Chunks of an epoch."""
    return feeder.shuffled([np.random.default_rng(seed)], [np.random.default_rng(100 + seed)])


def shuffled_numbers(feeder, seed=0):
    """Numbers of the rows, in the order of an epoch."""
    return row_numbers(shuffled(feeder, seed))


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 50, 200])
@pytest.mark.parametrize("chunk_steps", [1, 3, 100])
def test_every_row_once(pad, batch_size, chunk_steps):
    feeder = Feeder(make_rows(), batch_size, chunk_steps, pad=pad)

    for seed in range(2):
        assert_array_equal(np.sort(shuffled_numbers(feeder, seed)), np.arange(N_ROWS))
    in_order = row_numbers(feeder.in_order(np.random.default_rng(0)))
    assert_array_equal(in_order, np.arange(N_ROWS))


def test_only_last_batch_is_partial():
    chunks = shuffled(Feeder(make_rows(), 4, 3, pad=True))
    sizes = np.concatenate([weight.sum(axis=1)[:n_steps] for *_, weight, n_steps in chunks])

    assert_array_equal(sizes, [4] * 25 + [3])


def test_order_depends_on_generator():
    feeder = Feeder(make_rows(), 4, 3, pad=True)
    first = shuffled_numbers(feeder, 0)

    assert not np.array_equal(shuffled_numbers(feeder, 1), first)
    assert_array_equal(shuffled_numbers(feeder, 0), first)
    assert_array_equal(shuffled_numbers(Feeder(make_rows(), 4, 3, pad=True), 0), first)


def test_noise_keeps_order():
    class Noise:
        def start(self, rng):
            self.rng = rng

        def __call__(self, clean, out):
            out[...] = self.rng.standard_normal(clean.shape)

    noisy = Feeder(make_rows(), 4, 3, pad=True, corruption=Noise())
    clean = [(y.copy(), None, weight.copy(), n) for _, y, weight, n in shuffled(noisy)]
    assert_array_equal(row_numbers(clean), shuffled_numbers(Feeder(make_rows(), 4, 3, pad=True)))


def test_blocks_are_read_once_per_epoch():
    first, second = Blocks(), Blocks()
    for seed, blocks in enumerate((first, second)):
        shuffled_numbers(Feeder(make_rows(make_source(blocks)), 4, 3, pad=True), seed)

    assert sorted(first.read) == sorted(second.read) == list(range(0, N_ROWS, 10))
    assert first.read != second.read


def test_shuffle_is_uniform():
    """A row's place in the epoch is uniform, and independent of its place in the source."""
    feeder = Feeder(make_rows(), 4, 3, pad=True)
    places = np.array([np.argsort(shuffled_numbers(feeder, seed)) for seed in range(300)])

    assert abs(np.corrcoef(places.mean(axis=0), np.arange(N_ROWS))[0, 1]) < 0.3
    np.testing.assert_allclose(places.mean(axis=0), (N_ROWS - 1) / 2, atol=10)  # 5 sigma: 8.6
    np.testing.assert_allclose(places.std(axis=0), N_ROWS / np.sqrt(12), rtol=0.2)


def test_shuffle_separates_neighbours():
    """Rows of a block are shuffled too: the next row comes before a row as often as after it."""
    feeder = Feeder(make_rows(), 4, 3, pad=True)
    ahead = [np.diff(np.argsort(shuffled_numbers(feeder, seed))) for seed in range(300)]

    assert abs(np.mean(np.array(ahead) > 0) - 0.5) < 0.02
    assert np.mean(np.abs(ahead) == 1) < 0.1


def test_only_indexed_rows_are_read():
    blocks, index = Blocks(), np.array([3, 5, 11, 67, 68, 102])
    feeder = Feeder(make_rows(make_source(blocks), index=index), 2, 2, pad=True)

    assert_array_equal(np.sort(shuffled_numbers(feeder)), index)
    assert_array_equal(row_numbers(feeder.in_order(None)), index)
    assert set(blocks.read) == {0, 10, 60, 100}


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        (make_source(), make_source(Blocks(-X), "X_clean")),
        (X, make_source(Blocks(-X), "X_clean")),
        (make_source(), -X),
        (make_source(), sparse.csr_array(-X)),
    ],
    ids=["both", "targets", "inputs", "sparse targets"],
)
def test_targets_and_weights_follow_rows(inputs, targets):
    weight = np.arange(N_ROWS, dtype=np.float32)
    feeder = Feeder(make_rows(inputs, targets, weight, np.arange(1, N_ROWS)), 4, 3, pad=True)

    for chunks in (shuffled(feeder), feeder.in_order(None)):
        n_rows = 0
        for x, y, w, _ in chunks:
            assert_array_equal(flat(y)[w.ravel() > 0], -flat(x)[w.ravel() > 0])
            assert_array_equal(w.ravel()[w.ravel() > 0], flat(x)[w.ravel() > 0, 0] / 2)
            n_rows += (w > 0).sum()
        assert n_rows == N_ROWS - 1


def test_nan_raises_during_epoch():
    broken = X.copy()
    broken[55, 1] = np.nan
    feeder = Feeder(make_rows(make_source(Blocks(broken))), 4, 3, pad=True)

    with pytest.raises(ValueError, match="row 55"):
        shuffled_numbers(feeder)
