"""Settings of the test run, and the fixtures that most tests share."""

import os
import signal
from pathlib import Path

# Without this variable, scikit-learn's check_estimator skips its array API check.  SciPy reads it
# on import, so it must be set before the imports below.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
from hypothesis import HealthCheck, settings
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skae import DeepAutoencoder

# No deadline, because the first case of a structure compiles.  No database, so that no file is
# written.
COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
ROOT = Path(__file__).parents[1]
# From the lowest room to the highest, so that the first failure is close to its cause.  The folders
# that take minutes are last.
FOLDERS = [
    "rows", "tables", "network", "corruption", "objective", "engine", "training", "estimators",
    "outliers", "imputation", "interop", "plot", "datasets", "project", "promises",
]  # fmt: skip
settings.register_profile("short", max_examples=25, derandomize=True, **COMMON)
settings.register_profile("long", max_examples=1000, **COMMON)


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true", help="more fits, rows and cases: hours instead of minutes"
    )


def pytest_configure(config):
    settings.load_profile("long" if config.getoption("--long") else "short")


def pytest_collection_modifyitems(config, items):
    """Run the folders in `FOLDERS`' order; with pytest-xdist, start the longest test first.

    The longest test takes minutes.  If a worker of pytest-xdist started it last, all others would
    wait for that worker.
    """
    is_worker = hasattr(config, "workerinput")

    def place(item):
        return not (is_worker and "over_500_structures" in item.name), folder_rank(item.path)

    items.sort(key=place)


def folder_rank(path):
    """Return the place of a file in the run; doctests of ``skae/_rows`` run with ``tests/rows``."""
    names = {part.lstrip("_") for part in Path(os.path.relpath(path, ROOT)).parts}
    return next((rank for rank, folder in enumerate(FOLDERS) if folder in names), 0)


@pytest.fixture(scope="session", autouse=True)
def interrupts():
    """Let SIGINT raise KeyboardInterrupt, in the processes that tests start too.

    A shell starts background commands (``nohup``, ``&`` in a script) with SIGINT ignored.  Python
    then leaves it ignored, and the tests of Ctrl-C would wait in vain.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def long(request):
    """Return whether this is a long run; docs/reliability.md quotes the figures of long runs."""
    return request.config.getoption("--long")


@pytest.fixture(scope="session")
def X():
    """300 digits, shape (300, 64), in [0, 1]: read-only float64 that float32 holds exactly."""
    X = load_digits().data[:300] / 16
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def make_autoencoder():
    """Return a function that makes a small autoencoder; with its defaults all share one program."""

    def make(kind=DeepAutoencoder, **params):
        defaults = {
            "n_components": 4,
            "init": "random",
            "early_stopping": False,
            "hidden_layer_sizes": (16,),
            "optimizer": "adam",
            "batch_size": 32,
            "epochs": 3,
            "random_state": 0,
        }
        return kind(**(defaults | params))

    return make


@pytest.fixture(autouse=True)
def no_windows():
    """Draw without a screen, and close all figures afterwards."""
    plt.switch_backend("agg")
    yield
    plt.close("all")
