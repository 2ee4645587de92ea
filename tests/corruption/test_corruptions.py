"""The interface that all corruptions share: a new corruption is one more case."""

import pickle
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import GaussianNoise, MaskingNoise, SaltAndPepperNoise, SwapNoise
from skae._corruption.base import Corruption
from skae._corruption.epochs import FreshNoise
from tests.estimators.comparisons import refused


class Case(NamedTuple):
    """A public corruption.

    ``amount`` is the parameter that is zero if nothing is corrupted.  ``bad`` holds parameters out
    of their range, with the error and its message.
    """

    kind: type
    amount: str
    bad: list[tuple[dict[str, Any], type[Exception], str]]


BAD_FRACTIONS = [
    ({"fraction": -0.1}, ValueError, "fraction must be a number of at least 0 and at most"),
    ({"fraction": 1.1}, ValueError, "fraction must be .* at most 1; got 1.1"),
    ({"fraction": np.nan}, ValueError, "fraction must be .*; got nan"),
    ({"fraction": None}, TypeError, "fraction must be .* at most 1; got None"),
]
CASES = [
    Case(
        GaussianNoise,
        "scale",
        [
            ({"scale": -1}, ValueError, "scale must be a number of at least 0; got -1"),
            ({"scale": "a"}, TypeError, "scale must be a number of at least 0; got 'a'"),
            ({"scale": np.inf}, ValueError, "scale must be finite in float32; got inf"),
            ({"scale": [0, -1]}, ValueError, r"scale\[1\] must be a number of at least 0; got -1"),
            ({"scale": [1] * 7}, ValueError, "scale must be a number, or hold .* 6 features of X"),
            ({"clip": (1, 0)}, ValueError, r"clip must be None or a pair .*; got \(1, 0\)"),
        ],
    ),
    Case(
        MaskingNoise,
        "fraction",
        [
            *BAD_FRACTIONS,
            ({"fill_value": np.inf}, ValueError, "fill_value must be finite in float32; got inf"),
            ({"vary": 1}, TypeError, "vary must be True or False; got 1"),
            ({"fill_value": -1e39}, ValueError, "fill_value must be finite in float32; got -1e"),
            ({"fill_value": "mean"}, TypeError, "fill_value must be a finite number; got 'mean'"),
        ],
    ),
    Case(SwapNoise, "fraction", BAD_FRACTIONS),
    Case(
        SaltAndPepperNoise,
        "fraction",
        [
            *BAD_FRACTIONS,
            ({"salt_vs_pepper": 1.5}, ValueError, "salt_vs_pepper must be .* at most 1; got 1.5"),
            ({"low": 2}, ValueError, "low must be at most high; got 2 and 1"),
            ({"high": "max"}, TypeError, "high must be a finite number; got 'max'"),
        ],
    ),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind.__name__)
each_bad = pytest.mark.parametrize(
    ("kind", "params", "error", "match"), [(case.kind, *bad) for case in CASES for bad in case.bad]
)


def rows(dtype=np.float64):
    scale = 100 if np.dtype(dtype).kind == "u" else 1
    return (scale * np.random.default_rng(0).uniform(size=(30, 6))).astype(dtype)


# ---------------------------------------------------------------------- transform


@each_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.float16, object])
def test_shape_and_dtype_of_results(case, dtype):
    X = rows(dtype)
    before = X.copy()
    corrupted = case.kind(random_state=0).fit_transform(X)

    assert corrupted.shape == X.shape
    assert corrupted.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert not np.array_equal(corrupted, X)
    assert_array_equal(X, before)


@each_case
def test_zero_amount_changes_nothing(case):
    assert_array_equal(case.kind(**{case.amount: 0}).fit_transform(rows()), rows())


@each_case
def test_seed_determines_the_result(case):
    one, same, other, new, newer = (
        case.kind(random_state=seed).fit_transform(rows()) for seed in (0, 0, 1, None, None)
    )

    assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(new, newer)


@each_case
def test_calls_differ_without_a_seed(case):
    corruption = case.kind().fit(rows())
    seeded = case.kind(random_state=0).fit(rows())

    assert not np.array_equal(corruption.transform(rows()), corruption.transform(rows()))
    assert_array_equal(seeded.transform(rows()), seeded.transform(rows()))


@each_case
def test_transform_needs_no_fit(case):
    """Nor does it draw from NumPy's global generator."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    case.kind().transform(rows())

    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@each_case
def test_pandas_frames_keep_their_names(case):
    frame = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]}, index=[3, 4])
    corruption = case.kind(random_state=0).set_output(transform="pandas")
    corrupted = corruption.fit_transform(frame)

    assert list(corruption.get_feature_names_out()) == ["a", "b"]
    assert list(corrupted.columns) == ["a", "b"]
    assert list(corrupted.index) == [3, 4]


@each_case
def test_polars_frames_keep_their_names(case):
    frame = pl.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
    corruption = case.kind(random_state=0).set_output(transform="polars")

    assert corruption.fit_transform(frame).columns == ["a", "b"]


@each_case
@pytest.mark.parametrize("amount", [0.3, [0.3, 0.1, 0, 0.2, 0.2, 1], np.linspace(0, 1, 6)])
def test_copies_give_the_same_result(case, amount):
    corruption = case.kind(random_state=0, **{case.amount: amount}).fit(rows())
    expected = corruption.transform(rows())

    assert repr(clone(corruption).get_params()) == repr(corruption.get_params())
    for copy in (clone(corruption), pickle.loads(pickle.dumps(corruption))):
        assert_array_equal(copy.transform(rows()), expected)


@each_case
def test_pipeline_and_grid_search(case):
    X, y = rows(), rows()[:, 0]
    pipeline = make_pipeline(case.kind(random_state=0), Ridge())
    name = f"{case.kind.__name__.lower()}__{case.amount}"
    search = GridSearchCV(pipeline, {name: [0, 1]}, cv=2, error_score="raise").fit(X, y)

    assert search.best_params_ == {name: 0}  # corruption makes the prediction worse
    assert search.predict(X).shape == (30,)


# ---------------------------------------------------------------------- refusals


@each_bad
def test_bad_parameters_are_refused(kind, params, error, match):
    refused(kind(**params), error, match, rows())
    refused(kind(**params), error, match, rows(), method="transform")


@each_case
@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.full((3, 6), np.nan), "Input X contains NaN"),
        (np.full((3, 6), np.inf), "Input X contains infinity"),
        (np.ma.masked_greater(rows(), 0.5), "X has masked values"),
        (np.zeros((3, 6), "M8[s]"), "X must hold numbers"),
        (np.ones((0, 6)), r"0 sample\(s\)"),
    ],
    ids=["nan", "infinity", "masked", "dates", "no rows"],
)
def test_bad_rows_are_refused(case, X, match):
    refused(case.kind(), ValueError, match, X)
    refused(case.kind().fit(rows()), ValueError, match, X, method="transform")


@each_case
def test_sparse_rows_are_refused(case):
    refused(case.kind(), TypeError, "Sparse data was passed", sparse.csr_array(rows()))


@each_case
def test_other_features_are_refused(case):
    corruption = case.kind().fit(rows())

    refused(corruption, ValueError, "X has 5 features.*6", rows()[:, :5], method="transform")


# ---------------------------------------------------------------------- corruptions of users


class Negative:
    """The smallest corruption: it has nothing but `corrupt`."""

    def corrupt(self, X, rng):
        return -X


class Narrow(Negative):
    def corrupt(self, X, rng):
        return X[:, 1:]


class InPlace(Negative):
    def corrupt(self, X, rng):
        X += 1
        return X


class NotANumber(Negative):
    def corrupt(self, X, rng):
        return np.where(X > 0.5, np.nan, X)


class Huge(Negative):
    def corrupt(self, X, rng):
        return np.full(X.shape, 1e39)


class Exponential(Negative):
    """Its overflow has no effect on the result."""

    def corrupt(self, X, rng):
        return 1 / (1 + np.exp(1000 * (X + 1)))


@each_case
def test_public_corruptions_satisfy_the_protocol(case):
    assert isinstance(case.kind(), Corruption)
    assert isinstance(Negative(), Corruption)
    assert not isinstance(object(), Corruption)


def corrupt(corruption):
    noise = FreshNoise(corruption)
    noise.start(np.random.default_rng(0))
    clean = rows(np.float32)
    out = np.empty_like(clean)
    try:
        noise(clean, out)
    finally:
        assert_array_equal(clean, rows(np.float32))
    return out


def test_own_corruption_is_called():
    assert_array_equal(corrupt(Negative()), -rows(np.float32))
    assert_array_equal(corrupt(Exponential()), 0)


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (Narrow, r"Narrow\.corrupt must return an array of .*, \(30, 6\); got shape \(30, 5\)"),
        (InPlace, "read-only"),
        (NotANumber, r"NotANumber\.corrupt returned NaN"),
        (Huge, "noise added to it, overflows float32"),
    ],
)
def test_wrong_results_are_refused(kind, match):
    with pytest.raises(ValueError, match=match):
        corrupt(kind())


@pytest.mark.parametrize("result", [None, "rows", sparse.csr_array(rows())])
def test_results_must_be_arrays(result):
    class Wrong:
        def corrupt(self, X, rng):
            return result

    with pytest.raises(
        ValueError, match=r"Wrong\.corrupt must return an array of .*got shape \(\)"
    ):
        corrupt(Wrong())


@each_case
def test_subclass_is_called(case):
    class Louder(case.kind):
        def corrupt(self, X, rng):
            return X + 7

    assert_array_equal(Louder().fit_transform(rows()), rows() + 7)
