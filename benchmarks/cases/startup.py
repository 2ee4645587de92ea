"""The start of a new process: the import, and the first codes from a pickle."""

import pickle
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import complaints, fresh, interleave
from benchmarks.results import Case, Goal, Result, ratio, timed_rows

SKAE, PCA = "skae", "PCA"
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
UNPICKLE_SCRIPT = """
import pickle, sys, time
start = time.perf_counter()
with open(sys.argv[1], "rb") as file:
    estimator, X = pickle.load(file)
estimator.transform(X)
print(time.perf_counter() - start)
"""
N_ROWS, N_FEATURES = 1000, 784


def run_import(settings):
    scripts = {
        "import skae": "import skae",
        "import sklearn.decomposition": "import sklearn.decomposition",
    }
    measures = {name: lambda s=script: fresh(TIMED.format(s)) for name, script in scripts.items()}
    samples, remarks = _sample(measures, settings)
    return Result([ratio(samples, *scripts)], timed_rows(samples), remarks)


def run_unpickle(settings):
    with tempfile.TemporaryDirectory() as folder:
        files = _pickles(Path(folder))
        measures = {name: lambda f=file: fresh(UNPICKLE_SCRIPT, f) for name, file in files.items()}
        samples, remarks = _sample(measures, settings)
    remarks.append(f"{N_ROWS} rows of {N_FEATURES} features to 32 components.")
    return Result([ratio(samples, SKAE, PCA)], timed_rows(samples), remarks)


def _sample(measures, settings):
    """Interleave; a first round fills the disk's cache and does not count."""
    failures = {}
    interleave(measures, 1, failures)
    samples = interleave(measures, settings.fresh_rounds, failures)
    return samples, complaints(failures)


def _pickles(folder):
    """Write both estimators, fitted on noise, each with the rows to transform."""
    from sklearn import decomposition

    from skae import DeepAutoencoder

    X = np.random.default_rng(0).random((N_ROWS, N_FEATURES), np.float32)
    estimators = {SKAE: DeepAutoencoder(epochs=1), PCA: decomposition.PCA(32)}
    files = {name: str(folder / f"{name}.pickle") for name in estimators}
    for name, estimator in estimators.items():
        with open(files[name], "wb") as file:
            pickle.dump((estimator.fit(X), X), file)
    return files


IMPORT = Case(
    "import",
    "Importing, in a fresh process",
    (Goal("`import skae` / `import sklearn.decomposition`", 1.1, 1.02, "x"),),
    run_import,
    needs_mnist=False,
)
UNPICKLE = Case(
    "unpickle",
    "Unpickling and transforming in a fresh process, imports included",
    (Goal("unpickle and transform: skae / PCA", 1.3, 1.1, "x"),),
    run_unpickle,
    needs_mnist=False,
)
