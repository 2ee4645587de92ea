"""scikit-learn around the estimators: pipelines, searches, scores, several processes."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, train_test_split
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import DeepAutoencoder, DenoisingAutoencoder


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:400], y[:400]


@pytest.fixture
def pipeline(small):
    return Pipeline(
        [
            ("scale", MinMaxScaler()),
            ("ae", small(DenoisingAutoencoder, noise_scale=0.2)),
            ("clf", LogisticRegression(max_iter=200)),
        ]
    )


def test_a_pipeline_classifies_codes(digits):
    X, X_test, y, y_test = train_test_split(*digits, random_state=0)
    pipeline = Pipeline(
        [
            ("scale", MinMaxScaler()),
            ("ae", DenoisingAutoencoder(random_state=0, noise_scale=0.2)),
            ("clf", LogisticRegression(max_iter=500)),
        ]
    ).fit(X, y)

    assert pipeline.score(X_test, y_test) > 0.85


def test_a_grid_search_takes_own_and_routed_parameters(pipeline, digits):
    grid = {
        "ae__n_components": [1, 8],
        "ae__noise_scale": [0.1, 0.3],
        "ae__optimizer": ["adam", "nadam"],
        "ae__optimizer__beta_1": [0.8],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(*digits)

    assert len(search.cv_results_["params"]) == 8
    assert len(set(search.cv_results_["mean_test_score"])) > 4
    assert search.best_params_["ae__n_components"] == 8
    best = search.best_estimator_.named_steps["ae"].get_params()
    for name in ("n_components", "noise_scale", "optimizer", "optimizer__beta_1"):
        assert best[name] == search.best_params_[f"ae__{name}"]


def test_an_unsupervised_search_uses_score(small, X):
    search = GridSearchCV(small(epochs=10), {"n_components": [1, 8]}, cv=3).fit(X)

    assert search.best_params_ == {"n_components": 8}
    assert search.best_score_ < 0
    assert search.score(X) == pytest.approx(
        -np.mean((search.best_estimator_.reconstruct(X) - X) ** 2)
    )


def test_scores_are_the_same_in_one_process_and_in_two(pipeline, digits):
    grid = {"ae__n_components": [2, 4], "ae__noise_scale": [0.1, 0.2]}
    one, two = (
        GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(*digits)
        for n_jobs in (1, 2)
    )

    for split in ("split0_test_score", "split1_test_score"):
        assert_array_equal(two.cv_results_[split], one.cv_results_[split])
    assert_array_equal(two.predict_proba(digits[0]), one.predict_proba(digits[0]))


def test_unsupervised_scores_are_the_same_bits_in_two_processes(small, X):
    one, two = (
        cross_val_score(small(), X, cv=KFold(4), n_jobs=n_jobs, error_score="raise")
        for n_jobs in (1, 2)
    )

    assert len(set(one)) == 4
    assert_array_equal(two, one)


def test_scores_are_the_same_bits_in_two_threads(small, X):
    from joblib import parallel_backend

    one = cross_val_score(small(), X, cv=KFold(4))
    with parallel_backend("threading", n_jobs=2):
        assert_array_equal(cross_val_score(small(), X, cv=KFold(4)), one)


def test_a_grid_whose_optimizer_does_not_take_a_parameter_fails_in_that_cell_only(small, X):
    grid = {"optimizer": ["adam", "sgd"], "optimizer__beta_1": [0.8]}

    with pytest.raises(ValueError, match="optimizer__beta_1 is not a parameter of SGD"):
        GridSearchCV(small(), grid, cv=2).fit(X)


def test_codes_stand_beside_other_features(small, X):
    union = FeatureUnion([("ae", small()), ("pca", PCA(3))]).set_output(transform="pandas")
    frame = union.fit_transform(X)

    assert frame.shape == (300, 7)
    assert frame.columns[0] == "ae__deepautoencoder0"


def test_parameters_reach_through_a_pipeline(small):
    pipeline = make_pipeline(MinMaxScaler(), small())
    pipeline.set_params(deepautoencoder__optimizer__beta_1=0.5, deepautoencoder__epochs=1)

    assert pipeline[-1].get_params()["optimizer__beta_1"] == 0.5
    with pytest.raises(ValueError, match="Did you mean 'beta_1'"):
        pipeline.set_params(deepautoencoder__optimizer__beta1=0.5)


def test_a_pipeline_scales_the_validation_rows(small, X):
    X = X * 255
    with config_context(enable_metadata_routing=True):
        pipeline = Pipeline(
            [("scale", MinMaxScaler()), ("ae", small().set_fit_request(X_val=True))],
            transform_input=["X_val"],
        ).fit(X[:200], X_val=X[200:])
    scaler = MinMaxScaler().fit(X[:200])
    alone = small().fit(scaler.transform(X[:200]), X_val=scaler.transform(X[200:]))

    assert pipeline[-1].history_ == alone.history_
    assert "val_loss" in alone.history_


def test_weights_and_clean_rows_are_routed(small, X):
    weight = np.linspace(1, 2, 300)
    with config_context(enable_metadata_routing=True):
        request = {"sample_weight": True, "X_clean": True}
        ae = small(DenoisingAutoencoder).set_fit_request(**request)
        pipeline = make_pipeline(ae).fit(X, X_clean=1 - X, sample_weight=weight)
    alone = small(DenoisingAutoencoder).fit(X, X_clean=1 - X, sample_weight=weight)

    assert_array_equal(pipeline[-1].transform(X), alone.transform(X))


def test_the_default_estimator_scores_better_than_pca_on_digits(digits):
    X = digits[0] / 16
    train, test = train_test_split(X, random_state=0)
    pca = PCA(4).fit(train)
    error = np.mean((test - pca.inverse_transform(pca.transform(test))) ** 2)

    assert DeepAutoencoder(4, random_state=0).fit(train).score(test) > -error
