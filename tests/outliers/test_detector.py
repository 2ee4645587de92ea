"""The detector's contract with scikit-learn, its threshold, its scores and its columns."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoencoderOutlierDetector, DeepAutoencoder, DenoisingAutoencoder
from tests.estimators.comparisons import refused

METHODS = ("score_samples", "decision_function", "p_values", "feature_scores", "expected_values")


def cheap(**params):
    """Return a detector with a network of a few weights; all share one program."""
    network = DenoisingAutoencoder(
        2, hidden_layer_sizes=(4,), init="pca", early_stopping=False, batch_size=32, epochs=2
    )
    return AutoencoderOutlierDetector(network, **({"n_folds": 1, "random_state": 0} | params))


def normal(n_rows, seed=0):
    """Return rows of four columns; the first two determine the last two, but for noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, 2))
    return np.hstack([x, x @ [[1, 0.5], [-1, 2]]]) + rng.normal(scale=0.1, size=(n_rows, 4))


@pytest.fixture(scope="module")
def fitted():
    return cheap().fit(normal(600))


@parametrize_with_checks([cheap(), AutoencoderOutlierDetector()])
def test_scikit_learn_check_passes(estimator, check):
    check(estimator)


@pytest.mark.parametrize("contamination", [0.01, 0.2, 0.5])
def test_contamination_is_share_of_fit(contamination):
    X = normal(400)
    labels = cheap(contamination=contamination).fit_predict(X)
    assert (labels == -1).sum() == pytest.approx(400 * contamination, abs=1)


def test_unseen_outliers_have_lowest_scores(fitted):
    X, outliers = normal(300, seed=1), normal(300, seed=2) * [1, 1, -1, 1]
    y = np.repeat([1, -1], 300)
    assert roc_auc_score(y, fitted.score_samples(np.vstack([X, outliers]))) > 0.9


def test_predict_agrees_with_p_values(fitted):
    X = normal(500, seed=1)
    assert_array_equal(fitted.predict(X) == -1, fitted.p_values(X) <= 0.05)


def test_threshold_without_training(fitted):
    """`calibrate` takes the present parameters, and other rows if they are given."""
    before = fitted.score_samples(normal(9))
    detector = pickle.loads(pickle.dumps(fitted)).set_params(false_alarm_rate=0.2).calibrate()
    assert np.mean(detector.predict(normal(2000, seed=3)) == -1) == pytest.approx(0.2, abs=0.06)
    noisy = normal(1000, seed=4) * 2
    detector.calibrate(noisy)
    assert np.mean(detector.predict(noisy) == -1) == pytest.approx(0.2, abs=0.01)
    detector.set_params(contamination=0.1).calibrate(noisy)
    assert (detector.predict(noisy) == -1).sum() == 100
    assert_array_equal(detector.score_samples(normal(9)), before)


def test_failed_calibration_changes_nothing(fitted):
    detector = pickle.loads(pickle.dumps(fitted)).set_params(false_alarm_rate=2)
    offset = detector.offset_
    with pytest.raises(ValueError, match="false_alarm_rate must be"):
        detector.calibrate(normal(50))
    assert detector.offset_ == offset
    with pytest.raises(ValueError, match="NaN"):
        detector.set_params(false_alarm_rate=0.1).calibrate([[np.nan] * 4])
    assert detector.offset_ == offset


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_neighbors", [1, 3])
def test_columns_sum_to_score(dtype, n_neighbors):
    detector = cheap(n_neighbors=n_neighbors, n_folds=3).fit(normal(200))
    X = normal(100, seed=1).astype(dtype)
    shares = detector.feature_scores(X)
    assert shares.shape == X.shape
    assert shares.min() >= 0
    rtol = 1e-3 if dtype == np.float32 else 1e-9
    assert_allclose(shares.sum(axis=1), -detector.score_samples(X), rtol=rtol)


def test_column_to_blame_is_found(fitted):
    """The column with a broken value has the largest share."""
    X, broken = normal(150, seed=1), np.arange(150) % 3 + 1
    X[np.arange(150), broken] += 12
    assert np.mean(fitted.feature_scores(X).argmax(axis=1) == broken) > 0.95


def test_expected_values_are_normal(fitted):
    clean = normal(100, seed=1)
    X = clean + np.array([0, 0, 8, 0])
    expected = fitted.expected_values(X)
    assert expected.shape == X.shape
    assert np.mean(fitted.predict(expected) == 1) > 0.9
    assert np.abs(expected - clean)[:, 2].mean() < 4


def test_column_of_large_unit_counts_once():
    """Units of columns do not change scores."""
    X, units = normal(300), np.array([1, 1e4, 1e-3, 1])
    one, other = cheap().fit(X), cheap().fit(X * units)
    T = normal(50, seed=1)
    assert_allclose(one.score_samples(T), other.score_samples(T * units), rtol=0.02)


def test_columns_count_by_their_units():
    """Without ``standardize``, a column of a large unit dominates."""
    units = np.array([1, 1, 1, 100])
    detector = cheap(standardize=False).fit(normal(300) * units)
    shares = detector.feature_scores(normal(50, seed=1) * units)
    assert np.median(shares[:, 3] / shares.sum(axis=1)) > 0.5


def test_weight_is_repetition():
    X = normal(120)
    weight = np.arange(120) % 4
    repeated, weighted = cheap().fit(X.repeat(weight, axis=0)), cheap().fit(X, sample_weight=weight)
    T = normal(20, seed=1)
    assert_array_equal(repeated.decision_function(T), weighted.decision_function(T))
    assert_array_equal(repeated.p_values(T), weighted.p_values(T))


def test_order_of_rows_is_irrelevant():
    X = normal(200)
    T = normal(20, seed=1)
    assert_array_equal(cheap().fit(X).p_values(T), cheap().fit(X[::-1]).p_values(T))


def test_grid_reaches_network():
    X = np.vstack([normal(150), normal(50, seed=1) * [1, 1, -1, 1]])
    y = np.repeat([1, -1], [150, 50])
    search = GridSearchCV(
        cheap(), {"autoencoder__n_components": [1, 2], "n_neighbors": [1]}, scoring="roc_auc",
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
    )  # fmt: skip
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert (
        search.best_estimator_.estimators_[0].n_components
        == search.best_params_["autoencoder__n_components"]
    )


def test_works_in_cross_validation_and_pipelines():
    X = normal(200)
    pipeline = make_pipeline(MinMaxScaler(), cheap()).set_output(transform="pandas")
    assert set(pipeline.fit(X).predict(X)) == {1, -1}
    decisions = cross_val_predict(pipeline, X, method="decision_function", cv=2)
    assert decisions.shape == (200,)
    assert hasattr(pipeline[-1], "feature_names_in_")


@pytest.mark.parametrize("method", METHODS)
def test_containers_give_same_result(fitted, method, tmp_path):
    """Sparse rows, frames, sources and ``out`` give the result of an array."""
    import pandas as pd

    X = normal(150, seed=1)
    expected = getattr(fitted, method)(X)
    rows = np.memmap(tmp_path / "rows", X.dtype, "w+", shape=X.shape)
    rows[:] = X
    out = np.memmap(tmp_path / "out", np.float64, "w+", shape=expected.shape)
    assert getattr(fitted, method)(rows, out=out) is out
    assert_allclose(out, expected)
    assert_allclose(getattr(fitted, method)(sparse.csr_matrix(X)), expected)
    assert_allclose(getattr(fitted, method)(pd.DataFrame(X).to_numpy()), expected)


def test_sparse_rows_fit_alike():
    X = np.where(normal(300) > 0.5, normal(300), 0)
    dense, from_sparse = cheap().fit(X), cheap().fit(sparse.csr_array(X))
    auc = roc_auc_score(dense.predict(X) == 1, from_sparse.score_samples(X))
    assert auc > 0.9


def test_source_is_fitted_in_blocks(tmp_path, monkeypatch):
    """Rows that are not loaded at once give a detector as good as rows in memory."""
    from skae._rows.sources import ReadLimits, Source

    monkeypatch.setattr(Source, "default_limits", ReadLimits(256, 512))
    X = normal(600)
    rows = np.memmap(tmp_path / "rows", X.dtype, "w+", shape=X.shape)
    rows[:] = X
    detector = cheap(contamination=0.1).fit(rows)
    assert (detector.predict(X) == -1).sum() == pytest.approx(60, abs=2)
    assert np.mean(detector.predict(normal(200, seed=2) * [1, 1, -1, 1]) == -1) > 0.7


def test_pickle_gives_same_bits(fitted):
    other = pickle.loads(pickle.dumps(fitted))
    X = normal(20, seed=1)
    for method in (*METHODS, "predict"):
        assert_array_equal(getattr(other, method)(X), getattr(fitted, method)(X))


def test_skops_file_gives_same_bits(fitted):
    skops_io = pytest.importorskip("skops.io")
    file = skops_io.dumps(fitted)
    names = skops_io.get_untrusted_types(data=file)
    assert all(name.startswith("skae.") and name.count(".") == 1 for name in names), names
    other = skops_io.loads(file, trusted=names)
    X = normal(20, seed=1)
    assert_array_equal(other.p_values(X), fitted.p_values(X))
    assert_array_equal(other.feature_scores(X), fitted.feature_scores(X))


@pytest.mark.parametrize("n_folds", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_onnx_gives_labels_and_decisions(n_folds, dtype):
    skl2onnx = pytest.importorskip("skl2onnx")
    ort = pytest.importorskip("onnxruntime")
    X = normal(200)
    detector = cheap(n_folds=n_folds).fit(X)
    T = np.vstack([normal(50, seed=1), normal(50, seed=2) * 3]).astype(dtype)
    model = skl2onnx.to_onnx(detector, T[:1])
    session = ort.InferenceSession(model.SerializeToString())
    assert [output.name for output in session.get_outputs()] == ["label", "scores"]
    labels, decisions = session.run(None, {"X": T})
    expected = detector.decision_function(T)
    assert_allclose(decisions[:, 0], expected, rtol=1e-3, atol=1e-4)
    clear = np.abs(expected) > 1e-3
    assert_array_equal(labels[clear], detector.predict(T)[clear])


def test_failed_fit_changes_nothing(fitted):
    detector = pickle.loads(pickle.dumps(fitted))
    refused(clone(detector).set_params(trim=2), ValueError, "trim must be", normal(50))
    with pytest.raises(ValueError, match="at least 4 distinct rows"):
        detector.fit(np.ones((50, 4)))
    X = normal(20, seed=1)
    assert_array_equal(detector.score_samples(X), fitted.score_samples(X))


def test_checkpoint_of_several_networks_is_refused():
    shared = DeepAutoencoder(checkpoint="fit.npz")
    refused(AutoencoderOutlierDetector(shared), ValueError, "checkpoint=None", normal(50))


def test_any_autoencoder_serves():
    network = DeepAutoencoder(1, hidden_layer_sizes=(4,), init="random", epochs=2, batch_size=32)
    detector = AutoencoderOutlierDetector(network, random_state=0).fit(normal(100))
    assert len(detector.estimators_) == 5
    assert type(detector.estimators_[0]) is DeepAutoencoder
    assert network.random_state is None


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_default_fit_does_not_warn():
    AutoencoderOutlierDetector(random_state=0).fit(normal(60))


@pytest.mark.parametrize("params", [{"trim": 0.2}, {"contamination": 0.2}])
def test_group_of_outliers_stays_unusual(params):
    """A tenth of the rows of the fit is a group that breaks the relation between columns."""

    def group(n_rows, seed):
        noise = np.random.default_rng(seed).normal(scale=0.2, size=(n_rows, 4))
        return np.array([2, -2, 3, 3]) + noise

    X = np.vstack([normal(450), group(50, seed=1)])
    T, y = np.vstack([normal(300, seed=2), group(300, seed=3)]), np.repeat([1, 0], 300)
    plain, robust = (
        roc_auc_score(y, cheap(**each).fit(X).score_samples(T)) for each in ({}, params)
    )
    assert robust > 0.9
    assert robust > plain + 0.1
