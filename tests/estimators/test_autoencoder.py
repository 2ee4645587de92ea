"""Methods, attributes, validation, weights and randomness of the estimators."""

import os
import random
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import mean_absolute_error, mean_squared_error

from skae import DeepAutoencoder, DenoisingAutoencoder
from tests.epochs import EachEpoch, lowest_loss
from tests.estimators.comparisons import (
    BOUNDED,
    FROZEN,
    MSE,
    UNCHANGED,
    assert_other_bits,
    assert_same_bits,
    each_kind,
)

# ---------------------------------------------------------------------- methods and attributes


@each_kind
def test_fit_sets_attributes(kind, make_autoencoder, X):
    estimator = make_autoencoder(kind)

    assert estimator.fit(X) is estimator
    assert estimator.n_features_in_ == 64
    assert estimator.n_iter_ == 3
    assert set(estimator.history_) == {"loss", "learning_rate"}
    assert all(len(values) == 3 for values in estimator.history_.values())
    assert all(type(value) is float for values in estimator.history_.values() for value in values)


@each_kind
def test_training_lowers_the_loss(kind, make_autoencoder, X):
    loss = make_autoencoder(kind, epochs=10).fit(X).history_["loss"]

    assert loss[-1] < 0.8 * loss[0]


@each_kind
@pytest.mark.parametrize(
    "method", ["transform", "inverse_transform", "reconstruct", "score", "score_samples"]
)
def test_methods_require_a_fit(kind, method, make_autoencoder, X):
    with pytest.raises(NotFittedError):
        getattr(make_autoencoder(kind), method)(X)


@pytest.mark.parametrize("name", ["encoder_", "decoder_", "autoencoder_"])
def test_keras_models_require_a_fit(name, make_autoencoder):
    with pytest.raises(NotFittedError):
        getattr(make_autoencoder(), name)


@pytest.mark.parametrize(
    "y",
    [np.arange(300), np.ones((300, 1)), ["label"] * 300, [[1], [1, 2]] * 150],
    ids=["labels", "column", "strings", "lists"],
)
def test_labels_are_ignored(y, make_autoencoder, X):
    """Pipelines and searches pass the labels or targets of their last step."""
    assert_same_bits(make_autoencoder().fit(X), make_autoencoder().fit(X, y), X)


def test_one_feature_takes_label_columns(make_autoencoder, X):
    column = X[:, 20:21]

    assert make_autoencoder(n_components=1).fit(column, column).n_features_in_ == 1


@each_kind
def test_fit_transform_equals_both_steps(kind, make_autoencoder, X):
    assert_array_equal(
        make_autoencoder(kind).fit_transform(X), make_autoencoder(kind).fit(X).transform(X)
    )


def test_reconstruct_equals_both_directions(make_autoencoder, X):
    estimator = make_autoencoder().fit(X)
    codes = estimator.transform(X)

    assert codes.shape == (300, 4)
    assert estimator.inverse_transform(codes).shape == (300, 64)
    assert_allclose(estimator.reconstruct(X), estimator.inverse_transform(codes), rtol=1e-10)


def test_rows_are_encoded_independently(make_autoencoder, X):
    estimator = make_autoencoder().fit(X)

    assert_allclose(estimator.transform(X)[7:8], estimator.transform(X[7:8]), rtol=1e-10)


def test_score_is_negative_squared_error(make_autoencoder, X):
    estimator = make_autoencoder().fit(X)
    errors = ((estimator.reconstruct(X) - X) ** 2).mean(axis=1)

    assert_allclose(estimator.score_samples(X), -errors, rtol=1e-10)
    assert estimator.score(X) == pytest.approx(-mean_squared_error(X, estimator.reconstruct(X)))


def test_inputs_are_not_modified(make_autoencoder):
    rng = np.random.default_rng(0)
    X, codes = rng.uniform(size=(40, 64)), rng.uniform(size=(40, 4))
    X_before, codes_before = X.copy(), codes.copy()
    estimator = make_autoencoder(DenoisingAutoencoder).fit(X)
    estimator.reconstruct(X)
    estimator.score_samples(X)
    estimator.inverse_transform(codes)

    assert_array_equal(X, X_before)
    assert_array_equal(codes, codes_before)


def test_quiet_fit_prints_nothing(make_autoencoder, X, capfd):
    make_autoencoder().fit(X)

    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------------- continued training


@each_kind
def test_partial_fits_equal_one_fit(kind, make_autoencoder, X):
    in_steps = make_autoencoder(kind)
    for n in (1, 2, 3):
        assert in_steps.partial_fit(X) is in_steps
        assert in_steps.n_iter_ == n
    at_once = make_autoencoder(kind, learning_rate_schedule="constant").fit(X)

    assert_same_bits(in_steps, at_once, X)
    assert in_steps.history_ == at_once.history_


def test_partial_fit_continues_a_fit(make_autoencoder, X):
    estimator = make_autoencoder(epochs=10).fit(X)
    before = estimator.reconstruct(X)
    estimator.set_params(learning_rate=1e-12).partial_fit(X)

    assert estimator.n_iter_ == 11
    assert_allclose(estimator.reconstruct(X), before, atol=1e-6)


def test_partial_fit_takes_any_batch(make_autoencoder, X):
    estimator = make_autoencoder()
    for rows in (X[:100], X[100:101], X[101:]):
        estimator.partial_fit(rows)

    assert estimator.n_iter_ == 3
    with pytest.raises(ValueError, match="features"):
        estimator.partial_fit(X[:, :10])


def test_fit_forgets_partial_fits(make_autoencoder, X):
    assert_same_bits(
        make_autoencoder().partial_fit(X).partial_fit(X).fit(X), make_autoencoder().fit(X), X
    )


def test_warm_start_continues_a_fit(make_autoencoder, X):
    estimator = make_autoencoder(warm_start=True).fit(X)
    before, loss = estimator.reconstruct(X), estimator.history_["loss"]
    estimator.set_params(**FROZEN).fit(X)

    assert_allclose(estimator.reconstruct(X), before, atol=1e-6)
    assert estimator.n_iter_ == 6
    assert estimator.history_["loss"][:3] == loss
    assert len(estimator.history_["loss"]) == 6


def test_fit_forgets_earlier_fits(make_autoencoder, X):
    assert_same_bits(make_autoencoder().fit(X[:50]).fit(X), make_autoencoder().fit(X), X)


def test_warm_start_refuses_other_widths(make_autoencoder, X):
    estimator = make_autoencoder(warm_start=True).fit(X)

    with pytest.raises(ValueError, match=r"64, 16, 4, 16, 64.*64, 16, 5, 16, 64"):
        estimator.set_params(n_components=5).fit(X)


def test_warm_start_refuses_moved_code(make_autoencoder, X):
    """All widths are the same, but another of the layers is the code."""
    sizes = {"hidden_layer_sizes": (8,), "n_components": 8, "decoder_layer_sizes": ()}
    options = {"activation": "relu", "code_activation": "relu", "epochs": 1, "warm_start": True}
    estimator = make_autoencoder(**sizes, **options).fit(X)
    other = {"hidden_layer_sizes": (), "decoder_layer_sizes": (8,)}

    with pytest.raises(ValueError, match=r"encoder widths \(64, 8, 8\).* describe \(64, 8\)"):
        estimator.set_params(**other).fit(X)


# ---------------------------------------------------------------------- validation


@each_kind
def test_val_loss_is_recorded_each_epoch(kind, make_autoencoder, X):
    estimator = make_autoencoder(
        kind, **BOUNDED, **({"noise_scale": 0.0} if "Denoising" in kind.__name__ else {})
    )
    estimator.fit(X[:200], X_val=X[200:])

    assert len(estimator.history_["val_loss"]) == 3
    assert estimator.history_["val_loss"][-1] == pytest.approx(-estimator.score(X[200:]), rel=1e-5)


def test_validation_leaves_weights_unchanged(make_autoencoder, X):
    assert_same_bits(make_autoencoder().fit(X), make_autoencoder().fit(X, X_val=X[:50] / 2), X)


def test_early_stopping_keeps_best_weights(make_autoencoder, X):
    estimator = make_autoencoder(**UNCHANGED, epochs=40, early_stopping=True, n_iter_no_change=4)
    estimator.set_params(learning_rate=0.3, learning_rate_schedule="constant")
    estimator.set_params(callbacks=EachEpoch()).fit(X[:200], X_val=X[200:])
    losses = estimator.history_["val_loss"]

    assert len(losses) < 40, "training did not stop early: choose other parameters"
    lowest = lowest_loss(estimator.callbacks_[0].weights, estimator, X[200:])
    assert lowest <= min(losses) * (1 + 1e-5)
    assert -estimator.score(X[200:]) == pytest.approx(lowest, rel=1e-5)


def test_early_stopping_counts_its_patience(make_autoencoder, X):
    params = {"epochs": 50, "early_stopping": True, "n_iter_no_change": 3, "tol": 1e6}
    constant = make_autoencoder(**params, learning_rate_schedule="constant").fit(X)
    one_cycle = make_autoencoder(**params, learning_rate_schedule="one_cycle").fit(X)

    assert constant.n_iter_ == 1 + 3 + 5  # the rate falls in the last five epochs
    assert one_cycle.n_iter_ == 16 + 3 + 19  # it rises until the 16th epoch


def test_early_stopping_splits_the_rows(make_autoencoder, X):
    """With frozen weights, the losses of both parts add up to the loss of all rows."""
    stopping = {"early_stopping": True, "validation_fraction": 0.25}
    history = make_autoencoder(**stopping, **FROZEN).fit(X).history_
    whole = make_autoencoder(**FROZEN).fit(X).history_["loss"][0]
    loss, val_loss = history["loss"][0], history["val_loss"][0]

    assert 225 * loss + 75 * val_loss == pytest.approx(300 * whole, rel=1e-5)
    assert abs(loss - val_loss) > 1e-5


@pytest.mark.parametrize("n_rows", [19, 20, 9_999, 10_000])
def test_few_rows_are_set_aside_by_default(n_rows, make_autoencoder):
    X = np.random.default_rng(0).random((n_rows, 3))
    estimator = make_autoencoder(early_stopping="auto", epochs=1, batch_size=512).fit(X)

    assert ("val_loss" in estimator.history_) == (20 <= n_rows < 10_000)


def test_default_fit_is_no_worse_than_pca():
    """On a linear subspace plus noise, training can only make PCA worse."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 10)) @ rng.normal(size=(10, 400)) + rng.normal(size=(300, 400))
    X, X_test = X[:200], X[200:]
    pca = PCA(10).fit(X)
    optimum = mean_squared_error(X_test, pca.inverse_transform(pca.transform(X_test)))

    assert -DeepAutoencoder(10, random_state=0).fit(X).score(X_test) < 1.02 * optimum


def test_seed_determines_validation_rows(make_autoencoder, X):
    losses = [
        make_autoencoder(early_stopping=True, random_state=seed).fit(X).history_["val_loss"]
        for seed in (0, 0, 1)
    ]

    assert losses[0] == losses[1] != losses[2]


def test_early_stopping_needs_training_rows(make_autoencoder, X):
    with pytest.raises(ValueError, match="2 of 2 rows aside"):
        make_autoencoder(early_stopping=True, validation_fraction=0.9).fit(X[:2])


# ---------------------------------------------------------------------- weights and metrics


@each_kind
def test_integer_weights_equal_repetition(kind, make_autoencoder, X):
    weight = np.random.default_rng(0).integers(0, 4, 60)
    repeated = np.repeat(X[:60], weight, axis=0)
    quiet = {"noise_scale": 0.0} if kind is DenoisingAutoencoder else {}
    weighted = make_autoencoder(kind, batch_size=60, **quiet).fit(X[:60], sample_weight=weight)
    plain = make_autoencoder(kind, batch_size=len(repeated), **quiet).fit(repeated)

    assert_allclose(weighted.transform(X), plain.transform(X), rtol=1e-3, atol=1e-3)
    assert_allclose(weighted.history_["loss"], plain.history_["loss"], rtol=1e-3)


@each_kind
def test_zero_weight_omits_a_row(kind, make_autoencoder, X):
    weight = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    kept = weight > 0

    assert_same_bits(
        make_autoencoder(kind).fit(X, sample_weight=weight),
        make_autoencoder(kind).fit(X[kept], sample_weight=weight[kept]),
        X,
    )


def test_unit_weights_change_nothing(make_autoencoder, X):
    assert_same_bits(
        make_autoencoder().fit(X), make_autoencoder().fit(X, sample_weight=np.ones(len(X))), X
    )


def test_weights_change_the_fit(make_autoencoder, X):
    weight = np.linspace(0.1, 2, len(X))

    assert_other_bits(make_autoencoder().fit(X), make_autoencoder().fit(X, sample_weight=weight), X)


def test_metrics_are_recorded_each_epoch(make_autoencoder, X):
    weight = np.linspace(0.5, 2, 200)
    estimator = make_autoencoder(metrics=["mean_absolute_error", "mse"], **FROZEN)
    estimator.fit(X[:200], X_val=X[200:], sample_weight=weight)
    history, decoded = estimator.history_, estimator.reconstruct(X)
    absolute = mean_absolute_error(X[:200].T, decoded[:200].T, multioutput="raw_values")
    squared = mean_squared_error(X[200:], decoded[200:])

    assert set(history) == {
        "loss", "val_loss", "learning_rate", "mean_absolute_error", "val_mean_absolute_error",
        "mean_squared_error", "val_mean_squared_error",
    }  # fmt: skip
    assert_allclose(history["mean_absolute_error"], np.average(absolute, weights=weight), rtol=1e-5)
    assert_allclose(history["val_mean_squared_error"], squared, rtol=1e-5)


def test_metrics_leave_weights_unchanged(make_autoencoder, X):
    assert_same_bits(make_autoencoder().fit(X), make_autoencoder(metrics="accuracy").fit(X), X)


def test_metrics_may_be_keras_objects(make_autoencoder, X):
    import keras

    metrics = [keras.metrics.RootMeanSquaredError(name="rmse"), keras.metrics.MeanSquaredError]
    history = make_autoencoder(metrics=metrics).fit(X).history_

    assert_allclose(np.square(history["rmse"]), history["mean_squared_error"], rtol=1e-5)


# ---------------------------------------------------------------------- randomness


@each_kind
def test_same_seed_same_bits(kind, make_autoencoder, X):
    assert_same_bits(make_autoencoder(kind).fit(X), make_autoencoder(kind).fit(X), X)
    assert_other_bits(
        make_autoencoder(kind).fit(X), make_autoencoder(kind, random_state=1).fit(X), X
    )


def test_random_state_may_be_instance(make_autoencoder, X):
    one, other = (make_autoencoder(random_state=np.random.RandomState(5)).fit(X) for _ in range(2))

    assert_same_bits(one, other, X)


def test_random_state_none_varies(make_autoencoder, X):
    assert_other_bits(
        make_autoencoder(random_state=None).fit(X), make_autoencoder(random_state=None).fit(X), X
    )


@each_kind
@pytest.mark.parametrize("seed", [0, None])
def test_global_state_stays_unchanged(kind, seed, make_autoencoder, X):
    import tensorflow as tf

    def drawn_after(action):
        tf.random.set_seed(1)
        action()
        return tf.random.uniform((3,)).numpy()

    def fit_and_use():
        estimator = make_autoencoder(kind, random_state=seed).fit(X, X_val=X[:20])
        estimator.transform(X)
        assert estimator.autoencoder_.count_params() > 0

    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    environment, filters = dict(os.environ), list(warnings.filters)
    expected = drawn_after(lambda: None)

    assert_array_equal(drawn_after(fit_and_use), expected)
    assert_equal(np.random.get_state(), numpy_state)  # noqa: NPY002
    assert random.getstate() == python_state
    assert dict(os.environ) == environment
    assert list(warnings.filters) == filters


def test_estimators_share_no_weights(make_autoencoder, X):
    first = make_autoencoder().fit(X)
    before = [weight.copy() for weight in first.autoencoder_.get_weights()]
    codes = first.transform(X)
    make_autoencoder(random_state=1).fit(X[:100])

    assert_array_equal(first.transform(X), codes)
    for weight, same in zip(first.autoencoder_.get_weights(), before, strict=True):
        assert_array_equal(weight, same)


# ---------------------------------------------------------------------- comparison with PCA


def test_linear_autoencoder_spans_pca_subspace():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) * [3, 2, 1] @ rng.normal(size=(3, 10))
    X += rng.normal(scale=0.3, size=X.shape) + rng.normal(size=10)
    pca = PCA(3).fit(X)
    estimator = DeepAutoencoder(
        3, hidden_layer_sizes=(), activation="linear", optimizer="adam", batch_size=300,
        learning_rate=0.3, epochs=1000, init="random", early_stopping=False, random_state=0, **MSE,
    ).fit(X)  # fmt: skip
    kernel = estimator.decoder_.get_weights()[0]

    assert np.rad2deg(subspace_angles(kernel.T, pca.components_.T).max()) < 1
    optimum = mean_squared_error(X, pca.inverse_transform(pca.transform(X)))
    assert optimum * (1 - 1e-6) < -estimator.score(X) < optimum * 1.001
