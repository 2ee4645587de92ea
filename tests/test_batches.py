"""Chunks of mini-batches: every row once, in order, whatever it is stored in."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skae import _batches
from skae._batches import (
    ALIGNMENT,
    Feeder,
    GaussianCorruption,
    aligned_zeros,
    flat,
    take_rows,
)
from skae._records import Rows

X = np.random.default_rng(0).uniform(size=(23, 5)).astype(np.float32)


def rows(inputs=X, targets=None, weight=None, index=None):
    return Rows(inputs, targets, weight, np.arange(len(X)) if index is None else index)


def gather(feeder, order):
    """All chunks, copied, as they share their buffers."""
    chunks = feeder._chunks(feeder.reader.parts(np.asarray(order)), np.random.default_rng(0))
    return [(x.copy(), y.copy(), w.copy(), n) for x, y, w, n in chunks]


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 23, 50])
@pytest.mark.parametrize("chunk_steps", [1, 2, 100])
def test_every_row_comes_once_and_in_order(pad, batch_size, chunk_steps):
    order = np.random.default_rng(1).permutation(23)
    chunks = gather(Feeder(rows(), batch_size, chunk_steps, pad=pad), order)
    seen = np.concatenate([flat(inputs)[weight.ravel() > 0] for inputs, _, weight, _ in chunks])

    assert_array_equal(seen, X[order])
    assert sum(weight.sum() for *_, weight, _ in chunks) == 23
    assert sum(n_steps for *_, n_steps in chunks) == -(-23 // batch_size)


@pytest.mark.parametrize("pad", [False, True])
def test_padding_is_finite_and_of_weight_zero(pad):
    *_, (inputs, targets, weight, n_steps) = gather(Feeder(rows(), 4, 4, pad=pad), np.arange(23))

    assert n_steps == 2  # 16 rows went before; 7 are left
    assert weight.ravel()[:7].all()
    assert not weight.ravel()[7:].any()
    assert np.isfinite(inputs).all()
    assert np.isfinite(targets).all()
    assert inputs.shape == ((4 if pad else 2), 4, 5)


def test_a_worker_whose_share_is_one_core_gathers_the_same_without_a_thread(monkeypatch):
    order = np.random.default_rng(1).permutation(23)
    on_a_thread = gather(Feeder(rows(), 4, 2, pad=True), order)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(_batches, "ThreadPoolExecutor", None)
    alone = gather(Feeder(rows(), 4, 2, pad=True), order)

    assert len(alone) == len(on_a_thread) == 3
    for (inputs, _, weight, n_steps), (*others, other_weight, other_n) in zip(
        alone, on_a_thread, strict=True
    ):
        assert n_steps == other_n
        assert_array_equal(weight, other_weight)
        assert_array_equal(inputs[weight > 0], others[0][weight > 0])


def test_every_batch_that_counts_has_a_row_of_weight():
    for *_, weight, n_steps in gather(Feeder(rows(), 4, 3, pad=True), np.arange(23)):
        assert (weight[:n_steps].sum(axis=1) > 0).all()


def test_weights_and_targets_go_with_their_rows():
    weight = np.arange(1, 24, dtype=np.float32)
    order = np.random.default_rng(1).permutation(23)
    ((inputs, targets, weights, _),) = gather(
        Feeder(rows(targets=-X, weight=weight), 4, 6, pad=True), order
    )

    assert_array_equal(flat(targets)[:23], -X[order])
    assert_array_equal(flat(inputs)[:23], X[order])
    assert_array_equal(weights.ravel()[:23], weight[order])


def test_only_the_rows_of_the_index_come():
    index = np.array([3, 5, 11])
    ((inputs, _, weight, _),) = gather(Feeder(rows(index=index), 2, 2, pad=True), [2, 0, 1])

    assert_array_equal(flat(inputs)[weight.ravel() > 0], X[[11, 3, 5]])


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
def test_rows_are_taken_as_float32_from_any_storage(stored):
    out = aligned_zeros((4, 5))
    out[...] = 7  # what a chunk before has left
    take_rows(stored, np.array([2, 0, 22, 2]), out)

    assert_array_equal(out, X[[2, 0, 22, 2]])


@pytest.mark.parametrize("shape", [(3,), (5, 7), (2, 3, 784)])
def test_buffers_are_aligned_zeros(shape):
    buffer = aligned_zeros(shape)

    assert buffer.ctypes.data % ALIGNMENT == 0
    assert buffer.shape == shape
    assert buffer.dtype == np.float32
    assert not buffer.any()


@pytest.mark.parametrize("scale", [None, 0.5])
def test_epochs_asked_for_together_are_those_asked_for_one_by_one(scale):
    corruption = scale and GaussianCorruption(scale, None, *X.shape)
    weight = np.arange(1, 24, dtype=np.float32)

    def epochs(feeder, *seeds):
        ((*arrays, n_steps),) = feeder.shuffled(*map(np.random.default_rng, seeds))
        assert n_steps == 6 * len(seeds)  # the last of six has three rows of four
        return [array.copy() for array in arrays]

    feeder = Feeder(rows(weight=weight), 4, 100, pad=False, n_epochs=3, corruption=corruption)
    epochs(feeder, 7, 8, 9)  # what stays in the buffers is of no matter
    together = epochs(feeder, 1, 2)
    alone = [epochs(feeder, seed) for seed in (1, 2)]

    for one, of_epochs in zip(together, zip(*alone, strict=True), strict=True):
        assert_array_equal(one, np.concatenate(of_epochs))


def test_clean_rows_are_the_targets_of_corrupted_inputs():
    class Double:
        def start(self, rng):
            self.started = rng

        def __call__(self, clean, out):
            np.multiply(clean, 2, out=out)

    ((inputs, targets, *_),) = gather(
        Feeder(rows(), 4, 6, pad=True, corruption=Double()), np.arange(23)
    )

    assert_array_equal(flat(targets)[:23], X)
    assert_array_equal(flat(inputs)[:23], 2 * X)
