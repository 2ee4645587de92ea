"""Results in the user's array are complete, or marked as incomplete."""

import errno
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import as_strided
from numpy.testing import assert_allclose, assert_array_equal

from skae._rows.output import write_blocks
from skae._rows.sources import Source

VALUES = np.random.default_rng(0).normal(size=(25, 3)).astype(np.float32)


def make_blocks(values=VALUES):
    """Yield blocks of ten rows that share their memory."""
    memory = np.empty_like(values[:10])
    for start in range(0, len(values), 10):
        rows = slice(start, min(start + 10, len(values)))
        memory[: rows.stop - start] = values[rows]
        yield rows, memory[: rows.stop - start]


def memmap(folder, dtype="float32", order="C", mode="w+"):
    return np.memmap(folder / "out.dat", dtype, mode, 8, (25, 3), order)


def hdf5(folder):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "out.h5", "w").create_dataset("out", (25, 3), "f4", chunks=(4, 3))


def zarr(folder):
    zarr = pytest.importorskip("zarr")
    return zarr.create_array(folder / "out.zarr", shape=(25, 3), dtype="f4", chunks=(4, 3))


OUTS = {
    "array": lambda _: np.zeros((25, 3), np.float32),
    "float64": lambda _: np.zeros((25, 3)),
    "strided": lambda _: np.zeros((25, 6), np.float32)[:, ::2],
    "memmap": memmap,
    "memmap of float64": lambda folder: memmap(folder, dtype="float64"),
    "fortran memmap": lambda folder: memmap(folder, order="F"),
    "part of a memmap": lambda folder: np.memmap(
        folder / "out.dat", "float32", "w+", shape=(40, 3)
    )[10:35],
    "big-endian": lambda _: np.zeros((25, 3), ">f4"),
    "big-endian memmap": lambda folder: memmap(folder, dtype=">f8"),
    "fortran": lambda _: np.zeros((25, 3), order="F"),
    "reversed": lambda _: np.zeros((25, 3))[::-1, ::-1],
    "longdouble": lambda _: np.zeros((25, 3), np.longdouble),
    "hdf5": hdf5,
    "zarr": zarr,
}


@pytest.fixture(params=OUTS.values(), ids=OUTS)
def out(request, tmp_path):
    return request.param(tmp_path)


def test_out_holds_results(out):
    assert write_blocks(make_blocks(), (25, 3), np.float32, out) is out
    assert_array_equal(out[0:25], VALUES)


def test_new_array_without_out():
    assert_array_equal(write_blocks(make_blocks(), (25, 3), np.float32), VALUES, strict=True)


def test_memmap_is_written_to_file(tmp_path):
    write_blocks(make_blocks(), (25, 3), np.float32, memmap(tmp_path))

    assert_array_equal(np.fromfile(tmp_path / "out.dat", "f4", offset=8), VALUES.ravel())


def test_one_dimensional_results(tmp_path):
    out = np.memmap(tmp_path / "out.dat", "float64", "w+", shape=(25,))
    write_blocks(make_blocks(VALUES[:, 0]), (25,), np.float32, out)

    assert_array_equal(out, VALUES[:, 0])


def test_incomplete_out_starts_with_nan(out):
    def failing():
        yield from list(make_blocks())[:2]
        assert np.isnan(out[0:1]).all()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_blocks(failing(), (25, 3), np.float32, out)
    with pytest.raises(ValueError, match="X contains NaN: first in row 0"):
        Source(out, "X").load()


def test_out_unchanged_if_first_block_fails():
    def failing():
        yield from ()
        raise RuntimeError

    out = np.ones((25, 3))
    with pytest.raises(RuntimeError):
        write_blocks(failing(), (25, 3), np.float32, out)
    assert (out == 1).all()


def test_new_axis_is_accepted():
    """The stride of an axis of length one may be zero."""
    out = np.zeros(25)[:, np.newaxis]
    write_blocks(make_blocks(VALUES[:, :1]), (25, 1), np.float32, out)

    assert_array_equal(out, VALUES[:, :1])


@pytest.mark.parametrize(("dtype", "large"), [("f4", 1e39), ("f2", 1e5), (">f4", -1e300)])
@pytest.mark.parametrize("row", [3, 17])
def test_narrow_out_refuses_overflow(dtype, large, row):
    """A result that is finite in float64 must not become infinite in ``out``."""
    values = VALUES.astype(np.float64)
    values[row, 1] = large
    out = np.ones((25, 3), dtype)
    match = rf"row {row} overflows {np.dtype(dtype)}. Pass an out of a wider dtype"
    with pytest.raises(ValueError, match=match):
        write_blocks(make_blocks(values), (25, 3), np.float64, out)

    assert not np.isinf(out).any()
    assert (out == 1).all() if row < 10 else np.isnan(out[0]).all()


def test_half_precision_out():
    out = np.zeros((25, 3), np.float16)
    write_blocks(make_blocks(), (25, 3), np.float32, out)

    assert_allclose(out, VALUES, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["i4", "c8", "S4"])
def test_storage_of_other_dtypes(dtype, tmp_path):
    h5py = pytest.importorskip("h5py")
    out = h5py.File(tmp_path / "out.h5", "w").create_dataset("out", (25, 3), dtype)
    with pytest.raises(TypeError, match="floating-point dtype of NumPy; got"):
        write_blocks(make_blocks(), (25, 3), np.float32, out)


def test_tensor_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"of NumPy; got torch.float32"):
        write_blocks(make_blocks(), (25, 3), np.float32, torch.zeros(25, 3))


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        ([0] * 25, TypeError, "must be an array.*got list"),
        (np.empty((25, 4)), ValueError, r"shape \(25, 3\); got \(25, 4\)"),
        (np.empty((25, 3), int), TypeError, "floating-point dtype of NumPy; got int64"),
        (np.broadcast_to(0.0, (25, 3)), ValueError, "read-only"),
        (np.empty((25, 3), object), TypeError, "floating-point dtype of NumPy; got object"),
        (np.empty((25, 3), complex), TypeError, "got complex128"),
        (np.empty((25, 3), "i2,f4"), TypeError, r"got \[\('f0'"),
        (np.empty((25, 3), bool), TypeError, "got bool"),
        (pd.DataFrame(np.empty((25, 3))), TypeError, "must be an array.*got DataFrame"),
        (as_strided(np.empty((1, 3)), (25, 3), (0, 8)), ValueError, "same memory for several"),
        (as_strided(np.empty((25, 1)), (25, 3), (8, 0)), ValueError, "same memory for several"),
    ],
)
def test_wrong_out_fails_early(out, error, message):
    """Nothing is computed before the check."""
    with pytest.raises(error, match=message):
        write_blocks(iter(lambda: pytest.fail("computed"), None), (25, 3), np.float32, out)


def test_read_only_memmap(tmp_path):
    memmap(tmp_path)
    with pytest.raises(ValueError, match=r"read-only; open a memmap with mode='r\+'"):
        write_blocks(make_blocks(), (25, 3), np.float32, memmap(tmp_path, mode="r"))


class FullDisk:
    """Storage that has room for 20 rows."""

    shape, dtype = (25, 3), np.dtype("float32")

    def __init__(self):
        self.values = np.zeros(self.shape, self.dtype)

    def __setitem__(self, rows, values):
        if rows.stop > 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.values[rows] = values


def test_full_disk_names_rows():
    out = FullDisk()
    message = "could not be written to out: rows 20 to 24 failed .*No space left.*first row is NaN"
    with pytest.raises(OSError, match=message):
        write_blocks(make_blocks(), (25, 3), np.float32, out)

    assert np.isnan(out.values[0]).all()
    assert_array_equal(out.values[10:20], VALUES[10:20])


FILE_THAT_CANNOT_GROW = """
import resource, sys
import numpy as np
from skae._rows.output import write_blocks

out = np.memmap(sys.argv[1], "float32", "w+", shape=(100_000, 10))
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
blocks = ((slice(i, i + 10_000), np.ones((10_000, 10))) for i in range(0, 100_000, 10_000))
try:
    write_blocks(blocks, out.shape, np.float32, out)
except OSError as error:
    print(error)
print(np.isnan(out[0]).all(), (out[10_000:40_000] == 1).all())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_full_disk_does_not_crash(tmp_path):
    """The kernel refuses to write more than 2 MB, as if the disk were full."""
    command = [sys.executable, "-c", FILE_THAT_CANNOT_GROW, tmp_path / "out.dat"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "rows 50000 to 59999 failed" in done.stdout
    assert "File too large" in done.stdout
    assert done.stdout.splitlines()[-1] == "True True"


PROCESS_THAT_IS_KILLED = """
import os, signal, sys
import numpy as np
from skae._rows.output import write_blocks

def make_blocks():
    for start in range(0, 100_000, 10_000):
        if start == 50_000:
            os.kill(os.getpid(), signal.SIGKILL)
        yield slice(start, start + 10_000), np.ones((10_000, 10), np.float32)

out = np.lib.format.open_memmap(sys.argv[1], "w+", np.float32, (100_000, 10))
write_blocks(make_blocks(), out.shape, np.float32, out)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_output_of_killed_process(tmp_path):
    """A process that is killed while it writes leaves a file that `Source` refuses."""
    command = [sys.executable, "-c", PROCESS_THAT_IS_KILLED, tmp_path / "out.npy"]
    assert subprocess.run(command, check=False).returncode < 0

    left = np.load(tmp_path / "out.npy", mmap_mode="r")
    assert (left[10_000:50_000] == 1).all()
    with pytest.raises(ValueError, match="X contains NaN: first in row 0"):
        Source(left, "X").load()
