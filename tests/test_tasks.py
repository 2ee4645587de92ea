"""scikit-learn's own callbacks: what they are told, alone and from an enclosing search."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._tasks import tasks

callback = pytest.importorskip("sklearn.callback", reason="came with scikit-learn 1.9")


class Recorder:
    """A callback that writes down what it is told, and may end training."""

    def __init__(self, stop_after=None, fail=False):
        self.stop_after, self.fail, self.told = stop_after, fail, []

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        if self.fail:
            raise RuntimeError("from a callback")
        score = fitted_estimator.score(X)
        self.told.append(("end", context.task_name, context.task_id, score))
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after


class Propagated(Recorder):
    """The same, as searches and pipelines hand it on."""

    max_propagation_depth = None


def test_only_a_fit_with_callbacks_is_watched(small, X):
    def watchers(estimator):
        return tasks(estimator, X, None, lambda *_: {})

    estimator = small(callbacks=[keras.callbacks.Callback()])
    assert watchers(estimator) == []
    assert len(watchers(estimator.set_callbacks(Recorder()))) == 1
    assert watchers(estimator.set_callbacks()) == []


@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_a_callback_hears_of_the_fit_and_of_each_epoch(kind, small, X):
    recorder = Recorder()
    estimator = small(kind).set_callbacks(recorder).fit(X)

    begun = [entry[1:] for entry in recorder.told if entry[0] == "begin"]
    assert begun == [("fit", 0), ("epoch", 0), ("epoch", 1), ("epoch", 2)]
    assert (recorder.told[0], recorder.told[-1]) == ("setup", "teardown")
    assert_array_equal(estimator.transform(X), small(kind).fit(X).transform(X))


def test_the_estimator_that_a_callback_gets_is_that_of_a_fit_which_ends_there(small, X):
    recorder = Recorder()
    rates = {"learning_rate": 0.01, "learning_rate_schedule": "constant"}
    small(**rates).set_callbacks(recorder).fit(X)

    scores = [entry[3] for entry in recorder.told if entry[:2] == ("end", "epoch")]
    expected = [small(**rates, epochs=n).fit(X).score(X) for n in (1, 2, 3)]
    assert scores == expected
    assert len(set(scores)) == 3


def test_a_callback_may_end_training(small, X):
    estimator = small(epochs=9).set_callbacks(Recorder(stop_after=2)).fit(X)

    assert estimator.n_iter_ == 2


def test_a_callback_that_fails_leaves_the_estimator_as_it_was(small, X):
    estimator = small().fit(X)
    codes = estimator.transform(X)
    failing = Recorder(fail=True)
    estimator.set_params(random_state=1).set_callbacks(failing)
    before = vars(estimator).copy()
    with pytest.raises(RuntimeError, match="from a callback"):
        estimator.fit(X)

    assert failing.told[-1] == "teardown"
    assert vars(estimator).keys() == before.keys()
    assert_array_equal(estimator.transform(X), codes)


def test_partial_fit_is_a_task_of_one_epoch(small, X):
    recorder = Recorder()
    small().set_callbacks(recorder).partial_fit(X).partial_fit(X)

    epochs = [entry for entry in recorder.told if entry[:2] == ("end", "epoch")]
    assert len(epochs) == 2


def score(estimator, X, y):
    return {"score": estimator.score(X, y)}


def test_scoring_monitor_logs_the_score_of_each_epoch(small, X):
    monitor = callback.ScoringMonitor(scoring=score)
    estimator = small().set_callbacks(monitor).fit(X)

    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in epochs] == [0, 1, 2]
    assert epochs[-1]["score"] == estimator.score(X)


def test_the_rows_to_reconstruct_are_the_target_unless_the_user_has_one(small, X):
    seen = []

    def scorer(estimator, X, y):
        seen.append(y)
        return {"score": 0.0}

    labels = np.arange(len(X))
    small(epochs=1).set_callbacks(callback.ScoringMonitor(scoring=scorer)).fit(X)
    small(epochs=1).set_callbacks(callback.ScoringMonitor(scoring=scorer)).fit(X, labels)

    assert_array_equal(seen[0], X)
    assert_array_equal(seen[-1], labels)


def test_a_search_hands_its_callbacks_on(small, X):
    recorder = Propagated()
    pipeline = make_pipeline(StandardScaler(with_std=False), small())
    search = GridSearchCV(pipeline, {"deepautoencoder__n_components": [2, 3]}, cv=2, refit=False)
    recorder.on_fit_task_end = lambda estimator, context: recorder.told.append(
        ("end", context.task_name)
    )
    search.set_callbacks(recorder).fit(X)

    assert recorder.told.count(("end", "epoch")) == 2 * 2 * 3


def test_scikit_learns_progress_bar_shows_the_epochs(small, X, capsys):
    pytest.importorskip("rich")
    bar = callback.ProgressBar()
    small().set_callbacks(bar).fit(X)
    search = GridSearchCV(small(), {"n_components": [2]}, cv=2, refit=False)
    search.set_callbacks(callback.ProgressBar()).fit(X)

    shown = capsys.readouterr().out
    assert "DeepAutoencoder - fit" in shown
    assert "GridSearchCV" in shown
    assert "100%" in shown


def test_a_clone_keeps_its_callbacks_as_scikit_learns_estimators_do(small, X):
    for estimator in (small(), LogisticRegression()):
        callbacks = [Recorder()]
        assert vars(clone(estimator.set_callbacks(*callbacks)))["_skl_callbacks"] == callbacks
