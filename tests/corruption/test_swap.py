"""`SwapNoise`: the rows from which the values come."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import SwapNoise
from skae._corruption.epochs import FreshNoise
from tests.corruption.cells import check_independent, check_uniform, distances, distinct_rows

N_FEATURES = 20_000


def numbered(n_rows, n_features=N_FEATURES):
    """Return rows that are filled with their number."""
    return np.repeat(np.arange(n_rows, dtype=np.float64)[:, None], n_features, axis=1)


def draw(n_rows, fraction=1, **params):
    """Return by how many rows each cell's donor is below it."""
    X = numbered(n_rows)
    return distances(X, SwapNoise(fraction, random_state=0, **params).fit_transform(X))


def test_values_come_from_their_columns():
    X = distinct_rows(300, 40)
    swapped = SwapNoise(0.3, random_state=0).fit_transform(X)

    assert_array_equal(swapped % 40, X % 40)  # the number of the column
    assert 0.25 < (swapped != X).mean() < 0.35


@pytest.mark.parametrize("n_rows", [2, 3, 7, 256])
def test_donors_are_uniform(n_rows):
    """They are the other rows, for every row."""
    shifts = draw(n_rows)

    check_uniform(shifts, n_rows)
    for row in shifts[:7]:
        check_uniform(row, n_rows)


def test_donors_are_independent():
    """Neither the cell to the right, nor the row below, nor the choice of cells tells the donor."""
    shifts = draw(6)
    check_independent(shifts[:, 1:], shifts[:, :-1])
    check_independent(shifts[1:], shifts[:-1])

    shifts = draw(6, fraction=0.5)
    check_independent(shifts[:, 1:], shifts[:, :-1])
    check_independent(shifts[1:], shifts[:-1])


def test_steps_have_independent_donors():
    noise = FreshNoise(SwapNoise(0.5))
    noise.start(np.random.default_rng(0))
    clean = numbered(6).astype(np.float32)
    steps = np.empty((3, *clean.shape), np.float32)
    for out in steps:
        noise(clean, out)
    first, second, third = (distances(clean, step) for step in steps)

    check_independent(first, second)
    check_independent(first, third)


def test_groups_share_a_donor():
    groups = np.arange(N_FEATURES // 2).reshape(-1, 4)
    shifts = draw(6, groups=groups)
    grouped = shifts[:, : N_FEATURES // 2].reshape(6, -1, 4)

    assert_array_equal(grouped, np.repeat(grouped[..., :1], 4, axis=-1))
    check_uniform(grouped[..., 0], 6)
    check_uniform(shifts[:, N_FEATURES // 2 :], 6)
    check_independent(grouped[:, 1:, 0], grouped[:, :-1, 0])
    check_independent(grouped[1:, :, 0], grouped[:-1, :, 0])


def test_one_hot_columns_stay_valid():
    categories = np.random.default_rng(0).integers(0, 3, (500, 2))
    X = np.hstack([np.eye(3)[column] for column in categories.T])
    groups = [[0, 1, 2], [3, 4, 5]]
    swapped = SwapNoise(0.5, groups=groups, random_state=0).fit_transform(X)

    for group in groups:
        assert_array_equal(swapped[:, group].sum(axis=1), 1)
    assert np.any(swapped != X)


@pytest.mark.parametrize("groups", [None, [[0, 1]]])
def test_single_row_stays(groups):
    assert_array_equal(SwapNoise(1, groups=groups).fit_transform([[1, 2, 3]]), [[1, 2, 3]])
