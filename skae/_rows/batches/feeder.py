"""`Feeder`: rows in chunks of mini-batches."""

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from skae._process import defer_interrupts
from skae._rows.batches.dense import DenseBuffers
from skae._rows.batches.sparse import SparseBuffers, as_csr
from skae._rows.readers import make_reader
from skae._rows.rows import Rows
from skae._typing import EpochNoise, Rng, Tensor

Buffers = DenseBuffers | SparseBuffers

# Inputs, targets and weights, as arrays or tensors of shape (n_steps, batch_size, ...), and the
# number of mini-batches that are not padding.  Inputs and targets may be `SparseRows`.
Chunk = tuple[Tensor, Tensor, Tensor, int]

Chunks = Generator[Chunk, None, None]


class Feeder:
    """Gather rows into chunks of mini-batches; all chunks use the same buffers.

    Parameters
    ----------
    rows : Rows
        The rows of an epoch.
    batch_size : int
        Number of rows in a mini-batch.
    chunk_steps : int
        Number of mini-batches in a chunk.
    pad : bool
        Whether the last chunk is padded to the shape of the others.
    n_epochs : int, default=1
        How many epochs `shuffled` may be asked for at once.  If more than one, they must fit into
        a chunk together.
    corruption : EpochNoise, default=None
        Corruption of the inputs.
    send : callable, default=None
        Function that copies a chunk to a device, while the program trains on the chunk before.
    n_entries : int, default=0
        Values that are not zero for which each mini-batch has room; 0 makes the rows dense.
    """

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        chunk_steps: int,
        *,
        pad: bool,
        n_epochs: int = 1,
        corruption: EpochNoise | None = None,
        send: Callable[..., Chunk] | None = None,
        n_entries: int = 0,
    ) -> None:
        rows = as_csr(rows) if n_entries else rows
        self.rows, self.corruption, self.send = rows, corruption, send
        self.pad = pad
        self.n_steps = -(-len(rows.index) // batch_size)
        self.prefetches = self.n_steps > chunk_steps and _prefetching_pays(rows)
        shape = (chunk_steps if pad else min(chunk_steps, n_epochs * self.n_steps), batch_size)
        separate = rows.targets is not None or corruption is not None
        kind, width = (
            (SparseBuffers, n_entries) if n_entries else (DenseBuffers, rows.inputs.shape[1])
        )
        self.buffers: list[Any] = [
            kind.allocate(shape, width, separate_targets=separate)
            for _ in range(1 + self.prefetches)
        ]
        self.reader = make_reader(rows, capacity=chunk_steps * batch_size)

    def shuffled(self, orders: Sequence[Rng], noises: Sequence[Rng]) -> Chunks:
        """Yield all rows in random order.

        Parameters
        ----------
        orders, noises : sequence of Generator
            For each epoch, a generator of the order and a generator of the corruption.  Several
            epochs come in one chunk.

        Yields
        ------
        inputs, targets, weight : ndarray of shape (n_steps, batch_size, ...)
            A chunk.  The next chunk may use the same memory.  Rows with weight zero fill the last
            mini-batch.
        n_steps : int
            Number of mini-batches that contain rows.
        """
        if len(orders) == 1:
            return self._chunks(self.reader.shuffled(*orders), *noises)
        return self._several_epochs(orders, noises)

    def in_order(self, noise: Rng) -> Chunks:
        """Yield all rows in their own order, as `shuffled` does; draw corruption from ``noise``."""
        return self._chunks(self.reader.in_order(), noise)

    def _several_epochs(self, orders: Sequence[Rng], noises: Sequence[Rng]) -> Chunks:
        for epoch, (order, noise) in enumerate(zip(orders, noises, strict=True)):
            buffers = self.buffers[0].batches(epoch * self.n_steps, (epoch + 1) * self.n_steps)
            if self.corruption is not None:
                self.corruption.start(noise)
            for part in self.reader.shuffled(order):
                self._gather(buffers, part)
        n_steps = len(orders) * self.n_steps
        yield *self.buffers[0].batches(0, n_steps), n_steps

    def _chunks(self, parts: Iterable[Any], noise: Rng) -> Chunks:
        if self.corruption is not None:
            self.corruption.start(noise)
        if self.prefetches:
            yield from self._prefetched(parts)
        else:
            yield from (self._gather(self.buffers[0], part) for part in parts)

    def _prefetched(self, parts: Iterable[Any]) -> Chunks:
        """Gather each chunk on a thread while the program trains on the chunk before."""
        with ThreadPoolExecutor(1, "skae-feeder") as thread:
            next_chunk: Future[Chunk] | None = None
            for part, buffers in zip(parts, itertools.cycle(self.buffers), strict=False):
                chunk = next_chunk and next_chunk.result()
                with defer_interrupts():  # an interrupt must not meet the start of a thread
                    next_chunk = thread.submit(self._gather, buffers, part)
                if chunk:
                    yield chunk
            if next_chunk is not None:
                yield next_chunk.result()

    def _gather(self, buffers: Buffers, part: Any) -> Chunk:
        n_rows = buffers.fill(self.reader, part, self.corruption)
        n_all, batch_size = buffers.weight.shape
        n_steps = -(-n_rows // batch_size)
        chunk = *buffers.batches(0, n_all if self.pad else n_steps), n_steps
        return chunk if self.send is None else self.send(*chunk)


def _prefetching_pays(rows: Rows) -> bool:
    """Return whether a thread that gathers the next chunk saves time.

    It saves nothing if the rows are in memory and joblib gives this process a single core, for
    which joblib sets ``OMP_NUM_THREADS=1``.  Reading a file mostly waits, so a thread pays anyway.
    """
    return not (rows.in_memory and os.environ.get("OMP_NUM_THREADS") == "1")
