"""The detector on tables with categories: what is found, what counts how much, and gaps."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from skae import AutoencoderOutlierDetector, DenoisingAutoencoder, OutlierDisplay
from skae._outliers.tables import TableScaling
from skae._tables import table as tables
from tests.outliers.test_detector import cheap, normal

METHODS = ("score_samples", "decision_function", "p_values", "feature_scores")
COLOURS = np.array(["red", "green", "blue", "grey"])
ANIMALS = np.array(["cat", "dog", "fox", "owl"])


def table(n_rows, seed=0):
    """Return rows whose animal follows from the colour, and whose weight from the height."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, 4, n_rows)
    animal = np.where(rng.random(n_rows) < 0.98, colour, rng.integers(0, 4, n_rows))
    height = rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "colour": pd.Categorical(COLOURS[colour], COLOURS),
            "height": height,
            "animal": ANIMALS[animal],
            "weight": 50 + 20 * height + rng.normal(scale=2, size=n_rows),
            "tame": rng.random(n_rows) < np.where(animal < 2, 0.9, 0.1),
        }
    )


def broken(n_rows, seed=0):
    """Return rows like those of `table`, but none of the animals suits its colour."""
    X = table(n_rows, seed)
    other = (np.searchsorted(COLOURS[[2, 1, 3, 0]], X["colour"].astype(str)) + 1) % 4
    own = X["colour"].astype(str).map(dict(zip(COLOURS, range(4), strict=True)))
    return X.assign(animal=ANIMALS[(own + 1 + other % 3) % 4])


def auc(normal_scores, outlier_scores):
    y = np.repeat([1, 0], [len(normal_scores), len(outlier_scores)])
    return roc_auc_score(y, np.concatenate([normal_scores, outlier_scores]))


@pytest.fixture(scope="module", params=[1, 3], ids=["one network", "folds"])
def fitted(request):
    return AutoencoderOutlierDetector(n_folds=request.param, random_state=0).fit(table(800))


def test_broken_dependence_scores_lower(fitted):
    X, outliers = table(500, seed=1), broken(500, seed=2)
    assert auc(fitted.score_samples(X), fitted.score_samples(outliers)) > 0.95
    shares = fitted.feature_scores(outliers)
    assert np.isin(shares.argmax(axis=1), [0, 2]).mean() > 0.9


def test_wrong_numbers_beside_categories(fitted):
    X = table(300, seed=1)
    heavy = X.assign(weight=100 - X["weight"] + 60 * np.sign(50 - X["weight"]))
    assert auc(fitted.score_samples(X), fitted.score_samples(heavy)) > 0.95


def test_columns_of_frame_sum_to_score(fitted):
    X = pd.concat([table(60, seed=1), broken(60, seed=2)])
    shares = fitted.feature_scores(X)
    assert shares.shape == (120, 5)
    assert shares.min() >= 0
    assert_allclose(shares.sum(axis=1), -fitted.score_samples(X), rtol=1e-9)


def test_expected_values_are_frame(fitted):
    X = broken(80, seed=1).set_index(np.arange(80) + 7)
    expected = fitted.expected_values(X)
    assert_array_equal(expected.index, X.index)
    assert (expected.dtypes == X.dtypes).all()
    suits = dict(zip(COLOURS, ANIMALS, strict=True))
    kept = expected["colour"].astype(str).map(suits) == expected["animal"]
    assert kept.mean() > 0.7
    with pytest.raises(ValueError, match="out is for results that are numbers"):
        fitted.expected_values(X, out=np.empty((80, 5)))


@pytest.mark.parametrize("n_folds", [1, 3])
def test_false_alarms_of_tables(n_folds):
    """A third of the new rows has a town that fit did not see, as have rows that calibrate."""

    def rows(n_rows, seed):
        towns = np.random.default_rng(seed).integers(0, 200, n_rows)
        return table(n_rows, seed).assign(town=towns.astype(str))

    alarms = []
    for seed in range(10):
        X = rows(400, seed)
        detector = cheap(n_folds=n_folds, random_state=seed).fit(X[:200])
        alarms.append(np.mean(detector.p_values(X[200:]) <= 0.1))
    # the rate of one fit has a standard deviation of 0.05: it has 30 rows to calibrate with
    assert 0.02 < np.mean(alarms) < 0.1 + 3 * 0.05 / np.sqrt(10)


def test_rare_category_does_not_dominate(monkeypatch):
    """Rows with a rare category are more normal than rows that break a relation.

    With one-hot columns that are divided by the root of their share, as in a multiple
    correspondence analysis, many are not.
    """
    shares = np.array([0.19] * 5 + [0.02, 0.015, 0.01, 0.004, 0.001])

    def rows(n_rows, seed):
        rng = np.random.default_rng(seed)
        one, other = rng.choice(10, (2, n_rows), p=shares)
        two = np.where(rng.random(n_rows) < 0.97, one % 5, rng.integers(0, 5, n_rows))
        x = rng.normal(size=n_rows)
        y = x + rng.normal(scale=0.3, size=n_rows)
        categories = {"one": one.astype(str), "two": two.astype(str), "other": other.astype(str)}
        return pd.DataFrame(categories | {"x": x, "y": y})

    def found():
        detector = AutoencoderOutlierDetector(random_state=0).fit(rows(1500, 0))
        T = rows(4000, 1)
        one, two, other = (T[name].astype(int) for name in ("one", "two", "other"))
        T, is_rare = T[one % 5 == two], ((one > 4) | (other > 4))[one % 5 == two]
        outliers = T[~is_rare].assign(two=((two + 2) % 5).astype(str))
        scores = [detector.score_samples(each) for each in (T[~is_rare], T[is_rare], outliers)]
        return auc(scores[0], scores[2]), auc(scores[1], scores[2])

    assert min(found()) > 0.98
    monkeypatch.setattr(TableScaling, "of", staticmethod(by_share(TableScaling.of)))
    assert found()[1] < 0.97


def by_share(of):
    """Return `TableScaling.of`, but with one-hot columns divided by the root of their share."""

    def changed(table, X, weight, standardize=True):
        scaling = of(table, X, weight, standardize)
        first, scale = scaling._n_plain, scaling.scale.copy()
        totals = weight @ X[:, first : scaling.n_results]
        ends = first + np.cumsum([0, *table.layout[2]])
        for number, (start, stop) in enumerate(pairwise(ends)):
            share = np.maximum(totals[start - first : stop - first] / weight.sum(), 1e-4)
            scale[start:stop] = np.sqrt(share * (stop - start - 1))
            scale[scaling.n_results + number] = scale[start:stop].min()
        return TableScaling(table, scale)

    return changed


def test_every_column_counts_once():
    """The mean squared distance between two rows is two in each column."""
    X = table(500).assign(town=np.random.default_rng(0).choice(list("aaaaabbcd"), 500))
    found = tables.Table.of(X, "from_dtype", None)
    matrix = np.hstack([found.encode(X, "ignore"), np.zeros((500, 3))])
    Z = TableScaling.of(found, matrix, np.ones(500))(matrix)
    scaling = TableScaling.of(found, matrix, np.ones(500))
    assert_allclose(scaling.by_column(2 * Z.var(axis=0)[np.newaxis])[0], 2, rtol=1e-5)


@pytest.mark.parametrize("column", ["colour", "animal"])
def test_unseen_category_is_unusual(fitted, column):
    """Its share of the score is that of the rarest known category, or higher."""
    X = table(200, seed=1)
    place, X[column] = list(X.columns).index(column), X[column].astype("str")
    new = X.assign(**{column: "new"})
    shares = fitted.feature_scores(new)[:, place]
    levels = COLOURS if column == "colour" else ANIMALS
    known = [fitted.feature_scores(X.assign(**{column: level}))[:, place] for level in levels]
    assert shares.min() > max(each.mean() for each in known) / 2
    assert shares.mean() > max(each.mean() for each in known)
    assert np.mean(fitted.predict(new) == -1) > 0.95


def test_rarest_category_is_no_worse_than_unseen():
    X = table(900)
    X["animal"] = X["animal"].astype(object)
    X.loc[[3], "animal"] = "yak"
    detector = AutoencoderOutlierDetector(random_state=0, n_folds=3).fit(X)
    T = table(200, seed=1)
    known, new = (detector.feature_scores(T.assign(animal=a))[:, 2] for a in ("yak", "newt"))
    assert (new >= 0.999 * known).mean() > 0.95
    assert np.mean(detector.predict(T.assign(animal="yak")) == -1) > 0.95


def test_unseen_category_may_be_refused():
    detector = cheap().set_params(autoencoder=small(handle_unknown="error")).fit(table(200))
    with pytest.raises(ValueError, match="categories that fit did not see: newt"):
        detector.predict(table(5).assign(animal="newt"))


def small(**params):
    options = {"hidden_layer_sizes": (4,), "init": "pca", "early_stopping": False, "epochs": 2}
    return DenoisingAutoencoder(2, batch_size=32, **options | params)


def with_gaps(X, seed=0):
    return X.astype({"tame": "boolean"}).mask(np.random.default_rng(seed).random(X.shape) < 0.15)


@pytest.mark.parametrize("n_folds", [1, 2])
def test_gaps_add_nothing(n_folds):
    X = with_gaps(table(400))
    network = small(missing_values="mask", epochs=10)
    detector = AutoencoderOutlierDetector(network, n_folds=n_folds, random_state=0).fit(X)
    T = with_gaps(table(200, seed=1), seed=1)
    shares = detector.feature_scores(T)
    assert (shares[T.isna().to_numpy()] == 0).all()
    assert (shares[T.notna().to_numpy()] > 0).all()
    assert_allclose(shares.sum(axis=1), -detector.score_samples(T), rtol=1e-9)
    assert not detector.expected_values(T).isna().any(axis=None)
    assert np.mean(detector.predict(T) == -1) < 0.12
    empty = T[:1].mask(np.ones((1, 5), bool))
    assert detector.score_samples(empty) == 0
    assert detector.feature_scores(T.assign(animal="newt"))[:, 2].min() > 0.1


def test_gaps_are_refused_by_default(fitted):
    with pytest.raises(ValueError, match="column 'height' has no value"):
        fitted.predict(table(5).assign(height=np.nan))
    with pytest.raises(ValueError, match="contains NaN"):
        AutoencoderOutlierDetector(small()).fit(table(50).mask(np.eye(50, 5) > 0))


def test_frame_of_numbers_is_array():
    X, names = normal(300), list("abcd")
    one, other = cheap().fit(X), cheap().fit(pd.DataFrame(X, columns=names))
    T = normal(30, seed=1)
    for method in (*METHODS, "expected_values"):
        frame = pd.DataFrame(T, columns=names)
        assert_array_equal(getattr(one, method)(T), getattr(other, method)(frame))


def test_order_of_columns_matters_little(fitted):
    X, T = table(800), pd.concat([table(300, seed=1), broken(60, seed=2)])
    order = ["tame", "weight", "animal", "colour", "height"]
    other = clone(fitted).fit(X[order])
    assert np.mean(fitted.predict(T) == other.predict(T[order])) > 0.93


@pytest.mark.parametrize("library", ["polars", "pyarrow", "objects"])
def test_libraries_give_same_scores(library):
    X, T = table(200).astype({"colour": "str"}), broken(20).astype({"colour": "str"})
    network = small()
    if library == "objects":
        convert = pd.DataFrame.to_numpy
        network.set_params(categorical_features=[0, 2])
    elif library == "polars":
        convert = pytest.importorskip("polars").from_pandas
    else:
        convert = pytest.importorskip("pyarrow").Table.from_pandas
    one, other = cheap().fit(X), cheap().set_params(autoencoder=network).fit(convert(X))
    for method in (*METHODS, "predict"):
        assert_allclose(getattr(other, method)(convert(T)), getattr(one, method)(T), rtol=1e-6)
    expected = other.expected_values(convert(T))
    assert type(expected) is type(convert(T))
    assert expected.shape == (20, 5)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_columns_must_be_those_of_fit(fitted):
    X = table(5)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X.drop(columns="tame"))
    with pytest.raises(ValueError, match="columns of fit"):
        fitted.predict(np.ones((3, 5)))


def test_weight_repeats_rows_of_table():
    """With categories alone; numbers are put on the scale of all rows, whatever their weight."""
    X = table(120)[["colour", "animal", "tame"]]
    weight = np.arange(120) % 3 + 1
    repeated = cheap().fit(X.loc[X.index.repeat(weight)])
    weighted = cheap().fit(X, sample_weight=weight)
    assert_array_equal(repeated.p_values(X), weighted.p_values(X))


@pytest.mark.parametrize("params", [{"contamination": 0.1}, {"trim": 0.1}])
def test_outliers_among_rows_of_table(params):
    X = pd.concat([table(450), broken(50, seed=1)], ignore_index=True)
    detector = AutoencoderOutlierDetector(random_state=0, n_folds=2, **params).fit(X)
    scores = detector.score_samples(X)
    assert auc(scores[:450], scores[450:]) > 0.8
    if "contamination" in params:
        assert (detector.predict(X) == -1).sum() == pytest.approx(50, abs=2)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_calibration_with_frame(fitted):
    detector = pickle.loads(pickle.dumps(fitted)).set_params(false_alarm_rate=0.2)
    assert np.mean(detector.calibrate(table(800, 4)).predict(table(1000, 5)) == -1) < 0.25
    offset = detector.offset_
    with pytest.raises(ValueError, match="columns of fit"):
        detector.calibrate(np.ones((9, 5)))
    assert detector.offset_ == offset


def test_sparse_table_gives_same_scores(monkeypatch):
    X = table(200).assign(town=(np.arange(200) % 40).astype(str))
    network = small(missing_values="mask")
    dense = cheap().set_params(autoencoder=network).fit(with_gaps(X))
    monkeypatch.setattr(tables, "MANY_VALUES", 0)
    from_sparse = cheap().set_params(autoencoder=network).fit(with_gaps(X))
    T = with_gaps(X[:50], seed=2).assign(colour="pink")
    assert_allclose(dense.feature_scores(T), from_sparse.feature_scores(T), rtol=0.6, atol=0.2)
    monkeypatch.setattr(tables, "MANY_VALUES", 1e9)
    expected = from_sparse.score_samples(T)
    monkeypatch.setattr(tables, "MANY_VALUES", 0)
    assert_allclose(from_sparse.score_samples(T), expected)


def test_numbers_count_by_their_units():
    """Without ``standardize``, a number of a small unit dominates, also over categories."""
    X = table(300).assign(height=lambda X: 1000 * X["height"])
    shares = cheap(standardize=False).fit(X).feature_scores(X)
    assert np.median(shares[:, 1] / shares.sum(axis=1)) > 0.9


def test_fit_to_numbers_forgets_table(tmp_path):
    detector = cheap().fit(table(100))
    with pytest.raises(ValueError, match="distinct rows"):
        detector.fit(np.ones((50, 4)))
    detector.predict(table(3))
    assert detector.fit(normal(100)).feature_scores(normal(3)).shape == (3, 4)
    rows = np.memmap(tmp_path / "rows", float, "w+", shape=(9, 5))
    with pytest.raises(ValueError, match="source of numbers"):
        cheap().fit(table(100)).predict(rows)


def test_pickle_and_skops_know_table(fitted):
    T = broken(20)
    copies = [pickle.loads(pickle.dumps(fitted))]
    skops_io = pytest.importorskip("skops.io")
    file = skops_io.dumps(fitted)
    names = skops_io.get_untrusted_types(data=file)
    assert all(name.startswith("skae.") and name.count(".") == 1 for name in names), names
    copies.append(skops_io.loads(file, trusted=names))
    for other in copies:
        for method in (*METHODS, "predict"):
            assert_array_equal(getattr(other, method)(T), getattr(fitted, method)(T))


def test_onnx_of_table_is_refused(fitted):
    skl2onnx = pytest.importorskip("skl2onnx")
    types = pytest.importorskip("skl2onnx.common.data_types")
    inputs = [(name, types.FloatTensorType([None, 1])) for name in table(1).columns]
    with pytest.raises(NotImplementedError, match="no form of AutoencoderOutlierDetector"):
        skl2onnx.to_onnx(fitted, initial_types=inputs)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_display_shows_categories(library):
    X, convert = table(40).astype({"colour": "str"}), lambda X: X
    if library == "polars":
        convert = pytest.importorskip("polars").from_pandas
    elif library == "pyarrow":
        convert = pytest.importorskip("pyarrow").Table.from_pandas
    detector = cheap().fit(convert(X))
    T = X.assign(animal=["newt", *X["animal"][1:]])
    display = OutlierDisplay.from_estimator(detector, convert(T), n_rows=40, n_columns=5)
    assert set(display.feature_names) == set(X)
    place = 5 * list(display.rows).index(0) + list(display.feature_names).index("animal")
    found, expected = display.texts_[place].get_text().split("\n")
    assert found == "newt"
    assert expected.strip("()") in ANIMALS
    assert display.plot(kind="scores").ax_.get_legend() is not None


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "columns",
    [["tame"], ["tame", "height"], ["animal"], ["same", "height", "one"], ["animal", "empty"]],
)
def test_tables_of_few_kinds(columns, sparse, monkeypatch):
    """Booleans or categories alone, constant columns, and one without any known value."""
    if sparse:
        monkeypatch.setattr(tables, "MANY_VALUES", 0)
        monkeypatch.setattr(tables, "FEW", 2)
    X = table(60).assign(same="x", one=1.0, empty=pd.Series([None] * 60, dtype="str"))[columns]
    X = pd.concat([X, X.iloc[:, 0].shift(fill_value=X.iloc[0, 0]).rename("twin")], axis=1)
    gaps = "mask" if "empty" in columns else "error"
    detector = cheap(n_folds=2).set_params(autoencoder=small(missing_values=gaps)).fit(X)
    shares = detector.feature_scores(X)
    assert shares.shape == X.shape
    assert_allclose(shares.sum(axis=1), -detector.score_samples(X), rtol=1e-9)
    if "same" in columns:
        new = X.assign(same="y", one=2.0)
        assert (detector.predict(new) == -1).all()
        assert detector.feature_scores(new)[:, [0, 2]].min() > 0.5
    if "empty" in columns:
        assert (detector.feature_scores(X.assign(empty="newt"))[:, 1] == 0).all()
