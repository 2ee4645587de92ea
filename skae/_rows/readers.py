"""Readers: rows in random order or in their own, from memory or from a `Source`."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from skae._rows.finite import as_float32
from skae._rows.rows import Rows
from skae._rows.sources import Source
from skae._typing import Array, Matrix, Rng


class Reader(Protocol):
    """What both readers have; each reader has its own type of parts."""

    rows: Rows

    def shuffled(self, rng: Rng) -> Iterable[Any]:
        """Return parts for `take` that contain all rows, in an order drawn from ``rng``."""

    def in_order(self) -> Iterable[Any]:
        """Return parts for `take` that contain all rows in their own order."""

    def take(self, part: Any, out: Sequence[Array]) -> int:
        """Copy the rows of a part, and their weights, to the arrays ``out``.

        Parameters
        ----------
        part : object
            A part that `shuffled` or `in_order` gave.  Parts must be taken one after another.
        out : sequence of ndarray
            An array for each matrix of the rows, and one for the weights.

        Returns
        -------
        n_rows : int
            Number of rows that were written.
        """


def make_reader(rows: Rows, capacity: int) -> Reader:
    """Return a reader of these rows, with ``capacity`` rows in a part."""
    return MemoryReader(rows, capacity) if rows.in_memory else StreamReader(rows, capacity)


class MemoryReader:
    """Read rows that are in memory.

    Parameters
    ----------
    rows : Rows
        Rows without a `Source`.
    capacity : int
        Number of rows in a part, which is the number of rows in a chunk.
    """

    def __init__(self, rows: Rows, capacity: int) -> None:
        self.rows, self.capacity = rows, capacity

    def shuffled(self, rng: Rng) -> list[Array]:
        """Return parts for `take` that contain all rows, in an order drawn from ``rng``."""
        return self._cut(rng.permutation(len(self.rows.index)))

    def in_order(self) -> list[Array]:
        """Return parts for `take` that contain all rows in their own order."""
        return self._cut(np.arange(len(self.rows.index)))

    def _cut(self, order: Array) -> list[Array]:
        return [order[i : i + self.capacity] for i in range(0, len(order), self.capacity)]

    def take(self, part: Array, out: Sequence[Array]) -> int:
        """Copy rows with these numbers in ``rows.index``, and their weights, to the arrays."""
        index = np.asarray(self.rows.index)[part]
        for matrix, array in zip(self.rows.matrices, out[:-1], strict=True):
            take_rows(matrix, index, array[: len(index)])
        out[-1][: len(index)] = self.rows.weights(index)
        return len(index)


def take_rows(X: Matrix, index: Array, out: Array) -> None:
    """Copy rows of a dense or CSR matrix to ``out``, as float32."""
    if sparse.issparse(X):
        csr_rows(X, index).toarray(out=out)
    elif X.dtype == np.float32 and X.flags.c_contiguous:
        np.take(X, index, axis=0, out=out, mode="clip")  # the other modes make a temporary copy
    else:
        with as_float32():
            out[...] = X[index]


def csr_rows(X: Matrix, index: Array) -> Matrix:
    """Return rows of a CSR matrix, as float32."""
    with as_float32():
        return X[index].astype(np.float32, copy=False)


# The places in the buffer from which rows go to the chunk, and the places that are filled again.
# If the first is None, the next rows of the source go directly to the chunk.
Part = tuple[Array | None, Array]


class StreamReader:
    """Read rows from a `Source`.

    To shuffle, blocks are read in random order into a buffer.  The rows leave the buffer in random
    order, one chunk at a time, and the next rows take their places.  One buffer and one pass over
    the source are enough, and the reading is spread evenly over the epoch.

    Parameters
    ----------
    rows : Rows
        Rows with a `Source` as inputs, as targets, or as both.  ``limits`` of the first `Source`
        gives the size of the buffer.
    capacity : int
        Number of rows in a chunk.
    """

    def __init__(self, rows: Rows, capacity: int) -> None:
        self.rows, self.capacity, self.n_rows = rows, capacity, len(rows.index)
        self.source = next(X for X in rows.matrices if isinstance(X, Source))
        buffer_rows = self.source.limits.buffer_values // rows.inputs.shape[1]
        whole_chunks = buffer_rows // capacity * capacity
        self.size = min(max(whole_chunks, capacity), self.n_rows)
        self.buffer: list[Array] = []

    def shuffled(self, rng: Rng) -> Iterator[Part]:
        """Yield parts for `take` that contain all rows, in an order drawn from ``rng``."""
        self._start(rng.permutation(len(self.source.starts)))
        if not self.buffer:
            shape = self.size, self.rows.inputs.shape[1]
            self.buffer = [np.empty(shape, np.float32) for _ in self.rows.matrices]
            self.buffer.append(np.empty(self.size, np.float32))
        places, n_left = np.arange(self.size), self.n_rows - self.size
        self._read(places, self.buffer)
        while len(places):
            order = places[rng.permutation(len(places))]
            places = order[:n_left]  # those that are filled again
            n_left -= len(places)
            for start in range(0, len(order), self.capacity):
                part = slice(start, start + self.capacity)
                yield order[part], places[part]

    def in_order(self) -> Iterator[Part]:
        """Yield parts for `take` that contain all rows in their own order."""
        self._start(range(len(self.source.starts)))
        for start in range(0, self.n_rows, self.capacity):
            yield None, np.arange(min(self.capacity, self.n_rows - start))

    def take(self, part: Part, out: Sequence[Array]) -> int:
        """Copy rows from the buffer, or the next rows of the source, to the arrays."""
        leaving, filled = part
        if leaving is None:
            self._read(filled, out)
            return len(filled)
        for buffer, array in zip(self.buffer, out, strict=True):
            np.take(buffer, leaving, axis=0, out=array[: len(leaving)], mode="clip")
        self._read(filled, self.buffer)
        return len(leaving)

    def _start(self, order: Iterable[int]) -> None:
        """Begin a pass over the blocks in this order."""
        self._blocks = filter(None, map(self._block, order))
        self._unread: list[Array] = []  # the rest of the last block

    def _block(self, number: int) -> list[Array] | None:
        """Read a block; return the rows that are used and their weights, or None without any."""
        index = self.rows.index
        start, stop = self.source.extent(number)
        first, last = bisect_left(index, start), bisect_left(index, stop)
        if first == last:
            return None
        used = np.asarray(index[first:last])
        matrices = (_rows_of_block(X, start, stop, used) for X in self.rows.matrices)
        return [*matrices, self.rows.weights(used)]

    def _read(self, places: Array, arrays: Sequence[Array]) -> None:
        """Write the next rows of the source to these places of the arrays."""
        while len(places):
            if not (self._unread and len(self._unread[0])):
                self._unread = []  # frees the last block before the next one is read
                self._unread = next(self._blocks)
            n_rows = min(len(places), len(self._unread[0]))
            with as_float32():
                for array, block in zip(arrays, self._unread, strict=True):
                    array[places[:n_rows]] = block[:n_rows]
            self._unread = [block[n_rows:] for block in self._unread]
            places = places[n_rows:]


def _rows_of_block(X: Matrix, start: int, stop: int, index: Array) -> Array:
    """Read a range of rows as a dense array, and keep those in the ascending ``index``."""
    block = X[start:stop]
    if len(index) < stop - start:
        block = block[index - start]
    return block.toarray() if sparse.issparse(block) else block
