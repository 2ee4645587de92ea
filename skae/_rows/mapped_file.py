"""The file behind a `numpy.memmap`."""

import mmap
import os
from typing import Any

import numpy as np

from skae._typing import Array


class MappedFile:
    """The file of a memory map, for reading and writing the rows of an array without the map.

    Parameters
    ----------
    path : path-like
        The file.
    offset : int
        Position of the array's first value in the file, in bytes.
    array : ndarray of shape (n_rows, ...)
        The array, in C order: its rows follow one another in the file.
    """

    def __init__(self, path: Any, offset: int, array: Array) -> None:
        self.path, self.offset = path, offset
        self.dtype, self.row_shape = array.dtype, array.shape[1:]
        self.row_values = int(np.prod(self.row_shape))
        self.row_bytes = array.itemsize * self.row_values

    @classmethod
    def find(cls, array: Any) -> "MappedFile | None":
        """Return the file of a `numpy.memmap`, or None if only the map gives the array's rows.

        Only the map gives them if the array is not in C order, if the map is copy-on-write and
        its changes are only in memory, or if the file was deleted or replaced.
        """
        root = _mapping(array)
        if root is None or root.mode == "c" or not array.flags.c_contiguous:
            return None
        file = cls(root.filename, root.offset + _address(array) - _address(root), array)
        return None if _is_complete(root) and file._differs(array) else file

    def _differs(self, array: Array) -> bool:
        ends = (0, len(array) - 1)
        return any(self.read(i, i + 1).tobytes() != array[i : i + 1].tobytes() for i in ends)

    def read(self, start: int, stop: int) -> Array:
        """Read rows; return fewer if the file ends early."""
        n_values = (stop - start) * self.row_values
        offset = self.offset + start * self.row_bytes
        values = np.fromfile(self.path, self.dtype, n_values, offset=offset)
        n_rows = len(values) // self.row_values
        return values[: n_rows * self.row_values].reshape(n_rows, *self.row_shape)

    def write(self, start: int, rows: Array) -> None:
        """Write rows.  If the disk is full, this raises OSError; a write to the map would crash."""
        with open(self.path, "r+b") as file:
            file.seek(self.offset + start * self.row_bytes)
            file.write(np.ascontiguousarray(rows, self.dtype).data)

    def sync(self) -> None:
        """Wait until all rows are on the disk; some file systems report a full disk only then."""
        with open(self.path, "r+b") as file:
            os.fsync(file.fileno())


def check_length(array: Any) -> None:
    """Raise OSError if the mapped file was truncated.

    Accessing the missing part through the map would crash the process (SIGBUS).
    """
    root = _mapping(array)
    if root is not None and not _is_complete(root):
        raise OSError(f"{root.filename} is shorter than its memory map")


def _is_complete(root: Any) -> bool:
    return os.path.getsize(root.filename) >= root.offset + root.nbytes


def _mapping(array: Any) -> Any:
    """Return the array that maps a whole file and contains ``array``, or None."""
    while isinstance(array, np.memmap) and isinstance(array.base, np.ndarray):
        array = array.base
    if not (isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)):
        return None
    return array if array.filename is not None and os.path.exists(array.filename) else None


def _address(array: Array) -> int:
    return array.__array_interface__["data"][0]
