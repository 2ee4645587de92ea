"""Rows that are read in blocks: memory maps, HDF5, Zarr, Dask and others."""

import functools
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from skae._rows.finite import check_finite, known_values
from skae._rows.mapped_file import MappedFile, check_length
from skae._typing import Array


@dataclass(frozen=True)
class ReadLimits:
    """How much of a `Source` is read at once, and how much is kept in memory.

    Parameters
    ----------
    block_values : int, default=2**18
        Values of a block, the amount that is read at once.  The default is 1 MiB in float32.  It
        keeps a hard disk busy with reading for half of the time (10 ms to find a block, 10 ms to
        read it), and the buffer then holds rows of more than a hundred blocks.
    buffer_values : int, default=2**25
        Values of the buffer that shuffles the rows for training.  The default is 128 MiB in
        float32.  A source with at most this number of values is read into memory once.
    """

    block_values: int = 1 << 18
    buffer_values: int = 1 << 25


def is_source(X: object) -> bool:
    """Return whether ``X`` holds rows of numbers that are read in blocks.

    This is true for a `numpy.memmap`, and for every object with ``shape``, a NumPy ``dtype`` and
    slices that is not an array.  Arrays, sparse matrices, frames and lists are in memory.
    """
    if isinstance(X, np.ndarray) and not isinstance(X, np.memmap):
        return False
    shape, dtype = getattr(X, "shape", ()), getattr(X, "dtype", None)
    return (
        isinstance(shape, tuple)
        and len(shape) == 2
        and all(isinstance(n, Integral) for n in shape)  # Dask has NaN for an unknown length
        and isinstance(dtype, np.dtype)
        and dtype.kind in "biuf"
        and hasattr(X, "__getitem__")
        and not hasattr(X, "toarray")  # sparse matrices are in memory
    )


class Source:
    """Rows that are read in blocks, and checked for NaN and infinity.

    Reading a part of a storage's chunk costs as much as reading the whole chunk.  Therefore a block
    consists of whole chunks if the storage has chunks.

    Parameters
    ----------
    data : object
        Any object for which `is_source` is true.
    name : str
        Name of the parameter, for errors.
    limits : ReadLimits, default=None
        Sizes of a block and of the buffer; ``Source.default_limits`` if None.
    gaps : bool or None, default=None
        Whether NaN is allowed, as an unknown value.  None means that no parameter can allow it.

    Attributes
    ----------
    shape, dtype : tuple of int, dtype
        The shape and the dtype of ``data``.
    file : MappedFile or None
        File of a memory map in C order.  It is read directly, because pages read through the map
        would count as memory of this process, and a truncated file would crash the process.
    starts : ndarray of int
        Number of the first row of each block.
    """

    default_limits: ClassVar[ReadLimits] = ReadLimits()

    def __init__(
        self, data: Any, name: str, limits: ReadLimits | None = None, *, gaps: bool | None = None
    ) -> None:
        self.data, self.name, self.gaps = data, name, gaps
        self.limits = limits or self.default_limits
        self.shape, self.dtype = tuple(map(int, data.shape)), data.dtype
        self.file = MappedFile.find(data)
        chunks = getattr(data, "chunks", None)
        self.in_chunks = isinstance(chunks, tuple)
        self.starts = _block_starts(
            self.shape, chunks if self.in_chunks else None, self.limits.block_values
        )
        self._last_block: tuple[int | None, Any] = None, None

    def __getitem__(self, rows: slice) -> Array:
        """Read a range of rows.  Consecutive ranges read no chunk of the storage twice."""
        if not self.in_chunks or rows.start >= rows.stop:
            return self._read(rows.start, rows.stop)
        first, last = np.searchsorted(self.starts, (rows.start, rows.stop - 1), side="right") - 1
        parts = [
            self.block(number)[max(rows.start - start, 0) : rows.stop - start]
            for number, start in enumerate(self.starts[first : last + 1], first)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def block(self, number: int) -> Array:
        """Read a block, and keep it until another one is read."""
        if self._last_block[0] != number:
            self._last_block = None, None  # blocks may be large: free one before reading another
            self._last_block = number, self._read(*self.extent(number))
        return self._last_block[1]

    def extent(self, number: int) -> tuple[int, int]:
        """Return the first row of a block, and the first row after it."""
        stop = self.starts[number + 1] if number + 1 < len(self.starts) else self.shape[0]
        return int(self.starts[number]), int(stop)

    def load(self) -> Array:
        """Read all rows into memory."""
        rows = np.empty(self.shape, self.dtype)
        for number in range(len(self.starts)):
            rows[slice(*self.extent(number))] = self.block(number)
        return rows

    def min(self) -> Any:
        """Return the lowest value."""
        return self._figures[0]

    def max(self) -> Any:
        """Return the highest value."""
        return self._figures[1]

    def sum(self) -> float:
        """Return the sum of all values."""
        return self._figures[2]

    def count_nonzero(self) -> int:
        """Return how many values are not zero."""
        return self._figures[3]

    @functools.cached_property
    def _figures(self) -> tuple[Any, Any, float, int]:
        """Lowest and highest value, sum, and number of nonzeros, from one pass over all blocks."""
        blocks = map(known_values, map(self.block, range(len(self.starts))))
        figures = [
            (block.min(), block.max(), block.sum(dtype=np.float64), np.count_nonzero(block))
            for block in blocks
            if block.size
        ]
        if not figures:
            return np.nan, np.nan, 0.0, 0
        lows, highs, sums, counts = zip(*figures, strict=True)
        return min(lows), max(highs), float(sum(sums)), int(sum(counts))

    def _read(self, start: int, stop: int) -> Array:
        try:
            if self.file is not None:
                block = self.file.read(start, stop)
            else:
                check_length(self.data)
                block = np.asarray(self.data[start:stop])
        except Exception as error:
            raise OSError(
                f"{self.name} could not be read: {format_row_range(start, stop)} failed with "
                f"{type(error).__name__}: {error}"
            ) from error
        if block.shape != (stop - start, self.shape[1]):
            raise self._truncated(block, start, stop)
        check_finite(self.name, block, start, gaps=self.gaps)
        return block

    def _truncated(self, block: Array, start: int, stop: int) -> OSError:
        where = f"{self.file.path} has" if self.file is not None else "reading gave"
        return OSError(
            f"{self.name} is truncated: its shape says {self.shape[0]} rows, but {where} only "
            f"{len(block)} of {format_row_range(start, stop)}."
        )


def load_small(source: Source) -> Source | Array:
    """Read a source into memory if it fits into the buffer, or return it unchanged."""
    return source.load() if np.prod(source.shape) <= source.limits.buffer_values else source


def _block_starts(shape: tuple[int, ...], chunks: Any, block_values: int) -> Array:
    """Return the first row of each block; blocks consist of whole chunks if there are any."""
    n_rows, n_features = shape
    size = max(1, block_values // max(n_features, 1))
    if chunks is None:
        return np.arange(0, n_rows, size)
    rows = chunks[0]
    starts = (
        np.arange(0, n_rows, int(rows)) if isinstance(rows, Integral) else np.cumsum((0, *rows))
    )
    starts = starts[starts < n_rows]
    return starts[np.diff(starts // size, prepend=-1) > 0]


def format_row_range(start: int, stop: int) -> str:
    """Return a text like "rows 3 to 5", for which ``stop`` is 6."""
    return f"rows {start} to {stop - 1}"
