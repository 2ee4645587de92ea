"""The estimators in scikit-learn's pipelines and searches, also in several processes."""

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
from sklearn.exceptions import FitFailedWarning
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
def pipeline(make_autoencoder):
    return Pipeline(
        [
            ("scale", MinMaxScaler()),
            ("ae", make_autoencoder(DenoisingAutoencoder, noise_scale=0.2)),
            ("clf", LogisticRegression(max_iter=200)),
        ]
    )


def test_pipeline_classifies_codes(digits):
    X, X_test, y, y_test = train_test_split(*digits, random_state=0)
    pipeline = Pipeline(
        [
            ("scale", MinMaxScaler()),
            ("ae", DenoisingAutoencoder(random_state=0, noise_scale=0.2)),
            ("clf", LogisticRegression(max_iter=500)),
        ]
    ).fit(X, y)

    assert pipeline.score(X_test, y_test) > 0.85


def test_grid_search_takes_routed_parameters(pipeline, digits):
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


def test_unsupervised_search_uses_score(make_autoencoder, X):
    search = GridSearchCV(make_autoencoder(epochs=10), {"n_components": [1, 8]}, cv=3).fit(X)

    assert search.best_params_ == {"n_components": 8}
    assert search.best_score_ < 0
    assert search.score(X) == pytest.approx(
        -np.mean((search.best_estimator_.reconstruct(X) - X) ** 2)
    )


def test_two_processes_give_same_scores(pipeline, digits):
    grid = {"ae__n_components": [2, 4], "ae__noise_scale": [0.1, 0.2]}
    one, two = (
        GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(*digits)
        for n_jobs in (1, 2)
    )

    for split in ("split0_test_score", "split1_test_score"):
        assert_array_equal(two.cv_results_[split], one.cv_results_[split])
    assert_array_equal(two.predict_proba(digits[0]), one.predict_proba(digits[0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_processes_give_same_bits(dtype):
    """Unsupervised scores have the same bits in one process and in two."""
    # With these shapes, NumPy's products round differently in a worker, which has one thread.
    X = load_digits().data.astype(dtype) / 16
    autoencoder = DeepAutoencoder(8, epochs=2, random_state=0)
    one, two = (
        cross_val_score(autoencoder, X, cv=KFold(5), n_jobs=n_jobs, error_score="raise")
        for n_jobs in (1, 2)
    )

    assert len(set(one)) == 5
    assert_array_equal(two, one)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_thread_count_keeps_score_bits(dtype):
    """The score of a fitted estimator has the same bits with 1, 2 and 3 threads."""
    X = load_digits().data.astype(dtype) / 16
    autoencoder = DeepAutoencoder(8, epochs=1, random_state=0).fit(X)
    scores = set()
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            scores |= {(n_rows, autoencoder.score(X[:n_rows])) for n_rows in (1, 287, 361, 1797)}

    assert len(scores) == 4


def test_two_threads_give_same_bits(make_autoencoder, X):
    from joblib import parallel_backend

    one = cross_val_score(make_autoencoder(), X, cv=KFold(4))
    with parallel_backend("threading", n_jobs=2):
        assert_array_equal(cross_val_score(make_autoencoder(), X, cv=KFold(4)), one)


def test_unsuitable_parameter_fails_one_cell(make_autoencoder, X):
    """If an optimizer in a grid lacks a routed parameter, only its cells fail; both are named."""
    grid = {"optimizer": ["adam", "sgd"], "optimizer__beta_1": [0.8]}

    with pytest.warns(FitFailedWarning, match="optimizer__beta_1 is not a parameter of SGD"):
        search = GridSearchCV(make_autoencoder(), grid, cv=2).fit(X)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    with pytest.raises(ValueError, match="optimizer__beta_1 is not a parameter of SGD"):
        GridSearchCV(make_autoencoder(), grid, cv=2, error_score="raise").fit(X)


def test_feature_union_joins_codes(make_autoencoder, X):
    union = FeatureUnion([("ae", make_autoencoder()), ("pca", PCA(3))]).set_output(
        transform="pandas"
    )
    frame = union.fit_transform(X)

    assert frame.shape == (300, 7)
    assert frame.columns[0] == "ae__deepautoencoder0"


def test_pipeline_routes_parameters(make_autoencoder, X):
    pipeline = make_pipeline(MinMaxScaler(), make_autoencoder())
    pipeline.set_params(deepautoencoder__optimizer__beta_1=0.5, deepautoencoder__epochs=1)

    assert pipeline[-1].get_params()["optimizer__beta_1"] == 0.5
    with pytest.raises(ValueError, match="Did you mean 'beta_1'"):
        pipeline.set_params(deepautoencoder__optimizer__beta1=0.5).fit(X)


def test_pipeline_scales_validation_rows(make_autoencoder, X):
    X = X * 255
    with config_context(enable_metadata_routing=True):
        pipeline = Pipeline(
            [
                ("scale", MinMaxScaler(clip=True)),
                ("ae", make_autoencoder().set_fit_request(X_val=True)),
            ],
            transform_input=["X_val"],
        ).fit(X[:200], X_val=X[200:])
    scaler = MinMaxScaler(clip=True).fit(X[:200])
    alone = make_autoencoder().fit(scaler.transform(X[:200]), X_val=scaler.transform(X[200:]))

    assert pipeline[-1].history_ == alone.history_
    assert "val_loss" in alone.history_


def test_weights_and_clean_rows_are_routed(make_autoencoder, X):
    weight = np.linspace(1, 2, 300)
    with config_context(enable_metadata_routing=True):
        request = {"sample_weight": True, "X_clean": True}
        ae = make_autoencoder(DenoisingAutoencoder).set_fit_request(**request)
        pipeline = make_pipeline(ae).fit(X, X_clean=1 - X, sample_weight=weight)
    alone = make_autoencoder(DenoisingAutoencoder).fit(X, X_clean=1 - X, sample_weight=weight)

    assert_array_equal(pipeline[-1].transform(X), alone.transform(X))


def test_default_beats_pca_on_digits(digits):
    X = digits[0] / 16
    train, test = train_test_split(X, random_state=0)
    pca = PCA(4).fit(train)
    error = np.mean((test - pca.inverse_transform(pca.transform(test))) ** 2)

    assert DeepAutoencoder(4, random_state=0).fit(train).score(test) > -error


# ---------------------------------------------------------------------------- kinds of searches


def test_randomized_search_scores_drawn_parameters(make_autoencoder, X):
    """The scores are those of cross-validation with the drawn parameters."""
    spaces = {"learning_rate": loguniform(1e-3, 1e-1), "n_components": [2, 4]}
    search = RandomizedSearchCV(
        make_autoencoder(), spaces, n_iter=3, cv=KFold(2), random_state=0, error_score="raise"
    ).fit(X)

    drawn = list(ParameterSampler(spaces, 3, random_state=0))
    assert search.cv_results_["params"] == drawn
    alone = [cross_val_score(make_autoencoder(**params), X, cv=KFold(2)).mean() for params in drawn]
    assert_array_equal(search.cv_results_["mean_test_score"], alone)


def test_halving_search_over_epochs(make_autoencoder, X):
    """A halving search can use `epochs` as its resource."""
    search = HalvingGridSearchCV(
        make_autoencoder(),
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
        cross_val_score(make_autoencoder(**params), X, cv=KFold(2)).mean()
        for params in results["params"]
    ]
    assert [params["epochs"] for params in results["params"]] == [1] * 4 + [2] * 2 + [4]
    assert_array_equal(results["mean_test_score"], alone)


def test_nested_search_sees_training_rows_only(make_autoencoder, X):
    """A search inside cross-validation uses the training rows of its fold only."""
    search = GridSearchCV(
        make_autoencoder(), {"n_components": [1, 4]}, cv=KFold(2), error_score="raise"
    )
    nested = cross_val_score(search, X, cv=KFold(3), error_score="raise")

    by_hand = []
    for train, test in KFold(3).split(X):
        inner = {
            k: cross_val_score(make_autoencoder(n_components=k), X[train], cv=KFold(2))
            for k in (1, 4)
        }
        best = max(inner, key=lambda k: inner[k].mean())
        by_hand.append(make_autoencoder(n_components=best).fit(X[train]).score(X[test]))
    assert_array_equal(nested, by_hand)


def test_pipeline_memory_avoids_refitting(make_autoencoder, digits, tmp_path, monkeypatch):
    """A pipeline with a memory fits an autoencoder again only if its parameters change."""
    X, y = digits
    steps = [("ae", make_autoencoder()), ("clf", LogisticRegression(max_iter=200))]
    pipeline = Pipeline(steps, memory=str(tmp_path)).fit(X, y)
    assert_array_equal(pipeline.predict_proba(X), Pipeline(steps).fit(X, y).predict_proba(X))

    def not_again(self, X, y=None):
        raise AssertionError("fitted again")

    monkeypatch.setattr(DeepAutoencoder, "fit", not_again)
    again = clone(pipeline).set_params(clf__C=0.1).fit(X, y)
    assert_array_equal(again[:1].transform(X), pipeline[:1].transform(X))
    with pytest.raises(AssertionError, match="fitted again"):
        clone(pipeline).set_params(ae__learning_rate=0.01).fit(X, y)


def test_hash_agrees_between_processes(make_autoencoder):
    """joblib's hash of an estimator, the key of a memory, is the same in another process."""
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


def test_folds_split_weights_and_targets(make_autoencoder, X):
    """Each fold of a search gets its rows of sample_weight and X_clean."""
    weight, noisy = np.linspace(0, 2, 300), 1 - X
    with config_context(enable_metadata_routing=True):
        requesting = make_autoencoder(DenoisingAutoencoder).set_fit_request(
            sample_weight=True, X_clean=True
        )
        requesting.set_score_request(sample_weight=True)
        search = GridSearchCV(
            make_pipeline(requesting),
            {"denoisingautoencoder__n_components": [2, 4]},
            cv=KFold(2),
            error_score="raise",
        ).fit(noisy, sample_weight=weight, X_clean=X)

    for n_components, score in zip((2, 4), search.cv_results_["mean_test_score"], strict=True):
        by_hand = [
            make_autoencoder(DenoisingAutoencoder, n_components=n_components)
            .fit(noisy[train], X_clean=X[train], sample_weight=weight[train])
            .score(noisy[test], sample_weight=weight[test])
            for train, test in KFold(2).split(X)
        ]
        assert score == pytest.approx(np.mean(by_hand), rel=1e-12)


def test_search_scales_validation_rows(make_autoencoder, X):
    """A search transforms X_val with the scaler of each fold."""
    X, X_val = X[:200] * 255, X[200:] * 255
    with config_context(enable_metadata_routing=True):
        requesting = make_autoencoder(early_stopping=True, n_iter_no_change=1).set_fit_request(
            X_val=True
        )
        pipeline = Pipeline(
            [("scale", MinMaxScaler(clip=True)), ("ae", requesting)], transform_input=["X_val"]
        )
        scored = cross_validate(
            pipeline,
            X,
            cv=KFold(2),
            params={"X_val": X_val},
            return_estimator=True,
            error_score="raise",
        )

    for (train, test), fitted in zip(KFold(2).split(X), scored["estimator"], strict=True):
        scaler = MinMaxScaler(clip=True).fit(X[train])
        alone = make_autoencoder(early_stopping=True, n_iter_no_change=1).fit(
            scaler.transform(X[train]), X_val=scaler.transform(X_val)
        )
        assert fitted["ae"].history_ == alone.history_
        assert_array_equal(fitted.transform(X[test]), alone.transform(scaler.transform(X[test])))


def test_unrequested_metadata_is_refused(make_autoencoder, X):
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match=r"X_clean.*not explicitly set as requested or not"),
    ):
        make_pipeline(make_autoencoder(DenoisingAutoencoder)).fit(X, X_clean=X)


def test_pipeline_scores_under_routing(make_autoencoder, X):
    # scikit-learn's Pipeline needs a `score` that takes sample_weight in its last step.
    weight = np.linspace(0, 2, 300)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(make_autoencoder().set_score_request(sample_weight=True)).fit(X)
        assert pipeline.score(X) == float(f"{pipeline[-1].score_samples(X).mean():.7g}")
        weighted = pipeline.score(X, sample_weight=weight)
    assert weighted == pytest.approx(weight @ pipeline[-1].score_samples(X) / weight.sum())
    with pytest.raises(ValueError, match="sample_weight must not be negative"):
        pipeline[-1].score(X, sample_weight=weight - 1)
