"""Checks for NaN, infinity and overflow name the first row that is wrong."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skae._rows.finite import (
    as_float32,
    check_finite,
    check_results,
    fill_gaps,
    is_finite,
    means_of_known,
)

X = np.random.default_rng(0).normal(size=(6, 4))
VALUES = [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]


def put(value, *places):
    array = X.copy()
    for place in places:
        array[place] = value
    return array


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4"])
def test_finite_rows_pass(dtype):
    check_finite("X", X.astype(dtype))
    check_finite("X", np.full((6, 4), np.finfo(dtype).max, dtype))  # the sum of squares overflows
    check_finite("X", X[:0].astype(dtype))


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_integers_are_always_finite(dtype):
    check_finite("X", X.astype(dtype))


@pytest.mark.parametrize("form", [np.array, np.asfortranarray, sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize(("value", "noun"), VALUES)
def test_first_wrong_value_is_named(value, noun, form):
    rows = form(put(value, (5, 0), (3, 2), (3, 3)))
    with pytest.raises(ValueError, match=f"^Input X contains {noun}: first in row 3, column 2"):
        check_finite("X", rows)
    with pytest.raises(ValueError, match=r"^Input X_val contains .*: first in row 103, column 2"):
        check_finite("X_val", rows, start=100)


@pytest.mark.parametrize(
    ("value", "gaps", "helps"),
    [(np.nan, False, True), (np.nan, None, False), (np.inf, False, False)],
)
def test_error_names_mask(value, gaps, helps):
    """Only if the value is NaN, and a parameter could allow it."""
    with pytest.raises(ValueError, match="Remove or impute such values") as caught:
        check_finite("X", put(value, (3, 2)), gaps=gaps)
    assert ("missing_values='mask'" in str(caught.value)) == helps


@pytest.mark.parametrize("form", [np.array, sparse.csr_array])
def test_nan_may_be_unknown(form):
    check_finite("X", form(put(np.nan, (5, 0), (3, 2))), gaps=True)
    rows = form(put(np.inf, (5, 0)) + put(np.nan, (3, 2)))
    with pytest.raises(ValueError, match=r"^Input X contains infinity: first in row 5, column 0"):
        check_finite("X", rows, gaps=True)


@pytest.mark.parametrize("weight", [None, np.array([2.0, 0, 1, 5], np.float32)])
def test_gaps_are_filled_by_means(weight):
    rows = np.array([[1, np.nan, np.nan], [2, 4, np.nan], [np.nan, 6, np.nan], [4, 8, np.nan]])
    means = means_of_known(rows, weight)
    weights = np.ones(4) if weight is None else weight

    for column in (0, 1):
        known = ~np.isnan(rows[:, column])
        expected = np.average(rows[known, column], weights=weights[known])
        assert means[column] == pytest.approx(expected)
    assert means[2] == 0
    filled = fill_gaps(rows.astype(np.float32), weight)
    assert filled.dtype == np.float32
    assert_array_equal(filled, np.where(np.isnan(rows), means, rows).astype(np.float32))
    assert fill_gaps(X) is X


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_results_name_the_row(value):
    check_results(X, 0)
    with pytest.raises(ValueError, match=r"for row 12 overflows float64\. Scale X like"):
        check_results(put(value, (2, 1)), 10)
    scores = put(value, (2, 1))[:, 1].astype(np.float32)
    with pytest.raises(ValueError, match=r"for row 2 overflows float32\. Pass float64, or scale X"):
        check_results(scores, 0)


def test_large_numbers_are_finite():
    with np.errstate(over="ignore", invalid="ignore"):
        assert is_finite(X)
        assert is_finite(np.full(3, 1e300))
        assert not is_finite(put(np.nan, (5, 3)))
        assert not is_finite(put(-np.inf, (5, 3)))


def test_conversion_to_float32_overflows():
    with as_float32():
        X.astype(np.float32)
    message = r"overflows float32.*largest number is 3\.4e\+38\. Scale the data"
    with pytest.raises(ValueError, match=message), as_float32():
        (1e39 * X).astype(np.float32)
