"""Sources: any storage gives the array's rows, each block once, and says where it fails."""

import itertools
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skae import _sources
from skae._sources import Source, is_source, load_small

X = np.random.default_rng(0).normal(size=(103, 7)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_sources, "BLOCK_VALUES", 70)  # ten rows


def memmap(folder, array=X, mode="r", order="C"):
    written = np.memmap(folder / "x.dat", array.dtype, "w+", 16, array.shape, order)
    written[...] = array
    written.flush()
    return np.memmap(folder / "x.dat", array.dtype, mode, 16, array.shape, order)


def part(folder):
    return memmap(folder, np.vstack([X[:5] + 1, X, X[:3] + 1]))[5:-3]


def every_other(folder):
    return memmap(folder, np.repeat(X, 2, axis=0))[::2]


def columns(folder):
    return memmap(folder, np.hstack([X, X]))[:, 7:]


def copy_on_write(folder):
    changed = memmap(folder, X + 1, mode="c")
    changed[...] = X
    return changed


def of_a_deleted_file(folder):
    mapped = memmap(folder)
    (folder / "x.dat").unlink()
    return mapped


def of_a_replaced_file(folder):
    mapped = memmap(folder)
    (X + 1).tofile(folder / "y.dat")
    with (folder / "y.dat").open("ab") as file:
        file.write(bytes(16))
    (folder / "y.dat").replace(folder / "x.dat")
    return mapped


def npy(folder):
    np.save(folder / "x.npy", X)
    return np.load(folder / "x.npy", mmap_mode="r")


def hdf5(folder, **storage):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "x.h5", "w").create_dataset("X", data=X, **storage)


def zarr(folder):
    zarr = pytest.importorskip("zarr")
    stored = zarr.create_array(folder / "x.zarr", shape=X.shape, dtype=X.dtype, chunks=(8, 3))
    stored[...] = X
    return stored


def dask(_):
    array = pytest.importorskip("dask.array")
    return array.from_array(X, chunks=((1, 50, 3, 0, 2, 40, 7), (4, 3)))


STORAGES = {
    "memmap": memmap,
    "read-write": lambda folder: memmap(folder, mode="r+"),
    "npy": npy,
    "part": part,
    "every other row": every_other,
    "columns": columns,
    "fortran": lambda folder: memmap(folder, order="F"),
    "copy on write": copy_on_write,
    "deleted": of_a_deleted_file,
    "replaced": of_a_replaced_file,
    "hdf5": hdf5,
    "hdf5 in chunks": lambda folder: hdf5(folder, chunks=(4, 7), compression="gzip"),
    "zarr": zarr,
    "dask": dask,
}


@pytest.fixture(params=STORAGES.values(), ids=STORAGES)
def stored(request, tmp_path):
    return request.param(tmp_path)


def test_any_storage_gives_the_rows(stored):
    assert is_source(stored)
    source = Source(stored, "X")

    for start, stop in [(0, 103), (0, 0), (0, 1), (9, 11), (38, 103), (57, 58)]:
        assert_array_equal(source[start:stop], X[start:stop])
    assert_array_equal(source.load(), X)
    assert (source.min(), source.max()) == (X.min(), X.max())
    assert source.dtype == np.float32


def test_blocks_make_up_all_rows_and_none_is_small(stored):
    source = Source(stored, "X")
    extents = [source.extent(number) for number in range(len(source.starts))]

    assert extents[0][0] == 0
    assert extents[-1][1] == 103
    assert all(before[1] == after[0] for before, after in itertools.pairwise(extents))
    assert len(extents) <= 13  # of some ten rows


@pytest.mark.parametrize("dtype", ["float64", "float16", ">f4", "uint8", "int64", "bool"])
def test_rows_keep_their_dtype(tmp_path, dtype):
    array = (X > 0).astype(dtype)
    source = Source(memmap(tmp_path, array), "X")

    assert_array_equal(source[3:20], array[3:20], strict=True)
    assert source.dtype == dtype


def test_what_is_in_memory_is_no_source(tmp_path):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pandas.DataFrame(X, columns=["dtype", *"abcdef"])
    for data in (X, X.tolist(), sparse.csr_array(X), frame, polars.from_pandas(frame)):
        assert not is_source(data)
    flat = memmap(tmp_path, X.ravel())
    for data in (flat, memmap(tmp_path, X.astype("S3")), np.asarray(memmap(tmp_path)), None):
        assert not is_source(data)


class Counted:
    """A source that counts how often each chunk is read."""

    def __init__(self, data=X, chunks=(20, 7)):
        self.data, self.shape, self.dtype, self.chunks = data, data.shape, data.dtype, chunks
        self.reads = np.zeros(-(-len(data) // chunks[0]), int)

    def __getitem__(self, rows):
        self.reads[rows.start // self.chunks[0] : -(-rows.stop // self.chunks[0])] += 1
        return self.data[rows]


@pytest.mark.parametrize("size", [1, 7, 20, 33, 103])
def test_rows_in_order_read_each_chunk_once(size):
    counted = Counted()
    source = Source(counted, "X")
    parts = [source[start : min(start + size, 103)] for start in range(0, 103, size)]

    assert_array_equal(np.concatenate(parts), X)
    assert (counted.reads == 1).all()


def test_range_takes_one_pass():
    counted = Counted()
    source = Source(counted, "X")

    assert source.min() < source.max()
    assert (counted.reads == 1).all()


def test_small_sources_are_read_into_memory_and_large_ones_are_not(monkeypatch):
    source = Source(Counted(), "X")
    monkeypatch.setattr(_sources, "BUFFER_VALUES", X.size)
    assert_array_equal(load_small(source), X)
    monkeypatch.setattr(_sources, "BUFFER_VALUES", X.size - 1)
    assert load_small(source) is source


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
def test_block_with_nan_or_infinity_is_named(value, what):
    broken = X.copy()
    broken[47, 3] = value
    source = Source(Counted(broken), "X_val")
    assert_array_equal(source[0:40], X[:40])

    message = f"Input X_val contains {what}.*first in row 47, column 3, in the block of rows 40 to"
    with pytest.raises(ValueError, match=message):
        source[40:50]


def test_finite_values_whose_sum_overflows_are_taken():
    huge = np.full((103, 7), np.finfo(np.float16).max)
    source = Source(Counted(huge), "X")

    assert_array_equal(source.load(), huge)


@pytest.mark.parametrize("order", ["C", "F"])
def test_file_that_ends_early_is_an_error_that_names_the_rows(tmp_path, order):
    source = Source(memmap(tmp_path, order=order), "X")
    os.truncate(tmp_path / "x.dat", 16 + 4 * (7 * 55 + 3))
    if order == "C":
        assert_array_equal(source[50:55], X[50:55])

    message = "X .*rows 50 to 59.*(only 5 are|shorter)"
    with pytest.raises(OSError, match=message):
        source[50:60]


def test_source_with_fewer_rows_than_its_shape_is_an_error():
    class Short(Counted):
        def __getitem__(self, rows):
            return X[:70][rows]

    with pytest.raises(OSError, match=r"ends early: it has 103 rows .* of rows 60 to 79 only 10"):
        Source(Short(), "X").load()


def test_reading_that_fails_names_the_rows():
    class Broken(Counted):
        def __getitem__(self, rows):
            raise RuntimeError("checksum")

    message = "X could not be read: rows 20 to 39 failed with RuntimeError: checksum"
    with pytest.raises(OSError, match=message):
        Source(Broken(), "X").block(1)
