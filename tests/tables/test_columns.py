"""Columns of tables: scales, categories, and the values that come back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skae._tables.columns import Boolean, Category, Number
from skae._tables.frames import columns_of

VALUES = ["c", "a", "a", "b", "b", "b", None, "d"]


def data_of(values, dtype=object):
    column = np.empty((len(values), 1), dtype)
    column[:, 0] = values
    return columns_of(column)[0]


def test_scale_ignores_extreme_values():
    rng = np.random.default_rng(0)
    values = rng.normal(7, 3, 1000)
    values[:20] = 1e9
    number = Number.of(data_of(values, float))

    assert number.centre == pytest.approx(7, abs=0.5)
    assert number.scale == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("value", [0.1, -3, 1e300, 5e-324])
def test_constant_has_scale_one(value):
    assert Number.of(data_of([value] * 10, float)) == Number(value, 1.0)


def test_rare_deviations_give_scale():
    """The interquartile range is zero, but the values differ."""
    number = Number.of(data_of([0.0] * 9 + [10.0], float))
    assert number == Number(0.0, pytest.approx(3.0))


def test_unknown_number_is_nan():
    data = data_of([1, None, np.nan, 3.5])
    number = Number.of(data)

    assert_array_equal(np.isnan(number.encode(data)), [False, True, True, False])
    assert number.centre == 2.25
    assert Number.of(data_of([None, None])) == Number(0.0, 1.0)


def test_words_are_no_numbers():
    with pytest.raises(ValueError, match=r"Column '0' .* not numbers .*categorical_features"):
        Number.of(data_of([1, "two"]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64", "uint64"])
def test_integers_stay_in_range(dtype):
    limits = np.iinfo(dtype)
    data = data_of([limits.min, limits.max], dtype)
    decoded = Number(0.0, 1.0).decode(np.array([-1e30, 1e30, 2.6], np.float32), data)

    assert decoded.dtype == dtype
    assert decoded[0] == limits.min
    assert decoded[1] >= limits.max - (2048 if limits.bits == 64 else 0)
    assert decoded[2] == 3


def test_float32_keeps_large_integers():
    """The scale is applied in float64: float32 would round to multiples of 65,536."""
    data = data_of([2**40 + 1, 2**40 + 5, 2**40 + 9], "int64")
    number = Number.of(data)
    assert_array_equal(number.decode(number.encode(data).astype(np.float32), data), data.values)


def test_boolean_column_refuses_others():
    data = data_of([True, None, False])
    assert_array_equal(Boolean().encode(data), [1, np.nan, 0])
    assert_array_equal(Boolean().encode(data_of([1, 0], int)), [1, 0])
    with pytest.raises(ValueError, match="Column '0' must hold true and false"):
        Boolean().encode(data_of(["False", True]))


@pytest.mark.parametrize("least", [None, 1, 0.01])
def test_frequent_categories_are_kept(least):
    assert Category.of(data_of(VALUES), least) == Category(("a", "b", "c", "d"))


@pytest.mark.parametrize(
    ("least", "kept", "pooled"),
    [
        (2, ("a", "b", "c"), ("c", "d")),
        (0.25, ("a", "b", "c"), ("c", "d")),
        (3, ("b", "a"), ("a", "c", "d")),
        (0.375, ("b", "a"), ("a", "c", "d")),
        (9, ("b",), ("b", "a", "c", "d")),
    ],
)
def test_rare_categories_are_pooled(least, kept, pooled):
    """They share the last code, which stands for the most frequent of them."""
    data = data_of(VALUES)
    category = Category.of(data, least)
    codes = category.encode(data)

    assert category == Category(kept, pooled)
    assert {int(code) for code, value in zip(codes, VALUES, strict=True) if value in pooled} == {
        len(kept) - 1
    }
    one_hot = np.eye(len(kept))
    assert category.decode(one_hot, data)[-1] == pooled[0]


def test_unseen_category_is_unknown():
    category = Category.of(data_of(VALUES), None)
    assert_array_equal(category.encode(data_of(["b", "x", None])), [1, -1, -1])


def test_types_may_be_mixed():
    values = ["a", 3, 2.5, (1, 2), "b"]
    data = data_of(values)
    category = Category.of(data, None)

    assert sorted(map(repr, category.categories)) == sorted(map(repr, values))
    decoded = category.decode(np.eye(5)[category.encode(data)], data)
    assert decoded.tolist() == values


def test_category_without_values():
    category = Category.of(data_of([None, None]), None)
    assert category.size == 0
    assert category.decode(np.empty((2, 0)), data_of([None, None])).tolist() == [None, None]


def test_numbers_come_back():
    data = data_of([1.5, -2.0, 1e6], float)
    number = Number.of(data)
    assert_allclose(number.decode(number.encode(data), data), data.values, rtol=1e-12)
