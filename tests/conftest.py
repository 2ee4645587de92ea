"""Settings that must stand before SciPy is imported, and the data and estimators of most tests."""

import os

# scikit-learn's check_estimator skips its array API check without it
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
from hypothesis import HealthCheck, settings
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skae import DeepAutoencoder

# No deadline: a first case compiles.  No database: nothing is written.
COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
settings.register_profile("short", max_examples=25, derandomize=True, **COMMON)
settings.register_profile("long", max_examples=1000, **COMMON)


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true", help="more fits, rows and cases: hours instead of minutes"
    )


def pytest_configure(config):
    settings.load_profile("long" if config.getoption("--long") else "short")


def pytest_collection_modifyitems(config, items):
    """Let one of several processes begin with the test that takes minutes, or all wait for it."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: "over_500_structures" not in item.name)


@pytest.fixture(scope="session")
def long(request):
    """Whether this is a long run, whose figures go into docs/reliability.md."""
    return request.config.getoption("--long")


@pytest.fixture(scope="session")
def X():
    """300 digits of 64 pixels in [0, 1]; float64, exact in float32, and read-only."""
    X = load_digits().data[:300] / 16
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def small():
    """Make a small autoencoder; all of them share one compiled program unless told otherwise."""

    def make(kind=DeepAutoencoder, **params):
        defaults = {
            "n_components": 4,
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
    """Draw without a screen, and leave no figure open."""
    plt.switch_backend("agg")
    yield
    plt.close("all")
