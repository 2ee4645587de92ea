"""Frames with categories go into the estimators, and come back."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import DeepAutoencoder, DenoisingAutoencoder, MaskingNoise, SwapNoise
from skae._engine.losses import Batch, table_losses
from skae._network.tables import Probabilities
from skae._tables.inputs import table_of
from skae._tables.table import Table
from tests.estimators.comparisons import FROZEN, each_kind, refused

each_start = pytest.mark.parametrize("init", ["random", "pca"])
TINY = {"n_components": 2, "hidden_layer_sizes": (4,), "epochs": 2}


@pytest.fixture(scope="module")
def frame():
    """60 rows of numbers, booleans and categories that depend on each other."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 60)
    return pd.DataFrame(
        {
            "word": np.array(["a", "b", "c"])[kind],
            "number": rng.normal(100 * kind, 5),
            "flag": kind > rng.integers(0, 2, 60),
            "level": pd.Categorical(
                np.array(["low", "high"])[kind // 2], ["low", "medium", "high"], ordered=True
            ),
            "count": (kind + 7).astype("int8"),
        },
        index=[f"r{i % 40}" for i in range(60)],
    )


@pytest.fixture
def make(make_autoencoder):
    def make(kind=DeepAutoencoder, **params):
        return make_autoencoder(kind, **(TINY | params))

    return make


@pytest.fixture(scope="module", params=[DeepAutoencoder, DenoisingAutoencoder])
def fitted(request, make_autoencoder, frame):
    return make_autoencoder(request.param, **TINY, init="pca").fit(frame)


def punched(frame, share=0.3, seed=1):
    return frame.mask(np.random.default_rng(seed).random(frame.shape) < share)


def matrix_of(model, X):
    return table_of(model).encode(X, "ignore")


def check_like(again, frame):
    assert again.columns.tolist() == frame.columns.tolist()
    assert again.dtypes.tolist() == frame.dtypes.tolist()
    pd.testing.assert_index_equal(again.index, frame.index)


# ---------------------------------------------------------------------- frames come back


@each_start
@each_kind
def test_frame_comes_back(kind, init, make, frame):
    model = make(kind, init=init).fit(frame)
    codes = model.transform(frame)

    assert codes.shape == (60, 2)
    check_like(model.reconstruct(frame), frame)
    check_like(model.inverse_transform(codes), frame.reset_index(drop=True))
    assert model.n_features_in_ == 5
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    for again, scores in [(model.reconstruct(frame), model.score_samples(frame))]:
        assert set(again["word"]) <= {"a", "b", "c"}
        assert scores.shape == (60,)
        assert (scores < 0).all()


def test_dependent_columns_are_learnt(make, frame):
    model = make(init="pca", epochs=50, learning_rate=0.01).fit(frame)
    again = model.reconstruct(frame)

    assert (again["word"] == frame["word"]).mean() > 0.9
    assert (again["level"] == frame["level"]).mean() > 0.9
    assert np.corrcoef(again["number"], frame["number"])[0, 1] > 0.9
    assert model.score(frame) == pytest.approx(model.score_samples(frame).mean(), rel=1e-5)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_libraries_come_back(library, make, frame):
    X = pl.from_pandas(frame.assign(level=frame["level"].astype("str")))
    X = X if library == "polars" else X.to_arrow()
    model = make().fit(X)
    again = model.reconstruct(X)

    assert type(again) is type(X)
    assert again.schema == X.schema
    assert type(model.inverse_transform(model.transform(X))) is type(X)
    assert_array_equal(model.transform(X), make().fit(frame).transform(frame))


def test_codes_may_be_lists(fitted, frame):
    codes = fitted.transform(frame)
    pd.testing.assert_frame_equal(
        fitted.inverse_transform(codes.tolist()),
        fitted.inverse_transform(codes.astype(np.float64)),
    )


def test_numeric_frames_give_arrays(make, frame):
    X = frame[["number", "count"]]
    model = make(n_components=1).fit(X)

    assert isinstance(model.reconstruct(X), np.ndarray)
    assert_array_equal(
        model.reconstruct(X), make(n_components=1).fit(X.to_numpy()).reconstruct(X.to_numpy())
    )
    assert model.categories_ == {}
    assert model.reconstruct_proba(X) == {}


def test_arrays_of_objects(make, frame):
    X = frame[["word", "number"]].to_numpy()
    model = make(n_components=1, categorical_features=[0]).fit(X)
    again = model.reconstruct(X)

    assert again.dtype == object
    assert set(again[:, 0]) <= {"a", "b", "c"}
    assert model.categories_ == {"0": ["a", "b", "c"]}


def test_arrays_of_numbers(make, frame):
    X = frame[["count", "number"]].to_numpy(np.float32)
    again = make(n_components=1, categorical_features=[0]).fit(X).reconstruct(X)

    assert again.dtype == np.float32
    assert set(again[:, 0]) <= {7, 8, 9}


def test_probabilities_of_categories(fitted, frame):
    shares = fitted.reconstruct_proba(frame)
    again = fitted.reconstruct(frame)

    assert fitted.categories_ == {"word": ["a", "b", "c"], "level": ["high", "low"]}
    assert list(shares) == ["word", "level"]
    for name, categories in fitted.categories_.items():
        assert_allclose(shares[name].sum(axis=1), 1, rtol=1e-5)
        chosen = np.array(categories)[shares[name].argmax(axis=1)]
        assert again[name].tolist() == chosen.tolist()


# ---------------------------------------------------------------------- the same numbers elsewhere


def test_numpy_equals_keras(fitted, frame):
    matrix = matrix_of(fitted, frame)
    codes = np.asarray(fitted.encoder_(matrix))

    assert_allclose(fitted.transform(frame), codes, rtol=1e-4, atol=1e-5)
    outputs = np.asarray(fitted.autoencoder_(matrix))
    assert_allclose(fitted._network.reconstruct(matrix), outputs, rtol=1e-4, atol=1e-5)
    assert_allclose(np.asarray(fitted.decoder_(codes)), outputs, rtol=1e-4, atol=1e-5)


LAYOUT = Probabilities(2, 2, (2, 2, 3))


def mean_of_columns(rows, logits, inputs, shown_weight):
    """Return the loss of each row in float64, column by column."""
    losses = np.zeros(len(rows))
    for i, (row, z) in enumerate(zip(rows.astype(float), logits.astype(float), strict=True)):
        found = []
        for j in range(4):
            if np.isnan(row[j]):
                continue
            share = special.expit(z[j])
            loss = (row[j] - z[j]) ** 2 if j < 2 else -np.log(share if row[j] else 1 - share)
            found.append(loss * (1 if np.isnan(inputs[i, j]) else shown_weight))
        for start, size in ((4, 2), (6, 2), (8, 3)):
            part = slice(start, start + size)
            if row[part].any():
                loss = -np.log(special.softmax(z[part])[row[part].argmax()])
                found.append(loss * (shown_weight if inputs[i, part].any() else 1))
        losses[i] = np.mean(found) if found else 0
    return losses


def make_batch():
    rng = np.random.default_rng(0)
    one_hot = [np.eye(size)[rng.integers(0, size, 8)] for size in LAYOUT.sizes]
    rows = np.concatenate([rng.normal(size=(8, 2)), rng.integers(0, 2, (8, 2)), *one_hot], axis=1)
    rows[:, :4][rng.random((8, 4)) < 0.3] = np.nan
    rows[2, 4:6] = rows[3, 8:] = 0
    rows[5, :4], rows[5, 4:] = np.nan, 0
    inputs = rows.copy()
    inputs[:, :4][rng.random((8, 4)) < 0.3] = np.nan
    inputs[1, 4:6] = inputs[6, 6:8] = 0
    return (x.astype(np.float32) for x in (rows, inputs, 3 * rng.normal(size=rows.shape)))


@pytest.mark.parametrize("shown_weight", [1.0, 0.25])
def test_loss_is_mean_of_columns(shown_weight):
    """And the gradient is that of finite differences; unknown columns have none."""
    rows, inputs, logits = make_batch()

    class Model:
        loss = "mean_squared_error"

    losses_of = table_losses(Model, LAYOUT, shown_weight)
    batch = Batch(tf.constant(inputs), tf.constant(rows), None, None)
    losses, slopes = losses_of(batch, tf.constant(logits))

    expected = mean_of_columns(rows, logits, inputs, shown_weight)
    assert_allclose(losses, expected, rtol=1e-5, atol=1e-6)
    assert losses[5] == 0
    assert_array_equal(slopes[5], np.zeros(11))
    for place in range(11):
        step = np.zeros(11)
        step[place] = 1e-4
        high, low = (
            mean_of_columns(rows, logits + sign * step, inputs, shown_weight) for sign in (1, -1)
        )
        assert_allclose(slopes[:, place], (high - low) / 2e-4, rtol=1e-3, atol=1e-4)


@each_start
def test_history_is_mean_of_columns(init, make, frame):
    """The loss of training is minus the score, if the weights do not change."""
    model = make(init=init, **FROZEN).fit(frame)
    assert model.history_["loss"][-1] == pytest.approx(-model.score(frame), rel=1e-3)


def test_score_is_mean_of_columns(fitted, frame):
    matrix = matrix_of(fitted, frame).astype(float)
    table = table_of(fitted)
    outputs = fitted._network.reconstruct(matrix)
    logits = np.log(np.maximum(outputs, 1e-30))
    n = table.layout[0]
    errors = [(matrix[:, :n] - outputs[:, :n]) ** 2]
    flag = np.where(matrix[:, n] > 0, outputs[:, n], 1 - outputs[:, n])
    errors += [-np.log(flag)[:, None]]
    start = n + 1
    for size in table.layout[2]:
        part = slice(start, start + size)
        errors += [-(matrix[:, part] * logits[:, part]).sum(axis=1)[:, None]]
        start += size
    expected = -np.concatenate(errors, axis=1).mean(axis=1)
    assert_allclose(fitted.score_samples(frame), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("missing", [0, 0.5])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_start_knows_shares(share, missing, make):
    """The untrained start at PCA has no larger cross-entropy than the shares of categories."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "a": np.array(["x", "y"])[(rng.random(400) > share).astype(int)],
            "b": rng.choice(["u", "v", "w"], 400, p=[share, *[(1 - share) / 2] * 2]),
            "n": rng.normal(size=400),
        }
    ).mask(rng.random((400, 3)) < missing)
    model = make(init="pca", missing_values="mask", n_components=1, epochs=1, **FROZEN).fit(X)

    for name, shares in model.reconstruct_proba(X).items():
        known = X[name].notna().to_numpy()
        places = [model.categories_[name].index(value) for value in X[name][known]]
        found = -np.log(shares[known][np.arange(len(places)), places]).mean()
        marginal = np.bincount(places) / len(places)
        assert found < 1.02 * -(marginal * np.log(marginal)).sum() + 0.005


# ---------------------------------------------------------------------- copies of estimators


def by_pickle(model, path):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, path):
    joblib.dump(model, path)
    return joblib.load(path)


def by_skops(model, path):
    skops_io = pytest.importorskip("skops.io")
    skops_io.dump(model, path)
    return skops_io.load(path, trusted=skops_io.get_untrusted_types(file=path))


@pytest.mark.parametrize("save_and_load", [by_pickle, by_joblib, by_skops])
def test_files_keep_the_table(save_and_load, fitted, frame, tmp_path):
    again = save_and_load(fitted, tmp_path / "model")

    assert table_of(again) == table_of(fitted)
    assert isinstance(table_of(again), Table)
    pd.testing.assert_frame_equal(again.reconstruct(frame), fitted.reconstruct(frame))
    assert again.categories_ == fitted.categories_


@each_kind
def test_clones_are_unfitted(kind, make, frame):
    model = make(kind, categorical_features=["word", "level"], min_frequency=3).fit(frame)
    again = clone(model).set_params(handle_unknown="error", min_frequency=0.1)

    assert "_table" not in vars(again)
    assert again.categorical_features == ["word", "level"]
    check_like(again.fit(frame).reconstruct(frame), frame)
    refused(again, ValueError, "fit did not see: new", frame.assign(word="new"), method="transform")


# ---------------------------------------------------------------------- more training


@each_kind
def test_parts_continue(kind, make, frame):
    model = make(kind, init="random").partial_fit(frame[:30])
    before, start = table_of(model), model.transform(frame)
    model.partial_fit(frame[30:])

    assert table_of(model) == before
    assert not np.array_equal(model.transform(frame), start)
    refused(model, ValueError, "feature names", frame[["word"]], method="partial_fit")


def test_warm_start_keeps_the_table(make, frame):
    """Other rows of the same columns are on the scales of the first ones."""
    model = make(warm_start=True).fit(frame[:40])
    before = table_of(model)
    model.fit(frame[:40]).fit(frame[20:])

    assert model.n_iter_ == 6
    assert table_of(model) == before
    refused(model, ValueError, "feature names", frame.assign(other=1))
    refused(model, ValueError, "feature names", frame[["number", "count"]])
    cold = model.set_params(warm_start=False).fit(frame[["word", "number"]])
    assert cold.n_features_in_ == 2


def test_warm_start_from_numbers(make, frame):
    model = make(warm_start=True).fit(frame[["number", "count"]])
    refused(model, ValueError, "X must hold numbers; got text in column 'word'", frame)


@each_kind
def test_validation_and_weights(kind, make, frame):
    weight = np.arange(60)
    model = make(kind, epochs=3, early_stopping=True)
    model.fit(frame, X_val=frame[:20], sample_weight=weight)

    assert len(model.history_["val_loss"]) == model.n_iter_
    assert model.score(frame, sample_weight=weight) != model.score(frame)
    refused(model, ValueError, "X_val must have the columns of fit", frame, X_val=frame[["word"]])
    refused(
        model,
        ValueError,
        "Input X_val contains NaN: column",
        frame,
        X_val=punched(frame.astype(object)),
    )


def test_clean_rows_are_frames(make, frame):
    noisy = frame.assign(word="a", number=0.0)
    model = make(DenoisingAutoencoder, corruption=None)
    check_like(model.fit(noisy, X_clean=frame).reconstruct(noisy), frame)
    model.fit(noisy, X_clean=frame, X_val=noisy[:9], X_val_clean=frame[:9])
    refused(model, ValueError, "X_clean must have the columns", noisy, X_clean=frame[["word"]])


@pytest.mark.parametrize(
    "corruption",
    [SwapNoise(0.3), MaskingNoise([0.5, 0.1, 0, 0, 0.2]), MaskingNoise(0.5, fill_value=np.nan)],
)
def test_corruptions_take_frames(corruption, make, frame):
    model = make(DenoisingAutoencoder, corruption=corruption, missing_values="mask")
    check_like(model.fit(frame).reconstruct(frame), frame)


# ---------------------------------------------------------------------- missing values


@each_kind
def test_missing_values_are_refused(kind, make, frame):
    X = frame.copy()
    X.loc[X.index[7], "word"] = None
    model = make(kind)
    refused(model, ValueError, r"contains NaN: column 'word' .* missing_values='mask'", X)
    model.fit(frame)
    for method in ("transform", "reconstruct", "score_samples", "reconstruct_proba"):
        refused(model, ValueError, "contains NaN: column 'word'", X, method=method)


@each_start
@each_kind
def test_gaps_are_filled(kind, init, make, frame):
    X = punched(frame[["word", "number", "level"]])
    model = make(kind, init=init, missing_values="mask").fit(X)
    again = model.reconstruct(X)

    check_like(again, X)
    assert not again.isna().any(axis=None)
    assert np.isfinite(model.score_samples(X)).all()
    matrix = matrix_of(model, X)
    outputs = np.asarray(model.autoencoder_(matrix))
    assert_allclose(model._network.reconstruct(matrix), outputs, rtol=1e-4, atol=1e-5)


def test_empty_rows_and_columns(make, frame):
    X = frame[["word", "number"]].assign(none=pd.Series([None] * 60, dtype=object).to_numpy())
    X = X.assign(empty=np.nan)
    X.iloc[3] = None
    model = make(init="pca", missing_values="mask").fit(X)

    assert model.score_samples(X)[3] == 0
    again = model.reconstruct(X)
    check_like(again, X)
    assert again["none"].isna().all()
    assert_array_equal(again["empty"], np.zeros(60))


def test_unseen_categories_are_unknown(fitted, frame):
    unseen = frame.assign(word="new")
    assert np.isfinite(fitted.transform(unseen)).all()
    assert set(fitted.reconstruct(unseen)["word"]) <= {"a", "b", "c"}
    assert not np.array_equal(fitted.score_samples(unseen), fitted.score_samples(frame))


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"output_activation": "sigmoid"}, "output_activation must be 'auto'"),
        ({"metrics": ["mae"]}, "metrics must be None"),
        ({"tied_weights": True}, "tied_weights must be False"),
        ({"loss": "cosine_similarity"}, "a table with categories needs a loss that is the mean"),
        ({"categorical_features": ["x"]}, "categorical_features has 'x'"),
        ({"categorical_features": None}, "word"),
        ({"categorical_features": ["word"]}, r"Column 'level' .* not numbers"),
    ],
)
def test_unfit_parameters_are_refused(params, match, make, frame):
    refused(make(**params), ValueError, match, frame)


def test_other_rows_are_refused(fitted, frame):
    for method in ("transform", "reconstruct", "score_samples"):
        refused(fitted, ValueError, "feature names", frame[frame.columns[::-1]], method=method)
        refused(fitted, ValueError, "feature names", frame.assign(other=1), method=method)
        worded = frame.assign(number="many")
        refused(fitted, ValueError, "Column 'number' .* not numbers", worded, method=method)
        endless = frame.assign(number=np.inf)
        refused(fitted, ValueError, "infinity, .* column 'number'", endless, method=method)


def test_results_need_no_out(fitted, frame):
    codes = fitted.transform(frame)
    out = np.empty((60, 5))
    refused(fitted, ValueError, "leave out at None", frame, out=out, method="reconstruct")
    refused(fitted, ValueError, "leave out at None", codes, out=out, method="inverse_transform")
    fitted.transform(frame, out=codes)


def test_sources_have_no_categories(make, frame, tmp_path):
    """A source of numbers cannot follow a frame, but a new fit forgets the frame."""
    model = make().fit(frame)
    source = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(40, 5))
    source[:] = np.random.default_rng(0).normal(size=(40, 5))

    class Blocks:
        shape, dtype = source.shape, source.dtype

        def __getitem__(self, rows):
            return source[rows]

        def __len__(self):
            return len(source)

    refused(model, ValueError, "source of numbers", Blocks(), method="transform")
    model.fit(Blocks())
    assert isinstance(model.reconstruct(source), np.ndarray)


# ---------------------------------------------------------------------- scikit-learn


def test_search_over_frames(make, frame):
    search = GridSearchCV(make(init="pca"), {"n_components": [1, 3]}, cv=2, error_score="raise")
    search.fit(frame)

    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    check_like(search.best_estimator_.reconstruct(frame), frame)


def test_pipeline_keeps_the_index(make, frame):
    pipeline = make_pipeline(FunctionTransformer(), make()).set_output(transform="pandas")
    codes = pipeline.fit_transform(frame)

    assert codes.columns.tolist() == ["deepautoencoder0", "deepautoencoder1"]
    pd.testing.assert_index_equal(codes.index, frame.index)
    check_like(pipeline[-1].inverse_transform(codes), frame)


def test_many_categories_train(make):
    """10,000 categories are sparse rows, and one of them comes back."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(10_000)], object)
    X = pd.DataFrame({"a": rng.permutation(words), "n": rng.normal(size=10_000)})
    model = make(init="random", epochs=1, batch_size=1000).fit(X)
    again = model.reconstruct(X[:5])

    check_like(again, X[:5])
    assert pa.Table.from_pandas(again).num_columns == 2
