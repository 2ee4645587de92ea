"""``feature_weights``: how much each column counts, against subsets, repeated columns and PCA."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._engine.cache import programs
from skae._objective.column_weights import column_weights
from skae.datasets import load_penguins
from tests.estimators.comparisons import refused

X = scale(load_breast_cancer().data)[:200, :8].astype(np.float32)
GAPS = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X).astype(np.float32)
WEIGHTS = [0, 1, 2, 3, 0, 1, 1, 4]
SMALL = {
    "n_components": 2, "hidden_layer_sizes": (4,), "batch_size": 50, "epochs": 2,
    "early_stopping": False, "random_state": 0,
}  # fmt: skip
# Training hardly changes the weights of the network.
FROZEN = SMALL | {"learning_rate": 1e-12, "learning_rate_schedule": "constant", "epochs": 1}
each_kind = pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
each_rows = pytest.mark.parametrize("rows", [X, GAPS], ids=["whole", "gaps"])


def fitted(rows, kind=DeepAutoencoder, **params):
    missing = "mask" if np.isnan(np.asarray(rows)).any() else "error"
    return kind(**{**SMALL, "missing_values": missing, **params}).fit(rows)


def mean_errors(model, rows, weights):
    """Return minus the scores, computed from squared errors of repeated columns."""
    repeated = np.repeat((model.reconstruct(rows) - rows) ** 2, weights, axis=1)
    return np.nanmean(repeated.astype(float), axis=1)


@each_kind
@each_rows
@pytest.mark.parametrize("weights", [WEIGHTS, [1, 0, 0, 1, 1, 0, 1, 1]])
def test_weights_are_repeated_columns(kind, rows, weights):
    """Weights of 0 and 1 choose a subset of the columns."""
    model = fitted(rows, kind, feature_weights=weights)
    expected = mean_errors(model, rows, weights)
    assert_allclose(-model.score_samples(rows), expected, rtol=1e-5)
    assert model.score(rows) == pytest.approx(-expected.mean(), rel=1e-5)


@each_rows
@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_losses_are_weighted_means(rows, init, loss, monkeypatch):
    """The history of training and of validation has the losses of repeated columns."""
    # the correction of a random network after training would change its errors
    monkeypatch.setattr("skae._estimators.fitting.calibrate", lambda network, *_: network)
    missing = "mask" if np.isnan(rows).any() else "error"
    params = FROZEN | {"init": init, "loss": loss, "missing_values": missing}
    model = DeepAutoencoder(**params, feature_weights=WEIGHTS).fit(rows, X_val=rows[:50])
    power = {"mse": 2, "mae": 1}[loss]
    errors = np.repeat(np.abs(model.reconstruct(rows) - rows) ** power, WEIGHTS, axis=1)
    errors = np.nanmean(errors.astype(float), axis=1)
    assert model.history_["loss"][-1] == pytest.approx(errors.mean(), rel=1e-3)
    assert model.history_["val_loss"][-1] == pytest.approx(errors[:50].mean(), rel=1e-3)


def test_cross_entropy_is_weighted():
    rows = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    params = FROZEN | {"output_activation": "sigmoid", "loss": "binary_crossentropy"}
    model = DeepAutoencoder(**params, feature_weights=WEIGHTS).fit(rows)
    share = model.reconstruct(rows).astype(float)
    errors = -(rows * np.log(share) + (1 - rows) * np.log(1 - share))
    expected = np.average(errors, axis=1, weights=WEIGHTS).mean()
    assert model.history_["loss"][-1] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize("weights", [WEIGHTS, [0.1, 5, 2, 1e-3, 7, 1, 1, 30]])
def test_start_is_weighted_pca(n_components, weights):
    """No linear network has a lower weighted error: Eckart and Young, of scaled columns."""
    params = FROZEN | {"n_components": n_components, "init": "pca"}
    model = DeepAutoencoder(**params, feature_weights=weights).fit(X)
    scaled = (X - X.mean(axis=0)).astype(float) * np.sqrt(weights)
    singular = np.linalg.svd(scaled, compute_uv=False)
    best = (singular[n_components:] ** 2).sum() / len(X) / np.sum(weights)
    assert -model.score(X) == pytest.approx(best, rel=1e-3)


def test_sparse_start_is_weighted_pca(monkeypatch):
    """Rows that are mostly zero take another path to PCA, and give the same start."""
    rows = np.where(np.random.default_rng(0).random(X.shape) < 0.9, 0, X)
    params = FROZEN | {"init": "pca", "feature_weights": WEIGHTS}
    dense = DeepAutoencoder(**params).fit(rows).score(rows)
    monkeypatch.setattr("skae._training.components.MANY_VALUES", 1)
    assert DeepAutoencoder(**params).fit(rows).score(rows) == pytest.approx(dense, rel=1e-3)


@each_kind
def test_heavy_column_is_restored_better(kind):
    weights = np.ones(8)
    weights[4] = 30
    params = {"epochs": 30, "init": "pca", "n_components": 1, "hidden_layer_sizes": ()}
    plain, weighted = (fitted(X, kind, feature_weights=w, **params) for w in (None, weights))
    errors = [((model.reconstruct(X) - X) ** 2).mean(axis=0) for model in (plain, weighted)]
    assert errors[1][4] < 0.5 * errors[0][4]


def test_unweighted_column_is_an_input():
    """Column 0 determines the others, but is not compared: its size adds nothing to the loss."""
    rng = np.random.default_rng(0)
    rows = np.outer(rng.normal(size=200), [1, 2, 3, 4]).astype(np.float32)
    rows[:, 0] *= 10
    weights = [0, 1, 1, 1]
    model = fitted(rows, n_components=1, epochs=1, init="pca", feature_weights=weights)
    assert -model.score(rows) < 1e-2 * rows[:, 1:].var()


@pytest.mark.parametrize("weights", [[1] * 8, [7.5] * 8, np.full(8, 1e-30)])
def test_equal_weights_change_no_bit(weights):
    plain, weighted = fitted(X), fitted(X, feature_weights=weights)
    assert_array_equal(plain.reconstruct(X), weighted.reconstruct(X))
    assert plain.score(X) == weighted.score(X)


def test_only_ratios_of_weights_count():
    models = [fitted(X, feature_weights=factor * np.array(WEIGHTS)) for factor in (1, 256)]
    assert_array_equal(models[0].reconstruct(X), models[1].reconstruct(X))


def test_grid_over_weights_compiles_once():
    fitted(X, feature_weights=WEIGHTS)
    before = len(programs)
    traces = sum(program.n_traces for program in programs._programs.values())
    fitted(X, feature_weights=WEIGHTS[::-1])
    assert len(programs) == before
    assert sum(program.n_traces for program in programs._programs.values()) == traces


def test_search_over_weights():
    def error_of_first(model, rows, y=None):
        return -np.mean((model.reconstruct(rows) - rows)[:, 0] ** 2)

    params = SMALL | {"n_components": 1, "hidden_layer_sizes": (), "init": "pca", "epochs": 5}
    grid = {"feature_weights": [None, [50, 1, 1, 1, 1, 1, 1, 1]]}
    search = GridSearchCV(DeepAutoencoder(**params), grid, scoring=error_of_first, cv=3).fit(X)
    assert search.best_params_["feature_weights"] is not None


@each_rows
def test_copies_keep_weighted_scores(rows):
    model = fitted(rows, feature_weights=WEIGHTS)
    assert pickle.loads(pickle.dumps(model)).score(rows) == model.score(rows)
    again = clone(model)
    assert_array_equal(again.get_params()["feature_weights"], WEIGHTS)
    assert again.fit(rows).score(rows) == model.score(rows)


def test_later_fits_take_new_weights():
    """Weights are no part of the network: `partial_fit` and a warm start may change them."""
    model = fitted(X, warm_start=True)
    model.set_params(feature_weights=WEIGHTS).fit(X)
    assert_allclose(-model.score_samples(X), mean_errors(model, X, WEIGHTS), rtol=1e-5)
    model.set_params(feature_weights=WEIGHTS[::-1]).partial_fit(X)
    assert_allclose(-model.score_samples(X), mean_errors(model, X, WEIGHTS[::-1]), rtol=1e-5)


def test_names_of_a_frame():
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    named = fitted(frame, feature_weights={"c": 5, "h": 0})
    listed = fitted(frame, feature_weights=pd.Series([1, 1, 5, 1, 1, 1, 1, 0]))
    assert_array_equal(named.reconstruct(frame), listed.reconstruct(frame))
    assert named.score(frame) == listed.score(frame)


@pytest.mark.parametrize(
    ("weights", "columns"),
    [
        ({"sex": 0, "island": 0}, slice(2, 6)),
        ([0, 0, 1, 1, 1, 1], slice(2, 6)),
    ],
)
def test_table_without_categories_in_loss(weights, columns):
    """Weights follow the columns of the frame, not the order of the network's matrix."""
    frame = load_penguins().X[["sex", "island", "bill_length_mm", "bill_depth_mm",
                               "flipper_length_mm", "body_mass_g"]]  # fmt: skip
    params = FROZEN | {"missing_values": "mask", "feature_weights": weights}
    model = DeepAutoencoder(**params).fit(frame)
    numbers = frame.iloc[:, columns]
    low, high = numbers.quantile(0.25), numbers.quantile(0.75)
    errors = (model.reconstruct(frame).iloc[:, columns] - numbers) / (high - low) * 1.349
    known = numbers.notna().any(axis=1)
    expected = (errors[known].astype(float) ** 2).mean(axis=1)
    # body_mass_g is a whole number in the frame that comes back
    assert_allclose(-model.score_samples(frame)[known], expected, rtol=0.02, atol=2e-3)
    assert model.history_["loss"][0] == pytest.approx(-model.score(frame), rel=1e-3)


def test_heavy_category_is_restored_better():
    frame = load_penguins().X.drop(columns="year")
    params = SMALL | {"missing_values": "mask", "n_components": 1, "epochs": 60, "init": "random"}
    shares = []
    for weights in (None, {"sex": 30}):
        model = DeepAutoencoder(**params, feature_weights=weights).fit(frame)
        known = frame["sex"].notna()
        shares.append((model.reconstruct(frame)["sex"] == frame["sex"])[known].mean())
    assert shares[1] > shares[0] + 0.02


def test_keras_networks_take_weights():
    keras = pytest.importorskip("keras")
    encoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8)])
    model = DeepAutoencoder.from_keras(encoder, decoder, feature_weights=WEIGHTS)
    assert_allclose(-model.score_samples(X), mean_errors(model, X, WEIGHTS), rtol=1e-5)
    with pytest.raises(ValueError, match="feature_weights must have a weight for each of the 8"):
        DeepAutoencoder.from_keras(encoder, decoder, feature_weights=[1, 2])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"feature_weights must have a weight for each of the 8 columns of X; got 2"),
        ({"a": 2}, r"feature_weights must be a list for an X without names of columns; got the"),
        ([0] * 8, r"feature_weights must have a weight above 0; got \[0, 0"),
        ([1] * 7 + [-2], r"feature_weights\[7\] must be a number of at least 0; got -2"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    refused(DeepAutoencoder(feature_weights=weights), ValueError, message, X)


def test_unknown_names_are_refused():
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    message = r"must name columns of X, which are \['a', 'b', 'c'\]; got \['d', 'e'\]"
    refused(DeepAutoencoder(feature_weights={"d": 1, "a": 2, "e": 1}), ValueError, message, frame)
    message = r"feature_weights\['b'\] must be a number of at least 0; got nan"
    refused(DeepAutoencoder(feature_weights={"b": np.nan}), ValueError, message, frame)
    message = r"must have a weight above 0 for a column that has values in X"
    refused(DeepAutoencoder(feature_weights=dict.fromkeys("abc", 0)), ValueError, message, frame)


def test_loss_that_is_no_mean_is_refused():
    message = "feature_weights needs a loss that is the mean over the features"
    model = DeepAutoencoder(feature_weights=WEIGHTS, loss="cosine_similarity")
    refused(model, ValueError, message, X)


@pytest.mark.parametrize("weights", [[1e-300, 1], [1e38, 3e38], [0, 5e-324]])
def test_weights_of_any_size(weights):
    found = column_weights(weights, 2, None)
    assert_allclose(found.mean(), 1)
    assert np.isfinite(found).all()
