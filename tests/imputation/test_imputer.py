"""The imputer's contract with scikit-learn, known cells, gaps of every kind, and errors."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoencoderImputer, DeepAutoencoder, DenoisingAutoencoder
from tests.estimators.comparisons import refused
from tests.imputation.tables import able, cheap, related, with_gaps


@pytest.fixture(scope="module")
def fitted():
    return cheap().fit(with_gaps(related(200))[0])


@pytest.fixture(scope="module")
def trained():
    """An imputer that has learnt, and the rows that it was fitted to."""
    X, _ = with_gaps(related(400))
    return able().fit(X), X


@parametrize_with_checks([cheap(), cheap(sample_posterior=True, add_indicator=True, n_folds=1)])
def test_scikit_learn_check_passes(estimator, check):
    check(estimator)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sample_posterior", [False, True])
def test_known_cells_keep_their_bits(fitted, dtype, sample_posterior):
    X, hidden = with_gaps(related(50, seed=1).astype(dtype))
    imputer = pickle.loads(pickle.dumps(fitted)).set_params(
        sample_posterior=sample_posterior, n_draws=3
    )
    filled = imputer.transform(X)
    assert filled.dtype == dtype
    assert np.isfinite(filled).all()
    assert_array_equal(filled[~hidden].view(np.uint8), X[~hidden].view(np.uint8))


def test_rows_without_gaps_return_unchanged(fitted):
    X = related(20, seed=1)
    filled = fitted.transform(X)
    assert_array_equal(filled, X)
    assert filled is not X


def test_gaps_of_new_rows_are_filled(trained):
    """The error is less than half of that of the column means, in each column."""
    imputer, X = trained
    clean = related(300, seed=1)
    gaps, hidden = with_gaps(clean, rate=0.2)
    ours = imputer.transform(gaps) - clean
    means = SimpleImputer().fit(X).transform(gaps) - clean
    for column in range(4):
        there = hidden[:, column]
        ratio = np.abs(ours[there, column]).mean() / np.abs(means[there, column]).mean()
        assert ratio < 0.5, column


def test_units_of_columns_are_irrelevant():
    X, _ = with_gaps(related(100))
    units, zeros = np.array([1e-6, 1, 1e9, 1]), np.array([0, 5, 0, 1e3])
    one, other = cheap().fit_transform(X), cheap().fit_transform(X * units + zeros)
    assert_allclose((other - zeros) / units, one, rtol=1e-3, atol=1e-3)


def test_outlier_does_not_move_others():
    """A value that is a million times too large changes the gaps of other rows little."""
    X, hidden = with_gaps(related(200))
    spoilt = X.copy()
    row = np.flatnonzero(~hidden[:, 1])[0]
    spoilt[row, 1] *= 1e6
    others = np.arange(200) != row
    one, other = (cheap().fit(rows).transform(X)[others] for rows in (X, spoilt))
    assert_allclose(other, one, atol=0.2 * np.nanstd(X, axis=0).max(), rtol=0.2)


def test_values_stay_in_known_range(fitted):
    X, _ = with_gaps(related(200))
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    far = np.where(np.eye(4, dtype=bool), np.nan, np.full(4, 1e12))
    for draws in (fitted.transform(far)[np.newaxis], fitted.sample(far, 20)):
        values = draws[:, range(4), range(4)]
        assert (values >= low).all()
        assert (values <= high).all()


@pytest.mark.parametrize("missing_values", [-1, -999.9, np.nan, None])
def test_placeholder_marks_gaps(missing_values):
    X, hidden = with_gaps(related(60).astype(np.float32))
    marked = X.astype(object) if missing_values is None else X.copy()
    marked[hidden] = missing_values
    expected = cheap().fit_transform(X)
    filled = cheap(missing_values=missing_values).fit_transform(marked)
    assert_allclose(filled, expected, rtol=1e-6)


def test_integer_placeholder_in_integers():
    X = np.random.default_rng(0).integers(0, 9, (60, 3))
    X[::5, 1] = -1
    filled = cheap(missing_values=-1).fit_transform(X)
    assert filled.dtype == np.float64
    assert filled.min() >= 0
    assert_array_equal(filled[X != -1], X[X != -1])


def test_frames_go_in_and_out():
    """pandas' NA is a gap, and names of columns are kept."""
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(related(60), columns=list("abcd"))
    X["a"] = X["a"].astype("Float64").mask(X["b"] > 600)
    X["d"] = X["d"].astype(object).mask(X["b"] < 450, None)
    imputer = cheap(add_indicator=True).set_output(transform="pandas")
    filled = imputer.fit_transform(X)
    assert list(filled) == [*"abcd", "missingindicator_a", "missingindicator_d"]
    assert not filled.isna().any(axis=None)
    assert_array_equal(filled["missingindicator_a"], X["a"].isna())
    assert_array_equal(filled.loc[X["a"].notna(), "a"], X["a"].dropna().to_numpy(float))


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("missing_values", [np.nan, -1])
def test_empty_columns_as_in_scikit_learn(keep, missing_values):
    X = related(60)
    X[:, 2] = X[::3, 0] = missing_values
    options = {"missing_values": missing_values, "keep_empty_features": keep, "add_indicator": True}
    imputer, other = cheap(**options), SimpleImputer(**options)
    if keep:
        filled = imputer.fit_transform(X)
    else:
        with pytest.warns(UserWarning, match=r"columns without a known value.*\[2\]"):
            filled = imputer.fit_transform(X)
    expected = other.fit_transform(X)
    assert filled.shape == expected.shape
    assert_array_equal(imputer.get_feature_names_out(), other.get_feature_names_out())
    assert_array_equal(filled[:, 3 + keep :], expected[:, 3 + keep :])
    if keep:
        assert_array_equal(filled[:, 2], np.zeros(60))


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.95), st.integers(2, 12), st.integers(1, 5))
def test_any_pattern_is_filled(seed, rate, n_rows, n_features):
    """Columns and rows may be empty, but for two rows; new rows may have other gaps."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features)) * 10.0 ** rng.integers(-5, 5, n_features)
    X[rng.random(X.shape) < rate] = np.nan
    X[:2, 0] = 1, 2
    imputer = cheap(keep_empty_features=True).fit(X)
    other = np.where(rng.random(X.shape) < 0.5, np.nan, 1.0)
    for rows in (X, other):
        for filled in (imputer.transform(rows), *imputer.sample(rows, 2)):
            known = ~np.isnan(rows)
            assert filled.shape == rows.shape
            assert np.isfinite(filled).all()
            assert_array_equal(filled[known], rows[known])


def test_empty_row_gets_typical_values(trained):
    imputer, X = trained
    filled = imputer.transform(np.full((1, 4), np.nan))[0]
    assert (np.abs(filled - np.nanmedian(X, axis=0)) < 0.5 * np.nanstd(X, axis=0)).all()


def test_thousand_columns_are_filled():
    X, hidden = with_gaps(np.random.default_rng(0).normal(size=(12, 1000)))
    filled = cheap().fit_transform(X)
    assert np.isfinite(filled).all()
    assert_array_equal(filled[~hidden], X[~hidden])


def test_seed_determines_all_bits():
    X, _ = with_gaps(related(60))
    imputers = [cheap(random_state=seed).fit(X) for seed in (0, 0, 1)]
    for method in ("transform", "sample"):
        one, same, other = (getattr(imputer, method)(X) for imputer in imputers)
        assert_array_equal(one, same)
        assert not np.array_equal(one, other)


def test_pickle_gives_same_bits(fitted):
    X, _ = with_gaps(related(20, seed=1))
    other = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(other.transform(X), fitted.transform(X))
    assert_array_equal(other.sample(X, 2), fitted.sample(X, 2))


def test_skops_file_gives_same_bits(fitted):
    skops_io = pytest.importorskip("skops.io")
    file = skops_io.dumps(fitted)
    names = skops_io.get_untrusted_types(data=file)
    assert all(name.startswith("skae.") and name.count(".") == 1 for name in names), names
    X, _ = with_gaps(related(20, seed=1))
    assert_array_equal(skops_io.loads(file, trusted=names).transform(X), fitted.transform(X))


def test_grid_reaches_network():
    """Settings are chosen by the classifier that follows."""
    X, y = load_breast_cancer(return_X_y=True)
    X, _ = with_gaps(X[:150, :6])
    pipeline = make_pipeline(cheap(), StandardScaler(), LogisticRegression())
    grid = {"autoencoderimputer__autoencoder__n_components": [2, 3]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y[:150])
    assert search.best_score_ > 0.8
    width = search.best_params_["autoencoderimputer__autoencoder__n_components"]
    assert search.best_estimator_[0].estimator_.n_components == width


@pytest.mark.parametrize(
    ("n_rows", "n_folds", "n_networks"),
    [(40, "auto", 5), (499, "auto", 5), (500, "auto", 1), (40, 1, 1), (40, 3, 3), (40, 1000, 40)],
)
def test_networks_of_folds(n_rows, n_folds, n_networks):
    """One network learns from all rows; each of the others leaves out a fold."""
    sizes = []

    class Counting(DenoisingAutoencoder):
        def fit(self, X):
            sizes.append(len(X))
            return super().fit(X)

    network = Counting(2, hidden_layer_sizes=(), epochs=1, batch_size=32)
    X, _ = with_gaps(related(n_rows))
    AutoencoderImputer(network, n_folds=n_folds, random_state=0).fit(X)
    assert sizes[-1] == n_rows
    assert len(sizes) == n_networks + 1
    assert max(sizes[:-1]) < n_rows


def test_any_estimator_is_taken():
    """The network gets ``missing_values="mask"``, and the parameter itself stays unchanged."""
    network = DeepAutoencoder(2, epochs=1, init="pca", early_stopping=True)
    X, _ = with_gaps(related(60))
    imputer = AutoencoderImputer(network, n_folds=2, random_state=0).fit(X)
    assert network.missing_values == "error"
    assert imputer.estimator_.missing_values == "mask"
    assert np.isfinite(imputer.transform(X)).all()


def test_failed_fit_changes_nothing(fitted):
    imputer = pickle.loads(pickle.dumps(fitted))
    refused(imputer, ValueError, "infinity", [[1, np.inf, 0, 0], [1, 2, 3, np.nan]])
    refused(imputer, ValueError, "2 rows with a known value; got 1", [[1, 2], [np.nan] * 2])
    refused(imputer, ValueError, "n_features|features", related(9)[:, :3], method="transform")
    refused(imputer, ValueError, "n_draws must be", related(9), 0, method="sample")
    refused(imputer.set_params(missing_values=-1), ValueError, "NaN", [[1, np.nan], [1, 2]])


def test_overflow_of_float32_is_named():
    X = related(60) * 1e200
    X[0, 0] = np.nan
    imputer = cheap().fit(X)
    rows = np.array([[np.nan, 1, 1, 1]], np.float32)
    with pytest.raises(ValueError, match=r"row 0 overflows float32. Pass float64"):
        imputer.transform(rows)


def test_checkpoint_is_refused(tmp_path):
    imputer = AutoencoderImputer(DeepAutoencoder(checkpoint=tmp_path / "file"))
    refused(imputer, ValueError, "checkpoint=None", related(20))
