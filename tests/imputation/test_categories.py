"""The imputer of tables with categories: what comes in goes out, and only gaps are filled."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skae import AutoencoderImputer, DeepAutoencoder, DenoisingAutoencoder, MaskingNoise
from skae.datasets import load_penguins
from tests.estimators.comparisons import refused

pd = pytest.importorskip("pandas")


def quick(**params):
    """Return an imputer whose networks are fitted in a moment."""
    network = params.pop("network", {})
    autoencoder = DenoisingAutoencoder(
        **{
            "n_components": 3,
            "hidden_layer_sizes": (),
            "corruption": MaskingNoise(0.5, fill_value=np.nan, vary=True),
            "batch_size": 32,
            "epochs": 1,
            "early_stopping": False,
        }
        | network,
    )
    return AutoencoderImputer(autoencoder, **({"n_folds": 1, "random_state": 0} | params))


def able(**params):
    """Return an imputer that learns in seconds."""
    network = {"n_components": 32, "hidden_layer_sizes": (32,), "epochs": 60, "optimizer": "adam"}
    return quick(network=network, **params)


def customers(n_rows, seed=0):
    """Return a frame without gaps, whose plan determines the other columns, but for noise."""
    rng = np.random.default_rng(seed)
    level = rng.choice(3, n_rows, p=[0.6, 0.3, 0.1])
    noise = rng.random(n_rows)
    return pd.DataFrame(
        {
            "plan": pd.Categorical.from_codes(level, ["basic", "family", "business"]),
            "bill": 10.0 * level + rng.normal(size=n_rows),
            "city": np.where(noise < 0.8, level, rng.choice(3, n_rows)).astype(str),
            "insured": pd.array(level > 0, "boolean"),
            "calls": rng.poisson(4 + 5 * level),
        },
        index=pd.Index(rng.permutation(n_rows), name="customer"),
    )


def with_gaps(X, rate=0.3, seed=0):
    """Return a frame with unknown cells, and the mask of these."""
    hidden = np.random.default_rng(seed).random(X.shape) < rate
    hidden[hidden.all(axis=1), 0] = False
    return X.astype({"calls": "Int64"}).mask(hidden), hidden


@pytest.fixture(scope="module")
def trained():
    X, _ = with_gaps(customers(800))
    return able().fit(X), X


# ---------------------------------------------------------------------- any frame

WORDS = st.sampled_from(["a", "b", "ä", ""])
LEVELS = [["b", "a", "unused"], [3, 1, 2], [0.5, -1.0]]
KINDS = {
    "float64": st.floats(-1e6, 1e6),
    "float32": st.floats(-1e6, 1e6, width=32),
    "Int64": st.integers(2**53, 2**60),
    "UInt8": st.integers(0, 255),
    "boolean": st.booleans(),
    "object": WORDS,
    "string": WORDS,
    "object of booleans": st.booleans(),
    "object of numbers": st.integers(-9, 9),
    "int8": st.integers(-128, 127),
    "bool": st.booleans(),
}
WITHOUT_GAPS = ("int8", "bool")


@st.composite
def series(draw, n_rows):
    kind = draw(st.sampled_from([*KINDS, "category"]))
    levels = draw(st.sampled_from(LEVELS))
    values = st.sampled_from(levels) if kind == "category" else KINDS[kind]
    cells = values if kind in WITHOUT_GAPS else values | st.none()
    column = draw(st.lists(cells, min_size=n_rows, max_size=n_rows))
    if kind == "category":
        return pd.Series(pd.Categorical(column, levels, ordered=draw(st.booleans())))
    return pd.Series(column, dtype=kind.partition(" ")[0])


@st.composite
def frames(draw):
    """Any frame with gaps; its first column has two known words, so that a fit is possible."""
    n_rows = draw(st.integers(2, 6))
    columns = {"word": pd.Series((["a", "b"] * 3)[:n_rows])}
    columns |= {name: draw(series(n_rows)) for name in draw(st.permutations("xyz"))[:2]}
    index = draw(st.lists(st.integers(0, 3), min_size=n_rows, max_size=n_rows))
    return pd.DataFrame(columns).set_axis(pd.Index(index, name="row"))


def check_filled(filled, X, empty=()):
    """Check columns, dtypes and index, the bits of known cells, and that gaps are filled."""
    pd.testing.assert_index_equal(filled.index, X.index)
    assert list(filled.columns) == [name for name in X.columns if name not in empty]
    for name in filled.columns:
        old, new = X[name], filled[name]
        assert new.dtype == old.dtype
        known = old.notna().to_numpy()
        pd.testing.assert_series_equal(new[known], old[known], check_exact=True)
        assert not new.isna().any()


@settings(max_examples=25)
@given(frames())
@pytest.mark.filterwarnings("ignore:X has columns without a known value")
def test_any_frame_is_filled(X):
    empty = [name for name in X if X[name].isna().all()]
    before = X.copy()
    imputer = quick().fit(X)
    for filled in (imputer.transform(X), *imputer.sample(X, 2)):
        check_filled(filled, X, empty)
    one = X[1:2].mask(np.eye(3, dtype=bool)[:1] & (before.dtypes != "int8").to_numpy())
    check_filled(imputer.transform(X[:1]), X[:1], empty)
    assert list(imputer.transform(one)) == list(imputer.get_feature_names_out())
    pd.testing.assert_frame_equal(X, before)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_libraries_are_filled(library):
    """Frames come back with their schema; known cells are equal."""
    module = pytest.importorskip(library)
    data = {
        "word": ["a", None, "b", "a"],
        "level": ["u", "v", None, "v"],
        "true": [True, None, False, True],
        "whole": [2**60 + 1, None, 5, 3],
        "short": [1.5, 2.5, None, 0.1],
        "same": ["s", "s", "s", None],
    }
    if library == "polars":
        schema = {"level": module.Enum(["u", "v", "w"]), "short": module.Float32}
        X = module.DataFrame(data, schema_overrides=schema)
        X = X.with_columns(module.col("same").cast(module.Categorical))
    else:
        pa = module
        kind = pa.dictionary(pa.int8(), pa.string())
        X = pa.table(data | {"level": pa.array(data["level"], kind)})
    filled = quick(add_indicator=True).fit_transform(X)
    names = [f"missingindicator_{name}" for name in data]
    assert type(filled) is type(X)
    to_dict = (
        (lambda t: t.to_pydict()) if library == "pyarrow" else lambda t: t.to_dict(as_series=0)
    )
    found, known = to_dict(filled), to_dict(X)
    assert list(found) == [*data, *names]
    assert filled.select(list(data)).schema == X.schema
    for name, values in known.items():
        pairs = list(zip(found[name], values, strict=True))
        assert all(new == old for new, old in pairs if old is not None)
        assert None not in found[name]
        assert found[f"missingindicator_{name}"] == [old is None for _, old in pairs]


@pytest.mark.parametrize("marker", [None, "?", -1.0])
def test_arrays_are_filled(marker):
    """Columns of an array are listed; objects come back."""
    X = np.array([["a", 1.5], [marker, 2.0], ["b", marker], ["a", 0.5]] * 5, object)
    imputer = quick(missing_values=marker, network={"categorical_features": [0]})
    filled = imputer.fit_transform(X)
    known = np.array([[value is not marker for value in row] for row in X.tolist()])
    assert filled.dtype == object
    assert_array_equal(filled[known], X[known])
    assert set(filled[1::4, 0]) <= {"a", "b"}
    assert all(0.5 <= value <= 2 for value in filled[2::4, 1])
    draws = imputer.sample(X, 2)
    assert isinstance(draws, list)
    assert draws[1].shape == X.shape


def test_array_of_numbers_keeps_dtype():
    X = np.array([[1, 0.5], [2, np.nan], [np.nan, 1.5], [1, 0.25]] * 5, np.float32)
    filled = quick(network={"categorical_features": [0]}).fit_transform(X)
    assert filled.dtype == np.float32
    assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    assert set(filled[:, 0]) == {1, 2}


# ---------------------------------------------------------------------- special tables


def test_categories_only_are_filled():
    X = pd.DataFrame({"a": ["x", "y", None, "x"] * 5, "b": ["u", None, "u", "u"] * 5})
    check_filled(quick().fit_transform(X), X)


@pytest.mark.parametrize("keep", [False, True])
def test_empty_columns_of_frame(keep):
    """Kept columns of numbers have zeros, and the others stay empty."""
    X = customers(30)
    X["none"] = pd.Categorical([None] * 30, ["a"])
    X["nan"], X["null"] = np.nan, pd.Series([None] * 30, dtype="boolean", index=X.index)
    imputer = quick(keep_empty_features=keep)
    if not keep:
        with pytest.warns(UserWarning, match=r"without a known value.*'none', 'nan', 'null'"):
            filled = imputer.fit_transform(X)
        check_filled(filled, X, ["none", "nan", "null"])
        assert list(imputer.get_feature_names_out()) == list(filled)
        return
    filled = imputer.fit_transform(X)
    assert list(filled) == list(X)
    assert filled[["none", "null"]].isna().all(axis=None)
    assert (filled["nan"] == 0).all()


def test_numbers_beside_an_empty_category():
    X = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": pd.Categorical([None] * 3, ["x"])})
    filled = quick(keep_empty_features=True).fit_transform(X)
    assert filled["a"].notna().all()
    assert filled["b"].isna().all()


def test_unseen_categories_are_kept(trained):
    """They are unknown to the network only, and the dtype stays that of the input."""
    imputer, _ = trained
    X = customers(6, seed=1).astype({"city": "category"})
    X["city"] = X["city"].cat.add_categories(["Quito"])
    X.iloc[0, 2], X.iloc[1, 2], X.iloc[0, 0] = "Quito", None, None
    filled = imputer.transform(X)
    check_filled(filled, X)
    assert filled.iloc[0, 2] == "Quito"
    assert imputer.sample(X, 1)[0].iloc[0, 2] == "Quito"
    strict = quick(network={"handle_unknown": "error"}).fit(customers(20))
    refused(
        strict, ValueError, "fit did not see: Quito", X.astype({"city": str}), method="transform"
    )


def test_undeclared_levels_are_added(trained):
    """A frame whose dtype does not declare a filled category gets it as another level."""
    imputer, _ = trained
    X = customers(50, seed=1)
    X["plan"] = pd.Categorical([None] * 50, ["family"])
    filled = imputer.transform(X)
    assert not filled["plan"].isna().any()
    assert filled["plan"].cat.categories[0] == "family"
    assert set(filled["plan"].cat.categories) <= {"basic", "family", "business"}


def test_rare_categories_fill_as_most_frequent():
    """The pool of rare categories stands for the most frequent of them; known ones are kept."""
    rare = ["r", "r", "s", None] * 6
    X = pd.DataFrame({"a": ["x"] * 40 + rare, "b": ["u"] * 40 + ["v"] * 24})
    filled = quick(network={"min_frequency": 0.3, "epochs": 300}).fit_transform(X)
    assert filled["a"][40:].tolist() == ["r", "r", "s", "r"] * 6


def test_pandas_names_need_not_be_words():
    X = pd.DataFrame({0: ["a", None, "b"], 1: [1.0, 2.0, np.nan]})
    filled = quick(add_indicator=True).fit_transform(X)
    assert list(filled) == [0, 1, "missingindicator_x0", "missingindicator_x1"]
    check_filled(filled[[0, 1]], X)


def test_numbers_of_frame_unchanged_by_table_code():
    """A frame of numbers only gives an array, as before there were tables."""
    X = customers(30)[["bill", "calls"]].astype(float)
    X.iloc[3, 0] = np.nan
    filled = quick().fit(X).transform(X)
    assert isinstance(filled, np.ndarray)
    assert_array_equal(filled, quick().fit_transform(X.to_numpy()))


# ---------------------------------------------------------------------- placeholders


def test_string_marks_gaps():
    """Strings, None and NaN are all gaps; the other cells are as with NaN only."""
    X, hidden = with_gaps(customers(40))
    marked = X.astype({"city": object})
    marked.loc[hidden[:, 2], "city"] = "?"
    one, other = quick(), quick(missing_values="?")
    expected, filled = one.fit_transform(X), other.fit_transform(marked)
    assert filled.astype(object).equals(expected.astype(object))


def test_number_marks_gaps():
    """True is no 1, and integers stay integers."""
    X = pd.DataFrame({"n": [1, 3, 4, 1], "b": [True, False, True, True], "w": ["a", "b", "a", "b"]})
    filled = quick(missing_values=1).fit_transform(X)
    assert filled.dtypes.tolist() == X.dtypes.tolist()
    assert filled[["b", "w"]].equals(X[["b", "w"]])
    assert filled["n"].isin([3, 4]).all()


def test_string_is_refused_for_numbers():
    refused(quick(missing_values="?"), ValueError, "for tables with categories", [[1.0, 2], [3, 4]])


# ---------------------------------------------------------------------- quality


def test_gaps_follow_other_columns(trained):
    """Each category and boolean is restored from the rest of the row in most gaps."""
    imputer, _ = trained
    clean = customers(400, seed=1)
    X, hidden = with_gaps(clean, rate=0.15)
    filled = imputer.transform(X)
    check_filled(filled, X)
    for place, least in ((0, 0.85), (2, 0.75), (3, 0.9)):
        name, inside = X.columns[place], hidden[:, place]
        right = filled[name].astype(object) == clean[name].astype(object)
        assert right[inside].mean() > least, name
    error = (filled["bill"] - clean["bill"])[hidden[:, 1]]
    assert error.abs().mean() < 0.4 * clean["bill"].std()
    low, high = (imputer._scales[name][0] for name in ("low", "high"))
    assert filled["bill"][hidden[:, 1]].between(low, high).all()


def test_draws_have_marginal_frequencies(trained):
    """Hidden cells get each category as often as it occurs in them."""
    imputer, _ = trained
    clean = customers(2000, seed=1)
    gaps, hidden = with_gaps(clean, rate=0.5)
    drawn = imputer.sample(gaps, 2)
    for name, place in (("plan", 0), ("city", 2)):
        inside = hidden[:, place]
        true = clean[name][inside].value_counts(normalize=True)
        for frame in drawn:
            found = frame[name][inside].value_counts(normalize=True)
            assert (found.reindex(true.index) - true).abs().max() < 0.06


def test_probabilities_of_draws_are_honest(trained):
    """A category that is the draw in seven of ten tables is right in seven of ten cells."""
    imputer, _ = trained
    clean = customers(500, seed=1)
    gaps, hidden = with_gaps(clean, rate=0.4)
    draws = imputer.sample(gaps, 40)
    inside = hidden[:, 2]
    values = sorted(set(clean["city"]))
    shares = np.mean(
        [[frame["city"][inside] == value for value in values] for frame in draws], axis=0
    )
    true = np.array([clean["city"][inside] == value for value in values])
    bins = np.minimum(shares * 5, 4).astype(int)
    weights = np.bincount(bins.ravel(), minlength=5) / bins.size
    differences = [
        abs(shares[bins == number].mean() - true[bins == number].mean()) if weights[number] else 0
        for number in range(5)
    ]
    assert weights @ differences < 0.1
    assert -np.log(np.maximum(shares, 0.01))[true].mean() < 0.95 * np.log(3)


def test_draws_of_row_suit_each_other(trained):
    """The plan and the insurance of one draw agree, though both are unknown."""
    imputer, _ = trained
    X = customers(300, seed=1).astype({"calls": "Int64"})
    X[["plan", "insured", "bill", "calls"]] = None
    X = X.astype(customers(2).dtypes.to_dict() | {"calls": "Int64"})
    drawn = imputer.sample(X, 1)[0]
    assert ((drawn["plan"] != "basic") == drawn["insured"]).mean() > 0.9


def test_transform_takes_most_frequent_draw():
    X, _ = with_gaps(customers(40))
    imputer = quick(sample_posterior=True, n_draws=5).fit(X)
    draws, filled = imputer.sample(X), imputer.transform(X)
    plans = pd.concat([frame["plan"].astype(object) for frame in draws], axis=1)
    counts = plans.apply(lambda row: row.value_counts().max(), axis=1)
    taken = plans.eq(filled["plan"].astype(object), axis=0).sum(axis=1)
    assert_array_equal(taken, counts)
    mean = sum(frame["bill"] for frame in draws) / 5
    np.testing.assert_allclose(filled["bill"], mean, rtol=1e-9)


# ---------------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_of_frames(library):
    """Any frame becomes one of the library, with the names of the indicator."""
    module = pytest.importorskip(library)
    polars = pytest.importorskip("polars")
    X = with_gaps(customers(40))[0].reset_index(drop=True)
    names = [*X, *(f"missingindicator_{name}" for name in X)]
    imputer = quick(add_indicator=True).set_output(transform=library)
    for frame in (X, polars.from_pandas(X)):
        filled = imputer.fit_transform(frame)
        assert isinstance(filled, module.DataFrame)
        assert list(filled.columns) == names
        assert filled.shape == (40, 10)


def test_indicator_columns_are_booleans():
    X, hidden = with_gaps(customers(40))
    imputer = quick(add_indicator=True).fit(X)
    filled = imputer.transform(X)
    check_filled(filled[list(X)], X)
    assert_array_equal(filled.iloc[:, 5:], hidden)
    assert list(imputer.get_feature_names_out()) == list(filled)
    assert filled.iloc[:, 5:].dtypes.eq(bool).all()


@pytest.mark.parametrize("copy", [clone, lambda imputer: pickle.loads(pickle.dumps(imputer))])
def test_copies_give_same_frames(copy):
    X, _ = with_gaps(customers(40))
    imputer = quick().fit(X)
    other = copy(imputer)
    if copy is clone:
        other.fit(X)
    pd.testing.assert_frame_equal(other.transform(X), imputer.transform(X))
    pd.testing.assert_frame_equal(other.sample(X, 1)[0], imputer.sample(X, 1)[0])


def test_skops_file_gives_same_frames():
    skops_io = pytest.importorskip("skops.io")
    X, _ = with_gaps(customers(40))
    imputer = quick().fit(X)
    file = skops_io.dumps(imputer)
    names = skops_io.get_untrusted_types(data=file)
    assert all(name.startswith("skae.") and name.count(".") == 1 for name in names), names
    pd.testing.assert_frame_equal(
        skops_io.loads(file, trusted=names).transform(X), imputer.transform(X)
    )


def test_failed_calls_change_nothing():
    X, _ = with_gaps(customers(40))
    imputer = quick().fit(X)
    refused(imputer, ValueError, "2 rows with a known value; got 0", X[:0])
    refused(imputer, ValueError, "2 rows with a known value; got 1", X[:1])
    refused(imputer, ValueError, "feature names", X[["bill", "plan"]], method="transform")
    refused(imputer, ValueError, "infinity", X.assign(bill=np.inf), method="transform")
    wrong = X.assign(insured="maybe")
    refused(imputer, ValueError, "must hold true and false", wrong, method="transform")
    refused(quick(network={"min_frequency": -1}), ValueError, "min_frequency", X)
    refused(quick(network={"output_activation": "linear"}), ValueError, "output_activation", X)


def test_deep_autoencoder_fills_tables():
    X, _ = with_gaps(customers(60))
    imputer = AutoencoderImputer(DeepAutoencoder(2, epochs=1), n_folds=2, random_state=0)
    check_filled(imputer.fit_transform(X), X)


def test_estimator_takes_frames():
    """The network restores frames, with the categories of the fit and in units of the frame."""
    X = load_penguins().X
    imputer = able().fit(X)
    restored = imputer.estimator_.reconstruct(X)
    assert restored["body_mass_g"].mean() == pytest.approx(X["body_mass_g"].mean(), rel=0.1)
    assert (restored["sex"] == X["sex"]).mean() > 0.8
