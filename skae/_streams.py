"""Rows of a source in turn: shuffled by block and within a buffer, or as they lie."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from skae._records import Rows, as_float32
from skae._sources import BUFFER_VALUES, Source
from skae._typing import Array, Matrix, Rng

Part = tuple[Array | None, Array]  # places in the buffer to leave, and to fill again


class Stream:
    """Where a `Feeder` takes rows from that are read in blocks.

    To shuffle, the blocks are read in random order into a buffer, whose rows leave it in random
    order, a chunk at a time; the next rows are then read into their places.  One buffer and one
    pass over the source are enough, and reading is spread evenly over the epoch.

    Parameters
    ----------
    rows : Rows
        Of which the inputs, the targets or both are a `Source`.
    capacity : int
        Rows of a chunk.
    """

    def __init__(self, rows: Rows, capacity: int) -> None:
        self.rows, self.capacity, self.n_rows = rows, capacity, len(rows.index)
        self.source = next(X for X in rows.matrices if isinstance(X, Source))
        held = BUFFER_VALUES // rows.inputs.shape[1] // capacity * capacity
        self.size = min(max(held, capacity), self.n_rows)
        self.buffer: list[Array] = []

    def shuffled(self, rng: Rng) -> Iterator[Part]:
        """Yield parts for `take` that make up all rows, in an order drawn from ``rng``."""
        rng = rng.spawn(1)[0]  # another thread draws the noise
        self._start(rng.permutation(len(self.source.starts)))
        if not self.buffer:
            shape = self.size, self.rows.inputs.shape[1]
            self.buffer = [np.empty(shape, np.float32) for _ in self.rows.matrices]
            self.buffer.append(np.empty(self.size, np.float32))
        slots, left = np.arange(self.size), self.n_rows - self.size
        self._read(slots, self.buffer)
        while len(slots):
            order = slots[rng.permutation(len(slots))]
            slots = order[:left]  # those that are filled again
            left -= len(slots)
            for start in range(0, len(order), self.capacity):
                part = slice(start, start + self.capacity)
                yield order[part], slots[part]

    def in_order(self) -> Iterator[Part]:
        """Yield parts for `take` that make up all rows as they lie."""
        self._start(range(len(self.source.starts)))
        for start in range(0, self.n_rows, self.capacity):
            yield None, np.arange(min(self.capacity, self.n_rows - start))

    def take(self, part: Part, out: Sequence[Array]) -> int:
        """Write the rows of a part, and their weights, to the arrays ``out``; return how many."""
        leaving, coming = part
        if leaving is None:
            self._read(coming, out)
            return len(coming)
        for held, array in zip(self.buffer, out, strict=True):
            np.take(held, leaving, axis=0, out=array[: len(leaving)], mode="clip")
        self._read(coming, self.buffer)
        return len(leaving)

    def _start(self, order: Iterable[int]) -> None:
        """Begin a pass over the blocks."""
        self._blocks = filter(None, map(self._block, order))
        self._coming: list[Any] = [()]

    def _block(self, number: int) -> list[Array] | None:
        """Read those of a block's rows that are asked for, with their weights."""
        index = self.rows.index
        start, stop = self.source.extent(number)
        first, last = bisect_left(index, start), bisect_left(index, stop)
        if first == last:
            return None
        wanted = np.asarray(index[first:last])
        weight = self.rows.weights(wanted)
        return [*(_rows(X, start, stop, wanted) for X in self.rows.matrices), weight]

    def _read(self, slots: Array, arrays: Sequence[Array]) -> None:
        """Write the next rows to places of the arrays."""
        while len(slots):
            if not len(self._coming[0]):
                self._coming = [()]  # lets the last block go before the next is there
                self._coming = next(self._blocks)
            n_rows = min(len(slots), len(self._coming[0]))
            with as_float32():
                for array, block in zip(arrays, self._coming, strict=True):
                    array[slots[:n_rows]] = block[:n_rows]
            self._coming = [block[n_rows:] for block in self._coming]
            slots = slots[n_rows:]


def _rows(X: Matrix, start: int, stop: int, index: Array) -> Array:
    """Read a range of rows, and keep those of the ascending ``index``."""
    block = X[start:stop]
    if len(index) < stop - start:
        block = block[index - start]
    return block.toarray() if sparse.issparse(block) else block
