"""`missing_values="mask"`: unknown values are told to the network, and not compared."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise, MaskingNoise, SwapNoise
from skae._rows.sources import ReadLimits, Source
from tests.estimators.comparisons import assert_same_bits, each_kind, refused

HIDING = MaskingNoise(0.8, fill_value=np.nan, vary=True)


@pytest.fixture(scope="module")
def plane():
    """Rows near a plane of three dimensions, shape (500, 10), far from zero."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 10)) * 5 + 40
    return rows + rng.normal(0, 2, rows.shape)


@pytest.fixture(scope="module")
def holes(plane):
    """The same rows with 30 % of the values unknown."""
    return punched(plane, 0.3)


def punched(X, share, seed=1):
    X = np.array(X)
    X[np.random.default_rng(seed).random(X.shape) < share] = np.nan
    return X


def error(filled, plane, holes):
    """Root mean squared error of the unknown values."""
    return np.sqrt(np.mean((filled - plane)[np.isnan(holes)] ** 2))


def by_means(holes):
    return np.where(np.isnan(holes), np.nanmean(holes, axis=0), holes)


def by_iterated_pca(holes, n_components):
    filled = by_means(holes)
    for _ in range(200):
        mean = filled.mean(axis=0)
        u, s, v = np.linalg.svd(filled - mean, full_matrices=False)
        again = (u * s)[:, :n_components] @ v[:n_components] + mean
        filled = np.where(np.isnan(holes), again, holes)
    return filled


@pytest.fixture(scope="module", params=[DeepAutoencoder, DenoisingAutoencoder])
def fitted(request, make_autoencoder, holes):
    params = {"corruption": HIDING} if request.param is DenoisingAutoencoder else {}
    return make_autoencoder(request.param, missing_values="mask", **params).fit(holes)


# ---------------------------------------------------------------------- what is learnt


def test_gaps_are_filled_from_other_columns(plane, holes):
    model = DeepAutoencoder(3, missing_values="mask", epochs=60, random_state=0).fit(holes)
    filled = model.reconstruct(holes)

    assert not np.isnan(filled).any()
    assert error(filled, plane, holes) < 0.5 * error(by_means(holes), plane, holes)


def test_hiding_reaches_iterated_pca(plane, holes):
    """PCA with the number of dimensions given is the best method for rows near a plane."""
    model = DenoisingAutoencoder(
        10, missing_values="mask", corruption=HIDING, epochs=200, random_state=0
    )
    found = error(model.fit(holes).reconstruct(holes), plane, holes)

    assert found < 0.5 * error(by_means(holes), plane, holes)
    assert found < 1.1 * error(by_iterated_pca(holes, 3), plane, holes)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_clean_rows_may_have_gaps(share, make_autoencoder, plane, holes):
    """The column that no clean row knows is reconstructed as 0, and the others are learnt."""
    X, X_clean = punched(plane, share, seed=2), holes.copy()
    X_clean[:, 4] = np.nan
    model = make_autoencoder(DenoisingAutoencoder, missing_values="mask", init="pca", epochs=20)
    model.fit(X, X_clean=X_clean, X_val=X[:9], X_val_clean=X_clean[:9])
    filled = model.reconstruct(X)

    assert_array_equal(filled[:, 4], np.zeros(len(plane)))
    others = [column for column in range(10) if column != 4]
    errors = np.mean((filled - plane)[:, others] ** 2, axis=0)
    assert (errors < plane.var(axis=0)[others]).all()


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("bounded", [False, True])
def test_empty_column_has_fixed_value(bounded, init, make_autoencoder, holes):
    low, high = np.nanmin(holes), np.nanmax(holes)
    X = (holes - low) / (high - low) if bounded else holes.copy()
    X[:, 2] = np.nan
    model = make_autoencoder(missing_values="mask", init=init).fit(X)
    filled = model.reconstruct(X)

    assert_allclose(filled[:, 2], 0.5 if bounded else 0, atol=1e-6)
    assert not np.isnan(filled).any()
    assert np.isfinite(model.history_["loss"]).all()


def test_loss_is_mean_over_known_values(make_autoencoder, holes):
    """With a rate of zero, the loss of an epoch is that of the network."""
    rate = {"learning_rate": 1e-12, "learning_rate_schedule": "constant", "optimizer": "sgd"}
    model = make_autoencoder(missing_values="mask", init="pca", epochs=1, **rate)
    model.fit(holes, X_val=holes[:50])
    assert model.history_["loss"][0] == pytest.approx(-model.score(holes), rel=1e-4)
    assert model.history_["val_loss"][0] == pytest.approx(-model.score(holes[:50]), rel=1e-4)


def test_weights_repeat_rows(make_autoencoder, holes):
    params = {"missing_values": "mask", "init": "pca", "batch_size": 2000, "optimizer": "sgd"}
    weight = np.arange(500) % 3
    weighted = make_autoencoder(**params).fit(holes, sample_weight=weight)
    repeated = make_autoencoder(**params).fit(np.repeat(holes, weight, axis=0))
    assert_allclose(weighted.reconstruct(holes), repeated.reconstruct(holes), rtol=1e-3)


# ---------------------------------------------------------------------- methods and forms


def test_scores_are_of_known_values(fitted, holes):
    rows = holes[:5].copy()
    rows[3] = np.nan
    errors = (fitted.reconstruct(rows) - rows) ** 2
    scores = fitted.score_samples(rows)

    kept = [0, 1, 2, 4]
    assert_allclose(scores[kept], -np.nanmean(errors[kept], axis=1), rtol=1e-12)
    assert scores[3] == 0
    assert fitted.score(rows) == pytest.approx(scores.mean(), rel=1e-6)


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_no_nan(method, dtype, fitted, holes, tmp_path):
    rows = holes.astype(dtype)
    expected = getattr(fitted, method)(rows)
    out = np.empty_like(expected)
    stored = np.memmap(tmp_path / "rows", dtype, "w+", shape=rows.shape)
    stored[:] = rows

    assert expected.dtype == dtype
    assert np.isfinite(expected).all()
    assert getattr(fitted, method)(rows, out=out) is out
    assert_array_equal(out, expected)
    assert_array_equal(getattr(fitted, method)(stored), expected)


def nullable(X):
    return pd.DataFrame(X, columns=list("abcdefghij")).convert_dtypes()


def objects(X):
    frame = pd.DataFrame(X, columns=list("abcdefghij")).astype(object)
    return frame.mask(frame.isna(), pd.NA)


def polars(X):
    return pl.DataFrame(np.array(X), schema=list("abcdefghij")).fill_nan(None)


def lists(X):
    return [[None if np.isnan(value) else value for value in row] for row in X]


@pytest.mark.filterwarnings("ignore:X (does not|has)")
@pytest.mark.parametrize("form", [nullable, objects, polars, lists, sparse.csr_array])
def test_forms_give_same_bits(form, make_autoencoder, holes):
    make = {"missing_values": "mask", "epochs": 1}
    one, same = (make_autoencoder(**make).fit(X) for X in (holes, form(holes)))

    assert_array_equal(same.reconstruct(form(holes)), one.reconstruct(holes))
    assert_array_equal(same.transform(holes), one.transform(holes))


@each_kind
def test_sources_give_same_bits(kind, make_autoencoder, holes, tmp_path):
    stored = np.memmap(tmp_path / "rows", float, "w+", shape=holes.shape)
    stored[:] = holes
    one, same = (make_autoencoder(kind, missing_values="mask").fit(X) for X in (holes, stored))

    assert_same_bits(one, same, holes)


@each_kind
@pytest.mark.parametrize("bounded", [False, True])
def test_large_sources_are_read_in_blocks(kind, bounded, make_autoencoder, holes, monkeypatch):
    monkeypatch.setattr(Source, "default_limits", ReadLimits(500, 2000))
    low, high = np.nanmin(holes), np.nanmax(holes)
    X = (holes - low) / (high - low) if bounded else holes
    model = make_autoencoder(kind, missing_values="mask", init="pca").fit(X.view(np.memmap))

    assert np.isfinite(model.reconstruct(X)).all()
    assert model.score(X) > -np.nanvar(X, axis=0).mean()


@each_kind
@pytest.mark.parametrize("init", ["pca", "random"])
def test_training_continues(kind, init, make_autoencoder, holes):
    """First rows do not know all columns."""
    first = holes[:50].copy()
    first[:, 7] = np.nan
    model = make_autoencoder(kind, missing_values="mask", init=init, warm_start=True)
    model.partial_fit(first)
    before = model.score(holes)
    for _ in range(30):
        model.partial_fit(holes)
    assert model.score(holes) > before
    model.fit(holes)
    assert np.isfinite(model.reconstruct(holes)).all()


def test_early_stopping_validates_known_values(holes):
    model = DeepAutoencoder(3, missing_values="mask", early_stopping=True, random_state=0)
    history = model.fit(holes).history_
    assert np.isfinite(history["val_loss"]).all()
    assert min(history["val_loss"]) < np.nanvar(holes, axis=0).mean()


@pytest.mark.parametrize(
    "corruption", [GaussianNoise(0.3), SwapNoise(0.3), MaskingNoise(0.3), HIDING, None]
)
def test_corruptions_take_gaps(corruption, make_autoencoder, holes):
    """Swap noise brings unknown values in, too."""
    model = make_autoencoder(
        DenoisingAutoencoder, missing_values="mask", corruption=corruption, epochs=20
    )
    assert model.fit(holes).score(holes) > -np.nanvar(holes, axis=0).mean()


def test_known_values_of_corrupted_rows_count(make_autoencoder, plane):
    """The network learns values that the corruption hides, though X has no NaN."""
    hiding = MaskingNoise([1.0] + 9 * [0.0], fill_value=np.nan)
    model = make_autoencoder(
        DenoisingAutoencoder, missing_values="mask", corruption=hiding, epochs=100, n_components=9
    ).fit(plane)
    rows = plane.copy()
    rows[:, 0] = np.nan
    residual = model.reconstruct(rows)[:, 0] - plane[:, 0]
    assert residual.std() < 0.5 * plane[:, 0].std()


# ---------------------------------------------------------------------- around the estimator


def test_copies_and_files_keep_results(fitted, holes):
    for same in (pickle.loads(pickle.dumps(fitted)), clone(fitted).fit(holes)):
        assert_same_bits(fitted, same, holes)
        assert same.missing_values == "mask"


def test_clones_keep_shown_weight(make_autoencoder, plane, holes):
    """Values that are shown, and do not count, are restored worse than those that do."""
    options = {"missing_values": "mask", "corruption": HIDING, "epochs": 30}
    plain, model = (
        clone(make_autoencoder(DenoisingAutoencoder, shown_weight=weight, **options)).fit(holes)
        for weight in (1, 0)
    )
    assert model.shown_weight == 0
    one, other = (each.reconstruct(holes) for each in (plain, model))
    assert np.nanmean((other - holes) ** 2) > np.nanmean((one - holes) ** 2)


def test_search_over_both_values(make_autoencoder, plane):
    search = GridSearchCV(make_autoencoder(), {"missing_values": ["error", "mask"]}, cv=2)
    assert np.isfinite(search.fit(plane).cv_results_["mean_test_score"]).all()


def test_checkpoint_gives_same_bits(make_autoencoder, holes, tmp_path):
    params = {"missing_values": "mask", "checkpoint": tmp_path / "fit.ckpt"}
    one, again = (make_autoencoder(**params).fit(holes) for _ in range(2))
    assert_same_bits(one, again, holes)


def test_html_tells_of_gaps(fitted):
    html = fitted._repr_html_()
    assert "20 with gaps" in html
    assert "10 columns say which values are unknown" in html


def test_keras_models_take_nan(fitted, holes, tmp_path):
    codes = fitted.encoder_.predict(holes, verbose=0)
    assert_allclose(codes, fitted.transform(holes), rtol=1e-3, atol=1e-4)
    assert_allclose(
        fitted.autoencoder_.predict(holes, verbose=0), fitted.reconstruct(holes), rtol=1e-4
    )
    again = type(fitted).from_keras(fitted.encoder_, fitted.decoder_)
    assert again.missing_values == "mask"
    assert_allclose(again.reconstruct(holes), fitted.reconstruct(holes), rtol=1e-5)
    again.partial_fit(holes)


def test_strategy_gives_same_weights(make_autoencoder, holes):
    one = make_autoencoder(missing_values="mask").fit(holes)
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        same = make_autoencoder(missing_values="mask").fit(holes)
    assert_allclose(same.reconstruct(holes), one.reconstruct(holes), rtol=1e-4)


def test_tags_tell_the_truth():
    for kind in (DeepAutoencoder, DenoisingAutoencoder):
        assert not get_tags(kind()).input_tags.allow_nan
        assert get_tags(kind(missing_values="mask")).input_tags.allow_nan


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"tied_weights": True}, "cannot be combined with tied_weights=True: set tied_weights=F"),
        ({"contraction": 0.1}, "cannot be combined with contraction=0.1"),
        ({"metrics": "mae"}, "cannot be combined with metrics='mae'"),
        ({"metrics": ["mae"]}, r"cannot be combined with metrics=\['mae'\]"),
        ({"loss": "cosine_similarity"} | {"output_activation": "linear"}, "needs a loss that is"),
    ],
)
def test_other_combinations_are_refused(params, match, make_autoencoder, holes):
    estimator = make_autoencoder(missing_values="mask", **params)
    refused(estimator, ValueError, f"missing_values='mask' .*{match}", holes)


def as_frame(X):
    frame = pd.DataFrame(X)
    return frame.astype("Float64").where(frame.notna(), pd.NA)


@pytest.mark.parametrize("form", [np.array, sparse.csr_array, as_frame])
def test_refusal_names_mask(form, make_autoencoder, plane, holes):
    """Errors of NaN name the parameter, but not those of codes and infinity."""
    estimator, hint = make_autoencoder().fit(plane), "missing_values='mask'"
    refused(estimator, ValueError, hint, form(holes))
    refused(estimator, ValueError, hint, plane, X_val=form(holes))
    for method in ("transform", "reconstruct", "score_samples"):
        refused(estimator, ValueError, hint, form(holes), method=method)
    codes = np.full((2, 4), np.nan)
    refused(estimator, ValueError, "impute such values.$", codes, method="inverse_transform")
    refused(MaskingNoise(), ValueError, "impute such values.$", holes)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused(value, fitted, holes):
    rows = holes.copy()
    rows[7, 3] = value
    message = "contains infinity: first in row 7, column 3"
    refused(fitted, ValueError, f"Input X {message}", rows)
    refused(fitted, ValueError, f"Input X {message}", rows, method="partial_fit")
    refused(fitted, ValueError, f"Input X_val {message}", holes, X_val=rows)
    for method in ("transform", "reconstruct", "score_samples", "score"):
        refused(fitted, ValueError, f"Input X {message}", rows, method=method)


def test_codes_have_no_gaps(fitted):
    codes = np.full((2, 4), np.nan)
    refused(fitted, ValueError, "Input X contains NaN", codes, method="inverse_transform")


def test_nothing_known_is_refused(make_autoencoder):
    X = np.full((30, 4), np.nan)
    refused(make_autoencoder(missing_values="mask"), ValueError, "All values .* are NaN", X)


def test_hiding_needs_mask(make_autoencoder, plane):
    estimator = make_autoencoder(DenoisingAutoencoder, corruption=HIDING)
    refused(estimator, ValueError, "makes values unknown, .*missing_values='mask'", plane)


def test_range_is_that_of_known_values(make_autoencoder, plane):
    X = punched(plane, 0.2)
    refused(
        make_autoencoder(missing_values="mask", output_activation="sigmoid", loss="mse"),
        ValueError,
        "output_activation='sigmoid' needs data between 0 and 1; got values from -?[0-9.]+ to",
        X,
    )
