"""Times: a fit beside PyOD's autoencoder, and scores beside IsolationForest."""

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
    """Return lines of text, one for each ratio."""
    from skae import AutoencoderOutlierDetector

    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_score, n_features)) @ rng.normal(size=(n_features, n_features))
    detector = AutoencoderOutlierDetector(random_state=0).fit(X[:n_fit])
    forest = IsolationForest(random_state=0).fit(X[:n_fit])
    ours = seconds(lambda: detector.score_samples(X))
    theirs = seconds(lambda: forest.score_samples(X))
    lines = [
        f"- scores of {n_score:,} x {n_features} rows: skae {ours:.2f} s, IsolationForest "
        f"{theirs:.2f} s, ratio 1/{theirs / ours:.1f}"
    ]
    if importlib.util.find_spec("pyod") is None:
        return [*lines, "- PyOD is not installed: its fit is not timed"]
    from pyod.models.auto_encoder import AutoEncoder

    new = AutoencoderOutlierDetector(random_state=0)
    other = AutoEncoder(epoch_num=EPOCHS, device="cpu", verbose=0)
    ours = seconds(lambda: new.fit(X[:n_fit]), 1)
    theirs = seconds(lambda: other.fit(X[:n_fit]), 1)
    ratio = f"1/{theirs / ours:.1f}"
    return [
        *lines,
        f"- fit of {n_fit:,} x {n_features} rows, {EPOCHS} epochs: skae {ours:.2f} s, PyOD's "
        f"AutoEncoder {theirs:.2f} s, ratio {ratio}",
    ]
