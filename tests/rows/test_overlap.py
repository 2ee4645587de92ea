"""Results may be written over the rows that they are computed from, but only row by row."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skae import DeepAutoencoder
from skae._rows.output import write_blocks
from skae._rows.sources import Source

ROWS = np.random.default_rng(0).random((20, 4))


def write_doubled(X, out):
    """Compute the doubled rows in blocks of three, as the network would, and write them."""

    def make_blocks():
        for start in range(0, X.shape[0], 3):
            rows = slice(start, min(start + 3, X.shape[0]))
            yield rows, 2.0 * X[rows][:, : out.shape[1]]

    return write_blocks(make_blocks(), out.shape, np.dtype(np.float64), out, X)


SAFE = {
    "X itself": lambda X: X,
    "first columns": lambda X: X[:, :2],
    "last columns": lambda X: X[:, 2:],
    "columns in reverse": lambda X: X[:, ::-1],
    "half of each row": lambda X: X.view(np.float32)[:, :4],
}
UNSAFE = {
    "rows in reverse": lambda X: X[::-1],
    "both in reverse": lambda X: X[::-1, ::-1],
    "packed": lambda X: X.reshape(-1)[:40].reshape(20, 2),
    "column by column": lambda X: X.reshape(-1)[:40].reshape(2, 20).T,
    "smaller type": lambda X: X.reshape(-1).view(np.float32)[80:120].reshape(20, 2),
}


@pytest.mark.parametrize("view", SAFE.values(), ids=SAFE)
def test_rows_may_be_overwritten(view):
    X = ROWS.copy()
    out = view(X)
    expected = 2 * X[:, : out.shape[1]]
    write_doubled(X, out)

    assert_array_equal(out, expected.astype(out.dtype))


@pytest.mark.parametrize("view", UNSAFE.values(), ids=UNSAFE)
def test_other_rows_are_protected(view):
    X = ROWS.copy()
    with pytest.raises(ValueError, match="out shares memory with X, and its rows are not those"):
        write_doubled(X, view(X))

    assert_array_equal(X, ROWS)


@pytest.mark.parametrize("shift", [-1, 1, 3])
def test_shifted_rows_are_protected(shift):
    whole = np.concatenate([ROWS, ROWS])
    with pytest.raises(ValueError, match="out shares memory with X"):
        write_doubled(whole[5:25], whole[5 + shift : 25 + shift])
    write_doubled(whole[:20], whole[20:])
    assert_array_equal(whole[20:], 2 * ROWS)


@pytest.fixture
def path(tmp_path):
    np.concatenate([ROWS, ROWS]).tofile(tmp_path / "X.dat")
    os.link(tmp_path / "X.dat", tmp_path / "other.dat")
    return tmp_path / "X.dat"


def mapped(path, offset=0, mode="r+"):
    """Map twenty rows of a file, from the row ``offset``."""
    return np.memmap(path, np.float64, mode, 32 * offset, (20, 4))


def test_two_maps_of_a_file(path):
    X = Source(mapped(path, mode="r"), "X")
    for out in (mapped(path, 1), mapped(path.with_name("other.dat"), 19), mapped(path)[::-1]):
        with pytest.raises(ValueError, match="out shares memory with X"):
            write_doubled(X, out)
    with pytest.raises(ValueError, match="out shares memory with X"):
        write_doubled(np.asarray(mapped(path)), mapped(path, 2))
    assert_array_equal(mapped(path), ROWS)

    assert_array_equal(write_doubled(X, mapped(path, 20)), 2 * ROWS)
    assert_array_equal(write_doubled(X, mapped(path)), 2 * ROWS)


@pytest.mark.parametrize("view", [lambda X: X[::-1], lambda X: X[::2]], ids=["reverse", "steps"])
def test_view_of_map_is_overwritten(view, path):
    X = view(mapped(path))
    expected = 2 * np.array(X)

    assert_array_equal(write_doubled(Source(X, "X"), X), expected)


def test_values_of_sparse_rows():
    X = sparse.csr_array(ROWS)
    with pytest.raises(ValueError, match="out shares memory with X"):
        write_blocks(iter(()), ROWS.shape, np.dtype(np.float64), X.data.reshape(20, 4), X)


@pytest.mark.parametrize("method", ["reconstruct", "transform", "score_samples"])
def test_estimators_protect_rows(method):
    X = ROWS.copy()
    params = {"hidden_layer_sizes": (), "epochs": 1, "random_state": 0}
    estimator = DeepAutoencoder(4, **params).fit(X)
    expected = getattr(estimator, method)(X)
    within, reverse = (X[:, 0], X[::-1, 0]) if expected.ndim == 1 else (X, X[::-1])
    with pytest.raises(ValueError, match="out shares memory with X"):
        getattr(estimator, method)(X, out=reverse)

    assert_array_equal(X, ROWS)
    assert_array_equal(getattr(estimator, method)(X, out=within), expected)
