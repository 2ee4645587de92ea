"""`DenoisingAutoencoder`: its noise, its corruptions and its clean rows."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import DenoisingAutoencoder, GaussianNoise, MaskingNoise, SaltAndPepperNoise, SwapNoise
from skae._engine.limits import Limits
from tests.estimators.comparisons import (
    BOUNDED,
    FROZEN,
    assert_other_bits,
    assert_same_bits,
    refused,
)
from tests.sources import limit_reads

CORRUPTIONS = [GaussianNoise(0.3), MaskingNoise(0.3), SwapNoise(0.3), SaltAndPepperNoise(0.3)]
each_corruption = pytest.mark.parametrize(
    "prototype", CORRUPTIONS, ids=lambda corruption: type(corruption).__name__
)


@pytest.fixture
def corruption(prototype):
    return clone(prototype)


@pytest.fixture
def amount(corruption):
    """The name of the parameter that is zero if nothing is corrupted."""
    return "scale" if isinstance(corruption, GaussianNoise) else "fraction"


@pytest.fixture
def make_denoiser(make_autoencoder):
    return lambda **params: make_autoencoder(DenoisingAutoencoder, **params)


# ---------------------------------------------------------------------- Gaussian noise


def test_noise_affects_inputs_only(make_denoiser, X):
    """With frozen weights, the metric compares clean rows with reconstructions of noisy ones."""
    noisy = GaussianNoise(0.5, clip=(0, 1), random_state=1).fit_transform(X)
    estimator = make_denoiser(**FROZEN, metrics="mse").fit(X)
    expected = mean_squared_error(X, estimator.reconstruct(noisy))

    assert_allclose(estimator.history_["mean_squared_error"], expected, rtol=0.03)
    assert len(set(estimator.history_["loss"])) == 3, "every epoch must draw fresh noise"


def test_zero_noise_equals_deep_autoencoder(make_denoiser, make_autoencoder, X):
    assert_same_bits(make_denoiser(noise_scale=0.0).fit(X), make_autoencoder().fit(X), X)


def test_noise_scale_changes_the_fit(make_denoiser, X):
    one, other = (make_denoiser(noise_scale=s).fit(X) for s in (0.1, 0.2))

    assert_other_bits(one, other, X)


def test_denoiser_beats_deep_autoencoder(make_denoiser, make_autoencoder, X):
    noisy = GaussianNoise(0.4, clip=(0, 1), random_state=1).fit_transform(X)
    params = {"n_components": 16, "epochs": 60}
    denoiser = make_denoiser(**params, noise_scale=0.4).fit(X)
    error = mean_squared_error(X, denoiser.reconstruct(noisy))

    assert error < 0.8 * mean_squared_error(X, make_autoencoder(**params).fit(X).reconstruct(noisy))
    assert error < 0.5 * mean_squared_error(X, noisy)


def test_auto_clip_of_unit_data(make_denoiser, X):
    auto, unit, none = (make_denoiser(clip=clip).fit(X) for clip in ("auto", (0, 1), None))

    assert_same_bits(auto, unit, X)
    assert_other_bits(auto, none, X)


def test_auto_clip_of_other_data(make_denoiser, X):
    auto, none, tight = (make_denoiser(clip=clip).fit(3 * X) for clip in ("auto", None, (0, 3)))

    assert_same_bits(auto, none, X)
    assert_other_bits(auto, tight, X)


def test_validation_noise_stays_the_same(make_denoiser, X):
    losses = make_denoiser(**FROZEN).fit(X, X_val=X[:50]).history_["val_loss"]

    assert_allclose(losses, losses[0], rtol=1e-6)


@pytest.mark.parametrize("clip", ["auto", None, (0.1, 0.8)])
@pytest.mark.parametrize("xla", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("form", ["array", "sparse", "source", "table"])
def test_gaussian_noise_equals_none(form, xla, clip, make_denoiser, X, tmp_path, monkeypatch):
    """``corruption=None`` means `GaussianNoise` with ``noise_scale`` and ``clip``, bit for bit."""
    table = {"noise_values": 1} if form == "table" else {}
    monkeypatch.setattr(DenoisingAutoencoder, "_limits", Limits(xla=xla, **table))
    rows = X
    if form == "sparse":
        rows = sparse.csr_array(X)
    elif form == "source":
        np.save(tmp_path / "X.npy", X)
        rows = np.load(tmp_path / "X.npy", mmap_mode="r")
        limit_reads(monkeypatch, block_values=640, buffer_values=6400)
    noise = GaussianNoise(0.3, clip=(0, 1) if clip == "auto" else clip)
    none = make_denoiser(noise_scale=0.3, clip=clip).fit(rows)
    given = make_denoiser(corruption=noise).fit(rows)

    assert_same_bits(none, given, X)
    assert_other_bits(none, make_denoiser(noise_scale=0.0).fit(rows), X)


# ---------------------------------------------------------------------- corruptions


@each_corruption
def test_corruption_trains_and_reproduces(corruption, amount, make_denoiser, X):
    one, same, other = (
        make_denoiser(corruption=corruption, random_state=seed).fit(X) for seed in (0, 0, 1)
    )

    assert one.history_["loss"][-1] < one.history_["loss"][0]
    assert_same_bits(one, same, X)
    assert_other_bits(one, other, X)
    assert one.corruption is corruption


@each_corruption
def test_own_seed_of_corruption_is_ignored(corruption, amount, make_denoiser, X):
    seeded = clone(corruption).set_params(random_state=7)

    assert_same_bits(
        make_denoiser(corruption=corruption).fit(X), make_denoiser(corruption=seeded).fit(X), X
    )


@each_corruption
def test_zero_corruption_equals_deep_autoencoder(
    corruption, amount, make_denoiser, make_autoencoder, X
):
    without = clone(corruption).set_params(**{amount: 0})

    assert_same_bits(make_denoiser(corruption=without).fit(X), make_autoencoder().fit(X), X)


@each_corruption
def test_corruption_with_partial_fit(corruption, amount, make_denoiser, X):
    at_once = make_denoiser(corruption=corruption, learning_rate_schedule="constant").fit(X)
    in_steps = make_denoiser(corruption=corruption)
    for _ in range(3):
        in_steps.partial_fit(X)

    assert_same_bits(in_steps, at_once, X)
    in_steps.set_params(**{f"corruption__{amount}": 0.1}).partial_fit(X)
    assert in_steps.n_iter_ == 4


@each_corruption
def test_corruption_in_copies(corruption, amount, make_denoiser, X):
    estimator = make_denoiser(corruption=corruption).fit(X)
    copy = clone(estimator)
    loaded = pickle.loads(pickle.dumps(estimator))

    assert copy.corruption is not corruption
    assert repr(copy) == repr(estimator)
    assert_same_bits(copy.fit(X), estimator, X)
    assert_same_bits(loaded, estimator, X)
    assert_same_bits(loaded.fit(X), estimator, X)


@each_corruption
def test_grid_over_corruption_parameters(corruption, amount, make_denoiser, X):
    name = f"corruption__{amount}"
    search = GridSearchCV(
        make_denoiser(corruption=corruption, epochs=20),
        {name: [0.1, 0.9]},
        cv=2,
        error_score="raise",
    ).fit(X)

    assert search.best_params_ == {name: 0.1}  # the clean rows are scored
    assert search.best_estimator_.get_params()[name] == 0.1
    assert corruption.get_params()[amount] == 0.3


def test_grid_over_rates_per_feature(make_denoiser, X):
    grid = {
        "corruption__fraction": [0.9, [0.1] * 64, np.full(64, 0.5)],
        "corruption__groups": [None, [[0, 1], [20, 21]]],
    }
    search = GridSearchCV(
        make_denoiser(corruption=SwapNoise(), epochs=20), grid, cv=2, error_score="raise"
    ).fit(X)
    best = make_denoiser(corruption=SwapNoise([0.1] * 64), epochs=20).fit(X)

    assert search.best_params_["corruption__fraction"] == [0.1] * 64
    if search.best_params_["corruption__groups"] is None:
        assert_same_bits(search.best_estimator_, best, X)


def test_list_of_rates_changes_no_bits(make_denoiser, X):
    one, other = (make_denoiser(corruption=SwapNoise(rate)).fit(X) for rate in (0.3, [0.3] * 64))

    assert_same_bits(one, other, X)


def test_grid_over_corruptions(make_denoiser, X):
    kinds = [None, MaskingNoise(), GaussianNoise()]
    search = GridSearchCV(make_denoiser(), {"corruption": kinds}, cv=2, error_score="raise").fit(X)
    scores = search.cv_results_["mean_test_score"]

    assert scores[2] == pytest.approx(scores[0], rel=0.2)  # they differ by the clip
    assert len(set(scores)) == 3


@each_corruption
def test_corruption_in_a_pipeline(corruption, amount, make_denoiser, X):
    pipeline = make_pipeline(make_denoiser(corruption=corruption), LogisticRegression())
    pipeline.set_params(**{f"denoisingautoencoder__corruption__{amount}": 0.2})

    assert pipeline.fit(X, np.arange(300) % 3).predict(X).shape == (300,)
    assert corruption.get_params()[amount] == 0.2


def test_masking_teaches_to_fill_in(make_denoiser, make_autoencoder, X):
    params = {"n_components": 16, "epochs": 60}
    denoiser = make_denoiser(**params, corruption=MaskingNoise(0.3)).fit(X)
    plain = make_autoencoder(**params).fit(X)
    masked = MaskingNoise(0.3, random_state=1).fit_transform(X)
    filled = (masked == 0) & (X > 0)
    error, plain_error, nothing = (
        mean_squared_error(X[filled], rows[filled])
        for rows in (denoiser.reconstruct(masked), plain.reconstruct(masked), masked)
    )

    assert error < 0.75 * plain_error
    assert error < 0.3 * nothing


def test_checkpoint_knows_the_corruption(make_denoiser, X, tmp_path):
    estimator = make_denoiser(corruption=MaskingNoise(0.3), checkpoint=tmp_path / "fit.skae").fit(X)
    assert_same_bits(clone(estimator).fit(X), estimator, X)

    estimator.set_params(corruption__fraction=0.2)
    refused(estimator, ValueError, "corruption", X)


def test_corruption_contradicts_clean_rows(make_denoiser, X):
    estimator = make_denoiser(corruption=MaskingNoise())

    match = r"corruption=MaskingNoise\(\) has no effect with X_clean.*corruption=None"
    refused(estimator, ValueError, match, X, X_clean=X)
    refused(estimator, ValueError, match, X, X_clean=X, method="partial_fit")


# ---------------------------------------------------------------------- corruptions of users


class Shift:
    """A corruption with nothing but `corrupt`."""

    def corrupt(self, X, rng):
        assert X.dtype == np.float32
        return X + rng.uniform(-0.1, 0.1)


class Scaled(BaseEstimator):
    """A corruption with a parameter."""

    def __init__(self, by=0.5):
        self.by = by

    def corrupt(self, X, rng):
        return X * self.by


class InPlace:
    def corrupt(self, X, rng):
        X *= 2
        return X


class Narrow:
    def corrupt(self, X, rng):
        return X[:, :5]


class NotANumber:
    def corrupt(self, X, rng):
        return X * np.nan


class Halved(GaussianNoise):
    """A subclass that corrupts in another way than its base class."""

    def corrupt(self, X, rng):
        return X / 2


def test_own_corruption_is_used(make_denoiser, make_autoencoder, X):
    estimator = make_denoiser(corruption=Shift()).fit(X)

    assert_same_bits(make_denoiser(corruption=Shift()).fit(X), estimator, X)
    assert_same_bits(clone(estimator).fit(X), estimator, X)
    assert_same_bits(pickle.loads(pickle.dumps(estimator)), estimator, X)
    assert_other_bits(estimator, make_autoencoder().fit(X), X)
    assert make_pipeline(clone(estimator), LogisticRegression()).fit(X, X[:, 20] > 0)
    with pytest.raises(ValueError, match=r"corruption=<.*Shift.*> has no parameters"):
        estimator.set_params(corruption__by=3)


def test_own_corruption_may_have_parameters(make_denoiser, X):
    """The rows are multiplied by ``by``, and so the loss is that of pairs."""
    search = GridSearchCV(
        make_denoiser(corruption=Scaled()), {"corruption__by": [0.5, 1.0]}, cv=2
    ).fit(X)
    scaled = make_denoiser(corruption=Scaled(0.5)).fit(X)

    assert set(search.best_params_) == {"corruption__by"}
    assert_same_bits(scaled, make_denoiser().fit((X / 2).astype(np.float32), X_clean=X), X)


@pytest.mark.parametrize("limits", [Limits(), Limits(noise_values=1)])
def test_subclass_of_gaussian_noise_is_called(limits, make_denoiser, X, monkeypatch):
    monkeypatch.setattr(DenoisingAutoencoder, "_limits", limits)

    assert_same_bits(
        make_denoiser(corruption=Halved()).fit(X), make_denoiser(corruption=Scaled(0.5)).fit(X), X
    )


@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize(
    ("corruption", "error", "match"),
    [
        (Narrow(), ValueError, r"Narrow\.corrupt must return .*\(32, 64\); got shape \(32, 5\)"),
        (InPlace(), ValueError, "read-only"),
        (NotANumber(), ValueError, r"NotANumber\.corrupt returned NaN"),
        (object(), TypeError, r"corruption must be .* a method corrupt\(X, rng\); got <object"),
        (Shift, TypeError, r"corruption must be .*; got <class '.*Shift'>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_wrong_corruption_is_refused(corruption, error, match, fitted, make_denoiser, X):
    estimator = make_denoiser()
    if fitted:
        estimator.fit(X)

    refused(estimator.set_params(corruption=corruption), error, match, X)


# ---------------------------------------------------------------------- clean rows


def test_clean_rows_are_targets(make_denoiser, make_autoencoder, X):
    estimator = make_denoiser(epochs=40).fit(X, X_clean=1 - X)

    assert_same_bits(make_denoiser().fit(X, X_clean=X), make_autoencoder().fit(X), X)
    assert mean_squared_error(1 - X, estimator.reconstruct(X)) < 0.08
    assert mean_squared_error(X, estimator.reconstruct(X)) > 0.3


def test_clean_validation_rows_are_targets(make_denoiser, X):
    estimator = make_denoiser(**BOUNDED)
    estimator.fit(X[:200], X_clean=1 - X[:200], X_val=X[200:], X_val_clean=1 - X[200:])
    expected = mean_squared_error(1 - X[200:], estimator.reconstruct(X[200:]))

    assert estimator.history_["val_loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_partial_fit_takes_clean_rows(make_denoiser, X):
    estimator = make_denoiser()
    for _ in range(3):
        estimator.partial_fit(X, X_clean=1 - X)
    at_once = make_denoiser(learning_rate_schedule="constant").fit(X, X_clean=1 - X)

    assert_same_bits(estimator, at_once, X)


@pytest.mark.parametrize("paired", [False, True])
def test_clean_validation_without_validation(paired):
    X = np.random.default_rng(4).random((30, 3))
    rows = {"X_clean": X} if paired else {}
    with pytest.raises(ValueError, match="X_val_clean has no effect without X_val"):
        DenoisingAutoencoder(2, epochs=1).fit(X, X_val_clean=X, **rows)
