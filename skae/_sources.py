"""Rows that are not in memory, read in blocks: memory maps, HDF5, Zarr, Dask and their like."""

import functools
import mmap
import os
from numbers import Integral
from typing import Any

import numpy as np

from skae._typing import Array

# A block is what is read at once.  1 MiB of float32 keeps a hard disk half busy reading (10 ms
# to find it, 10 ms to read it), and leaves the buffer room for the rows of a hundred places.
BLOCK_VALUES = 1 << 18
# Training shuffles within a buffer of so many values, 128 MiB in float32; a source of no more
# is read into memory once, and then is an array like any other.
BUFFER_VALUES = 1 << 25


def is_source(X: object) -> bool:
    """Whether ``X`` holds rows of numbers that are read a block at a time.

    A `numpy.memmap` is one, and so is whatever has ``shape``, a NumPy ``dtype`` and slices but is
    no array; anything else (arrays, sparse matrices, frames, lists) is in memory.
    """
    if isinstance(X, np.ndarray) and not isinstance(X, np.memmap):
        return False
    shape, dtype = getattr(X, "shape", ()), getattr(X, "dtype", None)
    return (
        isinstance(shape, tuple)
        and len(shape) == 2
        and all(isinstance(n, Integral) for n in shape)  # Dask's may be NaN, for unknown
        and isinstance(dtype, np.dtype)
        and dtype.kind in "biuf"
        and hasattr(X, "__getitem__")
        and not hasattr(X, "toarray")  # sparse matrices are in memory
    )


class Source:
    """Rows read in blocks, each checked for NaN and infinity as it comes.

    Parameters
    ----------
    data : object with shape, dtype and slicing
        A `numpy.memmap` whose rows lie one after another is read from its file, not through its
        mapping: pages that are read do not count to this process' memory, and a file that was cut
        off is an error, not the end of the process.
    name : str
        What the user calls it, for messages.

    Attributes
    ----------
    starts : ndarray of int
        The first row of each block: every so many rows, or where chunks of the storage begin, as
        reading a part of a chunk costs as much as reading all of it.
    """

    def __init__(self, data: Any, name: str) -> None:
        self.data, self.name = data, name
        self.shape, self.dtype = tuple(map(int, data.shape)), data.dtype
        self.file = MappedFile.of(data)
        chunks = getattr(data, "chunks", None)
        self.in_chunks = isinstance(chunks, tuple)
        self.starts = _block_starts(self.shape, chunks if self.in_chunks else None)
        self._held: tuple[int | None, Any] = None, None

    def __getitem__(self, rows: slice) -> Array:
        """Read a slice of rows, where from one call to the next no chunk is read twice."""
        if not self.in_chunks or rows.start >= rows.stop:
            return self._read(rows.start, rows.stop)
        first, last = np.searchsorted(self.starts, (rows.start, rows.stop - 1), side="right") - 1
        parts = [
            self.block(number)[max(rows.start - start, 0) : rows.stop - start]
            for number, start in enumerate(self.starts[first : last + 1], first)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def block(self, number: int) -> Array:
        """Read a block; the last one read is kept."""
        if self._held[0] != number:
            self._held = None, None  # before the next is there: two may be large
            self._held = number, self._read(*self.extent(number))
        return self._held[1]

    def extent(self, number: int) -> tuple[int, int]:
        """Return the first row of a block, and the first behind it."""
        behind = self.starts[number + 1] if number + 1 < len(self.starts) else self.shape[0]
        return int(self.starts[number]), int(behind)

    def load(self) -> Array:
        """Read all rows into memory."""
        rows = np.empty(self.shape, self.dtype)
        for number in range(len(self.starts)):
            rows[slice(*self.extent(number))] = self.block(number)
        return rows

    def min(self) -> Any:
        return self._range[0]

    def max(self) -> Any:
        return self._range[1]

    @functools.cached_property
    def _range(self) -> tuple[Any, Any]:
        """Lowest and highest value, in one pass over all blocks."""
        blocks = map(self.block, range(len(self.starts)))
        lows, highs = zip(*((block.min(), block.max()) for block in blocks), strict=True)
        return min(lows), max(highs)

    def _read(self, start: int, stop: int) -> Array:
        try:
            if self.file is not None:
                block = self.file.read(start, stop)
            else:
                check_length(self.data)
                block = np.asarray(self.data[start:stop])
        except Exception as error:
            raise OSError(
                f"{self.name} could not be read: {rows_from(start, stop)} failed with "
                f"{type(error).__name__}: {error}"
            ) from error
        if block.shape != (stop - start, self.shape[1]):
            where = f" in {self.file.path}" if self.file is not None else ""
            raise OSError(
                f"{self.name} ends early: it has {self.shape[0]} rows by its shape, but of "
                f"{rows_from(start, stop)} only {len(block)} are{where}."
            )
        self._check_finite(block, start, stop)
        return block

    def _check_finite(self, block: Array, start: int, stop: int) -> None:
        # NaN or infinity is the lowest or the highest value: two passes, and no memory
        if block.size == 0 or np.isfinite((block.min(), block.max())).all():
            return
        row, column = np.argwhere(~np.isfinite(block))[0]
        what = "NaN" if np.isnan(block[row, column]) else "infinity"
        raise ValueError(
            f"Input {self.name} contains {what}: first in row {start + row}, column {column}, in "
            f"the block of {rows_from(start, stop)}. Remove or impute such values."
        )


def load_small(source: Source) -> Source | Array:
    """Read a source no larger than the shuffle buffer into memory; leave a larger one."""
    return source.load() if np.prod(source.shape) <= BUFFER_VALUES else source


class MappedFile:
    """The file of a memory map, and where in it the rows of an array lie, one after another."""

    def __init__(self, path: Any, offset: int, array: Array) -> None:
        self.path, self.offset = path, offset
        self.dtype, self.n_features = array.dtype, array.shape[1:]
        self.row_bytes = array.itemsize * int(np.prod(self.n_features))

    @classmethod
    def of(cls, array: Any) -> "MappedFile | None":
        """Find the file of a `numpy.memmap`, or return None where only the mapping serves.

        That is so for rows that do not lie one after another, for a copy-on-write map, whose
        changes are in memory alone, and for a file that is gone or was replaced by another.
        """
        root = _mapping(array)
        if root is None or root.mode == "c" or not array.flags.c_contiguous:
            return None
        file = cls(root.filename, root.offset + _address(array) - _address(root), array)
        return None if _is_whole(root) and file._differs(array) else file

    def _differs(self, array: Array) -> bool:
        ends = (0, len(array) - 1)
        return any(self.read(i, i + 1).tobytes() != array[i : i + 1].tobytes() for i in ends)

    def read(self, start: int, stop: int) -> Array:
        """Read rows; fewer come where the file ends early."""
        width = int(np.prod(self.n_features))
        offset = self.offset + start * self.row_bytes
        values = np.fromfile(self.path, self.dtype, (stop - start) * width, offset=offset)
        whole = len(values) // width
        return values[: whole * width].reshape(whole, *self.n_features)

    def write(self, start: int, rows: Array) -> None:
        """Write rows, so that a full disk is an error here and not the end of the process."""
        with open(self.path, "r+b") as file:
            file.seek(self.offset + start * self.row_bytes)
            file.write(np.ascontiguousarray(rows, self.dtype).data)

    def sync(self) -> None:
        """Wait until all is on the disk: some file systems only then know that it is full."""
        with open(self.path, "r+b") as file:
            os.fsync(file.fileno())


def check_length(array: Any) -> None:
    """Raise where a map's file has become shorter: to touch what is missing ends the process."""
    root = _mapping(array)
    if root is not None and not _is_whole(root):
        raise OSError(f"{root.filename} has become shorter than the map of it")


def _is_whole(root: Any) -> bool:
    return os.path.getsize(root.filename) >= root.offset + root.nbytes


def _mapping(array: Any) -> Any:
    """Return the array that maps a file, of which ``array`` is a part; None where none does."""
    while isinstance(array, np.memmap) and isinstance(array.base, np.ndarray):
        array = array.base
    if not (isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)):
        return None
    return array if array.filename is not None and os.path.exists(array.filename) else None


def _address(array: Array) -> int:
    return array.__array_interface__["data"][0]


def _block_starts(shape: tuple[int, ...], chunks: Any) -> Array:
    """Cut rows into blocks of some `BLOCK_VALUES`, of whole chunks where there are chunks."""
    n_rows, n_features = shape
    size = max(1, BLOCK_VALUES // max(n_features, 1))
    if chunks is None:
        return np.arange(0, n_rows, size)
    rows = chunks[0]
    starts = (
        np.arange(0, n_rows, int(rows)) if isinstance(rows, Integral) else np.cumsum((0, *rows))
    )
    starts = starts[starts < n_rows]
    return starts[np.diff(starts // size, prepend=-1) > 0]


def rows_from(start: int, stop: int) -> str:
    """Name rows, the last one included."""
    return f"rows {start} to {stop - 1}"
