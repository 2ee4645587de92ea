"""scikit-learn around the estimators: pipelines, searches, scores, several processes."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    ParameterSampler,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
    train_test_split,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_unsupervised_scores_are_the_same_bits_in_two_processes(dtype):
    # with these shapes NumPy's products round otherwise in a worker, which has one thread
    X = load_digits().data.astype(dtype) / 16
    autoencoder = DeepAutoencoder(8, epochs=2, random_state=0)
    one, two = (
        cross_val_score(autoencoder, X, cv=KFold(5), n_jobs=n_jobs, error_score="raise")
        for n_jobs in (1, 2)
    )

    assert len(set(one)) == 5
    assert_array_equal(two, one)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_score_is_the_same_bits_for_any_number_of_threads(dtype):
    X = load_digits().data.astype(dtype) / 16
    autoencoder = DeepAutoencoder(8, epochs=1, random_state=0).fit(X)
    scores = set()
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            scores |= {(n_rows, autoencoder.score(X[:n_rows])) for n_rows in (1, 287, 361, 1797)}

    assert len(scores) == 4


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


# ---------------------------------------------------------------------------- kinds of searches


def test_a_randomized_search_scores_what_it_draws(small, X):
    spaces = {"learning_rate": loguniform(1e-3, 1e-1), "n_components": [2, 4]}
    search = RandomizedSearchCV(
        small(), spaces, n_iter=3, cv=KFold(2), random_state=0, error_score="raise"
    ).fit(X)

    drawn = list(ParameterSampler(spaces, 3, random_state=0))
    assert search.cv_results_["params"] == drawn
    alone = [cross_val_score(small(**params), X, cv=KFold(2)).mean() for params in drawn]
    assert_array_equal(search.cv_results_["mean_test_score"], alone)


def test_a_halving_search_gives_epochs_to_those_that_do_well(small, X):
    search = HalvingGridSearchCV(
        small(),
        {"n_components": [1, 2, 4, 8]},
        resource="epochs",
        min_resources=1,
        max_resources=4,
        factor=2,
        cv=KFold(2),
        error_score="raise",
    ).fit(X)

    assert search.n_resources_ == [1, 2, 4]
    assert search.n_candidates_ == [4, 2, 1]
    results = search.cv_results_
    alone = [
        cross_val_score(small(**params), X, cv=KFold(2)).mean() for params in results["params"]
    ]
    assert [params["epochs"] for params in results["params"]] == [1] * 4 + [2] * 2 + [4]
    assert_array_equal(results["mean_test_score"], alone)


def test_a_search_within_cross_validation_sees_its_own_rows_only(small, X):
    search = GridSearchCV(small(), {"n_components": [1, 4]}, cv=KFold(2), error_score="raise")
    nested = cross_val_score(search, X, cv=KFold(3), error_score="raise")

    by_hand = []
    for train, test in KFold(3).split(X):
        inner = {k: cross_val_score(small(n_components=k), X[train], cv=KFold(2)) for k in (1, 4)}
        best = max(inner, key=lambda k: inner[k].mean())
        by_hand.append(small(n_components=best).fit(X[train]).score(X[test]))
    assert_array_equal(nested, by_hand)


def test_a_pipeline_with_a_memory_fits_an_autoencoder_once(small, digits, tmp_path, monkeypatch):
    X, y = digits
    steps = [("ae", small()), ("clf", LogisticRegression(max_iter=200))]
    pipeline = Pipeline(steps, memory=str(tmp_path)).fit(X, y)
    assert_array_equal(pipeline.predict_proba(X), Pipeline(steps).fit(X, y).predict_proba(X))

    def not_again(self, X, y=None):
        raise AssertionError("fitted again")

    monkeypatch.setattr(DeepAutoencoder, "fit", not_again)
    again = clone(pipeline).set_params(clf__C=0.1).fit(X, y)
    assert_array_equal(again[:1].transform(X), pipeline[:1].transform(X))
    with pytest.raises(AssertionError, match="fitted again"):
        clone(pipeline).set_params(ae__learning_rate=0.01).fit(X, y)


def test_a_memory_knows_an_estimator_in_another_process(small):
    code = """
import joblib
from skae import DeepAutoencoder
print(joblib.hash(DeepAutoencoder(3, optimizer="sgd", random_state=0, optimizer__momentum=0.5)))
"""
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = DeepAutoencoder(3, optimizer="sgd", random_state=0, optimizer__momentum=0.5)

    assert there.stdout.strip() == joblib.hash(here) == joblib.hash(clone(here))
    assert joblib.hash(here) != joblib.hash(clone(here).set_params(optimizer__momentum=0.6))


# ---------------------------------------------------------------------------- metadata routing


def test_folds_take_their_part_of_weights_and_clean_rows(small, X):
    weight, noisy = np.linspace(0, 2, 300), 1 - X
    with config_context(enable_metadata_routing=True):
        asking = small(DenoisingAutoencoder).set_fit_request(sample_weight=True, X_clean=True)
        asking.set_score_request(sample_weight=True)
        search = GridSearchCV(
            make_pipeline(asking),
            {"denoisingautoencoder__n_components": [2, 4]},
            cv=KFold(2),
            error_score="raise",
        ).fit(noisy, sample_weight=weight, X_clean=X)

    for n_components, score in zip((2, 4), search.cv_results_["mean_test_score"], strict=True):
        by_hand = [
            small(DenoisingAutoencoder, n_components=n_components)
            .fit(noisy[train], X_clean=X[train], sample_weight=weight[train])
            .score(noisy[test], sample_weight=weight[test])
            for train, test in KFold(2).split(X)
        ]
        assert score == pytest.approx(np.mean(by_hand), rel=1e-12)


def test_a_search_scales_the_validation_rows_for_each_fold(small, X):
    X, X_val = X[:200] * 255, X[200:] * 255
    with config_context(enable_metadata_routing=True):
        asking = small(early_stopping=True, n_iter_no_change=1).set_fit_request(X_val=True)
        pipeline = Pipeline([("scale", MinMaxScaler()), ("ae", asking)], transform_input=["X_val"])
        scored = cross_validate(
            pipeline,
            X,
            cv=KFold(2),
            params={"X_val": X_val},
            return_estimator=True,
            error_score="raise",
        )

    for (train, test), fitted in zip(KFold(2).split(X), scored["estimator"], strict=True):
        scaler = MinMaxScaler().fit(X[train])
        alone = small(early_stopping=True, n_iter_no_change=1).fit(
            scaler.transform(X[train]), X_val=scaler.transform(X_val)
        )
        assert fitted["ae"].history_ == alone.history_
        assert_array_equal(fitted.transform(X[test]), alone.transform(scaler.transform(X[test])))


def test_metadata_that_no_step_asks_for_is_refused(small, X):
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match=r"X_clean.*not explicitly set as requested or not"),
    ):
        make_pipeline(small(DenoisingAutoencoder)).fit(X, X_clean=X)


def test_a_pipeline_scores_under_metadata_routing(small, X):
    # which scikit-learn's Pipeline cannot where its last step's score takes no weights
    weight = np.linspace(0, 2, 300)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(small().set_score_request(sample_weight=True)).fit(X)
        assert pipeline.score(X) == float(f"{pipeline[-1].score_samples(X).mean():.7g}")
        weighted = pipeline.score(X, sample_weight=weight)
    assert weighted == pytest.approx(weight @ pipeline[-1].score_samples(X) / weight.sum())
    with pytest.raises(ValueError, match="sample_weight must not be negative"):
        pipeline[-1].score(X, sample_weight=weight - 1)
