"""Units do not change what is learnt."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.metrics import r2_score
from sklearn.preprocessing import MinMaxScaler

from skae import DeepAutoencoder, DenoisingAutoencoder


def explained(estimator, X):
    """The share of the variance of all columns that the reconstruction explains."""
    return r2_score(X, estimator.reconstruct(X), multioutput="variance_weighted")


@pytest.fixture(scope="module")
def digits():
    X = load_digits().data / 16
    return X - X.mean(axis=0)


@pytest.fixture(scope="module")
def learnt(digits):
    return explained(DeepAutoencoder(16, random_state=0).fit(digits), digits)


@pytest.mark.parametrize("scale", [1e-6, 0.003, 30, 1e6])
def test_scale_changes_nothing(digits, learnt, scale):
    X = digits * scale
    fitted = DeepAutoencoder(16, random_state=0).fit(X)

    assert explained(fitted, X) == pytest.approx(learnt, abs=0.01)
    loss, val_loss = (fitted.history_[name][-1] for name in ("loss", "val_loss"))
    assert 0.9 * loss + 0.1 * val_loss == pytest.approx(-fitted.score(X), rel=0.05)


@pytest.mark.parametrize("shift", [-1000, 3, np.linspace(-50, 50, 64)])
def test_shift_changes_nothing(digits, learnt, shift):
    X = digits + shift

    assert explained(DeepAutoencoder(16, random_state=0).fit(X), X) == pytest.approx(
        learnt, abs=0.01
    )


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error"])
@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_losses_and_optimizers_without_units(digits, loss, optimizer):
    """A power of two as scale rounds nothing, so that the fits agree in every epoch."""
    scale = 2.0**-10
    params = {"loss": loss, "optimizer": optimizer, "metrics": "mse", "random_state": 0}
    one, other = (
        DeepAutoencoder(8, **params).fit(digits * factor, X_val=digits[:100] * factor)
        for factor in (1, scale)
    )

    assert explained(other, digits * scale) == pytest.approx(explained(one, digits), abs=1e-6)
    degree = 2 if loss == "mean_squared_error" else 1
    for name, power in {"loss": degree, "val_loss": degree, "val_mean_squared_error": 2}.items():
        measured = np.array(other.history_[name]) / scale**power
        assert_allclose(measured, one.history_[name], rtol=1e-4)


def test_early_stopping_without_units(digits):
    params = {"epochs": 60, "early_stopping": True, "n_iter_no_change": 3, "random_state": 0}
    one, other = (DeepAutoencoder(8, **params).fit(digits * scale) for scale in (1, 1e-3))

    assert other.n_iter_ == pytest.approx(one.n_iter_, abs=3)
    assert explained(other, digits * 1e-3) == pytest.approx(explained(one, digits), abs=0.01)


def test_noise_has_units_of_rows(digits):
    one, other = (
        DenoisingAutoencoder(8, noise_scale=0.2 * scale, random_state=0).fit(digits * scale)
        for scale in (1, 1e-3)
    )

    assert explained(other, digits * 1e-3) == pytest.approx(explained(one, digits), abs=0.01)


def test_small_values_are_no_intensities():
    """Values from 0 to 0.0001 do not fill [0, 1], so "auto" takes no sigmoid."""
    X = load_digits().data / 160_000
    fitted = DeepAutoencoder(16, random_state=0).fit(X)

    assert explained(fitted, X) > 0.9
    assert fitted.autoencoder_.layers[-1].activation.__name__ == "linear"


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_no_column_below_its_mean(load):
    X = load().data
    scores = r2_score(
        X, DeepAutoencoder(3, random_state=0).fit(X).reconstruct(X), multioutput="raw_values"
    )

    assert scores.min() > -1e-6


@pytest.mark.parametrize("make", [np.array, lambda X: X.astype(np.float32)])
def test_rounding_stays_in_range(make):
    """A scaler's output may exceed 1 by rounding; a real excess is refused, and shown."""
    X = MinMaxScaler().fit_transform(load_breast_cancer().data)
    X[0, 0] = 1.0000000000000002
    fitted = DeepAutoencoder(3, output_activation="sigmoid", epochs=1, random_state=0).fit(make(X))
    assert fitted.autoencoder_.layers[-1].activation.__name__ == "sigmoid"
    automatic = DeepAutoencoder(3, epochs=1, random_state=0).fit(make(X))
    assert automatic.autoencoder_.layers[-1].activation.__name__ == "sigmoid"

    X[0, 0] = 1.0001
    with pytest.raises(ValueError, match=r"to 1\.0001"):
        DeepAutoencoder(3, output_activation="sigmoid", epochs=1).fit(make(X))


def test_continued_fits_keep_units(digits):
    X = 0.001 * digits + 5
    partial = DeepAutoencoder(16, random_state=0)
    for _ in range(3):
        partial.partial_fit(X)
    before = explained(partial, X)
    assert partial.partial_fit(X).score(X) < 0
    assert explained(partial, X) > 0.5 < before

    warm = DeepAutoencoder(16, warm_start=True, random_state=0).fit(X)
    before = explained(warm, X)
    warm.set_params(epochs=1, learning_rate=1e-7).fit(X)
    assert explained(warm, X) == pytest.approx(before, abs=0.01)


@pytest.mark.parametrize(
    "params",
    [
        {"epochs": 2},
        {"epochs": 5, "optimizer": "adam"},
        {"epochs": 3, "loss": "mse", "output_activation": "tanh"},
        {"output_activation": "relu"},
    ],
)
def test_no_bounded_column_is_worse(params):
    """Outputs of a sigmoid, a tanh and a ReLU become the mean if they are worse."""
    X = load_digits().data / 16
    X = X[:, X.std(axis=0) > 0]
    fitted = DeepAutoencoder(8, random_state=0, **params).fit(X)

    assert r2_score(X, fitted.reconstruct(X), multioutput="raw_values").min() > -1e-6


@pytest.mark.parametrize(
    ("loss", "init"),
    [("log_cosh", "pca"), ("log_cosh", "random"), ("huber", "pca"), ("huber", "random"),
     ("mae", "random")],
)  # fmt: skip
def test_columns_of_robust_losses(loss, init):
    X = load_breast_cancer().data
    fitted = DeepAutoencoder(2, loss=loss, init=init, random_state=0).fit(X)

    assert r2_score(X, fitted.reconstruct(X), multioutput="raw_values").min() > -0.5


def test_columns_of_absolute_error():
    """By its own loss, no column is worse than its mean; a few large errors may lower its R2."""
    X = load_breast_cancer().data
    fitted = DeepAutoencoder(2, loss="mae", random_state=0).fit(X)

    found, of_means = (
        abs(X - other).mean(axis=0) for other in (fitted.reconstruct(X), X.mean(axis=0))
    )
    assert (found <= 1.001 * of_means).all()


def test_calibration_lowers_absolute_error():
    """The median of a sparse column is zero, which is worse than its mean in squared error only."""
    rng = np.random.default_rng(0)
    rare = np.where(rng.random((500, 3)) < 0.05, rng.random((500, 3)) * 3, 0)
    X = np.hstack([rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) * 5, rare])
    fitted = DeepAutoencoder(3, loss="mae", epochs=60, random_state=0).fit(X)

    errors = np.abs(fitted.reconstruct(X) - X).mean(axis=0)[6:]
    assert (errors < 1.5 * np.abs(rare).mean(axis=0)).all()
