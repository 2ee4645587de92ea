"""Data that are not rows of numbers are refused with an error that says what to do."""

import contextlib
import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.utils import check_array

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise, SwapNoise
from skae._rows.dtypes import ROW_FORMAT, check_dtype, output_dtype
from skae._rows.readable import readable

X = np.random.default_rng(0).random((60, 3))
FRAME = pd.DataFrame(X, columns=list("abc"))
POLARS = pl.DataFrame(FRAME.to_dict("list"))


def read(rows):
    with readable("X", rows):
        return check_dtype(None, "X", check_array(rows, input_name="X", **ROW_FORMAT))


def dtyped(values, dtype):
    return FRAME.assign(b=pd.array(values, dtype=dtype))


def in_polars(value, dtype=None):
    return POLARS.with_columns(pl.lit(value, dtype).alias("b"))


TEXTS = {
    "str": FRAME.assign(b="red"),
    "object": FRAME.assign(b=np.array(["red"] * 60, object)),
    "late": FRAME.assign(b=np.array([1.5] * 59 + ["red"], object)),
    "beside texts of numbers": FRAME.assign(a="1.5", b="red"),
    "categorical": FRAME.assign(b=pd.Categorical(["red"] * 60)),
    "arrow": dtyped(["red"] * 60, "string[pyarrow]"),
    "polars": in_polars("red"),
    "polars categorical": in_polars("red", pl.Categorical),
    "polars enum": in_polars("red", pl.Enum(["red"])),
    "arrow table": pa.table({"a": X[:, 0], "b": ["red"] * 60}),
}


@pytest.mark.parametrize("rows", TEXTS.values(), ids=TEXTS)
def test_text_names_encoder(rows):
    match = r"X must hold numbers; got text in column 'b', such as 'red'. .*OneHotEncoder"
    with pytest.raises(ValueError, match=match):
        read(rows)


@pytest.mark.parametrize("rows", [[[1.5, "red"]] * 4, np.array([["1", "red"]] * 4, object)])
def test_text_in_rows_names_encoder(rows):
    with pytest.raises(ValueError, match=r"text in column 1, such as 'red'. .*OneHotEncoder"):
        read(rows)


DATES = {
    "date": FRAME.assign(b=pd.Timestamp("2020-01-01")),
    "all": pd.DataFrame({name: pd.date_range("2020", periods=9) for name in "bcd"}),
    "time zone": FRAME.assign(b=pd.Timestamp("2020-01-01", tz="UTC")),
    "duration": FRAME.assign(b=pd.Timedelta("1s")),
    "period": FRAME.assign(b=pd.period_range("2020", periods=60)),
    "object": FRAME.assign(b=np.array([datetime.date(2020, 1, 1)] * 60, object)),
    "arrow": dtyped([datetime.date(2020, 1, 1)] * 60, pd.ArrowDtype(pa.date32())),
    "polars": in_polars(datetime.date(2020, 1, 1)),
    "polars datetime": in_polars(datetime.datetime(2020, 1, 1)),
    "polars duration": in_polars(datetime.timedelta(1)),
    "polars time": in_polars(datetime.time(1)),
}


@pytest.mark.parametrize("rows", DATES.values(), ids=DATES)
def test_dates_are_no_numbers(rows):
    with pytest.raises(ValueError, match=r"got dates or durations in column 'b'.*days since"):
        read(rows)


@pytest.mark.parametrize(
    "rows",
    [
        dtyped([1, None] * 30, "Int64"),
        dtyped([True, None] * 30, "boolean"),
        dtyped([1.5, None] * 30, "double[pyarrow]"),
        FRAME.assign(b=np.array([1, None] * 30, object)),
        FRAME.assign(b=np.array([1, pd.NA] * 30, object)),
        POLARS.with_columns(pl.Series("b", [1.0, None] * 30)),
    ],
)
def test_missing_values_are_named(rows):
    with pytest.raises(ValueError, match=r"(?s)X (contains NaN|has missing values, <NA>)"):
        read(rows)


IMAGES = {
    "images": np.zeros((6, 28, 28)),
    "channels": np.zeros((6, 8, 8, 3), np.uint8),
    "series": np.zeros((6, 10, 1)),
    "list": [np.zeros((8, 8))] * 6,
    "lists": np.zeros((6, 8, 8)).tolist(),
}


@pytest.mark.parametrize("rows", IMAGES.values(), ids=IMAGES)
def test_images_name_reshape(rows):
    with pytest.raises(ValueError, match=r"X must be of shape .*reshape\(.*len\(X\), -1\)"):
        read(rows)


@pytest.mark.parametrize("name", ["zeros", "torch"])
def test_tensors_of_images_name_reshape(name):
    keras = pytest.importorskip("keras")
    torch = pytest.importorskip("torch")
    images = {"zeros": keras.ops.zeros, "torch": torch.zeros}[name]((6, 28, 28, 1))
    with pytest.raises(ValueError, match=r"got shape \(6, 28, 28, 1\).*X.reshape\(len\(X\), -1\)"):
        read(images)


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (POLARS.lazy(), r"X is a LazyFrame, which has no rows yet: pass X.collect\(\)"),
        ((row for row in X), "got an object of type generator. Collect the rows in one array"),
        (iter(X.tolist()), "got an object of type list_iterator. Collect"),
        ({"a": X[:, 0]}, r"got an object of type dict. Make a frame of it: pandas.DataFrame\(X\)"),
        ({1, 2}, "got an object of type set"),
        ("data.csv", "got an object of type str. Read the file first"),
        (None, "got None"),
        (3.5, "got an object of type float"),
        (np.ndarray, "got an object of type type"),
        (FRAME.assign(b=[[1, 2]] * 60), "setting an array element with a sequence"),
        (DeepAutoencoder(), "got an object of type DeepAutoencoder"),
        (X + 1j, r"Complex data not supported: X must hold real.*\[X.real, X.imag\]"),
        (sparse.csr_array(X + 1j), "Complex data not supported: X must hold real numbers"),
        (FRAME.assign(b=1j), "Complex data not supported: X must hold real numbers"),
        (X[0], "Reshape your data"),
        (FRAME["a"], "DataFrame containing a single row"),
        (FRAME.iloc[0], "DataFrame containing a single row"),
        ([], "Expected 2D array"),
        (np.ma.masked_less(X, 0.5), "X has masked values"),
    ],
)
def test_other_data_are_refused(rows, match):
    with pytest.raises(ValueError, match=f"(?s){match}"):
        read(rows)


def test_loaders_are_refused():
    data = pytest.importorskip("torch.utils.data")
    loader = data.DataLoader([1.0, 2.0])
    with pytest.raises(ValueError, match=r"got an object of type DataLoader. Collect the rows"):
        read(loader)


@pytest.mark.parametrize(
    "rows",
    [
        dtyped([1, 2] * 30, "Int64"),
        FRAME.assign(b=True),
        FRAME.assign(b=pd.Categorical([1, 2] * 30)),
        FRAME.assign(b="1.5"),
        FRAME.assign(b=[decimal.Decimal("1.5")] * 60),
        POLARS,
        pa.table({"a": X[:, 0]}),
        FRAME.rename(columns={"a": "date"}),
    ],
)
def test_tables_of_numbers_are_read(rows):
    assert read(rows).dtype.kind in "biuf"


def test_own_errors_are_kept():
    error = ValueError("X has 3 features")
    with pytest.raises(ValueError, match="X has 3 features") as raised, readable("X", FRAME):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("kind", [GaussianNoise, SwapNoise, DeepAutoencoder])
def test_every_estimator_explains(kind):
    estimator = kind()
    if kind is DeepAutoencoder:
        estimator.set_params(categorical_features=None)
    for rows, match in (
        (TEXTS["polars"], "OneHotEncoder"),
        (IMAGES["images"], "reshape"),
        (POLARS.lazy(), "collect"),
        (DATES["polars"], "days since"),
    ):
        with pytest.raises(ValueError, match=match):
            estimator.fit(rows)


@pytest.fixture(scope="module")
def fitted():
    return DenoisingAutoencoder(2, hidden_layer_sizes=(4,), epochs=2, random_state=0).fit(X)


@pytest.mark.parametrize("name", ["X_val", "X_clean", "X_val_clean"])
def test_other_arguments_are_named(name, fitted):
    rows = dict.fromkeys(["X_val", "X_clean", "X_val_clean"], X)
    for bad, match in ((TEXTS["str"], "must hold numbers; got text"), (POLARS.lazy(), "is a Lazy")):
        with pytest.raises(ValueError, match=f"{name} {match}"):
            fitted.fit(X, **rows | {name: bad})


@pytest.mark.parametrize("assume_finite", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("make", [np.asarray, np.float32, sparse.csr_array, pd.DataFrame])
def test_nan_is_named(assume_finite, value, make, fitted):
    """`assume_finite` skips scikit-learn's checks, and not those of this package."""
    rows = np.concatenate([X] * 400)
    rows[20_000, 1] = value
    rows = make(rows)
    word = "NaN" if np.isnan(value) else "infinity"
    calls = [fitted.fit, fitted.transform, fitted.score]
    if not sparse.issparse(rows):
        calls += [GaussianNoise().fit, GaussianNoise().fit(X).transform]
    with config_context(assume_finite=assume_finite):
        for call in calls:
            with pytest.raises(ValueError, match=f"Input X contains {word}: first in row 20000"):
                call(rows)


def test_nan_among_weights_is_named(fitted):
    weight = np.ones(60)
    weight[7] = np.nan
    with config_context(assume_finite=True):
        with pytest.raises(ValueError, match="Input sample_weight contains NaN: first in row 7"):
            fitted.fit(X, sample_weight=weight)
        codes = fitted.transform(X)
        codes[1] = np.inf
        with pytest.raises(ValueError, match="Input X contains infinity: first in row 1"):
            fitted.inverse_transform(codes)


@pytest.mark.parametrize("dtype", [">f4", "<f4"])
def test_float32_in_either_byte_order(dtype, fitted):
    rows = X.astype(dtype)
    native = X.astype(np.float32)

    assert output_dtype(rows) == np.float32
    assert_array_equal(fitted.transform(rows), fitted.transform(native), strict=True)
    assert_array_equal(fitted.score_samples(rows), fitted.score_samples(native), strict=True)
    codes = fitted.transform(native)
    assert_array_equal(
        fitted.inverse_transform(codes.astype(dtype)), fitted.inverse_transform(codes), strict=True
    )
    noise = GaussianNoise(random_state=0)
    assert_array_equal(noise.fit_transform(rows), noise.fit_transform(native), strict=True)
    with contextlib.suppress(ValueError):  # SciPy may refuse the byte order
        assert fitted.transform(sparse.csr_array(rows)).dtype == np.float32


def test_mapped_float32_in_either_byte_order(fitted, tmp_path):
    np.save(tmp_path / "X.npy", X.astype(">f4"))
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")

    assert_array_equal(fitted.transform(rows), fitted.transform(X.astype("f4")), strict=True)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1.0, 2.0], [3.0]], "rows of the same length; got rows of 1 to 2 values"),
        (((1,), (2, 3, 4)), "rows of 1 to 3 values"),
        (np.zeros(4, [("a", float), ("b", float)]), "structured array.*DataFrame"),
        ([[1, 10**400], [2, 3]], "fit float64; got a larger one in column 1"),
    ],
)
def test_other_shapes_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        DeepAutoencoder(2, epochs=1).fit(X)
