"""What the estimators promise to those who call them."""

import os
import random
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from scipy import sparse
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import mean_absolute_error, mean_squared_error

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise

each_kind = pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
MSE = {"output_activation": "linear", "loss": "mean_squared_error"}
FROZEN = {"learning_rate": 1e-12, "learning_rate_schedule": "constant"}  # weights stay


def assert_same_bits(one, other, X):
    assert_array_equal(one.reconstruct(X), other.reconstruct(X))


def assert_other_bits(one, other, X):
    assert not np.array_equal(one.reconstruct(X), other.reconstruct(X))


# ---------------------------------------------------------------------- methods and attributes


@each_kind
def test_fit_sets_the_fitted_attributes_and_returns_self(kind, small, X):
    estimator = small(kind)

    assert estimator.fit(X) is estimator
    assert estimator.n_features_in_ == 64
    assert estimator.n_iter_ == 3
    assert set(estimator.history_) == {"loss", "learning_rate"}
    assert all(len(values) == 3 for values in estimator.history_.values())
    assert all(type(value) is float for values in estimator.history_.values() for value in values)


@each_kind
def test_training_lowers_the_loss(kind, small, X):
    loss = small(kind, epochs=10).fit(X).history_["loss"]

    assert loss[-1] < 0.8 * loss[0]


@each_kind
@pytest.mark.parametrize(
    "method", ["transform", "inverse_transform", "reconstruct", "score", "score_samples"]
)
def test_methods_ask_for_a_fit(kind, method, small, X):
    with pytest.raises(NotFittedError):
        getattr(small(kind), method)(X)


@pytest.mark.parametrize("name", ["encoder_", "decoder_", "autoencoder_"])
def test_keras_models_ask_for_a_fit(name, small):
    with pytest.raises(NotFittedError):
        getattr(small(), name)


def test_y_is_ignored(small, X):
    assert_same_bits(small().fit(X), small().fit(X, np.arange(len(X))), X)


@each_kind
def test_fit_transform_is_fit_and_transform(kind, small, X):
    assert_array_equal(small(kind).fit_transform(X), small(kind).fit(X).transform(X))


def test_reconstruct_is_transform_and_back(small, X):
    estimator = small().fit(X)
    codes = estimator.transform(X)

    assert codes.shape == (300, 4)
    assert estimator.inverse_transform(codes).shape == (300, 64)
    assert_allclose(estimator.reconstruct(X), estimator.inverse_transform(codes), rtol=1e-10)


def test_a_row_does_not_depend_on_the_rows_beside_it(small, X):
    estimator = small().fit(X)

    assert_allclose(estimator.transform(X)[7:8], estimator.transform(X[7:8]), rtol=1e-10)


def test_score_is_minus_the_mean_squared_error(small, X):
    estimator = small().fit(X)
    errors = ((estimator.reconstruct(X) - X) ** 2).mean(axis=1)

    assert_allclose(estimator.score_samples(X), -errors, rtol=1e-10)
    assert estimator.score(X) == pytest.approx(-mean_squared_error(X, estimator.reconstruct(X)))


def test_methods_leave_their_input_alone(small):
    rng = np.random.default_rng(0)
    X, codes = rng.uniform(size=(40, 64)), rng.uniform(size=(40, 4))
    X_before, codes_before = X.copy(), codes.copy()
    estimator = small(DenoisingAutoencoder).fit(X)
    estimator.reconstruct(X)
    estimator.score_samples(X)
    estimator.inverse_transform(codes)

    assert_array_equal(X, X_before)
    assert_array_equal(codes, codes_before)


def test_nothing_is_printed_without_verbose(small, X, capfd):
    small().fit(X)

    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------------- names and containers


@each_kind
def test_feature_names_out_are_numbered(kind, small, X):
    estimator = small(kind, n_components=2).fit(X)
    name = kind.__name__.lower()

    assert list(estimator.get_feature_names_out()) == [f"{name}0", f"{name}1"]


def test_set_output_gives_pandas_frames(small, X):
    frame = pd.DataFrame(X, index=np.arange(300) + 5)
    estimator = small().set_output(transform="pandas").fit(frame)
    codes = estimator.transform(frame)

    assert isinstance(codes, pd.DataFrame)
    assert list(codes.columns) == list(estimator.get_feature_names_out())
    assert list(codes.index) == list(frame.index)


def test_set_output_gives_polars_frames(small, X):
    estimator = small().set_output(transform="polars").fit(X)
    codes = estimator.transform(X)

    assert isinstance(codes, pl.DataFrame)
    assert codes.columns == list(estimator.get_feature_names_out())


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_give_the_bits_of_arrays(library, dtype, small, X):
    X = X.astype(dtype)
    names = [f"pixel_{i}" for i in range(64)]
    frame = library.DataFrame(dict(zip(names, X.T, strict=True)))
    estimator = small().fit(frame)

    assert list(estimator.feature_names_in_) == names
    assert_array_equal(estimator.transform(frame), small().fit(X).transform(X))


def test_frames_with_other_names_are_refused(small, X):
    frame = pd.DataFrame(X, columns=[f"a{i}" for i in range(64)])
    other = frame.rename(columns={"a0": "b0"})
    estimator = small().fit(frame)

    with pytest.raises(ValueError, match="feature names"):
        estimator.transform(other)
    with pytest.raises(ValueError, match="feature names"):
        estimator.fit(frame, X_val=other)


@pytest.mark.parametrize(
    "dtype",
    ["u1", "i1", "i2", "u2", "i4", "i8", "u8", "f2", "f4", "g", ">i4", ">f4", ">f8", "O"],
)
def test_every_dtype_gives_the_bits_of_float64(dtype, small, X):
    whole = X * 16
    estimator, reference = small().fit(whole.astype(dtype)), small().fit(whole)

    assert_same_bits(estimator, reference, whole)
    assert_allclose(estimator.transform(whole.astype(dtype)), reference.transform(whole), rtol=1e-3)


def test_booleans_are_zeros_and_ones(small, X):
    black = X > 0.5

    assert_same_bits(small().fit(black), small().fit(black.astype(float)), black)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_results_are_float32_for_float32_and_else_float64(dtype, small, X):
    estimator = small().fit(X)
    expected = np.float32 if dtype == np.float32 else np.float64

    assert estimator.transform(X.astype(dtype)).dtype == expected
    assert estimator.reconstruct(X.astype(dtype)).dtype == expected
    assert estimator.inverse_transform(np.ones((2, 4), dtype)).dtype == expected


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X[::-1].copy()[::-1],
        lambda X: np.frombuffer(b"\0" + X.tobytes(), X.dtype, offset=1).reshape(X.shape),
        list,
        lambda X: X.tolist(),
    ],
    ids=["fortran", "row steps", "column steps", "reversed", "unaligned", "rows", "lists"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_memory_layout_gives_the_same_bits(layout, dtype, small, X):
    X = X.astype(dtype)

    assert_same_bits(small().fit(layout(X)), small().fit(X), X)
    assert_allclose(small().fit(X).transform(layout(X)), small().fit(X).transform(X), rtol=1e-4)


def test_a_memory_map_gives_the_same_bits(small, X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")

    assert_same_bits(small().fit(mapped), small().fit(X), X)
    assert_array_equal(small().fit(X).transform(mapped), small().fit(X).transform(X))


@pytest.mark.filterwarnings("ignore:Constructing a DIA matrix")
@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("container", ["matrix", "array"])
@each_kind
def test_sparse_rows_give_the_bits_of_dense_ones(kind, container, layout, small, X):
    X_sparse = getattr(sparse.csr_array(X), f"to{layout}")()
    X_sparse = getattr(sparse, f"{layout}_{container}")(X_sparse)
    estimator, dense = small(kind).fit(X_sparse), small(kind).fit(X)

    assert_same_bits(estimator, dense, X)
    assert_allclose(estimator.transform(X_sparse), dense.transform(X), rtol=1e-7)
    assert_allclose(estimator.score_samples(X_sparse), dense.score_samples(X), rtol=1e-7)
    assert isinstance(estimator.reconstruct(X_sparse), np.ndarray)


def test_sparse_rows_serve_as_clean_and_validation_rows(small, X):
    X_sparse = sparse.csr_array(X)
    kind = DenoisingAutoencoder
    estimator = small(kind).fit(X_sparse, X_clean=X_sparse, X_val=X_sparse, X_val_clean=X_sparse)
    dense = small(kind).fit(X, X_clean=X, X_val=X, X_val_clean=X)

    assert_same_bits(estimator, dense, X)
    assert estimator.history_ == dense.history_


def test_a_sparse_matrix_is_never_made_dense_as_a_whole(small):
    X = sparse.coo_array(
        sparse.random(40_000, 2_000, density=1e-3, dtype=np.float32, random_state=0)
    )
    estimator = small(n_components=2, hidden_layer_sizes=(), epochs=1, batch_size=256)
    estimator.fit(X.tocsr()[:512])  # compiles and imports before the measurement
    tracemalloc.start()
    try:
        estimator.fit(X).score(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < X.shape[0] * X.shape[1] * 4 / 2


# ---------------------------------------------------------------------- going on


@each_kind
def test_partial_fits_are_the_epochs_of_a_fit_at_constant_rate(kind, small, X):
    in_steps = small(kind)
    for n in (1, 2, 3):
        assert in_steps.partial_fit(X) is in_steps
        assert in_steps.n_iter_ == n
    at_once = small(kind, learning_rate_schedule="constant").fit(X)

    assert_same_bits(in_steps, at_once, X)
    assert in_steps.history_ == at_once.history_


def test_partial_fit_goes_on_from_a_fit(small, X):
    estimator = small(epochs=10).fit(X)
    before = estimator.reconstruct(X)
    estimator.set_params(learning_rate=1e-12).partial_fit(X)

    assert estimator.n_iter_ == 11
    assert_allclose(estimator.reconstruct(X), before, atol=1e-6)


def test_partial_fit_takes_batches_of_any_number_of_rows(small, X):
    estimator = small()
    for rows in (X[:100], X[100:101], X[101:]):
        estimator.partial_fit(rows)

    assert estimator.n_iter_ == 3
    with pytest.raises(ValueError, match="features"):
        estimator.partial_fit(X[:, :10])


def test_fit_starts_anew_after_partial_fits(small, X):
    assert_same_bits(small().partial_fit(X).partial_fit(X).fit(X), small().fit(X), X)


def test_warm_start_goes_on_from_the_last_weights(small, X):
    estimator = small(warm_start=True).fit(X)
    before, loss = estimator.reconstruct(X), estimator.history_["loss"]
    estimator.set_params(**FROZEN).fit(X)

    assert_allclose(estimator.reconstruct(X), before, atol=1e-6)
    assert estimator.n_iter_ == 6
    assert estimator.history_["loss"][:3] == loss
    assert len(estimator.history_["loss"]) == 6


def test_a_fit_without_warm_start_starts_anew(small, X):
    assert_same_bits(small().fit(X[:50]).fit(X), small().fit(X), X)


def test_warm_start_refuses_other_widths(small, X):
    estimator = small(warm_start=True).fit(X)

    with pytest.raises(ValueError, match=r"64, 16, 4, 16, 64.*64, 16, 5, 16, 64"):
        estimator.set_params(n_components=5).fit(X)


# ---------------------------------------------------------------------- validation


@each_kind
def test_the_loss_on_X_val_is_recorded_after_each_epoch(kind, small, X):
    estimator = small(kind, **MSE, **({"noise_scale": 0.0} if "Denoising" in kind.__name__ else {}))
    estimator.fit(X[:200], X_val=X[200:])

    assert len(estimator.history_["val_loss"]) == 3
    assert estimator.history_["val_loss"][-1] == pytest.approx(-estimator.score(X[200:]), rel=1e-5)


def test_X_val_does_not_change_the_weights(small, X):
    assert_same_bits(small().fit(X), small().fit(X, X_val=X[:50] / 2), X)


def test_early_stopping_keeps_the_best_weights(small, X):
    estimator = small(**MSE, epochs=40, early_stopping=True, n_iter_no_change=4)
    estimator.set_params(learning_rate=0.05, learning_rate_schedule="constant")
    estimator.fit(X[:200], X_val=X[200:])
    losses = estimator.history_["val_loss"]

    assert np.argmin(losses) < len(losses) - 1, "the last epoch was the best: shows nothing"
    assert -estimator.score(X[200:]) == pytest.approx(min(losses), rel=1e-5)


def test_early_stopping_stops_after_n_iter_no_change_epochs_without_gain(small, X):
    estimator = small(epochs=50, early_stopping=True, n_iter_no_change=3, tol=1e6).fit(X)

    assert estimator.n_iter_ == 1 + 3


def test_early_stopping_sets_a_part_of_the_rows_aside(small, X):
    """With frozen weights the losses of both parts add up to that of all rows."""
    stopping = {"early_stopping": True, "validation_fraction": 0.25}
    history = small(**stopping, **FROZEN).fit(X).history_
    whole = small(**FROZEN).fit(X).history_["loss"][0]
    loss, val_loss = history["loss"][0], history["val_loss"][0]

    assert 225 * loss + 75 * val_loss == pytest.approx(300 * whole, rel=1e-5)
    assert abs(loss - val_loss) > 1e-5


def test_validation_rows_are_drawn_from_the_seed(small, X):
    losses = [
        small(early_stopping=True, random_state=seed).fit(X).history_["val_loss"]
        for seed in (0, 0, 1)
    ]

    assert losses[0] == losses[1] != losses[2]


def test_early_stopping_says_when_no_rows_are_left(small, X):
    with pytest.raises(ValueError, match="2 of 2 rows aside"):
        small(early_stopping=True, validation_fraction=0.9).fit(X[:2])


# ---------------------------------------------------------------------- weights and metrics


@each_kind
def test_an_integer_weight_is_a_repetition(kind, small, X):
    weight = np.random.default_rng(0).integers(0, 4, 60)
    repeated = np.repeat(X[:60], weight, axis=0)
    quiet = {"noise_scale": 0.0} if kind is DenoisingAutoencoder else {}
    weighted = small(kind, batch_size=60, **quiet).fit(X[:60], sample_weight=weight)
    plain = small(kind, batch_size=len(repeated), **quiet).fit(repeated)

    assert_allclose(weighted.transform(X), plain.transform(X), rtol=1e-3, atol=1e-3)
    assert_allclose(weighted.history_["loss"], plain.history_["loss"], rtol=1e-3)


@each_kind
def test_a_row_of_weight_zero_is_left_out(kind, small, X):
    weight = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    kept = weight > 0

    assert_same_bits(
        small(kind).fit(X, sample_weight=weight),
        small(kind).fit(X[kept], sample_weight=weight[kept]),
        X,
    )


def test_weights_of_one_are_no_weights(small, X):
    assert_same_bits(small().fit(X), small().fit(X, sample_weight=np.ones(len(X))), X)


def test_weights_change_the_fit(small, X):
    weight = np.linspace(0.1, 2, len(X))

    assert_other_bits(small().fit(X), small().fit(X, sample_weight=weight), X)


def test_metrics_are_recorded_on_training_and_validation_rows(small, X):
    weight = np.linspace(0.5, 2, 200)
    estimator = small(metrics=["mean_absolute_error", "mse"], **FROZEN)
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


def test_metrics_do_not_change_the_weights(small, X):
    assert_same_bits(small().fit(X), small(metrics="accuracy").fit(X), X)


def test_metrics_may_be_keras_objects(small, X):
    import keras

    metrics = [keras.metrics.RootMeanSquaredError(name="rmse"), keras.metrics.MeanSquaredError]
    history = small(metrics=metrics).fit(X).history_

    assert_allclose(np.square(history["rmse"]), history["mean_squared_error"], rtol=1e-5)


# ---------------------------------------------------------------------- denoising


def test_noise_is_added_to_the_inputs_only(small, X):
    """With frozen weights the loss is that of the clean rows' reconstruction from noisy ones."""
    noisy = GaussianNoise(0.5, clip=(0, 1), random_state=1).fit_transform(X)
    estimator = small(DenoisingAutoencoder, **FROZEN, metrics="mse").fit(X)
    expected = mean_squared_error(X, estimator.reconstruct(noisy))

    assert_allclose(estimator.history_["mean_squared_error"], expected, rtol=0.03)
    assert len(set(estimator.history_["loss"])) == 3, "every epoch must draw fresh noise"


def test_without_noise_a_denoiser_is_a_deep_autoencoder(small, X):
    assert_same_bits(small(DenoisingAutoencoder, noise_scale=0.0).fit(X), small().fit(X), X)


def test_noise_scale_changes_the_fit(small, X):
    one, other = (small(DenoisingAutoencoder, noise_scale=s).fit(X) for s in (0.1, 0.2))

    assert_other_bits(one, other, X)


def test_a_denoiser_denoises_better_than_a_deep_autoencoder(small, X):
    noisy = GaussianNoise(0.4, clip=(0, 1), random_state=1).fit_transform(X)
    params = {"n_components": 16, "epochs": 60}
    denoiser = small(DenoisingAutoencoder, **params, noise_scale=0.4).fit(X)
    error = mean_squared_error(X, denoiser.reconstruct(noisy))

    assert error < 0.8 * mean_squared_error(X, small(**params).fit(X).reconstruct(noisy))
    assert error < 0.5 * mean_squared_error(X, noisy)


def test_clip_auto_is_the_unit_interval_for_data_that_lies_there(small, X):
    auto, unit, none = (
        small(DenoisingAutoencoder, clip=clip).fit(X) for clip in ("auto", (0, 1), None)
    )

    assert_same_bits(auto, unit, X)
    assert_other_bits(auto, none, X)


def test_clip_auto_is_none_for_other_data(small, X):
    auto, none, tight = (
        small(DenoisingAutoencoder, clip=clip).fit(3 * X) for clip in ("auto", None, (0, 3))
    )

    assert_same_bits(auto, none, X)
    assert_other_bits(auto, tight, X)


def test_X_clean_is_the_target_and_no_noise_is_added(small, X):
    estimator = small(DenoisingAutoencoder, epochs=40).fit(X, X_clean=1 - X)

    assert_same_bits(small(DenoisingAutoencoder).fit(X, X_clean=X), small().fit(X), X)
    assert mean_squared_error(1 - X, estimator.reconstruct(X)) < 0.08
    assert mean_squared_error(X, estimator.reconstruct(X)) > 0.3


def test_X_val_clean_is_the_target_on_validation_rows(small, X):
    estimator = small(DenoisingAutoencoder, **MSE)
    estimator.fit(X[:200], X_clean=1 - X[:200], X_val=X[200:], X_val_clean=1 - X[200:])
    expected = mean_squared_error(1 - X[200:], estimator.reconstruct(X[200:]))

    assert estimator.history_["val_loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_partial_fit_takes_clean_rows(small, X):
    estimator = small(DenoisingAutoencoder)
    for _ in range(3):
        estimator.partial_fit(X, X_clean=1 - X)
    at_once = small(DenoisingAutoencoder, learning_rate_schedule="constant").fit(X, X_clean=1 - X)

    assert_same_bits(estimator, at_once, X)


def test_validation_noise_is_the_same_after_each_epoch(small, X):
    losses = small(DenoisingAutoencoder, **FROZEN).fit(X, X_val=X[:50]).history_["val_loss"]

    assert_allclose(losses, losses[0], rtol=1e-6)


# ---------------------------------------------------------------------- randomness


@each_kind
def test_the_same_seed_gives_the_same_bits(kind, small, X):
    assert_same_bits(small(kind).fit(X), small(kind).fit(X), X)
    assert_other_bits(small(kind).fit(X), small(kind, random_state=1).fit(X), X)


def test_a_random_state_instance_is_a_seed(small, X):
    one, other = (small(random_state=np.random.RandomState(5)).fit(X) for _ in range(2))

    assert_same_bits(one, other, X)


def test_random_state_none_draws_a_new_seed(small, X):
    assert_other_bits(small(random_state=None).fit(X), small(random_state=None).fit(X), X)


@each_kind
@pytest.mark.parametrize("seed", [0, None])
def test_no_global_state_is_touched(kind, seed, small, X):
    import tensorflow as tf

    def drawn_after(action):
        tf.random.set_seed(1)
        action()
        return tf.random.uniform((3,)).numpy()

    def fit_and_use():
        estimator = small(kind, random_state=seed).fit(X, X_val=X[:20])
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


def test_a_second_fit_does_not_change_the_first_estimator(small, X):
    first = small().fit(X)
    before = [weight.copy() for weight in first.autoencoder_.get_weights()]
    codes = first.transform(X)
    small(random_state=1).fit(X[:100])

    assert_array_equal(first.transform(X), codes)
    for weight, same in zip(first.autoencoder_.get_weights(), before, strict=True):
        assert_array_equal(weight, same)


# ---------------------------------------------------------------------- an independent truth


def test_a_linear_autoencoder_spans_the_subspace_of_pca():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) * [3, 2, 1] @ rng.normal(size=(3, 10))
    X += rng.normal(scale=0.3, size=X.shape) + rng.normal(size=10)
    pca = PCA(3).fit(X)
    estimator = DeepAutoencoder(
        3, hidden_layer_sizes=(), activation="linear", optimizer="adam", batch_size=300,
        learning_rate=0.3, epochs=1000, random_state=0, **MSE,
    ).fit(X)  # fmt: skip
    kernel = estimator.decoder_.get_weights()[0]

    assert np.rad2deg(subspace_angles(kernel.T, pca.components_.T).max()) < 1
    optimum = mean_squared_error(X, pca.inverse_transform(pca.transform(X)))
    assert optimum * (1 - 1e-6) < -estimator.score(X) < optimum * 1.001
