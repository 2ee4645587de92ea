"""Frames, sparse matrices, dtypes and memory layouts."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skae import DenoisingAutoencoder
from tests.estimators.comparisons import (
    assert_same_bits,
    each_kind,
)

# ---------------------------------------------------------------------- names and frames


@each_kind
def test_feature_names_out_are_numbered(kind, make_autoencoder, X):
    estimator = make_autoencoder(kind, n_components=2).fit(X)
    name = kind.__name__.lower()

    assert list(estimator.get_feature_names_out()) == [f"{name}0", f"{name}1"]


def test_set_output_gives_pandas_frames(make_autoencoder, X):
    frame = pd.DataFrame(X, index=np.arange(300) + 5)
    estimator = make_autoencoder().set_output(transform="pandas").fit(frame)
    codes = estimator.transform(frame)

    assert isinstance(codes, pd.DataFrame)
    assert list(codes.columns) == list(estimator.get_feature_names_out())
    assert list(codes.index) == list(frame.index)


def test_set_output_gives_polars_frames(make_autoencoder, X):
    estimator = make_autoencoder().set_output(transform="polars").fit(X)
    codes = estimator.transform(X)

    assert isinstance(codes, pl.DataFrame)
    assert codes.columns == list(estimator.get_feature_names_out())


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_equal_arrays_bitwise(library, dtype, make_autoencoder, X):
    X = X.astype(dtype)
    names = [f"pixel_{i}" for i in range(64)]
    frame = library.DataFrame(dict(zip(names, X.T, strict=True)))
    estimator = make_autoencoder().fit(frame)

    assert list(estimator.feature_names_in_) == names
    assert_array_equal(estimator.transform(frame), make_autoencoder().fit(X).transform(X))


def test_other_feature_names_are_refused(make_autoencoder, X):
    frame = pd.DataFrame(X, columns=[f"a{i}" for i in range(64)])
    other = frame.rename(columns={"a0": "b0"})
    estimator = make_autoencoder().fit(frame)

    with pytest.raises(ValueError, match="feature names"):
        estimator.transform(other)
    with pytest.raises(ValueError, match="feature names"):
        estimator.fit(frame, X_val=other)


@pytest.mark.parametrize(
    "dtype",
    ["u1", "i1", "i2", "u2", "i4", "i8", "u8", "f2", "f4", "g", ">i4", ">f4", ">f8", "O"],
)
def test_dtypes_equal_float64_bitwise(dtype, make_autoencoder, X):
    whole = X * 16
    estimator, reference = (
        make_autoencoder().fit(whole.astype(dtype)),
        make_autoencoder().fit(whole),
    )

    assert_same_bits(estimator, reference, whole)
    codes = estimator.transform(whole.astype(dtype))
    assert_allclose(codes, reference.transform(whole), rtol=1e-3, atol=1e-6)


def test_booleans_are_numbers(make_autoencoder, X):
    black = X > 0.5

    assert_same_bits(
        make_autoencoder().fit(black), make_autoencoder().fit(black.astype(float)), black
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_dtype_of_results(dtype, make_autoencoder, X):
    estimator = make_autoencoder().fit(X)
    expected = np.float32 if dtype == np.float32 else np.float64

    assert estimator.transform(X.astype(dtype)).dtype == expected
    assert estimator.reconstruct(X.astype(dtype)).dtype == expected
    assert estimator.inverse_transform(np.ones((2, 4), dtype)).dtype == expected


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X[::-1].copy()[::-1],
        lambda X: np.frombuffer(b"\0" + X.tobytes(), X.dtype, offset=1).reshape(X.shape),
        list,
        lambda X: X.tolist(),
    ],
    ids=["fortran", "row steps", "column steps", "reversed", "unaligned", "rows", "lists"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_layouts_are_bitwise_equal(layout, dtype, make_autoencoder, X):
    X = X.astype(dtype)

    assert_same_bits(make_autoencoder().fit(layout(X)), make_autoencoder().fit(X), X)
    assert_allclose(
        make_autoencoder().fit(X).transform(layout(X)),
        make_autoencoder().fit(X).transform(X),
        rtol=1e-4,
        atol=1e-6,
    )


def test_memory_map_equals_array_bitwise(make_autoencoder, X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")

    assert_same_bits(make_autoencoder().fit(mapped), make_autoencoder().fit(X), X)
    assert_array_equal(
        make_autoencoder().fit(X).transform(mapped), make_autoencoder().fit(X).transform(X)
    )


@pytest.mark.filterwarnings("ignore:Constructing a DIA matrix")
@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("container", ["matrix", "array"])
@each_kind
def test_sparse_equals_dense_bitwise(kind, container, layout, make_autoencoder, X):
    X_sparse = getattr(sparse.csr_array(X), f"to{layout}")()
    X_sparse = getattr(sparse, f"{layout}_{container}")(X_sparse)
    estimator, dense = make_autoencoder(kind).fit(X_sparse), make_autoencoder(kind).fit(X)

    assert_same_bits(estimator, dense, X)
    assert_allclose(estimator.transform(X_sparse), dense.transform(X), rtol=1e-7)
    assert_allclose(estimator.score_samples(X_sparse), dense.score_samples(X), rtol=1e-7)
    assert isinstance(estimator.reconstruct(X_sparse), np.ndarray)


def test_sparse_clean_and_validation_rows(make_autoencoder, X):
    X_sparse = sparse.csr_array(X)
    kind = DenoisingAutoencoder
    estimator = make_autoencoder(kind).fit(
        X_sparse, X_clean=X_sparse, X_val=X_sparse, X_val_clean=X_sparse
    )
    dense = make_autoencoder(kind).fit(X, X_clean=X, X_val=X, X_val_clean=X)

    assert_same_bits(estimator, dense, X)
    assert estimator.history_ == dense.history_


def test_sparse_rows_need_little_memory(make_autoencoder):
    X = sparse.coo_array(
        sparse.random(40_000, 2_000, density=1e-3, dtype=np.float32, random_state=0)
    )
    estimator = make_autoencoder(n_components=2, hidden_layer_sizes=(), epochs=1, batch_size=256)
    estimator.fit(X.tocsr()[:512])  # compiles and imports before the measurement
    tracemalloc.start()
    try:
        estimator.fit(X).score(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < X.shape[0] * X.shape[1] * 4 / 2
