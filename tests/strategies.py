"""Hypothesis strategies of tests/promises/test_fuzz.py: tables, estimators and odd values."""

import decimal
import fractions
import importlib.util
import tempfile
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from skae import DeepAutoencoder, DenoisingAutoencoder

# Only a few, because each combination of structure, width and output activation is compiled once.
STRUCTURES = [
    {"n_components": 1, "hidden_layer_sizes": (), "optimizer": "adam", "batch_size": 4},
    {"n_components": 2, "hidden_layer_sizes": (4,), "optimizer": "muon"},
    {
        "n_components": 2,
        "hidden_layer_sizes": (3, 3),
        "optimizer": "sgd",
        "activation": "tanh",
        "decoder_layer_sizes": 2,
    },
    {"n_components": 1, "hidden_layer_sizes": 2, "optimizer": "rmsprop", "batch_size": 1},
]
WIDTHS = (1, 3)
RATES = ["auto", 1e-30, 1e-3, 0.5, 1, 30.0]
KINDS = (DeepAutoencoder, DenoisingAutoencoder)
DTYPES = [
    "f8", "f4", "f2", "g", "?", "i1", "u1", "i4", "i8", "u8", ">f8", ">f4", ">i4", ">u2", "O",
]  # fmt: skip
SPARSE = ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]


class Table(NamedTuple):
    """Rows in the form that a user passes, and the same rows as a float32 or float64 array."""

    X: Any
    plain: np.ndarray


# ---------------------------------------------------------------------- numbers


def values(low=-10.0, high=10.0):
    return st.floats(low, high, width=32) | st.sampled_from([0.0, -0.0, 1.0, 1e-40, -5e-324])


REGIMES = {
    "around zero": values(),
    "in the unit interval": st.floats(0, 1) | st.sampled_from([0.0, 1.0, 1e-310]),
    "whole": st.integers(-100, 100).map(float),
    "large": st.sampled_from([0.0, 1.0, -1e3, 1e6, 1e10]),
    "of any size": st.floats(allow_nan=False, allow_infinity=False),
    "at the limits": st.sampled_from(
        [0.0, 1.0, 1e18, 1e20, -3.4e38, 3.5e38, 1e154, -1e300, 1.7e308, 1e-310, 5e-324]
    ),
}
TAME = ("around zero", "in the unit interval", "whole", "large")


@st.composite
def arrays(draw, regimes=TAME, min_rows=2, max_rows=12, width=None):
    """Draw float64 arrays, some of them with repeated rows or columns."""
    width = width or draw(st.sampled_from(WIDTHS))
    shape = draw(st.integers(min_rows, max_rows)), width
    array = draw(hnp.arrays(np.float64, shape, elements=REGIMES[draw(st.sampled_from(regimes))]))
    repeated = draw(st.sampled_from(["no", "no", "no", "rows", "columns", "all"]))
    if repeated == "rows":
        array[1:] = array[0]
    elif repeated == "columns":
        array[:, 1:] = array[:, :1]
    elif repeated == "all":
        array[:] = array[0, 0]
    return array


def cast(array, dtype):
    """Convert to `dtype`; values beyond its range become its nearest value."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        # the largest float64 that does not exceed the limit
        high = np.nextafter(float(info.max), 0) if info.bits == 64 else info.max
        array = np.clip(np.trunc(array), info.min, high)
    elif dtype.kind == "f":
        info = np.finfo(dtype)
        array = np.clip(array, info.min, info.max)
    return array.astype(dtype)


# ---------------------------------------------------------------------- forms


class Subclass(np.ndarray):
    """A subclass of arrays, as users define it."""


class Convertible:
    """An object that only NumPy can convert to an array."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


def spaced(array):
    wide = np.zeros((2 * array.shape[0], 3 * array.shape[1]), array.dtype)
    wide[::2, 1::3] = array
    return wide[::2, 1::3]


def read_only(array):
    array.flags.writeable = False
    return array


def unaligned(array):
    memory = b"\0" + array.tobytes()
    return np.frombuffer(memory, array.dtype, offset=1).reshape(array.shape)


def memory_map(array):
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    return mapped


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "negative strides": lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
    "gaps": spaced,
    "a transposed one": lambda array: array.T.copy().T,
    "read-only": read_only,
    "masked nowhere": np.ma.array,
    "a subclass": lambda array: array.view(Subclass),
    "__array__": Convertible,
    "a list": lambda array: array.tolist(),
    "tuples": lambda array: tuple(map(tuple, array.tolist())),
    "a list of arrays": list,
}
NO_OBJECTS = {"unaligned": unaligned, "a memory map": memory_map}


def expected_array(array):
    """Return the array that an estimator must see: float32 stays, every other dtype is float64."""
    return np.array(array, np.float32 if array.dtype == np.float32 else np.float64, order="C")


@st.composite
def dense_tables(draw, **kwargs):
    array = cast(draw(arrays(**kwargs)), draw(st.sampled_from(DTYPES)))
    layouts = LAYOUTS if array.dtype == object else LAYOUTS | NO_OBJECTS
    form = draw(st.sampled_from(sorted(layouts)))
    plain = expected_array(array)
    if "list" in form or form == "tuples":
        if array.dtype == np.longdouble:  # Python has no such number
            array = array.astype(np.float64)
        if form == "a list of arrays":  # NumPy joins it in the byte order of the machine
            plain = expected_array(np.array(list(array)))
        else:
            plain = plain.astype(np.float64)
    return Table(layouts[form](array), plain)


@st.composite
def sparse_tables(draw, **kwargs):
    dtype = draw(st.sampled_from(["f8", "f4", "?", "i1", "i4", "i8", "u1"]))
    array = cast(draw(arrays(**kwargs)), dtype)
    array[draw(hnp.arrays(bool, array.shape))] = 0
    kind = draw(st.sampled_from(["array", "matrix"]))
    form = draw(st.sampled_from(SPARSE))
    if dtype == "?" and form == "dia":
        form = "csr"
    X = getattr(sparse, f"{form}_{kind}")(array)
    if form == "csr" and draw(st.booleans()):  # store the zeros explicitly
        X = getattr(sparse, f"csr_{kind}")(np.ones_like(array))
        X.data[:] = array.ravel()
    elif form == "csr" and draw(st.booleans()):
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return Table(X, expected_array(array))


NAMES = [
    ["a", "b", "c"], ["", " ", "\n"], ["x", "X", "ä☃"], [0, 1, 2], [2, 0, 1], [1.5, -1.0, np.inf],
    ["_mask", "dtype", "shape"], ["values", "toarray", "columns"], [("a", 1), ("a", 2), ("b", 1)],
    ["same", "same", "same"], ["index", "level_0", "0"],
]  # fmt: skip
# Each dtype of pandas, with the NumPy dtype that has the same range.
PANDAS = {
    "float64": "f8", "float32": "f4", "float16": "f2", "int64": "i8", "uint8": "u1", "bool": "?",
    "Int64": "i8", "Int8": "i1", "UInt16": "u2", "Float64": "f8", "Float32": "f4", "boolean": "?",
    "category": "f8", "object": "f8", "Sparse": "f8", "one of each": "f8",
}  # fmt: skip
if importlib.util.find_spec("pyarrow"):
    PANDAS |= {
        "double[pyarrow]": "f8", "float[pyarrow]": "f4", "int64[pyarrow]": "i8",
        "uint8[pyarrow]": "u1", "bool[pyarrow]": "?",
    }  # fmt: skip


def as_pandas(array, dtype, names):
    if dtype == "one of each":
        kinds = ["float32", "Int64", "object"]
        columns = [as_pandas(array[:, [i]], kinds[i], [i]) for i in range(array.shape[1])]
        frame = pd.concat(columns, axis=1)
    else:
        sparse_dtype = pd.SparseDtype(np.float64, 0.0)
        frame = pd.DataFrame(cast(array, PANDAS[dtype]))
        frame = frame.astype(sparse_dtype if dtype == "Sparse" else dtype)
    frame.columns = pd.Index(names) if not isinstance(names[0], tuple) else names
    return frame


@st.composite
def frames(draw, **kwargs):
    array = draw(arrays(**kwargs))
    names = draw(st.sampled_from(NAMES))[: array.shape[1]]
    if draw(st.booleans()):
        frame = as_pandas(array, draw(st.sampled_from(sorted(PANDAS))), names)
        if draw(st.booleans()):
            frame.index = [0] * len(frame)  # duplicate labels
        columns = [np.asarray(frame.iloc[:, i], np.float64) for i in range(frame.shape[1])]
        # scikit-learn converts pandas' nullable Float32 to float64
        float32 = {str(dtype) for dtype in frame.dtypes} == {"float32"}
        return Table(frame, np.column_stack(columns).astype("f4" if float32 else "f8"))
    dtype = draw(st.sampled_from(["f8", "f4", "i8", "u1", "?"]))
    array = cast(array, dtype)
    names = [f"{i}{name}" for i, name in enumerate(names)]  # polars needs unique strings
    return Table(pl.DataFrame(dict(zip(names, array.T.copy(), strict=True))), expected_array(array))


def tables(**kwargs):
    """Draw tables that an estimator must accept, unless their numbers are too large."""
    return dense_tables(**kwargs) | sparse_tables(**kwargs) | frames(**kwargs)


# ---------------------------------------------------------------------- invalid tables


def with_bad_value(array, value):
    array = array.copy()
    array[-1, -1] = value
    return array


BAD = {
    "NaN": lambda X: with_bad_value(X, np.nan),
    "infinity": lambda X: with_bad_value(X, -np.inf),
    "NaN of float32": lambda X: with_bad_value(X.astype("f4"), np.nan),
    "infinities of both signs": lambda X: np.vstack(
        [with_bad_value(X, np.inf), with_bad_value(X, -np.inf)]
    ),
    "NaN in a sparse matrix": lambda X: sparse.csr_array(with_bad_value(X, np.nan)),
    "NaN in a COO matrix": lambda X: sparse.coo_matrix(with_bad_value(X, np.nan)),
    "NaN in a frame": lambda X: pd.DataFrame(with_bad_value(X, np.nan)),
    "NA in integers": lambda X: pd.DataFrame(with_bad_value(np.trunc(X), np.nan)).astype("Int64"),
    "NA in booleans": lambda X: pd.DataFrame(X > 0).astype("boolean").where(np.inf < X),
    "None in polars": lambda X: pl.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]}),
    "None among objects": lambda X: with_bad_value(X.astype(object), None),
    "dicts": lambda X: with_bad_value(X.astype(object), {}),
    "words": lambda X: with_bad_value(X.astype(object), "word"),
    "strings": lambda X: X.astype(str),
    "bytes": lambda X: X.astype(bytes),
    "a frame of words": lambda X: pd.DataFrame(X).astype(str).map(lambda cell: f"a{cell}"),
    "categories of words": lambda X: pd.DataFrame({"a": ["x", "y"]}).astype("category"),
    "polars' categories": lambda X: pl.DataFrame({"a": ["x", "y"]}).cast(pl.Categorical),
    "complex": lambda X: X + 1j,
    "a complex sparse matrix": lambda X: sparse.csr_array(X + 1j),
    "dates": lambda X: np.zeros(X.shape, "M8[s]"),
    "a frame of dates": lambda X: pd.DataFrame(np.zeros(X.shape, "M8[s]")),
    "durations": lambda X: np.zeros(X.shape, "m8[s]"),
    "records": lambda X: np.zeros((3, 2), [("a", "f8"), ("b", "i4")]),
    "masked values": lambda X: np.ma.array(X, mask=with_bad_value(0 * X, 1)),
    "a matrix": lambda X: X.view(np.matrix),
    "one dimension": lambda X: X[0],
    "three dimensions": lambda X: X[None],
    "no dimension": lambda X: np.array(3.0),
    "a series": lambda X: pd.Series(X[:, 0]),
    "no rows": lambda X: X[:0],
    "no rows in a sparse matrix": lambda X: sparse.csr_array(X[:0]),
    "no rows in a frame": lambda X: pd.DataFrame(X[:0]),
    "no columns": lambda X: X[:, :0],
    "no columns in a frame": lambda X: pl.DataFrame(),
    "nothing": lambda X: None,
    "a number": lambda X: 3,
    "a word": lambda X: "digits",
    "an empty list": lambda X: [],
    "a ragged list": lambda X: [[1.0, 2.0], [3.0]],
    "a dict": lambda X: {"a": [1.0, 2.0]},
    "a set": lambda X: {1.0, 2.0},
    "a generator": lambda X: (row for row in X),
    "names of two kinds": lambda X: pd.DataFrame(
        np.hstack([X] * 4), columns=["a", *range(4 * X.shape[1] - 1)]
    ),
    "numbers too long for float64": lambda X: [[10**400, 1], [1, 2]],
}


@st.composite
def bad_tables(draw):
    name = draw(st.sampled_from(sorted(BAD)))
    return name, BAD[name](draw(arrays()))


# ---------------------------------------------------------------------- estimators


@st.composite
def estimators(draw, tame=False):
    """Draw estimators with valid parameters; `tame` ones train on all small numbers."""
    kind = draw(st.sampled_from(KINDS))
    params = {
        "epochs": 1 if tame else draw(st.integers(1, 3)),
        "random_state": draw(st.integers(0, 2**32 - 1)),
        "learning_rate": 1e-3 if tame else draw(st.sampled_from(RATES)),
        "learning_rate_schedule": draw(st.sampled_from(["one_cycle", "cosine", "constant"])),
        "early_stopping": draw(st.booleans()),
        "validation_fraction": draw(st.floats(0.01, 0.5)),
        "n_iter_no_change": draw(st.integers(1, 3)),
        "tol": draw(st.sampled_from([0, 1e-4, 1e30])),
        "warm_start": draw(st.booleans()),
        "categorical_features": None,  # the same rows as an array are what results compare with
    }
    if kind is DenoisingAutoencoder:
        params["noise_scale"] = 0.1 if tame else draw(st.sampled_from([0, 3.0, 1e6]))
        params["clip"] = draw(st.sampled_from(["auto", None, (0, 1), (-5.5, np.inf)]))
    return kind(**draw(st.sampled_from(STRUCTURES)), **params)


odd = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(-1, 2), max_size=2)
    | st.sampled_from(
        [
            10**40, -(10**40), -0.0, 1e39, 1j, b"relu", np.nan, np.float32(0.5), np.float16(1),
            np.longdouble(0.25), np.int64(2), np.bool_(True), np.array(2), np.array([2, 1]),
            np.array([0.5]), fractions.Fraction(1, 3), decimal.Decimal("0.5"), "auto", "adam",
            "Adam", "ADAM", "relu", "mse", "one_cycle", (), {}, {"a": 1}, {2}, object(), object,
            len, float, range(1, 2), (0, 1), (1, 0), (0, np.nan), (0, 10**400), [None], [[]],
            np.random.RandomState(3), np.random.default_rng(3), pd.NA, pd.NaT, slice(2),
        ]
    )
)  # fmt: skip
PARAMETERS = [name for name in DenoisingAutoencoder().get_params() if name != "checkpoint"] + [
    "optimizer__beta_1", "optimizer__epsilon", "optimizer__clipnorm", "optimizer__learning_rate",
    "loss__delta", "loss__label_smoothing", "optimizer__", "loss__", "metrics__x", "nonsense",
]  # fmt: skip
