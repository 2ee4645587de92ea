"""Times: a fit beside PyOD's autoencoder, and scores beside IsolationForest."""

import functools
import importlib.util
import statistics
import time

import numpy as np
from sklearn.ensemble import IsolationForest

from benchmarks.outliers.contestants import EPOCHS


def seconds(function, turns=3):
    """Return the median time of some calls."""
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(n_fit=10_000, n_score=100_000, n_features=30):
    """Return lines of text, one for each ratio.

    PyOD comes first: if TensorFlow is loaded, the import of PyTorch's compiler may crash.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_score, n_features)) @ rng.normal(size=(n_features, n_features))
    fit_of_pyod = _fit_of_pyod(X[:n_fit])
    from skae import AutoencoderOutlierDetector

    detector = AutoencoderOutlierDetector(random_state=0).fit(X[:n_fit])
    forest = IsolationForest(random_state=0).fit(X[:n_fit])
    theirs = seconds(lambda: forest.score_samples(X))
    lines = []
    for rows in (X, X.astype(np.float32)):
        ours = seconds(functools.partial(detector.score_samples, rows))
        lines.append(
            f"- scores of {n_score:,} x {n_features} rows in {rows.dtype}: skae {ours:.2f} s, "
            f"IsolationForest {theirs:.2f} s, ratio 1/{theirs / ours:.1f}"
        )
    if fit_of_pyod is None:
        return [*lines, "- PyOD is not installed: its fit is not timed"]
    ours = seconds(lambda: detector.fit(X[:n_fit]), 1)
    return [
        *lines,
        f"- fit of {n_fit:,} x {n_features} rows, {EPOCHS} epochs: skae {ours:.2f} s, PyOD's "
        f"AutoEncoder {fit_of_pyod:.2f} s, ratio 1/{fit_of_pyod / ours:.1f}",
    ]


def _fit_of_pyod(X):
    """Return the time of a fit of PyOD's autoencoder, or None without PyOD."""
    if importlib.util.find_spec("pyod") is None:
        return None
    from pyod.models.auto_encoder import AutoEncoder

    detector = AutoEncoder(epoch_num=EPOCHS, device="cpu", verbose=0)
    return seconds(lambda: detector.fit(X), 1)
