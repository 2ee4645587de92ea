"""Feeding an accelerator; a processor stands in for it."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from specs import make_spec

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise, MaskingNoise
from skae._engine import feeding
from skae._engine.feeding import ResidentFeeder, make_feeder, on_accelerator, sender
from skae._engine.limits import Limits
from skae._rows.batches import Buffers, Feeder
from skae._rows.rows import Rows
from skae._training import fit

N_ROWS, N_FEATURES, BATCH, STEPS = 117, 6, 8, 5
DEVICE = "/job:localhost/replica:0/task:0/device:CPU:0"


def program(chunk_steps, jit=False, device=DEVICE, batch_size=BATCH):
    """Return the attributes of a `Program` that feeders use."""
    spec = make_spec(batch_size=batch_size)
    return SimpleNamespace(spec=spec, chunk_steps=chunk_steps, jit=jit, device=device)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def accelerator(monkeypatch):
    """Treat the processor as an accelerator."""
    for module in (feeding, fit):
        monkeypatch.setattr(module, "on_accelerator", lambda _: True)


def shuffled(feeder, seed):
    return feeder.shuffled([np.random.default_rng(seed)], [np.random.default_rng(seed + 100)])


def in_order(feeder, seed):
    return feeder.in_order(np.random.default_rng(seed))


def copied(chunks):
    return [tuple(np.array(part) for part in chunk) for chunk in chunks]


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("with_targets", [False, True])
def test_resident_batches_match_a_feeder(rng, pad, weighted, dtype, with_targets):
    """Mini-batches that are gathered on the device have the bits of those from a `Feeder`."""
    X = (200 * rng.random((N_ROWS, N_FEATURES))).astype(dtype)
    rows = Rows(
        X,
        rng.random(X.shape) if with_targets else None,
        rng.random(N_ROWS).astype(np.float32) if weighted else None,
        np.flatnonzero(rng.random(N_ROWS) < 0.9),
    )
    feeder = Feeder(rows, BATCH, STEPS, pad=pad)
    resident = ResidentFeeder(program(STEPS, pad), rows, None, sent_bytes=100)  # several blocks
    for seed in (1, 2):
        for passes in (shuffled, in_order):
            ours, theirs = (copied(passes(one, seed)) for one in (resident, feeder))
            for our, their in zip(ours, theirs, strict=True):
                counts = their[2] > 0  # rows that fill the last mini-batch may be any
                np.testing.assert_array_equal(our[2], their[2])
                assert our[3] == their[3]
                for array, other in zip(our[:2], their[:2], strict=True):
                    np.testing.assert_array_equal(array[counts], other[counts])


def corrupted(corruption, seed=0, n_rows=4000):
    """Corrupt zeros on the device."""
    rows = Rows(np.zeros((n_rows, 50), np.float32), None, None, np.arange(n_rows))
    feeder = ResidentFeeder(program(20, batch_size=100), rows, corruption, sent_bytes=1 << 20)
    chunks = copied(shuffled(feeder, seed))
    assert all(not targets.any() for _, targets, *_ in chunks)
    return np.concatenate([inputs for inputs, *_ in chunks])


def test_noise_on_device_is_normal():
    """It is drawn again for each step."""
    steps = corrupted(GaussianNoise(0.5)).reshape(40, -1)
    n = steps.size
    assert abs(steps.mean()) < 4 * 0.5 / np.sqrt(n)
    assert abs(steps.std() / 0.5 - 1) < 4 / np.sqrt(2 * n)
    assert abs(np.mean((steps / 0.5) ** 4) - 3) < 4 * np.sqrt(96 / n)
    correlations = np.corrcoef(steps)[np.triu_indices(40, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(steps.shape[1])


def test_masks_on_device_are_random():
    """A share of the values is replaced, independently and again for each step."""
    steps = corrupted(MaskingNoise(0.3, fill_value=7)).reshape(40, -1)
    assert set(np.unique(steps)) == {0, 7}
    masks = steps == 7
    assert abs(masks.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / masks.size)
    correlations = np.corrcoef(masks)[np.triu_indices(40, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(masks.shape[1])


@pytest.mark.parametrize("corruption", [GaussianNoise(0.5), MaskingNoise(0.3, fill_value=1)])
def test_seed_determines_corruption_on_device(corruption):
    np.testing.assert_array_equal(corrupted(corruption), corrupted(corruption))
    assert not np.array_equal(corrupted(corruption), corrupted(corruption, seed=1))


def test_noise_on_device_is_clipped():
    clipped = corrupted(GaussianNoise(0.5, clip=(-0.1, 0.2)))
    np.testing.assert_array_equal(clipped, np.clip(corrupted(GaussianNoise(0.5)), -0.1, 0.2))


@pytest.mark.parametrize("apart", [True, False])
def test_sent_chunks_are_copies(rng, apart):
    buffers = Buffers.allocate((2, 30), 40, separate_targets=apart)
    for buffer in buffers:
        buffer[:] = rng.random(buffer.shape)
    before = [buffer.copy() for buffer in buffers]
    *sent, n_steps = sender(DEVICE)(*buffers, 2)
    for buffer in buffers:
        buffer[:] = 0
    for tensor, array in zip(sent, before, strict=True):
        np.testing.assert_array_equal(tensor, array)
    assert (sent[0] is sent[1]) == (not apart)
    assert n_steps == 2


def make(rows, corruption=None, **limits):
    return make_feeder(program(STEPS), rows, corruption, Limits(**limits))


class OwnNoise(GaussianNoise):
    """A user's corruption, which has no form for a device."""

    def corrupt(self, X, rng):
        return X + 1


@pytest.mark.usefixtures("accelerator")
def test_accelerator_keeps_rows_that_fit(rng):
    """It is sent chunks of other rows, and of rows with a corruption that it cannot compute."""
    rows = Rows(rng.random((N_ROWS, N_FEATURES)), None, None, np.arange(N_ROWS))
    n_bytes = 4 * N_ROWS * N_FEATURES
    assert isinstance(make(rows, resident_bytes=n_bytes), ResidentFeeder)
    assert isinstance(make(rows, resident_bytes=n_bytes - 1), Feeder)
    assert isinstance(make(rows, GaussianNoise()), ResidentFeeder)
    feeder = make(rows, OwnNoise())
    assert isinstance(feeder, Feeder)
    inputs, targets, *_ = next(shuffled(feeder, 0))
    np.testing.assert_allclose(inputs, targets + 1, rtol=1e-6)


@pytest.mark.usefixtures("accelerator")
def test_full_accelerator_is_sent_chunks(rng, monkeypatch):
    def out_of_memory(X, sent_bytes):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(feeding, "_copy_to_device", out_of_memory)
    rows = Rows(rng.random((N_ROWS, N_FEATURES)), None, None, np.arange(N_ROWS))
    feeder = make(rows)
    assert isinstance(feeder, Feeder)
    inputs, *_ = next(shuffled(feeder, 0))
    assert tf.is_tensor(inputs)


def test_only_single_gpus_are_accelerators():
    """Neither a processor is one, nor a device of a strategy."""
    gpu = program(STEPS, device=DEVICE.replace("CPU", "GPU"))
    assert on_accelerator(gpu)
    assert not on_accelerator(program(STEPS))
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        assert not on_accelerator(gpu)


@pytest.mark.parametrize("resident_bytes", [1 << 31, 0])
@pytest.mark.parametrize("jit", [True, False])
def test_fit_on_accelerator_keeps_bits(rng, monkeypatch, resident_bytes, jit):
    X, weight = rng.random((N_ROWS, N_FEATURES)), rng.random(N_ROWS)
    params = {"hidden_layer_sizes": (5,), "batch_size": 16, "epochs": 3, "random_state": 0}

    def make_estimator(kind):
        estimator = kind(2, **params)
        estimator._limits = Limits(xla=jit, resident_bytes=resident_bytes)
        return estimator

    here = make_estimator(DeepAutoencoder).fit(X, sample_weight=weight, X_val=X[:20])
    for module in (feeding, fit):
        monkeypatch.setattr(module, "on_accelerator", lambda _: True)
    there = make_estimator(DeepAutoencoder).fit(X, sample_weight=weight, X_val=X[:20])
    noisy = make_estimator(DenoisingAutoencoder).fit(X)
    assert there.history_ == here.history_
    np.testing.assert_array_equal(there.transform(X), here.transform(X))
    assert noisy.history_["loss"][-1] < noisy.history_["loss"][0]
