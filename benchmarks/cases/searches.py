"""The searches of the case; each runs in a separate interpreter, which may start processes.

TensorFlow is imported before they are timed, in this process and in those of ``n_jobs=2``; the
time for this is reported separately.  Both contestants have the same network, optimizer, constant
rates and score.
"""

import json
import time

import joblib
import keras
import tensorflow  # noqa: F401
from sklearn.model_selection import GridSearchCV

from benchmarks.cases.small_fits import BATCH, EPOCHS
from benchmarks.contestants.keras_model import models
from benchmarks.contestants.network import PLAIN
from benchmarks.data import Digits
from skae import DeepAutoencoder

RATES = [0.001, 0.003, 0.01]
N_FOLDS = 5


def network(meta, n_components):
    return models(meta["n_features_in_"], n_components)[0]


def minus_mean_squared_error(estimator, X, y):
    return -float(((estimator.predict(X) - X) ** 2).mean())


def skae_search(n_jobs, sizes):
    autoencoder = DeepAutoencoder(
        activation="relu",
        code_activation="relu",
        optimizer="adam",
        learning_rate_schedule="constant",
        epochs=EPOCHS,
        batch_size=BATCH,
        random_state=0,
        **PLAIN,
    )
    grid = {"n_components": sizes, "learning_rate": RATES}
    return _search(autoencoder, grid, n_jobs=n_jobs)


def scikeras_search(n_jobs, sizes):
    from scikeras.wrappers import BaseWrapper

    wrapper = BaseWrapper(
        network,
        n_components=sizes[0],
        optimizer=keras.optimizers.Adam,
        optimizer__learning_rate=RATES[0],
        loss="binary_crossentropy",
        epochs=EPOCHS,
        batch_size=BATCH,
        verbose=0,
    )
    grid = {"n_components": sizes, "optimizer__learning_rate": RATES}
    return _search(wrapper, grid, n_jobs=n_jobs, scoring=minus_mean_squared_error)


def _search(estimator, grid, **options):
    return GridSearchCV(estimator, grid, cv=N_FOLDS, refit=False, error_score="raise", **options)


def start_workers(n_jobs):
    """Let joblib's processes make the imports of a fit; return the seconds that this takes."""
    start = time.perf_counter()
    if n_jobs > 1:
        # one task for each process, because no task ends before the other has begun
        joblib.Parallel(n_jobs)(joblib.delayed(_import_and_wait)() for _ in range(n_jobs))
    return time.perf_counter() - start


def _import_and_wait():
    import skae._engine.tensorflow  # noqa: F401  (first, so that the worker gets its threads)
    import scikeras.wrappers  # noqa: F401  # isort: skip

    time.sleep(1)


def measure(contestant, n_jobs, sizes):
    """Search, skae twice; print seconds, scores and the error of the best candidate as JSON."""
    (X,) = Digits().load()
    start_up = start_workers(int(n_jobs))
    make, targets, times = {
        "skae": (skae_search, None, 2),
        "scikeras": (scikeras_search, X, 1),
    }[contestant]
    search, seconds = make(int(n_jobs), json.loads(sizes)), []
    for _ in range(times):
        start = time.perf_counter()
        search.fit(X, targets)
        seconds.append(time.perf_counter() - start)
    scores = [search.cv_results_[f"split{fold}_test_score"].tolist() for fold in range(N_FOLDS)]
    found = {
        "seconds": seconds,
        "start": start_up,
        "fits": len(scores) * len(scores[0]),
        "scores": scores,
        "mse": -search.best_score_,
    }
    print(json.dumps(found))
