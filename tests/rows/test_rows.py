"""`Rows`, their split for early stopping, and the range of their values."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sources import CallingRows

from skae._rows.rows import Rows, ValueRange, all_rows, split_rows
from skae._rows.sources import Source

X = np.random.default_rng(0).uniform(size=(20, 3))


def make_source():
    return Source(CallingRows(X, lambda: None), "X")


def test_all_rows_are_numbered():
    assert_array_equal(all_rows(X), np.arange(20))
    assert all_rows(make_source()) == range(20)


def test_weights_default_to_one():
    rows = Rows(X, None, None, np.arange(5, 20))

    assert_array_equal(rows.weights(np.array([7, 8])), np.ones(2, np.float32), strict=True)
    assert rows.total_weight == 15


def test_weights_of_indexed_rows():
    weight = np.arange(20, dtype=np.float32)
    rows = Rows(X, None, weight, np.array([2, 5]))

    assert_array_equal(rows.weights(np.array([5])), np.array([5], np.float32), strict=True)
    assert rows.total_weight == 7


@pytest.mark.parametrize(
    ("inputs", "targets", "in_memory", "are_arrays"),
    [
        (X, None, True, True),
        (X, -X, True, True),
        (sparse.csr_array(X), None, True, False),
        (make_source(), None, False, False),
        (X, make_source(), False, False),
    ],
)
def test_kinds_of_storage(inputs, targets, in_memory, are_arrays):
    rows = Rows(inputs, targets, None, np.arange(20))

    assert (rows.in_memory, rows.are_arrays) == (in_memory, are_arrays)
    assert len(rows.matrices) == (1 if targets is None else 2)


def test_split_is_random_and_in_order():
    weight = np.arange(20, dtype=np.float32)
    rows = Rows(X, -X, weight, np.arange(1, 20))
    parts = split_rows(rows, 0.25, np.random.default_rng(0))
    again = split_rows(rows, 0.25, np.random.default_rng(0))
    other = split_rows(rows, 0.25, np.random.default_rng(1))
    train, validation = (part.index for part in parts)

    assert len(validation) == 5  # 4.75, rounded up
    assert_array_equal(np.sort([*train, *validation]), np.arange(1, 20))
    for part, same in zip(parts, again, strict=True):
        assert_array_equal(part.index, same.index)
        assert (np.diff(part.index) > 0).all()
        assert part.inputs is X
        assert part.weight is weight
    assert not np.array_equal(validation, other[1].index)


def test_split_leaves_rows_to_train():
    with pytest.raises(ValueError, match=r"sets 2 of 2 rows aside .* give more rows, X_val, or"):
        split_rows(Rows(X, None, None, np.arange(2)), 0.9, np.random.default_rng(0))


@pytest.mark.parametrize("make", [np.array, sparse.csr_array, lambda _: make_source()])
def test_range_of_values(make):
    values = ValueRange(make(X))

    assert (values.low, values.high) == (X.min(), X.max())
    assert values.within(0, 1)
    assert not values.within(0, X.max() / 2)
    assert not values.within(2 * X.min(), 1)
