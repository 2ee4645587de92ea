"""scikit-learn's own callbacks are told about every fit and epoch, also by a search."""

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
from skae._training.watchers.sklearn_callbacks import sklearn_callbacks

callback = pytest.importorskip("sklearn.callback", reason="came with scikit-learn 1.9")


class Recorder:
    """A callback that records its calls, and may end training."""

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
    """A recorder that searches and pipelines pass on to their estimators."""

    max_propagation_depth = None


def test_only_fits_with_callbacks_are_watched(make_autoencoder, X):
    def watchers(estimator):
        return sklearn_callbacks(estimator, X, None, lambda *_: {})

    estimator = make_autoencoder(callbacks=[keras.callbacks.Callback()])
    assert watchers(estimator) == []
    assert len(watchers(estimator.set_callbacks(Recorder()))) == 1
    assert watchers(estimator.set_callbacks()) == []


@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_callback_gets_every_task(kind, make_autoencoder, X):
    recorder = Recorder()
    estimator = make_autoencoder(kind).set_callbacks(recorder).fit(X)

    begun = [entry[1:] for entry in recorder.told if entry[0] == "begin"]
    assert begun == [("fit", 0), ("epoch", 0), ("epoch", 1), ("epoch", 2)]
    assert (recorder.told[0], recorder.told[-1]) == ("setup", "teardown")
    assert_array_equal(estimator.transform(X), make_autoencoder(kind).fit(X).transform(X))


def test_callback_gets_a_fitted_estimator(make_autoencoder, X):
    """The estimator has the weights of a fit that ends after the same epoch."""
    recorder = Recorder()
    rates = {"learning_rate": 0.01, "learning_rate_schedule": "constant"}
    make_autoencoder(**rates).set_callbacks(recorder).fit(X)

    scores = [entry[3] for entry in recorder.told if entry[:2] == ("end", "epoch")]
    expected = [make_autoencoder(**rates, epochs=n).fit(X).score(X) for n in (1, 2, 3)]
    assert scores == expected
    assert len(set(scores)) == 3


def test_fitted_estimator_has_the_best_weights(make_autoencoder, X):
    """With early stopping, callbacks get the best epoch's weights, as a fit that ends there."""
    recorder = Recorder()
    # the high rate after six epochs of seven steps makes the later epochs worse
    params = {"epochs": 12, "learning_rate_schedule": lambda step: 0.01 if step < 42 else 1.0}
    plain = make_autoencoder(**params).fit(X[:200])
    estimator = make_autoencoder(**params, early_stopping=True, n_iter_no_change=12)
    estimator.set_callbacks(recorder).fit(X[:200], X_val=X[200:])
    is_better = estimator.score(X[200:]) > plain.score(X[200:])
    assert is_better, "the last epoch was the best, so the test shows nothing"

    assert recorder.told[-2] == ("end", "fit", 0, estimator.score(X[:200]))
    last_epoch = [entry for entry in recorder.told if entry[:2] == ("end", "epoch")][-1]
    assert last_epoch[3] == estimator.score(X[:200])


def test_callback_can_end_training(make_autoencoder, X):
    estimator = make_autoencoder(epochs=9).set_callbacks(Recorder(stop_after=2)).fit(X)

    assert estimator.n_iter_ == 2


def test_failing_callback_changes_nothing(make_autoencoder, X):
    estimator = make_autoencoder().fit(X)
    codes = estimator.transform(X)
    failing = Recorder(fail=True)
    estimator.set_params(random_state=1).set_callbacks(failing)
    before = vars(estimator).copy()
    with pytest.raises(RuntimeError, match="from a callback"):
        estimator.fit(X)

    assert failing.told[-1] == "teardown"
    assert vars(estimator).keys() == before.keys()
    assert_array_equal(estimator.transform(X), codes)


def test_partial_fit_is_one_epoch(make_autoencoder, X):
    recorder = Recorder()
    make_autoencoder().set_callbacks(recorder).partial_fit(X).partial_fit(X)

    epochs = [entry for entry in recorder.told if entry[:2] == ("end", "epoch")]
    assert len(epochs) == 2


def score(estimator, X, y):
    return {"score": estimator.score(X, y)}


def test_scoring_monitor_logs_every_epoch(make_autoencoder, X):
    monitor = callback.ScoringMonitor(scoring=score)
    estimator = make_autoencoder().set_callbacks(monitor).fit(X)

    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in epochs] == [0, 1, 2]
    assert epochs[-1]["score"] == estimator.score(X)


def test_target_is_X_unless_given(make_autoencoder, X):
    """Callbacks get X as y, unless the user passed a y."""
    seen = []

    def scorer(estimator, X, y):
        seen.append(y)
        return {"score": 0.0}

    labels = np.arange(len(X))
    make_autoencoder(epochs=1).set_callbacks(callback.ScoringMonitor(scoring=scorer)).fit(X)
    make_autoencoder(epochs=1).set_callbacks(callback.ScoringMonitor(scoring=scorer)).fit(X, labels)

    assert_array_equal(seen[0], X)
    assert_array_equal(seen[-1], labels)


def test_search_passes_callbacks_on(make_autoencoder, X):
    recorder = Propagated()
    pipeline = make_pipeline(StandardScaler(with_std=False), make_autoencoder())
    search = GridSearchCV(pipeline, {"deepautoencoder__n_components": [2, 3]}, cv=2, refit=False)
    recorder.on_fit_task_end = lambda estimator, context: recorder.told.append(
        ("end", context.task_name)
    )
    search.set_callbacks(recorder).fit(X)

    assert recorder.told.count(("end", "epoch")) == 2 * 2 * 3


def test_progress_bar_shows_epochs(make_autoencoder, X, capsys):
    pytest.importorskip("rich")
    bar = callback.ProgressBar()
    make_autoencoder().set_callbacks(bar).fit(X)
    search = GridSearchCV(make_autoencoder(), {"n_components": [2]}, cv=2, refit=False)
    search.set_callbacks(callback.ProgressBar()).fit(X)

    shown = capsys.readouterr().out
    assert "DeepAutoencoder - fit" in shown
    assert "GridSearchCV" in shown
    assert "100%" in shown


def test_clone_keeps_callbacks(make_autoencoder):
    """As clones of scikit-learn's own estimators do."""
    for estimator in (make_autoencoder(), LogisticRegression()):
        callbacks = [Recorder()]
        assert vars(clone(estimator.set_callbacks(*callbacks)))["_skl_callbacks"] == callbacks
