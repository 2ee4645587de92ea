"""Chunks of mini-batches contain every row once, in order, in any storage."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skae._rows.batches.dense import ALIGNMENT, aligned_zeros, flat
from skae._rows.batches.feeder import Feeder
from skae._rows.batches.sparse import count_values, most_values, round_up
from skae._rows.readers import take_rows
from skae._rows.rows import Rows

X = np.random.default_rng(0).uniform(size=(23, 5)).astype(np.float32)
ORDER = np.random.default_rng(1).permutation(23)


def make_rows(inputs=X, targets=None, weight=None, index=None):
    return Rows(inputs, targets, weight, np.arange(len(X)) if index is None else index)


def copy_chunks(chunks):
    """Copy every chunk, because chunks share their buffers."""
    return [(x.copy(), y.copy(), w.copy(), n) for x, y, w, n in chunks]


def shuffled(feeder):
    """Copies of all chunks, with the rows in ``ORDER``."""
    return copy_chunks(feeder.shuffled([np.random.default_rng(1)], [np.random.default_rng(0)]))


def in_order(feeder):
    """Copies of all chunks, with the rows in their own order."""
    return copy_chunks(feeder.in_order(np.random.default_rng(0)))


class Doubling:
    """Corruption that doubles every value, and remembers the threads that called it."""

    def __init__(self):
        self.threads = set()

    def start(self, rng):
        pass

    def __call__(self, clean, out):
        self.threads.add(threading.current_thread())
        np.multiply(clean, 2, out=out)


class Noise:
    """Corruption that adds normal noise."""

    def start(self, rng):
        self.rng = rng

    def __call__(self, clean, out):
        np.add(clean, self.rng.standard_normal(clean.shape, np.float32), out=out)


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 23, 50])
@pytest.mark.parametrize("chunk_steps", [1, 2, 100])
def test_every_row_once_in_order(pad, batch_size, chunk_steps):
    chunks = shuffled(Feeder(make_rows(), batch_size, chunk_steps, pad=pad))
    seen = np.concatenate([flat(inputs)[weight.ravel() > 0] for inputs, _, weight, _ in chunks])

    assert_array_equal(seen, X[ORDER])
    assert sum(weight.sum() for *_, weight, _ in chunks) == 23
    assert sum(n_steps for *_, n_steps in chunks) == -(-23 // batch_size)


@pytest.mark.parametrize("pad", [False, True])
def test_padding_is_finite_without_weight(pad):
    *_, (inputs, targets, weight, n_steps) = in_order(Feeder(make_rows(), 4, 4, pad=pad))

    assert n_steps == 2  # the chunk before has 16 rows, and 7 remain
    assert weight.ravel()[:7].all()
    assert not weight.ravel()[7:].any()
    assert np.isfinite(inputs).all()
    assert np.isfinite(targets).all()
    assert inputs.shape == ((4 if pad else 2), 4, 5)


@pytest.mark.parametrize("n_cores", ["1", "2"])
def test_single_core_needs_no_thread(n_cores, monkeypatch):
    """A joblib worker with one core gathers the same chunks, on the thread that trains."""
    monkeypatch.setenv("OMP_NUM_THREADS", n_cores)
    corruption = Doubling()
    chunks = shuffled(Feeder(make_rows(), 4, 2, pad=True, corruption=corruption))

    assert (threading.current_thread() in corruption.threads) == (n_cores == "1")
    assert len(chunks) == 3
    seen = np.concatenate([flat(inputs)[weight.ravel() > 0] for inputs, _, weight, _ in chunks])
    assert_array_equal(seen, 2 * X[ORDER])


def test_every_counted_batch_has_weight():
    for *_, weight, n_steps in in_order(Feeder(make_rows(), 4, 3, pad=True)):
        assert (weight[:n_steps].sum(axis=1) > 0).all()


def test_weights_and_targets_follow_rows():
    weight = np.arange(1, 24, dtype=np.float32)
    feeder = Feeder(make_rows(targets=-X, weight=weight), 4, 6, pad=True)
    ((inputs, targets, weights, _),) = shuffled(feeder)

    assert_array_equal(flat(targets)[:23], -X[ORDER])
    assert_array_equal(flat(inputs)[:23], X[ORDER])
    assert_array_equal(weights.ravel()[:23], weight[ORDER])


def test_only_indexed_rows():
    index = np.array([3, 5, 11])
    ((inputs, _, weight, _),) = in_order(Feeder(make_rows(index=index), 2, 2, pad=True))

    assert_array_equal(flat(inputs)[weight.ravel() > 0], X[index])


@pytest.mark.parametrize(
    "stored",
    [
        X,
        X.astype(np.float64),
        np.asfortranarray(X),
        np.repeat(X, 2, axis=1)[:, ::2],
        X.astype(">f4"),
        sparse.csr_matrix(X),
        sparse.csr_array(X.astype(np.float64)),
    ],
    ids=["float32", "float64", "fortran", "strided", "swapped", "csr matrix", "csr array"],
)
def test_take_rows_from_any_storage(stored):
    out = aligned_zeros((4, 5))
    out[...] = 7  # left over from a previous chunk
    take_rows(stored, np.array([2, 0, 22, 2]), out)

    assert_array_equal(out, X[[2, 0, 22, 2]])


@pytest.mark.parametrize("shape", [(3,), (5, 7), (2, 3, 784)])
def test_buffers_are_aligned_zeros(shape):
    buffer = aligned_zeros(shape)

    assert buffer.ctypes.data % ALIGNMENT == 0
    assert buffer.shape == shape
    assert buffer.dtype == np.float32
    assert not buffer.any()


@pytest.mark.parametrize("corruption", [None, Noise()], ids=["clean", "noisy"])
def test_several_epochs_in_one_chunk(corruption):
    """Epochs that are requested together are the same as epochs that are requested one by one."""
    weight = np.arange(1, 24, dtype=np.float32)

    def epochs(feeder, *seeds):
        orders = [np.random.default_rng(seed) for seed in seeds]
        noises = [np.random.default_rng(100 + seed) for seed in seeds]
        ((*arrays, n_steps),) = feeder.shuffled(orders, noises)
        assert n_steps == 6 * len(seeds)  # the last of six mini-batches has three rows of four
        return [array.copy() for array in arrays]

    feeder = Feeder(make_rows(weight=weight), 4, 100, pad=False, n_epochs=3, corruption=corruption)
    epochs(feeder, 7, 8, 9)  # leaves other rows in the buffers
    together = epochs(feeder, 1, 2)
    one_by_one = [epochs(feeder, seed) for seed in (1, 2)]

    for array, of_epochs in zip(together, zip(*one_by_one, strict=True), strict=True):
        assert_array_equal(array, np.concatenate(of_epochs))


def made_dense(rows, n_steps):
    """Return the rows of the first mini-batches of `SparseRows`, four in each."""
    dense = np.zeros((n_steps, 4, X.shape[1]), np.float32)
    row, column, value = (array[:n_steps] for array in rows)
    np.add.at(dense, (np.arange(n_steps)[:, None], row, column), value)
    return flat(dense)


def sparse_epoch(chunks):
    """Return the inputs, the targets and the weights of an epoch."""
    parts = [
        (made_dense(inputs, n_steps), made_dense(targets, n_steps), weight[:n_steps].flatten())
        for inputs, targets, weight, n_steps in chunks
    ]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


@pytest.mark.parametrize("chunk_steps", [1, 3, 100])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_array, sparse.csr_matrix])
def test_sparse_chunks_hold_the_same_rows(stored, paired, chunk_steps):
    """There are two passes, because the second one finds values of the first in its buffers."""
    few = np.where(X < 0.4, X, 0)
    clean = np.roll(few, 1, axis=1) if paired else few
    weight, index = np.arange(23, dtype=np.float32), np.flatnonzero(X[:, 0] < 0.8)
    rows = Rows(stored(few), stored(clean) if paired else None, weight, index)
    feeder = Feeder(rows, 4, chunk_steps, pad=True, n_entries=20)
    order = np.random.default_rng(1).permutation(len(index))
    for numbers, chunks in (
        (index[order], feeder.shuffled([np.random.default_rng(1)], [None])),
        (index, feeder.in_order(None)),
    ):
        inputs, targets, weights = sparse_epoch(chunks)
        n_rows = len(numbers)
        assert_array_equal(inputs[:n_rows], few[numbers])
        assert_array_equal(targets[:n_rows], clean[numbers])
        assert_array_equal(weights[:n_rows], weight[numbers])
        assert not weights[n_rows:].any()


def test_numbers_of_values():
    few = np.where(X < 0.4, X, 0)
    counts = np.count_nonzero(few, axis=1)
    for stored in (few, few.astype(np.float64), sparse.csr_array(few)):
        assert_array_equal(count_values(make_rows(stored), share=0.5), counts)
        assert count_values(make_rows(stored), share=counts.sum() / few.size - 0.01) is None
    of_pairs = count_values(make_rows(few, targets=np.roll(few, 1, axis=0)), share=0.5)
    assert_array_equal(of_pairs, np.maximum(counts, np.roll(counts, 1)))
    assert most_values(counts, 4) == max(counts[i : i + 4].sum() for i in range(0, 23, 4))


def test_rounding_up_adds_half_at_most():
    numbers = np.arange(1, 5000)
    rounded = np.array([round_up(int(n)) for n in numbers])

    assert (rounded >= numbers).all()
    assert (rounded < numbers * 1.5).all()
    assert len(set(rounded)) < 30


def test_targets_of_corrupted_inputs_are_clean():
    ((inputs, targets, *_),) = in_order(Feeder(make_rows(), 4, 6, pad=True, corruption=Doubling()))

    assert_array_equal(flat(targets)[:23], X)
    assert_array_equal(flat(inputs)[:23], 2 * X)
