"""Streams: every row once an epoch, moved among far places, from blocks that are read once."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skae import _sources, _streams
from skae._batches import Feeder, flat
from skae._records import Rows
from skae._sources import Source

N_ROWS = 103
X = np.arange(2.0 * N_ROWS, dtype=np.float32).reshape(N_ROWS, 2)  # a row says which it is


class Blocks:
    """Rows of which only slices can be had, in chunks of ten; notes what was read."""

    def __init__(self, data=X):
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.chunks = (10, 2)
        self.read = []

    def __getitem__(self, rows):
        self.read.append(rows.start)
        return self.data[rows]


@pytest.fixture(autouse=True)
def small_buffer(monkeypatch):
    monkeypatch.setattr(_sources, "BLOCK_VALUES", 20)  # ten rows
    monkeypatch.setattr(_streams, "BUFFER_VALUES", 80)  # 40 rows


def rows(inputs=None, targets=None, weight=None, index=range(N_ROWS)):
    inputs = Source(Blocks(), "X") if inputs is None else inputs
    return Rows(inputs, targets, weight, index)


def numbers(chunks):
    """The rows' numbers, in the order in which they come with weight."""
    seen = [flat(x)[weight.ravel() > 0] for x, _, weight, _ in chunks]
    return (np.concatenate(seen)[:, 0] / 2).astype(int)


def epoch(feeder, seed=0):
    return numbers(feeder.shuffled(np.random.default_rng(seed)))


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 50, 200])
@pytest.mark.parametrize("chunk_steps", [1, 3, 100])
def test_every_row_comes_once(pad, batch_size, chunk_steps):
    feeder = Feeder(rows(), batch_size, chunk_steps, pad=pad)

    for seed in range(2):
        assert_array_equal(np.sort(epoch(feeder, seed)), np.arange(N_ROWS))
    in_order = numbers(feeder.in_order(np.random.default_rng(0)))
    assert_array_equal(in_order, np.arange(N_ROWS))


def test_all_batches_but_the_last_are_full():
    chunks = Feeder(rows(), 4, 3, pad=True).shuffled(np.random.default_rng(0))
    sizes = np.concatenate([weight.sum(axis=1)[:n_steps] for *_, weight, n_steps in chunks])

    assert_array_equal(sizes, [4] * 25 + [3])


def test_order_is_the_generators_and_another_each_epoch():
    feeder = Feeder(rows(), 4, 3, pad=True)
    first = epoch(feeder, 0)

    assert not np.array_equal(epoch(feeder, 1), first)
    assert_array_equal(epoch(feeder, 0), first)
    assert_array_equal(epoch(Feeder(rows(), 4, 3, pad=True), 0), first)


def test_noise_does_not_change_the_order():
    class Noise:
        def start(self, rng):
            self.rng = rng

        def __call__(self, clean, out):
            out[...] = self.rng.standard_normal(clean.shape)

    noisy = Feeder(rows(), 4, 3, pad=True, corruption=Noise())
    chunks = noisy.shuffled(np.random.default_rng(0))
    clean = [(y.copy(), None, weight.copy(), n_steps) for _, y, weight, n_steps in chunks]
    assert_array_equal(numbers(clean), epoch(Feeder(rows(), 4, 3, pad=True)))


def test_each_block_is_read_once_an_epoch_and_in_another_order():
    first, second = Blocks(), Blocks()
    for seed, blocks in enumerate((first, second)):
        epoch(Feeder(rows(Source(blocks, "X")), 4, 3, pad=True), seed)

    assert sorted(first.read) == sorted(second.read) == list(range(0, N_ROWS, 10))
    assert first.read != second.read


def test_rows_move_anywhere():
    """A row's place in the epoch says nothing about its place in the source, and is each alike."""
    feeder = Feeder(rows(), 4, 3, pad=True)
    places = np.array([np.argsort(epoch(feeder, seed)) for seed in range(300)])

    assert abs(np.corrcoef(places.mean(axis=0), np.arange(N_ROWS))[0, 1]) < 0.3
    np.testing.assert_allclose(places.mean(axis=0), (N_ROWS - 1) / 2, atol=10)  # 5 sigma: 8.6
    np.testing.assert_allclose(places.std(axis=0), N_ROWS / np.sqrt(12), rtol=0.2)


def test_neighbours_are_parted():
    """Within a block rows do not keep their order: the next comes before as often as after."""
    feeder = Feeder(rows(), 4, 3, pad=True)
    ahead = [np.diff(np.argsort(epoch(feeder, seed))) for seed in range(300)]

    assert abs(np.mean(np.array(ahead) > 0) - 0.5) < 0.02
    assert np.mean(np.abs(ahead) == 1) < 0.1


def test_only_the_rows_of_the_index_come_and_blocks_without_any_are_not_read():
    blocks, index = Blocks(), np.array([3, 5, 11, 67, 68, 102])
    feeder = Feeder(rows(Source(blocks, "X"), index=index), 2, 2, pad=True)

    assert_array_equal(np.sort(epoch(feeder)), index)
    assert_array_equal(numbers(feeder.in_order(None)), index)
    assert set(blocks.read) == {0, 10, 60, 100}


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        (Source(Blocks(), "X"), Source(Blocks(-X), "X_clean")),
        (X, Source(Blocks(-X), "X_clean")),
        (Source(Blocks(), "X"), -X),
        (Source(Blocks(), "X"), sparse.csr_array(-X)),
    ],
    ids=["both", "targets", "inputs", "sparse targets"],
)
def test_targets_and_weights_go_with_their_rows(inputs, targets):
    weight = np.arange(N_ROWS, dtype=np.float32)
    feeder = Feeder(rows(inputs, targets, weight, np.arange(1, N_ROWS)), 4, 3, pad=True)

    for chunks in (feeder.shuffled(np.random.default_rng(0)), feeder.in_order(None)):
        n_rows = 0
        for x, y, w, _ in chunks:
            assert_array_equal(flat(y)[w.ravel() > 0], -flat(x)[w.ravel() > 0])
            assert_array_equal(w.ravel()[w.ravel() > 0], flat(x)[w.ravel() > 0, 0] / 2)
            n_rows += (w > 0).sum()
        assert n_rows == N_ROWS - 1


def test_rows_of_a_broken_block_raise_in_the_epoch():
    broken = X.copy()
    broken[55, 1] = np.nan
    feeder = Feeder(rows(Source(Blocks(broken), "X")), 4, 3, pad=True)

    with pytest.raises(ValueError, match="row 55"):
        epoch(feeder)
