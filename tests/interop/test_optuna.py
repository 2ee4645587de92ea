"""Optuna searches the parameters of pipelines, with and without pruning between epochs."""

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


def test_study_searches_pipeline_parameters(make_autoencoder, X):
    pipeline = make_pipeline(MinMaxScaler(), make_autoencoder(), LogisticRegression(max_iter=500))
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


def test_study_prunes_between_epochs(make_autoencoder, X):
    train, test = X[:200], X[200:]
    rates = [0.01, 1e-6, 0.02, 1e-5]  # the second and the fourth are too low to learn

    def scores(rate):
        ae = make_autoencoder(learning_rate=rate)
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


def test_search_cv_fits_the_best(search_cv, make_autoencoder, X):
    """OptunaSearchCV scores the drawn parameters, and fits the best ones on all rows."""
    spaces = {
        "learning_rate": optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True),
        "n_components": optuna.distributions.IntDistribution(1, 4, step=3),
    }
    search = search_cv(
        make_autoencoder(), spaces, cv=KFold(2), n_trials=4, random_state=0, error_score="raise"
    ).fit(X)

    for trial in search.trials_:
        alone = cross_val_score(make_autoencoder(**trial.params), X, cv=KFold(2)).mean()
        assert trial.value == alone
    best = make_autoencoder(**search.best_params_).fit(X)
    assert_array_equal(search.best_estimator_.transform(X), best.transform(X))


def test_search_cv_prunes_between_epochs(search_cv, make_autoencoder, X):
    spaces = {"learning_rate": optuna.distributions.CategoricalDistribution([0.01, 1e-6])}
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    found = study(pruner=pruner)
    for rate in (0.01, 1e-6):
        found.enqueue_trial({"learning_rate": rate})
    search_cv(
        make_autoencoder(),
        spaces,
        cv=KFold(2),
        enable_pruning=True,
        max_iter=4,
        n_trials=2,
        study=found,
        error_score="raise",
    ).fit(X)

    folds = [(make_autoencoder(learning_rate=0.01), *fold) for fold in KFold(2).split(X)]
    by_hand = [
        np.mean([ae.partial_fit(X[train]).score(X[test]) for ae, train, test in folds])
        for _ in range(4)
    ]
    whole, pruned = found.trials
    assert list(whole.intermediate_values.values()) == by_hand
    assert (whole.state.name, pruned.state.name) == ("COMPLETE", "PRUNED")
    assert len(pruned.intermediate_values) == 2
