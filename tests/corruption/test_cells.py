"""Corruptions that replace cells: how many, which, and columns that are replaced together."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import MaskingNoise, SwapNoise
from skae._corruption.epochs import FreshNoise, epoch_noise
from tests.corruption.cells import (
    KINDS,
    check_share,
    check_uncorrelated,
    distinct_rows,
    make,
    replaced,
)
from tests.estimators.comparisons import refused

GROUPS = [[0, 7], [3, 4, 5], np.array([9])]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_grouping = pytest.mark.parametrize("kind", [MaskingNoise, SwapNoise])


@each_kind
@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.9])
def test_replaced_share_is_binomial(kind, fraction):
    check_share(replaced(kind, fraction), fraction)


@each_kind
def test_each_feature_has_its_rate(kind):
    fraction = np.random.default_rng(1).permutation(np.linspace(0, 1, 500))
    masks = replaced(kind, fraction, (2000, 500))

    assert not masks[:, fraction == 0].any()
    assert masks[:, fraction == 1].all()
    error = masks.mean(axis=0) - fraction
    assert np.all(abs(error) <= 5.5 * np.sqrt(fraction * (1 - fraction) / 2000))


@each_kind
def test_cells_are_replaced_independently(kind):
    masks = replaced(kind, 0.5, (2000, 50))

    check_uncorrelated(masks.T)
    check_uncorrelated(replaced(kind, 0.5, (50, 2000)))


@each_kind
def test_every_step_replaces_other_cells(kind):
    noise = epoch_noise(make(kind, 0.5), 10_000_000, 64)
    noise.start(np.random.default_rng(0))
    clean = distinct_rows(1000, 64, np.float32)
    steps = np.empty((5, *clean.shape), np.float32)
    for out in steps:
        noise(clean, out)

    assert type(noise) is FreshNoise
    check_uncorrelated((steps != clean).reshape(5, -1))


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fraction_of_one_replaces_all(kind, dtype):
    X = distinct_rows(50, 40, dtype)

    assert not np.any(make(kind, 1).fit_transform(X) == X)


@each_kind
def test_kinds_of_lists_are_equal(kind):
    X = distinct_rows(300, 4)
    expected = make(kind, 0.3, random_state=0).fit_transform(X)
    for fraction in ([0.3] * 4, (0.3,) * 4, np.full(4, 0.3), np.full(4, 0.3, np.float32)):
        assert_array_equal(make(kind, fraction, random_state=0).fit_transform(X), expected)
    assert_array_equal(
        make(kind, 0.3, random_state=0).fit_transform(np.asfortranarray(X)), expected
    )


# ---------------------------------------------------------------------- groups


@each_grouping
def test_groups_are_replaced_at_once(kind):
    masks = replaced(kind, 0.3, (4000, 12), groups=GROUPS)

    check_share(masks, 0.3)
    for group in GROUPS:
        assert_array_equal(masks[:, group], np.repeat(masks[:, group[:1]], len(group), axis=1))
    check_uncorrelated(masks[:, [0, 1, 2, 3, 6, 8, 9, 10, 11]].T)


@each_grouping
def test_groups_have_their_own_rates(kind):
    fraction = np.full(12, 0.2)
    fraction[[3, 4, 5]] = 0.8
    fraction[8] = 0
    masks = replaced(kind, fraction, (4000, 12), groups=GROUPS)

    assert_array_equal(masks[:, 3], masks[:, 5])
    assert np.all(abs(masks.mean(axis=0) - fraction) <= 5 * np.sqrt(0.2 * 0.8 / 4000))
    assert not masks[:, 8].any()


@each_grouping
def test_forms_of_groups_are_equal(kind):
    X = distinct_rows(300, 6)
    forms = [
        [[0, 1], [4, 5]],
        ((1, 0), (5, 4)),
        np.array([[0, 1], [4, 5]]),
        [range(2), range(4, 6)],
    ]
    results = [make(kind, 0.3, groups=groups, random_state=0).fit_transform(X) for groups in forms]

    for result in results[1:]:
        assert_array_equal(result, results[0])


@each_grouping
def test_single_columns_are_groups(kind):
    X = distinct_rows(300, 4)
    results = [
        make(kind, 0.3, groups=groups, random_state=0).fit_transform(X) != X
        for groups in (None, [], [[2]])
    ]

    for result in results[1:]:
        assert_array_equal(result, results[0])


# ---------------------------------------------------------------------- refusals

OTHER_LENGTH = r"fraction must be a number, or hold one number for each of the 6 features of X; got"
EQUAL = r"fraction must be the same for all columns of a group.*groups\[1\] have \[0.0, 0.5\]"


@each_kind
@pytest.mark.parametrize(
    ("fraction", "error", "match"),
    [
        ([0.1, 0.2], ValueError, f"{OTHER_LENGTH} 2 numbers"),
        ([], ValueError, f"{OTHER_LENGTH} 0 numbers"),
        (np.full(7, 0.1), ValueError, f"{OTHER_LENGTH} 7 numbers"),
        ([0, 0, 1.5, 0, 0, 0], ValueError, r"fraction\[2\] must be .* at most 1; got 1.5"),
        ([0, np.nan, 0, 0, 0, 0], ValueError, r"fraction\[1\] must be .*; got nan"),
        ([0, 0, 0, "a", 0, 0], TypeError, r"fraction\[3\] must be a number .*; got 'a'"),
        (np.full((6, 2), 0.1), TypeError, r"fraction\[0\] must be a number .*; got array"),
        (np.ones(6, bool), TypeError, r"fraction\[0\] must be a number .*; got True|got np.True_"),
    ],
)
def test_bad_rates_are_refused(kind, fraction, error, match):
    X = distinct_rows(5, 6)
    refused(make(kind, fraction), error, match, X)
    refused(make(kind, fraction), error, match, X, method="transform")


@each_grouping
@pytest.mark.parametrize(
    ("groups", "error", "match"),
    [
        ([[0, 1], [1, 2]], ValueError, r"groups must not share columns; got columns \[1\] more"),
        ([[4, 4]], ValueError, r"groups must not share columns; got columns \[4\] more"),
        ([[0, 6]], ValueError, r"groups\[0\]\[1\] must be .* at most 5; got 6"),
        ([[0], [-1]], ValueError, r"groups\[1\]\[0\] must be an integer of at least 0.*; got -1"),
        ([[0, 1.0]], TypeError, r"groups\[0\]\[1\] must be an integer.*; got 1.0 of type float"),
        ([[True, False]], TypeError, r"groups\[0\]\[0\] must be an integer.*; got True"),
        ([0, 1], TypeError, r"groups must be None or a list of groups, .*; got \[0, 1\]"),
        ([["a"]], TypeError, r"groups\[0\]\[0\] must be an integer.*; got 'a'"),
        (["ab"], TypeError, "groups must be None or a list of groups"),
        ([[]], TypeError, "groups must be None or a list of groups"),
        (3, TypeError, "groups must be None or a list of groups, .*; got 3"),
        ({0: [1]}, TypeError, "groups must be None or a list of groups"),
        (np.array(3), TypeError, "groups must be None or a list of groups"),
    ],
)
def test_bad_groups_are_refused(kind, groups, error, match):
    X = distinct_rows(5, 6)
    refused(make(kind, 0.1, groups=groups), error, match, X)
    refused(make(kind, 0.1, groups=groups), error, match, X, method="transform")


@each_grouping
def test_rates_within_groups_are_equal(kind):
    corruption = make(kind, [0, 0, 0.5, 0, 0, 0], groups=[[0, 1], [2, 3]])
    refused(corruption, ValueError, EQUAL, distinct_rows(5, 6))
