"""Rounding does not take values out of a range, so that all folds make the same choice."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import KFold
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, QuantileTransformer

from skae._network.activations import ACTIVATIONS
from skae._rows.rows import ValueRange
from skae._rows.sources import ReadLimits, Source


def tables():
    """Yield 50 random tables in various units, and a real one."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        yield rng.normal(rng.normal(), 10.0 ** rng.integers(-4, 5), (rng.integers(5, 90), 7))
    yield load_breast_cancer().data


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scaler", [MinMaxScaler(), QuantileTransformer(n_quantiles=5)])
def test_scaled_rows_fill_unit_interval(scaler, dtype):
    for X in tables():
        for rows in (scaler.fit_transform(X.astype(dtype)), scaler.fit_transform(X).astype(dtype)):
            assert ValueRange(rows).fills_unit_interval()
            assert ValueRange(1 - rows).fills_unit_interval()


def test_folds_make_the_same_choice():
    X = load_breast_cancer().data
    for fold, _ in KFold(20).split(X):
        assert ValueRange(MinMaxScaler().fit_transform(X[fold])).fills_unit_interval()
        assert ValueRange(MinMaxScaler().fit_transform(X)[fold]).fills_unit_interval()


@pytest.mark.parametrize("scaler", [MinMaxScaler(feature_range=(-1, 1)), MaxAbsScaler()])
def test_scaled_rows_suit_tanh(scaler):
    form = ACTIVATIONS["tanh"]
    for X in tables():
        assert ValueRange(scaler.fit_transform(X)).within(form.low, form.high)


@pytest.mark.parametrize("name", [name for name, form in ACTIVATIONS.items() if form.low == 0])
def test_rounding_below_zero(name):
    """A product of matrices that should be zero is -1e-17, for example."""
    form = ACTIVATIONS[name]
    for make in (np.array, np.float32, sparse.csr_array):
        rows = make([[-1e-17, 0.5], [-3e-8, min(1 + 2**-52, form.high)]])
        assert ValueRange(rows).within(form.low, form.high)
    assert not ValueRange(np.array([[-1e-3, 0.5]])).within(form.low, form.high)


def test_softmax_rows_are_in_range():
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 500).astype(np.float32)
    assert ValueRange(rows / rows.sum(axis=1, keepdims=True)).within(0, 1)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_out_of_range(value):
    assert not ValueRange(np.array([[0.5, value]])).within(0, 1)


@pytest.mark.parametrize(
    "form", [np.array, sparse.csr_array, lambda X: Source(X, "X", ReadLimits(2, 4), gaps=True)]
)
def test_unknown_values_do_not_count(form):
    rows = np.array([[0.5, np.nan], [np.nan, np.nan], [np.nan, 0.0], [1.0, np.nan]])
    values = ValueRange(form(rows))

    assert (values.low, values.high) == (0, 1)
    assert values.fills_unit_interval()


@pytest.mark.parametrize("form", [np.array, lambda X: Source(X, "X", gaps=True)])
def test_no_value_has_no_range(form):
    values = ValueRange(form(np.full((4, 2), np.nan)))

    assert np.isnan([values.low, values.high]).all()
    assert not values.within(0, 1)
    assert not values.fills_unit_interval()


@pytest.mark.parametrize("dtype", [bool, "u1", "i1", "f2", ">f4", "g"])
def test_flags_fill_unit_interval(dtype):
    """NumPy does not subtract booleans."""
    flags = np.array([[0, 1], [1, 0]], dtype)
    assert ValueRange(flags).fills_unit_interval()
    assert not ValueRange(np.zeros((2, 2), dtype)).fills_unit_interval()


def weights_of_words(n_rows, rng):
    """Rows of length one, as TF-IDF makes them: most words are in few texts."""
    counts = rng.poisson(0.02, (n_rows, 400)) * rng.uniform(1, 8, 400)
    counts[0] = np.eye(400)[0]  # a text of a single word
    return TfidfTransformer().fit_transform(counts)


@pytest.mark.parametrize("form", [sparse.csr_array, np.asarray, lambda X: Source(X, "X")])
def test_weights_of_words_are_no_intensities(form):
    X = weights_of_words(500, np.random.default_rng(0)).toarray()
    one_hot = np.eye(400)[np.random.default_rng(0).integers(0, 400, 500)]

    assert X.max() == 1
    assert not ValueRange(form(X)).fills_unit_interval()
    assert ValueRange(form(one_hot)).fills_unit_interval()
