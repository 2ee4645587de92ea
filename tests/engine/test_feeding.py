"""Feeding an accelerator; a processor stands in for it."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from specs import make_spec

from skae import (
    DeepAutoencoder,
    DenoisingAutoencoder,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
)
from skae._corruption.epochs import epoch_noise
from skae._engine import feeding
from skae._engine.feeding import ResidentFeeder, make_feeder, on_accelerator, sender
from skae._engine.limits import Limits
from skae._rows.batches.dense import DenseBuffers
from skae._rows.batches.feeder import Feeder
from skae._rows.rows import Rows
from skae._training import fit
from tests.corruption.cells import (
    KINDS,
    check_independent,
    check_share,
    check_uncorrelated,
    check_uniform,
    distances,
    distinct_rows,
)

N_ROWS, N_FEATURES, BATCH, STEPS = 117, 6, 8, 5
ZEROS = np.zeros((4000, 50))
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


def corrupted(corruption, seed=0, X=ZEROS):
    """Corrupt rows on the device, in their own order."""
    rows = Rows(X.astype(np.float32), None, None, np.arange(len(X)))
    feeder = ResidentFeeder(program(20, batch_size=100), rows, corruption, sent_bytes=1 << 20)
    chunks = copied(in_order(feeder, seed))
    targets = np.concatenate([targets.reshape(-1, 50) for _, targets, *_ in chunks])
    np.testing.assert_array_equal(targets, X.astype(np.float32))
    return np.concatenate([inputs.reshape(-1, 50) for inputs, *_ in chunks])


def test_noise_on_device_is_normal():
    """It is drawn again for each step."""
    steps = corrupted(GaussianNoise(0.5)).reshape(40, -1)  # of 100 rows each
    n = steps.size
    assert abs(steps.mean()) < 4 * 0.5 / np.sqrt(n)
    assert abs(steps.std() / 0.5 - 1) < 4 / np.sqrt(2 * n)
    assert abs(np.mean((steps / 0.5) ** 4) - 3) < 4 * np.sqrt(96 / n)
    correlations = np.corrcoef(steps)[np.triu_indices(40, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(steps.shape[1])


def test_device_scales_each_feature():
    scale = np.linspace(0, 2, 50)
    deviations = corrupted(GaussianNoise(scale)).std(axis=0)
    np.testing.assert_allclose(deviations, scale, rtol=5 / np.sqrt(2 * 4000))


def batches(corruption, X, make=ResidentFeeder, batch_size=100, pad=False):
    """Return the clean and the corrupted rows of each mini-batch of an epoch, without padding."""
    rows = Rows(X.astype(np.float32), None, None, np.arange(len(X)))
    if make is ResidentFeeder:
        feeder = ResidentFeeder(program(20, pad, batch_size=batch_size), rows, corruption, 1 << 20)
    else:
        noise = epoch_noise(corruption, *X.shape)
        feeder = Feeder(rows, batch_size, 20, pad=pad, corruption=noise)
    for inputs, targets, weight, _ in copied(shuffled(feeder, 0)):
        for step, counts in enumerate(weight > 0):
            if counts.any():
                yield targets[step, counts], inputs[step, counts]


def masks_on_device(corruption):
    """Return which cells are replaced, for each mini-batch."""
    pairs = batches(corruption, distinct_rows(4000, 50))
    return np.array([clean != noisy for clean, noisy in pairs])


def test_shares_on_device_vary():
    """Each row has another share of unknown values, uniform from 0 to 0.8."""
    pairs = batches(MaskingNoise(0.8, fill_value=np.nan, vary=True), distinct_rows(4000, 50))
    shares = np.concatenate([np.isnan(noisy).mean(axis=1) for _, noisy in pairs])
    assert abs(shares.mean() - 0.4) < 4 * 0.8 / np.sqrt(12 * 4000)
    assert abs(np.quantile(shares, 0.9) - 0.72) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_cells_on_device_are_random(kind):
    """A share of the values is replaced, independently and again for each step."""
    masks = masks_on_device(kind(0.3, **KINDS[kind]))
    check_share(masks.reshape(-1, 50), 0.3)
    check_uncorrelated(masks.reshape(40, -1))
    check_uncorrelated(masks.reshape(-1, 50).T)


@pytest.mark.parametrize("kind", KINDS)
def test_device_has_rates_per_feature(kind):
    fraction = np.linspace(0, 1, 50)
    shares = masks_on_device(kind(fraction, **KINDS[kind])).mean(axis=(0, 1))
    assert np.all(abs(shares - fraction) <= 5 * np.sqrt(fraction * (1 - fraction) / 4000))


@pytest.mark.parametrize("kind", [MaskingNoise, SwapNoise])
def test_device_replaces_groups_at_once(kind):
    groups = [[0, 30], [7, 8, 9, 10]]
    masks = masks_on_device(kind(0.3, groups=groups, **KINDS[kind])).reshape(-1, 50)
    check_share(masks, 0.3)
    for first, *others in groups:
        for other in others:
            np.testing.assert_array_equal(masks[:, other], masks[:, first])
    alone = np.delete(np.arange(50), [30, 8, 9, 10])
    check_uncorrelated(masks[:, alone].T)


def test_salt_on_device_is_random():
    noisy = corrupted(SaltAndPepperNoise(0.4, salt_vs_pepper=0.3, low=-1))
    check_share(noisy == 1, 0.4 * 0.3)
    check_share(noisy == -1, 0.4 * 0.7)


@pytest.mark.parametrize("make", [ResidentFeeder, Feeder])
@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("n_rows", [6 * 25, 6 * 25 + 3])
def test_donors_are_in_the_batch(make, pad, n_rows):
    """They are the other rows of the mini-batch, all equally often, and never the padding."""
    X = np.repeat(np.arange(n_rows)[:, None], 4000, axis=1)
    groups = [[0, 1], [2, 3, 4]]
    corruption = SwapNoise(1, groups=groups)
    shifts = [distances(*pair) for pair in batches(corruption, X, make, batch_size=6, pad=pad)]
    for batch in shifts:
        check_uniform(batch, len(batch))
        np.testing.assert_array_equal(batch[:, 0], batch[:, 1])
        np.testing.assert_array_equal(batch[:, 2:4], batch[:, 3:5])
    whole = np.array(shifts[:25])[..., 4:]
    check_independent(whole[..., 1:], whole[..., :-1])
    check_independent(whole[:, 1:], whole[:, :-1])
    check_independent(whole[1:], whole[:-1])


@pytest.mark.parametrize("make", [ResidentFeeder, Feeder])
def test_batch_of_one_row_stays(make):
    X = distinct_rows(7, 50)
    *_, (clean, noisy) = batches(SwapNoise(1), X, make, batch_size=3)
    np.testing.assert_array_equal(noisy, clean)
    for clean, noisy in batches(SwapNoise(1), X, make, batch_size=1):
        np.testing.assert_array_equal(noisy, clean)


@pytest.mark.parametrize(
    "corruption",
    [GaussianNoise(0.5), MaskingNoise(0.3, fill_value=1), SaltAndPepperNoise(low=-1), SwapNoise()],
)
def test_seed_determines_corruption_on_device(corruption):
    X = np.random.default_rng(0).random((4000, 50))
    one, same, other = (corrupted(corruption, seed, X=X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_noise_on_device_is_clipped():
    clipped = corrupted(GaussianNoise(0.5, clip=(-0.1, 0.2)))
    np.testing.assert_array_equal(clipped, np.clip(corrupted(GaussianNoise(0.5)), -0.1, 0.2))


@pytest.mark.parametrize("apart", [True, False])
def test_sent_chunks_are_copies(rng, apart):
    buffers = DenseBuffers.allocate((2, 30), 40, separate_targets=apart)
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
    for kind in (GaussianNoise, *KINDS):
        assert isinstance(make(rows, kind()), ResidentFeeder)
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
    gpu = DEVICE.replace("CPU", "GPU")
    assert on_accelerator(gpu)
    assert not on_accelerator(DEVICE)
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
