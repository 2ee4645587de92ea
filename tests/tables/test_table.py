"""Any frame becomes a matrix, and comes back with its columns, dtypes, categories and index."""

import inspect
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skae._tables import table as tables
from skae._tables.frames import has_only_numbers, library_of
from skae._tables.table import Table

LIBRARIES = ("pandas", "polars", "pyarrow")


def there_and_back(X, categorical="from_dtype", **options):
    """Encode a frame and decode it; what is unknown becomes the decision for zeros."""
    table = Table.unpack(Table.of(X, categorical, None).pack())
    matrix = table.encode(X, "error", **options)
    dense = matrix.toarray() if sparse.issparse(matrix) else matrix
    return table.decode(np.nan_to_num(dense), getattr(X, "index", None))


# ---------------------------------------------------------------------- any frame

WORDS = st.sampled_from(["", "a", "b", "ä", "a b", "NaN", "0"])
PANDAS = {
    "int64": st.integers(-(2**40), 2**40),
    "int8": st.integers(-128, 127),
    "uint8": st.integers(0, 255),
    "float32": st.floats(-1e6, 1e6, width=32),
    "float64": st.floats(-1e6, 1e6),
    "bool": st.booleans(),
    "Int64": st.integers(-(2**40), 2**40),
    "UInt8": st.integers(0, 255),
    "Float32": st.floats(-1e6, 1e6, width=32),
    "boolean": st.booleans(),
    "string": WORDS,
    "string[python]": WORDS,
    "str": WORDS,
    "object": WORDS,
    "int16[pyarrow]": st.integers(-(2**15), 2**15 - 1),
    "bool[pyarrow]": st.booleans(),
    "large_string[pyarrow]": WORDS,
}
WITHOUT_GAPS = ("int64", "int8", "uint8", "bool")
POLARS = {
    pl.Int64: st.integers(-(2**40), 2**40),
    pl.Int8: st.integers(-128, 127),
    pl.UInt8: st.integers(0, 255),
    pl.Float32: st.floats(-1e6, 1e6, width=32),
    pl.Float64: st.floats(-1e6, 1e6),
    pl.Boolean: st.booleans(),
    pl.String: WORDS,
    pl.Categorical: WORDS,
    pl.Enum(["x", "b", "a", "", "ä", "a b", "NaN", "0"]): WORDS,
}
ARROW = {
    pa.int64(): st.integers(-(2**40), 2**40),
    pa.uint8(): st.integers(0, 255),
    pa.float32(): st.floats(-1e6, 1e6, width=32),
    pa.float64(): st.floats(-1e6, 1e6),
    pa.bool_(): st.booleans(),
    pa.string(): WORDS,
    pa.large_string(): WORDS,
    pa.dictionary(pa.int32(), pa.string()): WORDS,
    pa.dictionary(pa.int8(), pa.string()): WORDS,
}


def columns(values, n_rows, gaps=True):
    cells = (values | st.none()) if gaps else values
    return st.lists(cells, min_size=n_rows, max_size=n_rows)


@st.composite
def pandas_columns(draw, n_rows):
    kind = draw(st.sampled_from([*PANDAS, "category"]))
    if kind != "category":
        values = draw(columns(PANDAS[kind], n_rows, kind not in WITHOUT_GAPS))
        return pd.Series(values, dtype=kind)
    levels = draw(st.sampled_from([["b", "a", "unused"], [3, 1, 2], [0.5, -1.0], [True, False]]))
    values = draw(columns(st.sampled_from(levels), n_rows))
    return pd.Series(pd.Categorical(values, levels, ordered=draw(st.booleans())))


@st.composite
def frames(draw):
    library = draw(st.sampled_from(LIBRARIES))
    n_rows, n_columns = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    names = draw(st.permutations(["b", "a", "ä", "x y"]))[:n_columns]
    if library == "pandas":
        index = draw(st.lists(st.integers(0, 9), min_size=n_rows, max_size=n_rows))
        series = {name: draw(pandas_columns(n_rows)) for name in names}
        return pd.DataFrame(series).set_axis(pd.Index(index, name="row"))
    if library == "polars":
        kinds = {name: draw(st.sampled_from(list(POLARS))) for name in names}
        data = {name: draw(columns(POLARS[kind], n_rows)) for name, kind in kinds.items()}
        return pl.DataFrame(data, schema=kinds)
    kinds = {name: draw(st.sampled_from(list(ARROW))) for name in names}
    data = {name: draw(columns(ARROW[kind], n_rows)) for name, kind in kinds.items()}
    return pa.table({name: pa.array(data[name], kind) for name, kind in kinds.items()})


def check_same_frame(again, X):
    assert type(again) is type(X)
    if isinstance(X, pd.DataFrame):
        pd.testing.assert_index_equal(again.columns, X.columns)
        pd.testing.assert_index_equal(again.index, X.index)
        assert again.dtypes.tolist() == X.dtypes.tolist()
        for name, dtype in X.dtypes.items():
            if dtype == "category":
                assert again[name].cat.categories.tolist() == dtype.categories.tolist()
                assert again[name].cat.ordered == dtype.ordered
    else:
        assert again.schema == X.schema
        assert len(again) == len(X)


def cells(X):
    """Return the values of each column as a list, with None for missing ones."""
    if isinstance(X, pd.DataFrame):
        return [[None if pd.isna(v) else v for v in X[name].tolist()] for name in X]
    return list(X.to_pydict().values() if isinstance(X, pa.Table) else X.to_dict().values())


@given(frames())
def test_any_frame_comes_back(X):
    """Known values are the same, numbers but for float32; at any pattern of gaps."""
    try:
        table = Table.of(X, "from_dtype", None)
    except ValueError as error:
        assert "All values of X are missing" in str(error)
        return
    if table is None:
        return
    again = there_and_back(X)
    check_same_frame(again, X)
    for place, (old, new) in enumerate(zip(cells(X), cells(again), strict=True)):
        pairs = [(a, b) for a, b in zip(old, new, strict=True) if a is not None]
        if table.columns[place].kind != "number":
            assert all(a == b for a, b in pairs)
            continue
        scale = table.columns[place].scale
        for a, b in pairs:
            distance = abs(a - table.columns[place].centre) + scale
            assert abs(a - b) <= 1e-6 * distance + 1e-6 * abs(a) + 0.51 * isinstance(a, int)


# ---------------------------------------------------------------------- special frames


def test_columns_without_values():
    X = pd.DataFrame(
        {
            "number": [np.nan, np.nan],
            "word": pd.array([None, None], "string"),
            "boolean": pd.array([None, None], "boolean"),
            "level": pd.Categorical([None, None], ["a", "b"]),
            "known": ["x", "y"],
        }
    )
    again = there_and_back(X)

    check_same_frame(again, X)
    assert again["number"].tolist() == [0, 0]
    assert again["word"].isna().all()
    assert again["known"].tolist() == ["x", "y"]
    kinds = [column.kind for column in Table.of(X, "from_dtype", None).columns]
    assert kinds == ["number", "category", "boolean", "category", "category"]


def test_frame_without_values_is_refused():
    with pytest.raises(ValueError, match="All values of X are missing"):
        Table.of(pd.DataFrame({"a": [None, None]}), "from_dtype", None)


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_of_null_type(library):
    data = {"a": ["x", "y"], "n": [None, None]}
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[library]
    check_same_frame(there_and_back(make(data)), make(data))


def test_one_row_and_one_category():
    X = pd.DataFrame({"a": ["x"], "b": [True], "c": [3]}, index=["row"])
    pd.testing.assert_frame_equal(there_and_back(X), X)
    X = pl.DataFrame({"a": ["x"] * 5, "b": ["u", "v", "u", "u", "v"]})
    assert there_and_back(X).equals(X)


def test_thousand_columns():
    X = pd.DataFrame({f"c{i}": ["a", "b", "a"] if i % 2 else [1, 2, 3] for i in range(1000)})
    pd.testing.assert_frame_equal(there_and_back(X), X)


@pytest.mark.parametrize("names", [[0, 1, 2], [2, 0, 1], [("a", 1), ("a", 2), ("b", 1)]])
def test_names_need_not_be_words(names):
    X = pd.DataFrame([["x", 1, True], ["y", 2, False]])
    X = X.set_axis(pd.Index(names), axis=1)
    pd.testing.assert_frame_equal(there_and_back(X), X)


def test_equal_names_are_refused():
    X = pd.DataFrame([["x", 1], ["y", 2]], columns=["a", "a"])
    with pytest.raises(ValueError, match=r"different names; got 'a' more than once"):
        Table.of(X, "from_dtype", None)
    assert has_only_numbers(pd.DataFrame([[1, 2.5]], columns=["a", "a"]))


def test_objects_may_be_numbers():
    X = pd.DataFrame({"a": pd.Series([1, None, 2.5], dtype=object), "b": ["x", "y", "x"]})
    table = Table.of(X, "from_dtype", None)

    assert table.layout == (1, 0, (2,))
    assert there_and_back(X)["a"].dtype == object


@pytest.mark.skipif(
    "na_value" not in inspect.signature(pd.StringDtype).parameters, reason="pandas before 2.3"
)
def test_dtypes_of_strings_come_back():
    """The names of three dtypes of strings are the same, and another has no name."""
    words = ["u", None, "v"]
    dtypes = [
        pd.StringDtype("python"),
        pd.StringDtype("pyarrow"),
        pd.ArrowDtype(pa.string()),
        pd.StringDtype("python", na_value=np.nan),
        pd.StringDtype("pyarrow", na_value=np.nan),
    ]
    X = pd.DataFrame({f"c{i}": pd.Series(words, dtype=dtype) for i, dtype in enumerate(dtypes)})
    assert there_and_back(X).dtypes.tolist() == dtypes


@pytest.mark.parametrize(
    "values",
    [
        pd.cut([1, 5, 9], [0, 3, 6, 10]),
        pd.Categorical(pd.to_datetime(["2026-01-01", "2026-02-01", "2026-01-01"])),
        pd.Categorical(["b", "a", "b"], pd.Index(["b", "a", "c"], dtype=object)),
        pd.Categorical([1, 2, 1], pd.Index([2, 1], dtype="int8")),
    ],
)
def test_categories_keep_their_dtype(values):
    X = pd.DataFrame({"a": values})
    pd.testing.assert_frame_equal(there_and_back(X), X)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_decimals_come_back(library):
    data = pl.DataFrame({"a": ["x", "y"], "n": pl.Series(["1.50", "2.25"]).cast(pl.Decimal(10, 2))})
    X = data if library == "polars" else data.to_arrow()
    assert there_and_back(X).equals(X) or there_and_back(X).schema == X.schema


def test_large_numbers_are_categories():
    """Integers beyond 2**53 are not rounded, and so stay different."""
    X = pd.DataFrame({"a": [2**60 + 1, 2**60 + 2], "b": [1, 2]})
    assert there_and_back(X, ["a"])["a"].tolist() == X["a"].tolist()


def test_polars_nan_is_unknown():
    X = pl.DataFrame({"a": [1.0, float("nan"), 3.0], "b": ["x", "y", "x"]})
    with pytest.raises(ValueError, match="column 'a' has no value in row 1"):
        Table.of(X, "from_dtype", None).encode(X, "error", gaps=False)


# ---------------------------------------------------------------------- arrays


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64"])
def test_arrays_keep_their_dtype(dtype):
    X = np.array([[3, 1], [5, 2], [3, 4]], dtype)
    again = there_and_back(X, [0])
    assert again.dtype == dtype
    assert_allclose(again, X, rtol=1e-6)


def test_arrays_of_objects():
    X = np.array([["x", 1.5, True], [None, 2.5, False], ["y", None, True]], object)
    table = Table.of(X, [0], None)

    assert table.layout == (1, 1, (2,))
    assert there_and_back(X, [0])[[0, 2], 0].tolist() == ["x", "y"]


def test_lists_keep_their_objects():
    rows = [["x", None], ["y", 2.0], [None, 4.0]]
    table = Table.of(rows, [0], None)
    assert table.categories == {"0": ["x", "y"]}
    assert_array_equal(np.isnan(table.encode(rows, "error")[:, 0]), [True, False, False])


@pytest.mark.parametrize("X", [np.zeros(3), [1, 2], sparse.csr_array(np.eye(3))])
def test_other_shapes_are_refused(X):
    with pytest.raises(ValueError, match="must be a frame, or a dense array of shape"):
        Table.of(X, [0], None)


# ---------------------------------------------------------------------- choice of columns


def test_columns_are_chosen():
    X = pd.DataFrame({"a": [1, 2, 1], "b": [1, 2, 3], "c": [True, False, True]})

    assert Table.of(X, "from_dtype", None).layout == (2, 1, ())
    assert Table.of(X, ["a", 1], None).layout == (0, 1, (2, 3))
    assert Table.of(X, ["c"], None).layout == (2, 0, (2,))
    assert Table.of(X[["a", "b"]], [], None) is None
    for wrong in ("x", 3, -1):
        with pytest.raises(ValueError, match=r"categorical_features has .* but the columns of X"):
            Table.of(X, [wrong], None)


def test_numbers_need_no_table():
    rng = np.random.default_rng(0)
    numbers = pd.DataFrame(rng.normal(size=(3, 2)), columns=["a", "b"])
    kinds = (
        numbers,
        numbers.astype("Float64"),
        numbers.astype("Sparse[float64]"),
        numbers.to_numpy(),
    )
    for X in (*kinds, pl.from_pandas(numbers), pa.Table.from_pandas(numbers)):
        assert Table.of(X, "from_dtype", None) is None
    assert Table.of(numbers.astype(object), "from_dtype", None) is None


def test_library_is_named():
    X = pd.DataFrame({"a": [1]})
    found = [library_of(frame) for frame in (X, pl.from_pandas(X), pa.table({"a": [1]}))]
    assert found == list(LIBRARIES)
    assert library_of(np.ones((2, 2))) is None


# ---------------------------------------------------------------------- encoding

MIXED = pd.DataFrame({"a": ["x", "y", "x"], "b": [1.0, 2.0, 4.0], "c": [True, False, True]})


def test_matrix_has_fixed_order():
    """Numbers are first, then booleans, then categories; the smallest first."""
    X = MIXED.assign(d=["u", "v", "w"], e=["z"] * 3)
    table = Table.of(X, "from_dtype", None)
    matrix = table.encode(X, "error")

    assert table.order == [1, 2, 4, 0, 3]
    assert matrix.dtype == np.float32
    assert_array_equal(matrix[:, 1], [1, 0, 1])
    assert_array_equal(matrix[:, 2:5], [[1, 1, 0], [1, 0, 1], [1, 1, 0]])
    assert_array_equal(matrix[:, 5:], np.eye(3))


def test_unseen_categories_are_refused():
    table = Table.of(MIXED, "from_dtype", None)
    other = MIXED.assign(a=["x", "new", "newer"])

    assert_array_equal(table.encode(other, "ignore")[1:, 2:], np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"Column 'a' of X has categories .* see: new, newer"):
        table.encode(other, "error")
    table.encode(MIXED.assign(a=["x", None, "y"]), "error")


def test_other_columns_are_refused():
    table = Table.of(MIXED, "from_dtype", None)
    for other in (MIXED[["b", "a", "c"]], MIXED[["a", "b"]], MIXED.assign(d=1)):
        with pytest.raises(ValueError, match="X_val must have the columns of fit"):
            table.encode(other, "ignore", name="X_val")


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_infinity_names_its_column(value):
    table = Table.of(MIXED, "from_dtype", None)
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(ValueError, match=r"X contains infinity, .* in row 2, column 'b'"),
    ):
        table.encode(MIXED.assign(b=[1.0, 2.0, value]), "ignore")


@pytest.mark.parametrize("column", ["a", "b"])
def test_missing_values_are_refused(column):
    X = MIXED.copy()
    X.loc[1, column] = None
    with pytest.raises(ValueError, match=rf"contains NaN: column '{column}' .* in row 1"):
        Table.of(X, "from_dtype", None).encode(X, "error", gaps=False)


def test_many_categories_are_sparse(monkeypatch):
    """10,000 categories give a sparse matrix, which equals the dense one."""
    n = 10_000
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(n)], object)
    X = pd.DataFrame(
        {"a": rng.permutation(words), "b": rng.normal(size=n), "c": ["u", None] * 5000}
    )
    X.loc[3, ["a", "b"]] = None
    table = Table.of(X, "from_dtype", None)
    matrix = table.encode(X, "error")

    assert sparse.issparse(matrix)
    assert matrix.nnz < 3 * n
    head = table.encode(X[:50], "error")
    assert not sparse.issparse(head)
    assert_array_equal(matrix[:50].toarray(), head)
    monkeypatch.setattr(tables, "MANY_VALUES", 0)
    assert_array_equal(table.encode(X[:50], "error").toarray(), head)


def test_probabilities_follow_the_frame():
    X = MIXED.assign(d=["u", "v", "w"])[["d", "b", "a"]]
    table = Table.of(X, "from_dtype", None)
    shares = table.probabilities(table.encode(X, "error"))

    assert list(shares) == ["d", "a"]
    assert_array_equal(shares["d"], np.eye(3))
    assert table.categories == {"d": ["u", "v", "w"], "a": ["x", "y"]}


@pytest.mark.parametrize("library", LIBRARIES)
def test_packing_keeps_everything(library):
    X = {"polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}.get(library, pd.DataFrame)(
        MIXED
    )
    table = Table.of(X, "from_dtype", 2)
    packed = table.pack()

    assert Table.unpack(packed) == table
    assert Table.unpack(packed).pack() == packed


@pytest.mark.parametrize("kind", [float, np.float32, np.float64, np.longdouble])
def test_nan_of_any_type_is_unknown(kind):
    """NaN in an array of objects is no category."""
    X = np.array([["u", 1.0], [kind("nan"), 2.0], ["v", kind("nan")]], dtype=object)
    table = Table.of(X, [0], None)

    assert table.columns[0].categories == ("u", "v")
    assert np.isnan(table.encode(X, "error")[2, 0])
