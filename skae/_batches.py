"""Chunks of mini-batches, gathered from an array or a sparse matrix as training asks for them."""

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import sparse

from skae._interrupts import interrupts_afterwards
from skae._records import Rows, as_float32
from skae._streams import Stream
from skae._typing import Array, Floats, Matrix, Rng

NOISE_POOL = 1 << 21
ALIGNMENT = 64
Chunk = tuple[Any, Any, Any, int]  # inputs, targets, weight and the number of batches
Chunks = Generator[Chunk, None, None]


class GaussianCorruption:
    """Fresh normal noise for every row of every step, clipped where asked for.

    Drawing 47 million normal numbers takes as long as the epoch they are for.  A fit that
    needs more than 2 million an epoch draws that many, anew for each epoch, and takes every
    row's noise as a window that starts anywhere in them.  Each number is exactly normal, and
    so is each row; two rows share numbers with a probability of twice the row's length over
    the pool's, less than one in a thousand for 784 features.  The device is known as a noise
    table (T. Salimans et al., "Evolution Strategies as a Scalable Alternative to
    Reinforcement Learning", 2017).
    """

    def __init__(
        self, scale: float, clip: tuple[float, float] | None, n_rows: int, n_features: int
    ) -> None:
        self.scale = np.float32(scale)
        self.clip = clip
        self.pool_size = max(NOISE_POOL, 64 * n_features)
        self.pooled = n_rows * n_features > self.pool_size

    def start(self, rng: Rng) -> None:
        """Begin an epoch."""
        self.rng = rng
        if self.pooled:
            self.pool = rng.standard_normal(self.pool_size, dtype=np.float32)
            self.pool *= self.scale

    def __call__(self, clean: Floats, out: Floats) -> None:
        """Write ``clean`` of shape (n_rows, n_features) plus noise to ``out``."""
        if self.pooled:
            windows = sliding_window_view(self.pool, clean.shape[1])
            noise = windows[self.rng.integers(0, len(windows), len(clean))]
        else:
            noise = self.rng.standard_normal(clean.shape, dtype=np.float32)
            noise *= self.scale
        with as_float32():
            np.add(clean, noise, out=out)
        if self.clip is not None:
            np.clip(out, *self.clip, out=out)


class Feeder:
    """Gather mini-batches of rows into buffers that every chunk uses again.

    Parameters
    ----------
    rows : Rows
    batch_size, chunk_steps : int
        Rows of a mini-batch and mini-batches of a chunk.
    pad : bool
        Whether every chunk has the shape of a full one.
    n_epochs : int, default=1
        How many epochs may be asked for at once; more than one have to fit into a chunk.
    corruption : GaussianCorruption or None
        What is done to the inputs.
    send : callable or None
        What brings a chunk's arrays elsewhere, while the program is at the chunk before.
    """

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        chunk_steps: int,
        *,
        pad: bool,
        n_epochs: int = 1,
        corruption: GaussianCorruption | None = None,
        send: Callable[..., Chunk] | None = None,
    ) -> None:
        self.rows = rows
        self.corruption, self.send = corruption, send
        self.pad = pad
        self.n_steps = -(-len(rows.index) // batch_size)
        shape = (chunk_steps if pad else min(chunk_steps, n_epochs * self.n_steps), batch_size)
        apart = rows.targets is not None or corruption is not None
        in_one = self.n_steps <= chunk_steps
        # A joblib worker whose share is one core gathers no rows on a second one; to read them
        # from a file is to wait.
        alone = rows.in_memory and os.environ.get("OMP_NUM_THREADS") == "1"
        self.ahead = not (in_one or alone)
        self.buffers = [
            Buffers.allocate(shape, rows.inputs.shape[1], apart=apart)
            for _ in range(1 + self.ahead)
        ]
        capacity = chunk_steps * batch_size
        self.reader = (Lookup if rows.in_memory else Stream)(rows, capacity)

    def shuffled(self, *rngs: Rng) -> Chunks:
        """Yield ``(inputs, targets, weight, n_steps)`` for all rows, in an order drawn anew.

        The last mini-batch is filled up with rows of weight zero.  Each of several generators
        gives an epoch of its own; they come as one chunk.
        """
        if len(rngs) == 1:
            return self._chunks(self.reader.shuffled(*rngs), *rngs)
        return self._together(rngs)

    def in_order(self, rng: Rng) -> Chunks:
        """Yield the same for all rows as they lie; noise is drawn from ``rng``."""
        return self._chunks(self.reader.in_order(), rng)

    def _together(self, rngs: Sequence[Rng]) -> Chunks:
        for epoch, rng in enumerate(rngs):
            buffers = self.buffers[0].batches(epoch * self.n_steps, (epoch + 1) * self.n_steps)
            if self.corruption is not None:
                self.corruption.start(rng)
            for part in self.reader.shuffled(rng):
                self._gather(buffers, part)
        n_steps = len(rngs) * self.n_steps
        yield *self.buffers[0].batches(0, n_steps), n_steps

    def _chunks(self, parts: Iterable[Any], rng: Rng) -> Chunks:
        if self.corruption is not None:
            self.corruption.start(rng)
        if not self.ahead:
            yield from (self._gather(self.buffers[0], part) for part in parts)
            return
        with ThreadPoolExecutor(1, "skae-feeder") as thread:
            coming: Future[Chunk] | None = None
            for part, buffers in zip(parts, itertools.cycle(self.buffers), strict=False):
                chunk = coming and coming.result()
                with interrupts_afterwards():  # which the start of a thread does not bear
                    coming = thread.submit(self._gather, buffers, part)
                if chunk:
                    yield chunk
            if coming is not None:
                yield coming.result()

    def _gather(self, buffers: "Buffers", part: Any) -> Chunk:
        inputs, targets, weight = flat(buffers.inputs), flat(buffers.targets), buffers.weight
        batch_size, weight = weight.shape[1], weight.reshape(-1)
        rows = (targets,) if self.corruption is not None else (inputs, targets)
        n_rows = self.reader.take(part, (*rows[: len(self.rows.matrices)], weight))
        weight[n_rows:] = 0
        if self.corruption is not None:
            for start in range(0, n_rows, batch_size):  # a batch at a time stays in the cache
                batch = slice(start, min(start + batch_size, n_rows))
                self.corruption(targets[batch], out=inputs[batch])
        n_steps = -(-n_rows // batch_size)
        shown = len(buffers.weight) if self.pad else n_steps
        chunk = *buffers.batches(0, shown), n_steps
        return chunk if self.send is None else self.send(*chunk)


class Lookup:
    """Where a `Feeder` takes rows from that are in memory: any row at any time."""

    def __init__(self, rows: Rows, capacity: int) -> None:
        self.rows, self.capacity = rows, capacity

    def shuffled(self, rng: Rng) -> list[Array]:
        return self.parts(rng.permutation(len(self.rows.index)))

    def in_order(self) -> list[Array]:
        return self.parts(np.arange(len(self.rows.index)))

    def parts(self, order: Array) -> list[Array]:
        """Cut the numbers of rows into parts for `take`."""
        return [order[i : i + self.capacity] for i in range(0, len(order), self.capacity)]

    def take(self, part: Array, out: Sequence[Array]) -> int:
        """Write the rows of a part, and their weights, to the arrays ``out``; return how many."""
        index = np.asarray(self.rows.index)[part]
        for matrix, array in zip(self.rows.matrices, out[:-1], strict=True):
            take_rows(matrix, index, array[: len(index)])
        out[-1][: len(index)] = self.rows.weights(index)
        return len(index)


class Buffers(NamedTuple):
    """Memory for a chunk; inputs and targets share it where they are the same."""

    inputs: Floats
    targets: Floats
    weight: Floats

    @classmethod
    def allocate(cls, shape: tuple[int, int], n_features: int, *, apart: bool) -> "Buffers":
        inputs = aligned_zeros((*shape, n_features))
        targets = aligned_zeros((*shape, n_features)) if apart else inputs
        return cls(inputs, targets, aligned_zeros(shape))

    def batches(self, start: int, stop: int) -> "Buffers":
        """View some of the mini-batches."""
        return Buffers(self.inputs[start:stop], self.targets[start:stop], self.weight[start:stop])


def take_rows(X: Matrix, index: Array, out: Array) -> None:
    """Write rows of a dense or CSR matrix to ``out``, as float32."""
    if sparse.issparse(X):
        with as_float32():
            X[index].astype(np.float32, copy=False).toarray(out=out)
    elif X.dtype == np.float32 and X.flags.c_contiguous:
        np.take(X, index, axis=0, out=out, mode="clip")  # other modes go through a copy
    else:
        with as_float32():
            out[...] = X[index]


def flat(batches: Floats) -> Floats:
    """View chunks of mini-batches as rows."""
    return batches.reshape(-1, batches.shape[-1])


def aligned_zeros(shape: tuple[int, ...]) -> Floats:
    """Allocate float32 zeros at an address that TensorFlow takes over without a copy."""
    n_bytes = 4 * int(np.prod(shape))
    buffer = np.zeros(n_bytes + ALIGNMENT, np.uint8)
    offset = -buffer.ctypes.data % ALIGNMENT
    return buffer[offset : offset + n_bytes].view(np.float32).reshape(shape)
