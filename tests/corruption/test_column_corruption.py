"""Corruptions of tables act on whole cells."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import GaussianNoise, MaskingNoise, SaltAndPepperNoise, SwapNoise
from skae._corruption.columns import by_column
from skae._network.tables import Probabilities

TABLE = Probabilities(2, 1, (2, 2, 5))
ORDER = (4, 1, 6, 0, 3, 2)  # the frame's column 5 has no values, and no column in the matrix
STARTS = np.cumsum([3, 2, 2, 5])[:-1]
N = 4000
NaN = np.nan


def make_rows(n_rows=N, seed=0):
    """Return rows of a table; each number occurs once."""
    rng = np.random.default_rng(seed)
    numbers = rng.permuted(np.arange(1, 2 * n_rows + 1).reshape(n_rows, 2), axis=0)
    boolean = rng.integers(0, 2, (n_rows, 1))
    one_hot = [np.eye(size)[rng.integers(0, size, n_rows)] for size in TABLE.sizes]
    return np.concatenate([numbers, boolean, *one_hot], axis=1).astype(np.float32)


def corrupt(corruption, rows, seed=1):
    rows.flags.writeable = False
    return by_column(corruption, TABLE, ORDER, 7).corrupt(rows, np.random.default_rng(seed))


def blocks(rows):
    return [rows[:, start : start + size] for start, size in zip(STARTS, TABLE.sizes, strict=True)]


def changes(corrupted, rows):
    """Return which cells of the table are changed, in the order of the matrix."""
    pairs = zip(blocks(corrupted), blocks(rows), strict=True)
    categories = [(a != b).any(axis=1)[:, None] for a, b in pairs]
    return np.concatenate([corrupted[:, :3] != rows[:, :3], *categories], axis=1)


def test_masks_hide_whole_cells():
    rows = make_rows()
    corrupted = corrupt(MaskingNoise(0.3, fill_value=NaN), rows)
    changed = changes(corrupted, rows)

    assert_array_equal(np.isnan(corrupted[:, :3]), changed[:, :3])
    assert np.abs(changed.mean(axis=0) - 0.3).max() < 0.03
    for block, hidden in zip(blocks(corrupted), changed.T[3:], strict=True):
        assert_array_equal(block.sum(axis=1), ~hidden)


def test_swaps_keep_rows_valid():
    rows = make_rows()
    corrupted = corrupt(SwapNoise(0.4), rows)
    changed = changes(corrupted, rows)

    assert corrupted.dtype == np.float32
    for place in range(2):
        assert np.isin(corrupted[:, place], rows[:, place]).all()
    for block in blocks(corrupted):
        assert_array_equal(np.sort(block, axis=1)[:, -1], np.ones(N))
        assert_array_equal(block.sum(axis=1), np.ones(N))
    # another row has the same value of a column with k equal categories once in k times
    expected = 0.4 * np.array([1, 1, 1 / 2, 1 / 2, 1 / 2, 4 / 5])
    assert np.abs(changed.mean(axis=0) - expected).max() < 0.03


@pytest.mark.parametrize("corruption", [SwapNoise(0.5), MaskingNoise(0.5, fill_value=NaN)])
def test_columns_are_independent(corruption):
    rows = make_rows()
    together = np.corrcoef(changes(corrupt(corruption, rows), rows).T)
    assert np.abs(together - np.eye(6)).max() < 0.08


@pytest.mark.parametrize(
    "corruption", [GaussianNoise(2.0), SaltAndPepperNoise(0.3), GaussianNoise([1.0] * 7)]
)
def test_numbers_get_other_noise(corruption):
    """Categories and booleans are swapped instead, with the default probability."""
    rows = make_rows()
    corrupted = corrupt(corruption, rows)
    changed = changes(corrupted, rows)

    assert changed[:, :2].mean() > 0.2
    expected = 0.15 * np.array([1 / 2, 1 / 2, 1 / 2, 4 / 5])
    assert np.abs(changed[:, 2:].mean(axis=0) - expected).max() < 0.03
    assert np.isin(corrupted[:, 2:], [0, 1]).all()
    for block in blocks(corrupted):
        assert_array_equal(block.sum(axis=1), np.ones(N))


@pytest.mark.parametrize("place", range(6))
def test_fractions_follow_the_frame(place):
    """Only the frame's column that has a fraction is masked, wherever it is in the matrix."""
    fraction = [0.0] * 7
    fraction[ORDER[place]] = 1.0
    rows = make_rows(50)
    changed = changes(corrupt(MaskingNoise(fraction, fill_value=NaN), rows), rows)
    assert_array_equal(changed.all(axis=0), np.arange(6) == place)
    assert_array_equal(changed.any(axis=0), np.arange(6) == place)


@pytest.mark.parametrize("place", range(2))
def test_scales_follow_the_frame(place):
    scale = [0.0] * 7
    scale[ORDER[place]] = 1.0
    rows = make_rows(50)
    changed = changes(corrupt(GaussianNoise(scale), rows), rows)
    assert_array_equal(changed[:, :2].all(axis=0), np.arange(2) == place)


def test_groups_follow_the_frame():
    """The frame's columns 0 and 4 are the first category and the first number."""
    rows = make_rows()
    changed = changes(corrupt(MaskingNoise(0.5, fill_value=NaN, groups=[[0, 4]]), rows), rows)
    assert_array_equal(changed[:, 0], changed[:, 3])
    assert 0.4 < (changed[:, 0] != changed[:, 1]).mean() < 0.6


def test_same_seed_same_corruption():
    rows = make_rows(100)
    for corruption in (SwapNoise(0.4), GaussianNoise(1.0)):
        assert_array_equal(corrupt(corruption, rows), corrupt(corruption, rows))
        assert not np.array_equal(corrupt(corruption, rows), corrupt(corruption, rows, seed=2))


@pytest.mark.parametrize("corruption", [SwapNoise(0.9), GaussianNoise(), MaskingNoise(0.9)])
@pytest.mark.parametrize("layout", [(0, 0, (3,)), (0, 2, ()), (0, 1, (2,))])
def test_tables_without_numbers(corruption, layout):
    table = Probabilities(*layout)
    rng = np.random.default_rng(0)
    columns = [
        rng.integers(0, 2, (9, table.n_plain)),
        *(np.eye(k)[rng.integers(0, k, 9)] for k in layout[2]),
    ]
    rows = np.concatenate(columns, axis=1).astype(np.float32)
    noise = by_column(corruption, table, range(table.n_columns), table.n_columns)
    corrupted = noise.corrupt(rows, rng)
    assert corrupted.shape == rows.shape
    assert np.isin(corrupted, [0, 1]).all()


def test_other_rows_keep_corruption():
    noise = SwapNoise()
    assert by_column(noise, None, (), 0) is noise
    assert by_column(None, TABLE, ORDER, 7) is None
