"""Dropout: masks drawn from seeds, in training only."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from specs import make_program, make_spec, random_weights

from skae import DenoisingAutoencoder
from skae._engine.forward.layers import Mode, apply, run_forward
from skae._engine.limits import Limits
from skae._network.layers import Dropout

jits = pytest.mark.parametrize("jit", [False, True])


def drop(rate, seed, shape=(400, 500), jit=False, place=0):
    """Apply dropout to ones; return the factor of each value."""
    layer = Dropout(shape[1], rate)

    def compute(seed):
        mode = Mode(seed=seed, algorithm="threefry" if jit else "philox")
        return apply(layer, [], tf.ones(shape), mode.at(place))

    return tf.function(compute, jit_compile=jit)(tf.constant(seed)).numpy()


@jits
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_dropout_keeps_the_mean(rate, jit):
    """Values are zero with probability ``rate``, independently; the others grow."""
    factors = drop(rate, (0, 1), jit=jit)
    dropped = factors == 0

    assert_allclose(factors[~dropped], 1 / (1 - rate), rtol=1e-6)
    tolerance = 4 * np.sqrt(rate * (1 - rate) / factors.size)
    assert abs(dropped.mean() - rate) < tolerance
    assert abs(factors.mean() - 1) < tolerance / (1 - rate)
    for one, other in ((dropped[1:], dropped[:-1]), (dropped[:, 1:], dropped[:, :-1])):
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(one.size)


@jits
def test_seed_determines_the_mask(jit):
    """Other seeds, and other layers, have masks that agree by chance only."""
    expected = drop(0.5, (1, 2), jit=jit)
    assert_array_equal(drop(0.5, (1, 2), jit=jit), expected)
    others = [drop(0.5, seed, jit=jit) for seed in ((2, 1), (1, 3), (0, 2))]
    others.append(drop(0.5, (1, 2), jit=jit, place=1))
    for other in others:
        assert abs(np.mean((other == 0) == (expected == 0)) - 0.5) < 0.01


def test_forward_without_seed_is_inference():
    """Without a seed, a network has the same outputs with and without dropout."""
    plain, random = make_spec(), make_spec(dropout=0.5)
    weights = list(map(tf.constant, random_weights(plain.network)))
    rows = tf.constant(np.random.default_rng(0).random((9, 6), np.float32))
    for array, expected in zip(
        run_forward(random.network, weights, rows)[:2],
        run_forward(plain.network, weights, rows)[:2],
        strict=True,
    ):
        assert_array_equal(array, expected)


# ---------------------------------------------------------------------- programs


def train_steps(program, seeds, rate=0.0):
    """Train on equal mini-batches; return the loss of each."""
    n_steps = program.chunk_steps if program.jit else len(seeds)
    batch = np.random.default_rng(0).random((8, 6), np.float32)
    X = tf.constant(np.broadcast_to(batch, (n_steps, 8, 6)))
    padded = np.zeros((n_steps, 2), np.int32)
    padded[: len(seeds)] = seeds
    rates = np.full(n_steps, rate, np.float32)
    losses = program.train(X, X, tf.ones((n_steps, 8)), rates, len(seeds), seeds=padded)
    return losses.numpy()[: len(seeds)]


@jits
def test_each_step_has_its_mask(jit):
    """Steps with equal rows and weights differ by their seeds alone."""
    program = make_program(make_spec(dropout=0.5), jit=jit)
    losses = train_steps(program, [(0, 0), (0, 1), (1, 0), (0, 0)])

    assert len(set(losses[:3])) == 3
    assert losses[3] == losses[0]


@jits
def test_validation_drops_nothing(jit):
    plain, random = (make_program(make_spec(dropout=rate), jit=jit) for rate in (0.0, 0.5))
    random.set_weights(plain.weights())
    n_steps = plain.chunk_steps if jit else 3
    X = tf.constant(np.random.default_rng(0).random((n_steps, 8, 6), np.float32))
    losses = [program.evaluate(X, X, tf.ones((n_steps, 8)), 3) for program in (plain, random)]
    assert_array_equal(*losses)


# ---------------------------------------------------------------------- estimators


@jits
@pytest.mark.parametrize("kind", [None, DenoisingAutoencoder])
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_random_state_determines_dropout(kind, optimizer, jit, make_autoencoder, X):
    def fit(seed=0, dropout=0.3):
        params = {"optimizer": optimizer, "dropout": dropout, "random_state": seed}
        estimator = make_autoencoder(*([kind] if kind else []), **params)
        estimator._limits = Limits(xla=jit)
        return estimator.fit(X, X_val=X[:50])

    one, same, other, plain = fit(), fit(), fit(seed=1), fit(dropout=0.0)
    assert one.history_ == same.history_
    assert_array_equal(one.transform(X), same.transform(X))
    assert one.history_["loss"] != other.history_["loss"]
    assert one.history_["loss"] != plain.history_["loss"]


@jits
def test_epochs_at_once_keep_dropout_bits(jit, make_autoencoder, X):
    """Epochs that one call trains have the masks of epochs that are trained one by one."""
    limits = [Limits(xla=jit), Limits(xla=jit, epochs_bytes=0), Limits(xla=jit, max_chunk_steps=3)]
    codes = []
    for limit in limits:
        estimator = make_autoencoder(dropout=0.3)
        estimator._limits = limit
        codes.append(estimator.fit(X).transform(X))
    for other in codes[1:]:
        assert_array_equal(other, codes[0])


def test_partial_fit_draws_new_masks(make_autoencoder, X):
    """Each call of partial_fit has the masks of another epoch."""
    params = {"dropout": 0.5, "optimizer": "sgd", "learning_rate": 1e-30, "batch_size": 300}
    estimator = make_autoencoder(**params)
    losses = [estimator.partial_fit(X).history_["loss"][-1] for _ in range(3)]
    assert len(set(losses)) == 3


def test_transform_and_validation_drop_nothing(make_autoencoder, X):
    """The fitted network computes without dropout, and so does ``val_loss``."""
    estimator = make_autoencoder(dropout=0.5, activation="relu", loss="mean_squared_error").fit(
        X, X_val=X
    )
    weights = [array.astype(np.float64) for array in estimator._network.weights]
    kernels, biases = weights[::2], weights[1::2]
    codes = np.maximum(X @ kernels[0] + biases[0], 0) @ kernels[1] + biases[1]
    hidden = np.maximum(codes @ kernels[2] + biases[2], 0)
    outputs = 1 / (1 + np.exp(-(hidden @ kernels[3] + biases[3])))

    assert_allclose(estimator.transform(X), codes, rtol=1e-9, atol=1e-12)
    assert_allclose(estimator.reconstruct(X), outputs, rtol=1e-9, atol=1e-12)
    assert_allclose(estimator.autoencoder_(X), outputs, rtol=1e-4, atol=1e-5)
    expected = np.mean((outputs - X) ** 2)
    assert_allclose(estimator.history_["val_loss"][-1], expected, rtol=1e-5)
    assert estimator.history_["loss"][-1] > 1.05 * expected
