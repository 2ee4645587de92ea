"""What goes on on a GPU, with the processor in its place."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from skae import DeepAutoencoder, DenoisingAutoencoder, _accelerator, _training
from skae._accelerator import ResidentFeeder, feeder_for, on_accelerator, sender
from skae._batches import Buffers, Feeder, GaussianCorruption
from skae._records import Rows

N_ROWS, N_FEATURES, BATCH, STEPS = 117, 6, 8, 5
DEVICE = "/job:localhost/replica:0/task:0/device:CPU:0"


def program(chunk_steps, jit=False, device=DEVICE):
    """Stand in for a `Program`, by what a feeder asks it for."""
    return SimpleNamespace(chunk_steps=chunk_steps, jit=jit, device=device)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def accelerator(monkeypatch):
    """Take the device for an accelerator."""
    for module in (_accelerator, _training):
        monkeypatch.setattr(module, "on_accelerator", lambda _: True)


def copied(chunks):
    return [tuple(np.array(part) for part in chunk) for chunk in chunks]


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("with_targets", [False, True])
def test_mini_batches_gathered_on_the_device_are_those_of_a_feeder(
    rng, monkeypatch, pad, weighted, dtype, with_targets
):
    monkeypatch.setattr(_accelerator, "SENT_BYTES", 100)  # several blocks
    X = (200 * rng.random((N_ROWS, N_FEATURES))).astype(dtype)
    rows = Rows(
        X,
        rng.random(X.shape) if with_targets else None,
        rng.random(N_ROWS).astype(np.float32) if weighted else None,
        np.flatnonzero(rng.random(N_ROWS) < 0.9),
    )
    feeder = Feeder(rows, BATCH, STEPS, pad=pad)
    resident = ResidentFeeder(program(STEPS, pad), rows, BATCH, None)
    for seed in (1, 2):
        for passes in ("shuffled", "in_order"):
            ours, theirs = (
                copied(getattr(one, passes)(np.random.default_rng(seed)))
                for one in (resident, feeder)
            )
            for our, their in zip(ours, theirs, strict=True):
                counts = their[2] > 0  # what fills up a mini-batch is of no weight, and any row
                np.testing.assert_array_equal(our[2], their[2])
                assert our[3] == their[3]
                for array, other in zip(our[:2], their[:2], strict=True):
                    np.testing.assert_array_equal(array[counts], other[counts])


def noise(scale, clip=None, seed=0, n_rows=4000):
    rows = Rows(np.zeros((n_rows, 50), np.float32), None, None, np.arange(n_rows))
    corruption = GaussianCorruption(scale, clip, n_rows, 50)
    feeder = ResidentFeeder(program(20), rows, 100, corruption)
    chunks = copied(feeder.shuffled(np.random.default_rng(seed)))
    assert all(not targets.any() for _, targets, *_ in chunks)
    return np.concatenate([inputs for inputs, *_ in chunks])


def test_noise_drawn_on_the_device_is_normal_and_new_in_each_step():
    steps = noise(0.5).reshape(40, -1)
    n = steps.size
    assert abs(steps.mean()) < 4 * 0.5 / np.sqrt(n)
    assert abs(steps.std() / 0.5 - 1) < 4 / np.sqrt(2 * n)
    assert abs(np.mean((steps / 0.5) ** 4) - 3) < 4 * np.sqrt(96 / n)
    correlations = np.corrcoef(steps)[np.triu_indices(40, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(steps.shape[1])


def test_noise_drawn_on_the_device_is_that_of_its_seed_and_clipped():
    np.testing.assert_array_equal(noise(0.5), noise(0.5))
    assert not np.array_equal(noise(0.5), noise(0.5, seed=1))
    np.testing.assert_array_equal(noise(0.5, (-0.1, 0.2)), np.clip(noise(0.5), -0.1, 0.2))


@pytest.mark.parametrize("apart", [True, False])
def test_chunks_that_are_sent_stay_as_they_were_when_the_buffers_change(rng, apart):
    buffers = Buffers.allocate((2, 30), 40, apart=apart)
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


def made(rows):
    return feeder_for(program(STEPS), rows, BATCH, 1, None)


@pytest.mark.usefixtures("accelerator")
def test_rows_lie_on_an_accelerator_if_they_fit_and_are_sent_in_chunks_if_not(rng, monkeypatch):
    rows = Rows(rng.random((N_ROWS, N_FEATURES)), None, None, np.arange(N_ROWS))
    assert isinstance(made(rows), ResidentFeeder)
    monkeypatch.setattr(_accelerator, "RESIDENT_BYTES", 4 * N_ROWS * N_FEATURES - 1)
    assert isinstance(made(rows), Feeder)


@pytest.mark.usefixtures("accelerator")
def test_rows_are_sent_in_chunks_where_the_memory_of_the_device_is_taken(rng, monkeypatch):
    def out_of_memory(X):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(_accelerator, "_moved", out_of_memory)
    rows = Rows(rng.random((N_ROWS, N_FEATURES)), None, None, np.arange(N_ROWS))
    feeder = made(rows)
    assert isinstance(feeder, Feeder)
    inputs, *_ = next(feeder.shuffled(rng))
    assert tf.is_tensor(inputs)


def test_a_gpu_is_an_accelerator_but_no_processor_and_no_device_of_a_strategy():
    gpu = program(STEPS, device=DEVICE.replace("CPU", "GPU"))
    assert on_accelerator(gpu)
    assert not on_accelerator(program(STEPS))
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        assert not on_accelerator(gpu)


@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("jit", [True, False])
def test_a_fit_on_an_accelerator_has_the_bits_of_one_without(rng, monkeypatch, resident, jit):
    X = rng.random((N_ROWS, N_FEATURES))
    params = {"hidden_layer_sizes": (5,), "batch_size": 16, "epochs": 3, "random_state": 0}
    monkeypatch.setattr(_training, "pays_for_xla", lambda *_: jit)
    if not resident:
        monkeypatch.setattr(_accelerator, "RESIDENT_BYTES", 0)
    weight = rng.random(N_ROWS)
    there = DeepAutoencoder(2, **params).fit(X, sample_weight=weight, X_val=X[:20])
    noisy = DenoisingAutoencoder(2, **params).fit(X)
    monkeypatch.undo()
    monkeypatch.setattr(_training, "pays_for_xla", lambda *_: jit)
    here = DeepAutoencoder(2, **params).fit(X, sample_weight=weight, X_val=X[:20])
    assert there.history_ == here.history_
    np.testing.assert_array_equal(there.transform(X), here.transform(X))
    assert noisy.history_["loss"][-1] < noisy.history_["loss"][0]
