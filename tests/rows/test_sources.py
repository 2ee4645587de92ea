"""A `Source` gives the rows of any storage, reads each block once, and names rows that fail."""

import itertools
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skae._rows.sources import ReadLimits, Source, is_source, load_small

X = np.random.default_rng(0).normal(size=(103, 7)).astype(np.float32)


def make_source(data, name="X"):
    """Make a source with blocks of ten rows."""
    return Source(data, name, ReadLimits(block_values=70))


def memmap(folder, array=X, mode="r", order="C"):
    written = np.memmap(folder / "x.dat", array.dtype, "w+", 16, array.shape, order)
    written[...] = array
    written.flush()
    return np.memmap(folder / "x.dat", array.dtype, mode, 16, array.shape, order)


def row_range(folder):
    return memmap(folder, np.vstack([X[:5] + 1, X, X[:3] + 1]))[5:-3]


def every_other_row(folder):
    return memmap(folder, np.repeat(X, 2, axis=0))[::2]


def column_range(folder):
    return memmap(folder, np.hstack([X, X]))[:, 7:]


def copy_on_write(folder):
    changed = memmap(folder, X + 1, mode="c")
    changed[...] = X
    return changed


def deleted_file(folder):
    mapped = memmap(folder)
    (folder / "x.dat").unlink()
    return mapped


def replaced_file(folder):
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
    "row range": row_range,
    "every other row": every_other_row,
    "column range": column_range,
    "fortran": lambda folder: memmap(folder, order="F"),
    "copy on write": copy_on_write,
    "deleted": deleted_file,
    "replaced": replaced_file,
    "hdf5": hdf5,
    "hdf5 in chunks": lambda folder: hdf5(folder, chunks=(4, 7), compression="gzip"),
    "zarr": zarr,
    "dask": dask,
}


@pytest.fixture(params=STORAGES.values(), ids=STORAGES)
def stored(request, tmp_path):
    return request.param(tmp_path)


def test_rows_of_any_storage(stored):
    assert is_source(stored)
    source = make_source(stored)

    for start, stop in [(0, 103), (0, 0), (0, 1), (9, 11), (38, 103), (57, 58)]:
        assert_array_equal(source[start:stop], X[start:stop])
    assert_array_equal(source.load(), X)
    assert (source.min(), source.max()) == (X.min(), X.max())
    assert source.dtype == np.float32


def test_blocks_cover_all_rows(stored):
    source = make_source(stored)
    extents = [source.extent(number) for number in range(len(source.starts))]

    assert extents[0][0] == 0
    assert extents[-1][1] == 103
    assert all(before[1] == after[0] for before, after in itertools.pairwise(extents))
    assert len(extents) <= 13  # of about ten rows


@pytest.mark.parametrize("dtype", ["float64", "float16", ">f4", "uint8", "int64", "bool"])
def test_dtype_is_kept(tmp_path, dtype):
    array = (X > 0).astype(dtype)
    source = make_source(memmap(tmp_path, array))

    assert_array_equal(source[3:20], array[3:20], strict=True)
    assert source.dtype == dtype


def test_memory_is_not_a_source(tmp_path):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pandas.DataFrame(X, columns=["dtype", *"abcdef"])
    for data in (X, X.tolist(), sparse.csr_array(X), frame, polars.from_pandas(frame)):
        assert not is_source(data)
    flat = memmap(tmp_path, X.ravel())
    for data in (flat, memmap(tmp_path, X.astype("S3")), np.asarray(memmap(tmp_path)), None):
        assert not is_source(data)


class CountingStorage:
    """Storage that counts how often each of its chunks is read."""

    def __init__(self, data=X, chunks=(20, 7)):
        self.data, self.shape, self.dtype, self.chunks = data, data.shape, data.dtype, chunks
        self.reads = np.zeros(-(-len(data) // chunks[0]), int)

    def __getitem__(self, rows):
        self.reads[rows.start // self.chunks[0] : -(-rows.stop // self.chunks[0])] += 1
        return self.data[rows]


@pytest.mark.parametrize("size", [1, 7, 20, 33, 103])
def test_consecutive_reads_share_chunks(size):
    storage = CountingStorage()
    source = make_source(storage)
    parts = [source[start : min(start + size, 103)] for start in range(0, 103, size)]

    assert_array_equal(np.concatenate(parts), X)
    assert (storage.reads == 1).all()


def test_range_needs_one_pass():
    storage = CountingStorage()
    source = make_source(storage)

    assert source.min() < source.max()
    assert (storage.reads == 1).all()


def test_only_small_sources_are_loaded():
    small = Source(CountingStorage(), "X", ReadLimits(buffer_values=X.size))
    large = Source(CountingStorage(), "X", ReadLimits(buffer_values=X.size - 1))

    assert_array_equal(load_small(small), X)
    assert load_small(large) is large


def test_default_limits_of_sources():
    source = Source(CountingStorage(), "X")

    assert source.limits == ReadLimits(block_values=1 << 18, buffer_values=1 << 25)
    assert len(source.starts) == 1


@pytest.mark.parametrize(("value", "noun"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
def test_nan_and_infinity_are_located(value, noun):
    broken = X.copy()
    broken[47, 3] = value
    source = make_source(CountingStorage(broken), "X_val")
    assert_array_equal(source[0:40], X[:40])

    message = f"Input X_val contains {noun}.*first in row 47, column 3. Remove or impute"
    with pytest.raises(ValueError, match=message):
        source[40:50]


def test_huge_finite_values_are_read():
    huge = np.full((103, 7), np.finfo(np.float16).max)
    source = make_source(CountingStorage(huge))

    assert_array_equal(source.load(), huge)


@pytest.mark.parametrize("order", ["C", "F"])
def test_truncated_file_names_rows(tmp_path, order):
    source = make_source(memmap(tmp_path, order=order))
    os.truncate(tmp_path / "x.dat", 16 + 4 * (7 * 55 + 3))
    if order == "C":
        assert_array_equal(source[50:55], X[50:55])

    message = "X .*(only 5 of rows 50 to 59|rows 50 to 59 failed .*shorter)"
    with pytest.raises(OSError, match=message):
        source[50:60]


def test_fewer_rows_than_shape():
    class Short(CountingStorage):
        def __getitem__(self, rows):
            return X[:70][rows]

    message = "is truncated: its shape says 103 rows, but reading gave only 10 of rows 60 to 79"
    with pytest.raises(OSError, match=message):
        make_source(Short()).load()


def test_failed_read_names_rows():
    class Broken(CountingStorage):
        def __getitem__(self, rows):
            raise RuntimeError("checksum")

    message = "X could not be read: rows 20 to 39 failed with RuntimeError: checksum"
    with pytest.raises(OSError, match=message):
        make_source(Broken()).block(1)
