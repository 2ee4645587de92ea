"""Noise, of the transformer and of training: its distribution, its independence, its clip."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import stats
from sklearn.pipeline import make_pipeline

from skae import GaussianNoise
from skae._batches import GaussianCorruption

N_FEATURES = 64


def corruption(pooled, scale=0.5, clip=None):
    made = GaussianCorruption(scale, clip, 1_000_000 if pooled else 1000, N_FEATURES)
    assert made.pooled == pooled
    return made


def draw(noise, n_rows=4000, seed=0, start=True, clean=0.0):
    """Noise of one step, in float64."""
    if start:
        noise.start(np.random.default_rng(seed))
    out = np.empty((n_rows, N_FEATURES), np.float32)
    noise(np.full(out.shape, clean, np.float32), out)
    return out.astype(np.float64)


each_way = pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])


def check_normal(sample, scale):
    """Mean, standard deviation, skewness and kurtosis, each to within five standard errors."""
    n = sample.size
    assert abs(sample.mean()) < 5 * scale / np.sqrt(n)
    assert abs(sample.std() / scale - 1) < 5 / np.sqrt(2 * n)
    assert abs(stats.skew(sample.ravel())) < 5 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(sample.ravel())) < 5 * np.sqrt(24 / n)


# ---------------------------------------------------------------------- in training


@each_way
def test_training_noise_is_normal(pooled):
    check_normal(draw(corruption(pooled), 4000), 0.5)


@each_way
def test_each_feature_is_normal(pooled):
    sample = draw(corruption(pooled, scale=1.0), 4000)

    assert abs(sample.mean(axis=0)).max() < 5 / np.sqrt(4000)
    assert abs(sample.std(axis=0) - 1).max() < 5 / np.sqrt(8000)


@each_way
def test_steps_are_independent(pooled):
    noise = corruption(pooled)
    first, second = draw(noise), draw(noise, start=False)

    assert not np.array_equal(first, second)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5 / np.sqrt(first.size)


@each_way
def test_epochs_are_independent(pooled):
    noise = corruption(pooled)
    first, second = draw(noise, seed=[0, 0]), draw(noise, seed=[0, 1])

    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5 / np.sqrt(first.size)


@each_way
def test_rows_and_features_are_independent(pooled):
    """The correlations are those of independent normal numbers: of deviation 1 / sqrt(n)."""
    sample = draw(corruption(pooled), 2000)
    for variables, n in ((sample[:400], N_FEATURES), (sample.T, 2000)):
        correlations = np.corrcoef(variables)[np.triu_indices(len(variables), 1)]
        assert abs(correlations.mean()) < 5 / np.sqrt(n * correlations.size)
        assert correlations.std() == pytest.approx(1 / np.sqrt(n), rel=0.1)


def test_rows_of_the_pool_seldom_share_numbers():
    sample = draw(corruption(True), 2000)
    distinct = np.unique(sample).size

    # two windows of 64 out of two million overlap with a probability of 6e-5
    assert distinct > 0.9 * sample.size


@each_way
def test_the_same_seed_draws_the_same_noise(pooled):
    assert_array_equal(draw(corruption(pooled), seed=3), draw(corruption(pooled), seed=3))


@each_way
def test_training_noise_is_added_and_then_clipped(pooled):
    free = draw(corruption(pooled), clean=0.25)
    clipped = draw(corruption(pooled, clip=(0, 1)), clean=0.25)

    assert_array_equal(clipped, np.clip(free, 0, 1))
    assert abs(free.mean() - 0.25) < 5 * 0.5 / np.sqrt(free.size)


def test_a_scale_of_zero_is_no_noise():
    assert_array_equal(draw(corruption(False, scale=0.0), clean=0.25), 0.25)


# ---------------------------------------------------------------------- of the transformer


def test_the_transformers_noise_is_normal():
    X = np.zeros((2000, 100))
    check_normal(GaussianNoise(0.3, random_state=0).fit_transform(X), 0.3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_the_transformer_gives_float32_for_float32_and_else_float64(dtype):
    X = np.ones((3, 4), dtype)
    noisy = GaussianNoise(random_state=0).fit_transform(X)

    assert noisy.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert_array_equal(X, 1)


def test_the_transformer_clips():
    X = np.full((200, 50), 0.5)
    free = GaussianNoise(1.0, random_state=0).fit_transform(X)
    clipped = GaussianNoise(1.0, clip=(0, 1), random_state=0).fit_transform(X)

    assert_array_equal(clipped, np.clip(free, 0, 1))
    assert free.min() < 0
    assert free.max() > 1


def test_the_transformers_seed_decides():
    X = np.zeros((5, 6))
    one, same, other, new, newer = (
        GaussianNoise(random_state=seed).fit_transform(X) for seed in (0, 0, 1, None, None)
    )

    assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(new, newer)


def test_the_transformer_needs_no_fit_and_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    GaussianNoise().transform(np.zeros((5, 6)))

    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_transformer_keeps_names_and_frames():
    frame = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]}, index=[3, 4])
    noise = GaussianNoise(random_state=0).set_output(transform="pandas")
    noisy = noise.fit_transform(frame)

    assert list(noise.get_feature_names_out()) == ["a", "b"]
    assert list(noisy.columns) == ["a", "b"]
    assert list(noisy.index) == [3, 4]


def test_the_transformer_stands_in_a_pipeline(small, X):
    pipeline = make_pipeline(GaussianNoise(0.1, clip=(0, 1), random_state=0), small())

    assert pipeline.fit_transform(X).shape == (300, 4)
