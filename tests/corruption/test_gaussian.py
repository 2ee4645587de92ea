"""`GaussianNoise`: the distribution of its noise, in `transform` and in training."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from skae import GaussianNoise
from skae._corruption.epochs import FreshNoise, NoiseTable, epoch_noise

N_FEATURES = 64
KINDS = {"fresh": (FreshNoise, 1000), "table": (NoiseTable, 1_000_000)}  # with the number of rows
each_kind = pytest.mark.parametrize("kind", KINDS)


def make_noise(kind, scale=0.5, clip=None):
    """Return the noise that training chooses for few or for many rows."""
    expected, n_rows = KINDS[kind]
    noise = epoch_noise(GaussianNoise(scale, clip=clip), n_rows, N_FEATURES)
    assert type(noise) is expected
    return noise


def draw(noise, n_rows=4000, seed=0, start=True, clean=0.0):
    """Return the corrupted rows of one step, in float64."""
    if start:
        noise.start(np.random.default_rng(seed))
    out = np.empty((n_rows, N_FEATURES), np.float32)
    noise(np.full(out.shape, clean, np.float32), out)
    return out.astype(np.float64)


def check_normal(sample, scale):
    """Check mean, standard deviation, skewness and kurtosis to within five standard errors."""
    n = sample.size
    assert abs(sample.mean()) < 5 * scale / np.sqrt(n)
    assert abs(sample.std() / scale - 1) < 5 / np.sqrt(2 * n)
    assert abs(stats.skew(sample.ravel())) < 5 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(sample.ravel())) < 5 * np.sqrt(24 / n)


def correlation(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


# ---------------------------------------------------------------------- training


@each_kind
def test_training_noise_is_normal(kind):
    check_normal(draw(make_noise(kind)), 0.5)


@each_kind
def test_each_feature_is_normal(kind):
    sample = draw(make_noise(kind, scale=1.0))

    assert abs(sample.mean(axis=0)).max() < 5 / np.sqrt(4000)
    assert abs(sample.std(axis=0) - 1).max() < 5 / np.sqrt(8000)


def test_both_kinds_are_equally_distributed():
    fresh, table = (draw(make_noise(kind, clip=(-0.4, 0.9)), 500, clean=0.2) for kind in KINDS)

    assert stats.ks_2samp(fresh.ravel(), table.ravel()).pvalue > 1e-3
    for value in (-0.4, 0.9):  # the clipped values
        assert abs((fresh == np.float32(value)).mean() - (table == np.float32(value)).mean()) < 0.02


@each_kind
def test_steps_are_independent(kind):
    noise = make_noise(kind)
    first, second = draw(noise), draw(noise, start=False)

    assert not np.array_equal(first, second)
    assert abs(correlation(first, second)) < 5 / np.sqrt(first.size)


@each_kind
def test_epochs_are_independent(kind):
    noise = make_noise(kind)
    first, second = draw(noise, seed=[0, 0]), draw(noise, seed=[0, 1])

    assert abs(correlation(first, second)) < 5 / np.sqrt(first.size)


@each_kind
def test_rows_and_features_are_independent(kind):
    """Correlations of n independent normal numbers have a standard deviation of 1 / sqrt(n)."""
    sample = draw(make_noise(kind), 2000)
    for variables, n in ((sample[:400], N_FEATURES), (sample.T, 2000)):
        correlations = np.corrcoef(variables)[np.triu_indices(len(variables), 1)]
        assert abs(correlations.mean()) < 5 / np.sqrt(n * correlations.size)
        assert correlations.std() == pytest.approx(1 / np.sqrt(n), rel=0.1)


def test_table_rows_seldom_share_numbers():
    sample = draw(make_noise("table"), 2000)

    # two windows of 64 out of two million numbers overlap with a probability of 6e-5
    assert np.unique(sample).size > 0.9 * sample.size


@each_kind
def test_same_seed_same_noise(kind):
    assert_array_equal(draw(make_noise(kind), seed=3), draw(make_noise(kind), seed=3))


@each_kind
def test_noise_is_added_then_clipped(kind):
    free = draw(make_noise(kind), clean=0.25)
    clipped = draw(make_noise(kind, clip=(0, 1)), clean=0.25)

    assert_array_equal(clipped, np.clip(free, 0, 1))
    assert abs(free.mean() - 0.25) < 5 * 0.5 / np.sqrt(free.size)


@each_kind
def test_scale_of_zero_adds_nothing(kind):
    assert_array_equal(draw(make_noise(kind, scale=0.0), clean=0.25), 0.25)


@each_kind
def test_each_feature_has_its_scale(kind):
    scale = np.linspace(0, 2, N_FEATURES)
    sample = draw(make_noise(kind, scale=scale))

    assert_array_equal(sample[:, 0], 0)
    np.testing.assert_allclose(sample.std(axis=0), scale, rtol=5 / np.sqrt(8000))
    check_normal(sample[:, 1:] / scale[1:], 1)


@each_kind
def test_equal_scales_give_same_bits(kind):
    """NumPy multiplies before or after it takes windows of the table."""
    expected = draw(make_noise(kind, scale=0.3))
    for scale in ([0.3] * N_FEATURES, np.full(N_FEATURES, 0.3, np.float32)):
        assert_array_equal(draw(make_noise(kind, scale=scale)), expected)


@each_kind
def test_numpy_scale_gives_same_bits(kind):
    expected = draw(make_noise(kind, scale=0.3, clip=(0.1, 0.9)))
    for dtype in (np.float64, np.float32, np.longdouble):
        noise = make_noise(kind, scale=dtype(0.3), clip=(dtype(0.1), dtype(0.9)))
        assert_array_equal(draw(noise), expected)


@each_kind
def test_training_noise_overflows(kind):
    noise = make_noise(kind, scale=3e38)

    with pytest.raises(ValueError, match="noise added to it, overflows float32"):
        draw(noise, clean=3e38)


# ---------------------------------------------------------------------- the transformer


def test_transformer_noise_is_normal():
    check_normal(GaussianNoise(0.3, random_state=0).fit_transform(np.zeros((2000, 100))), 0.3)


def test_transformer_clips_its_result():
    X = np.full((200, 50), 0.5)
    free = GaussianNoise(1.0, random_state=0).fit_transform(X)
    clipped = GaussianNoise(1.0, clip=(0, 1), random_state=0).fit_transform(X)

    assert_array_equal(clipped, np.clip(free, 0, 1))
    assert free.min() < 0
    assert free.max() > 1


@pytest.mark.parametrize(("dtype", "huge"), [(np.float32, 3e38), (np.float64, 1.79e308)])
def test_overflow_of_transformer_is_refused(dtype, huge):
    noise = GaussianNoise(3e38, random_state=0)
    X = np.full((20, 5), huge, dtype)
    if dtype == np.float64:
        noise.corrupt = lambda X, rng: X * 2  # no allowed scale overflows float64

    with pytest.raises(ValueError, match=f"corrupted X overflows {np.dtype(dtype)}: scale X, or"):
        noise.fit_transform(X)
