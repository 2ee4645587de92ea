"""Other processes, however they are started: each gives what this one gives, or says why not."""

import multiprocessing
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from skae import DeepAutoencoder

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
DIGITS = load_digits().data[:200] / 16


def fit(seed):
    return DeepAutoencoder(
        4, hidden_layer_sizes=(16,), optimizer="adam", batch_size=32, epochs=3, random_state=seed
    ).fit(DIGITS)


def use_and_fit_again(pickled):
    """Return what an estimator from elsewhere gives here, and one of its kind fitted here."""
    estimator = pickle.loads(pickled)
    return estimator.transform(DIGITS), pickle.dumps(fit(estimator.random_state))


def error_of(call, *args):
    try:
        call(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def transform_in_forked(pickled):
    return pickle.loads(pickled).transform(DIGITS)


def train_in_forked(pickled):
    """Return the errors of all that needs TensorFlow."""
    estimator = pickle.loads(pickled)
    before = pickle.dumps(estimator)
    attempts = {
        "fit": (fit, 0),
        "partial_fit": (estimator.partial_fit, DIGITS),
        "encoder_": (getattr, estimator, "encoder_"),
    }
    errors = {name: error_of(*attempt) for name, attempt in attempts.items()}
    return errors, estimator.transform(DIGITS), pickle.dumps(estimator) == before


@pytest.fixture(scope="module")
def fitted():
    return fit(3)


def assert_same_elsewhere(results, fitted):
    codes, again = results
    assert_array_equal(codes, fitted.transform(DIGITS))
    again = pickle.loads(again)
    assert again.history_ == fitted.history_
    for a, b in zip(again._network.weights, fitted._network.weights, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_process_that_starts_anew_gives_the_same_bits(method, fitted):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    with multiprocessing.get_context(method).Pool(1) as pool:
        results = pool.apply_async(use_and_fit_again, (pickle.dumps(fitted),)).get(timeout=120)

    assert_same_elsewhere(results, fitted)


def test_workers_of_loky_give_the_same_bits(fitted):
    tasks = [joblib.delayed(use_and_fit_again)(pickle.dumps(fitted))] * 2
    for results in joblib.Parallel(n_jobs=2, backend="loky")(tasks):
        assert_same_elsewhere(results, fitted)


@needs_fork
def test_a_forked_process_transforms_and_says_that_it_cannot_train(fitted):
    pickled = pickle.dumps(fitted)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        codes = pool.apply_async(transform_in_forked, (pickled,)).get(timeout=60)
        errors, codes_after, unchanged = pool.apply_async(train_in_forked, (pickled,)).get(60)

    assert_array_equal(codes, fitted.transform(DIGITS))
    assert_array_equal(codes_after, fitted.transform(DIGITS))
    assert unchanged
    for name, error in errors.items():
        assert error is not None, name
        assert error.startswith("RuntimeError: TensorFlow cannot compute in this process"), name
        assert "spawn" in error


@needs_fork
def test_this_process_trains_on_after_it_was_forked(fitted):
    assert_array_equal(fit(3).transform(DIGITS), fitted.transform(DIGITS))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply_async(np.sum, (DIGITS,)).get(timeout=60)

    assert_array_equal(fit(3).transform(DIGITS), fitted.transform(DIGITS))


BITS = """
import hashlib, json, sys
import numpy as np
from sklearn.datasets import load_digits
from skae import DeepAutoencoder, DenoisingAutoencoder

X = load_digits().data.astype("float32") / 16
wide = np.tile(X, (3, 2))
fits = {
    "default": DeepAutoencoder(epochs=2),
    "adam": DeepAutoencoder(optimizer="adam", epochs=2),
    "denoising": DenoisingAutoencoder(epochs=2),
    "XLA": DeepAutoencoder(epochs=40),
    "several chunks": DeepAutoencoder(optimizer="adam", epochs=2, batch_size=16),
}
bits = {}
for name, estimator in fits.items():
    rows = wide if name == "several chunks" else X
    estimator.set_params(random_state=0).fit(rows)
    digest = hashlib.sha256(json.dumps(estimator.history_).encode())
    for array in estimator.autoencoder_.get_weights():
        digest.update(array.tobytes())
    bits[name] = digest.hexdigest(), estimator.score(rows[:287])
print(json.dumps(bits))
"""


def test_a_fit_has_the_same_bits_on_any_number_of_threads():
    one, two, three = (
        subprocess.run(
            [sys.executable, "-c", BITS],
            env=os.environ | {"OMP_NUM_THREADS": str(n_threads)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n_threads in (1, 2, 3)
    )

    assert "several chunks" in one
    assert two == one
    assert three == one
