"""Optuna's searches: of a pipeline's parameters, with and without pruning from epoch to epoch."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

optuna = pytest.importorskip("optuna")


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def search_cv():
    return pytest.importorskip("optuna_integration").OptunaSearchCV


def study(**params):
    return optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0), **params
    )


def test_a_study_searches_the_parameters_of_a_pipeline(small, X):
    pipeline = make_pipeline(MinMaxScaler(), small(), LogisticRegression(max_iter=500))
    y = (X[:, 20] > 0.5).astype(int)

    def objective(trial):
        params = {
            "deepautoencoder__learning_rate": trial.suggest_float("rate", 1e-3, 1e-1, log=True),
            "deepautoencoder__epochs": trial.suggest_int("epochs", 1, 3),
        }
        return cross_val_score(clone(pipeline).set_params(**params), X, y, cv=2).mean()

    found = study()
    found.optimize(objective, n_trials=3)

    assert found.best_value == objective(optuna.trial.FixedTrial(found.best_params))
    assert len({trial.value for trial in found.trials}) > 1


def test_a_study_prunes_from_epoch_to_epoch(small, X):
    train, test = X[:200], X[200:]
    rates = [0.01, 1e-6, 0.02, 1e-5]  # two that get nowhere

    def scores(rate):
        ae = small(learning_rate=rate)
        for _ in range(5):
            yield ae.partial_fit(train).score(test)

    def objective(trial):
        rate = trial.suggest_categorical("rate", rates)
        for epoch, score in enumerate(scores(rate)):
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    found = study(pruner=pruner)
    for rate in rates:
        found.enqueue_trial({"rate": rate})
    found.optimize(objective, n_trials=4)

    assert [trial.state.name for trial in found.trials] == [
        "COMPLETE", "PRUNED", "COMPLETE", "PRUNED",
    ]  # fmt: skip
    for trial, rate in zip(found.trials, rates, strict=True):
        reported = list(trial.intermediate_values.values())
        assert reported == list(scores(rate))[: len(reported)]
        assert len(reported) == (5 if trial.state.name == "COMPLETE" else 2)
    assert found.best_value == list(scores(found.best_params["rate"]))[-1]


def test_optuna_search_cv_scores_what_it_draws_and_fits_the_best(search_cv, small, X):
    spaces = {
        "learning_rate": optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True),
        "n_components": optuna.distributions.IntDistribution(1, 4, step=3),
    }
    search = search_cv(
        small(), spaces, cv=KFold(2), n_trials=4, random_state=0, error_score="raise"
    ).fit(X)

    for trial in search.trials_:
        alone = cross_val_score(small(**trial.params), X, cv=KFold(2)).mean()
        assert trial.value == alone
    best = small(**search.best_params_).fit(X)
    assert_array_equal(search.best_estimator_.transform(X), best.transform(X))


def test_optuna_search_cv_prunes_from_epoch_to_epoch(search_cv, small, X):
    spaces = {"learning_rate": optuna.distributions.CategoricalDistribution([0.01, 1e-6])}
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    found = study(pruner=pruner)
    for rate in (0.01, 1e-6):
        found.enqueue_trial({"learning_rate": rate})
    search_cv(
        small(),
        spaces,
        cv=KFold(2),
        enable_pruning=True,
        max_iter=4,
        n_trials=2,
        study=found,
        error_score="raise",
    ).fit(X)

    folds = [(small(learning_rate=0.01), *fold) for fold in KFold(2).split(X)]
    by_hand = [
        np.mean([ae.partial_fit(X[train]).score(X[test]) for ae, train, test in folds])
        for _ in range(4)
    ]
    whole, pruned = found.trials
    assert list(whole.intermediate_values.values()) == by_hand
    assert (whole.state.name, pruned.state.name) == ("COMPLETE", "PRUNED")
    assert len(pruned.intermediate_values) == 2
