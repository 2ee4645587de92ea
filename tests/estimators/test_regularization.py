"""`dropout` and the weights of penalties: their effects, and how they combine with the rest."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV

from skae import DenoisingAutoencoder
from skae._engine.cache import programs
from skae._engine.limits import Limits
from tests.estimators.comparisons import (
    BOUNDED,
    FROZEN,
    assert_other_bits,
    assert_same_bits,
    each_kind,
    refused,
)

VALUES = {"dropout": 0.2, "alpha": 1e-3, "code_penalty": 1e-2, "contraction": 1e-3}
each_parameter = pytest.mark.parametrize(
    "params", [{name: value} for name, value in VALUES.items()], ids=VALUES
)


def squared_kernels(estimator):
    """Return the sum of the squares of all kernels."""
    weights = estimator.autoencoder_.get_weights()
    return sum((weight**2).sum() for weight in weights if weight.ndim == 2)


def squared_slopes(estimator, X):
    """Return the mean of the squared norm of the encoder's Jacobian, for rows of variance one."""
    rows = tf.constant(X, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        codes = estimator.encoder_(rows)
    slopes = tape.batch_jacobian(codes, rows).numpy()
    scale = 1.0 if estimator.output_activation == "sigmoid" else X.std(axis=0)
    return np.square(slopes * np.sqrt(np.mean(np.square(scale)))).sum(axis=(1, 2)).mean()


@each_kind
@pytest.mark.parametrize("zero", [0, 0.0, np.float32(0)])
def test_zero_equals_the_default(kind, zero, make_autoencoder, X):
    params = dict.fromkeys(VALUES, zero)

    assert_same_bits(make_autoencoder(kind, **params).fit(X), make_autoencoder(kind).fit(X), X)


@each_kind
@each_parameter
@pytest.mark.parametrize("xla", [False, True], ids=["graph", "XLA"])
def test_same_seed_same_bits_with_penalty(kind, params, xla, make_autoencoder, X, monkeypatch):
    monkeypatch.setattr(kind, "_limits", Limits(xla=xla))
    one, same = (make_autoencoder(kind, **params).fit(X) for _ in range(2))

    assert_same_bits(one, same, X)
    assert one.history_ == same.history_
    assert_other_bits(one, make_autoencoder(kind).fit(X), X)


@each_parameter
def test_transform_is_deterministic(params, make_autoencoder, X):
    estimator = make_autoencoder(**params).fit(X)

    assert_array_equal(estimator.transform(X), estimator.transform(X))
    assert_allclose(estimator.transform(X), estimator.encoder_.predict(X, verbose=0), atol=1e-5)


def test_code_penalty_makes_codes_sparse(make_autoencoder, X):
    params = {"code_activation": "relu", "n_components": 16, "epochs": 30}
    shares = [
        (make_autoencoder(**params, code_penalty=weight).fit(X).transform(X) == 0).mean()
        for weight in (0, 1e-3, 1e-1)
    ]

    assert shares[0] < shares[1] < shares[2]


def test_alpha_shrinks_the_kernels(make_autoencoder, X):
    sums = [
        squared_kernels(make_autoencoder(alpha=alpha, epochs=20).fit(X)) for alpha in (0, 1e-3, 0.1)
    ]

    assert sums[0] > 1.1 * sums[1] > 1.1 * sums[2]


@pytest.mark.parametrize("params", [{}, {"init": "pca"}, {"activation": "gelu"}], ids=str)
def test_contraction_shrinks_the_jacobian(params, make_autoencoder, X):
    norms = [
        squared_slopes(make_autoencoder(contraction=weight, epochs=20, **params).fit(X), X)
        for weight in (0, 1e-3, 0.1)
    ]

    assert norms[0] > 1.5 * norms[1] > 1.5 * 1.5 * norms[2]


def test_contraction_needs_second_derivatives(make_autoencoder, X):
    estimator = make_autoencoder(contraction=0.1, activation=tf.nn.softsign)

    refused(estimator, ValueError, "no program that can be compiled: .*SoftsignGrad", X)


def test_penalties_are_part_of_the_loss(make_autoencoder, X):
    """With frozen weights, the loss is the mean squared error plus the penalties."""
    weights = {"alpha": 0.01, "code_penalty": 0.1, "contraction": 0.02}
    estimator = make_autoencoder(**BOUNDED, **FROZEN, **weights, batch_size=300, metrics="mse").fit(
        X, X_val=X
    )
    codes = abs(estimator.transform(X)).sum(axis=1).mean()
    error = mean_squared_error(X, estimator.reconstruct(X))

    for name in ("loss", "val_loss"):
        expected = error + 0.01 * squared_kernels(estimator) + 0.1 * codes
        expected += 0.02 * squared_slopes(estimator, X)
        assert_allclose(estimator.history_[name], expected, rtol=1e-5)
    assert_allclose(estimator.history_["mean_squared_error"], error, rtol=1e-5)
    assert estimator.score(X) == pytest.approx(-error, rel=1e-6)


def test_dropout_only_affects_training(make_autoencoder, X):
    """With frozen weights, the training loss is random, and the validation loss is not."""
    estimator = make_autoencoder(**BOUNDED, **FROZEN, dropout=0.5).fit(X, X_val=X)

    assert len(set(estimator.history_["loss"])) == 3
    assert_allclose(estimator.history_["val_loss"], -estimator.score(X), rtol=1e-5)


def test_grid_over_regularization(make_autoencoder, X):
    grid = {name: [0, value] for name, value in (("dropout", 0.8), ("alpha", 0.1))}
    grid |= {"code_penalty": [0, 1], "contraction": [0, 1]}
    search = GridSearchCV(make_autoencoder(), grid, cv=2, error_score="raise").fit(X)

    assert search.best_params_ == dict.fromkeys(grid, 0)
    assert len(set(search.cv_results_["mean_test_score"])) == 16


def test_weights_of_penalties_share_a_program(make_autoencoder, X):
    programs.clear()
    for weight in (1e-3, 1e-2, 1e-1):
        make_autoencoder(alpha=weight, code_penalty=weight, contraction=weight).fit(X)

    assert len(programs) == 1


@each_kind
def test_partial_fits_equal_one_penalised_fit(kind, make_autoencoder, X):
    in_steps = make_autoencoder(kind, **VALUES)
    for _ in range(3):
        in_steps.partial_fit(X)
    at_once = make_autoencoder(kind, **VALUES, learning_rate_schedule="constant").fit(X)

    assert_same_bits(in_steps, at_once, X)
    assert in_steps.history_ == at_once.history_


@each_kind
@each_parameter
def test_parameters_change_between_fits(kind, params, make_autoencoder, X):
    """They change neither widths nor activations, so that training continues."""
    estimator = make_autoencoder(kind, warm_start=True).fit(X)
    before = estimator.reconstruct(X)
    estimator.set_params(**params, **FROZEN).fit(X)

    assert estimator.n_iter_ == 6
    assert_allclose(estimator.reconstruct(X), before, atol=1e-6)
    estimator.set_params(learning_rate="auto").partial_fit(X).set_params(**dict.fromkeys(params, 0))
    assert estimator.partial_fit(X).n_iter_ == 8


def test_all_parameters_together(make_autoencoder, X):
    estimator = make_autoencoder(
        DenoisingAutoencoder, **VALUES, early_stopping=True, metrics="mse", epochs=10
    ).fit(X, sample_weight=np.linspace(0.1, 1, 300))

    assert estimator.history_["loss"][-1] < estimator.history_["loss"][0]
