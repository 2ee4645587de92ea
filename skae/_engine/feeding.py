"""Feeding rows to a program: from the host's memory, or on an accelerator."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from skae._corruption.base import Corruption
from skae._corruption.epochs import epoch_noise
from skae._engine.corruption import corrupt_on_device
from skae._engine.limits import Limits
from skae._engine.tensorflow import tf
from skae._rows.batches.feeder import Chunk, Chunks, Feeder
from skae._rows.batches.sparse import SparseRows
from skae._rows.finite import as_float32
from skae._rows.readers import MemoryReader
from skae._rows.rows import Rows
from skae._typing import Array, Floats, Rng, Tensor

if TYPE_CHECKING:
    from skae._engine.program import Program


def on_accelerator(device: str) -> bool:
    """Return whether programs run on this device, and it is not a processor."""
    if tf.distribute.has_strategy():
        return False
    return bool(tf.DeviceSpec.from_string(device).device_type != "CPU")


def without_copy(rows: Array | Tensor | SparseRows) -> Tensor | SparseRows:
    """Turn arrays into tensors that share their memory; return a tensor unchanged.

    Copying each chunk would cost a sixth of an epoch.  The arrays must be aligned, and must not
    change until the program has run.
    """
    if isinstance(rows, SparseRows):
        return SparseRows(*map(without_copy, rows))
    if not isinstance(rows, np.ndarray):
        return rows
    return tf.experimental.dlpack.from_dlpack(rows.__dlpack__())


def make_feeder(
    program: "Program",
    rows: Rows,
    corruption: Corruption | None,
    limits: Limits,
    n_epochs: int = 1,
) -> "Feeder | ResidentFeeder":
    """Make a feeder that suits the device of a program and the rows.

    An accelerator keeps dense rows in its memory if they fit.  Other rows are copied to it a chunk
    at a time, by a thread, while it trains on the chunk before.

    Parameters
    ----------
    program : Program
        The program to feed.
    rows : Rows
        The rows of an epoch.
    corruption : Corruption or None
        The corruption of the inputs.
    limits : Limits
        ``resident_bytes`` and ``sent_bytes`` limit the use of an accelerator's memory.
    n_epochs : int, default=1
        How many epochs `Feeder.shuffled` may be asked for at once, on a processor.

    Returns
    -------
    feeder : Feeder or ResidentFeeder
        The feeder.
    """
    batch_size, n_features = program.spec.batch_size, rows.inputs.shape[1]
    noise, gaps = None, program.spec.network.has_gaps
    if corruption is not None:
        sizes = len(rows.index), n_features, limits.noise_values
        noise = epoch_noise(corruption, *sizes, gaps=gaps)
    make = functools.partial(
        Feeder, rows, batch_size, program.chunk_steps, pad=program.jit, corruption=noise
    )
    if not on_accelerator(program.device):
        return make(n_epochs=n_epochs, n_entries=program.spec.n_entries)
    n_bytes = sum(4 * int(np.prod(X.shape)) for X in rows.matrices)
    if rows.are_arrays and n_bytes <= limits.resident_bytes and _runs_on_device(corruption):
        try:
            return ResidentFeeder(program, rows, corruption, limits.sent_bytes)
        except tf.errors.ResourceExhaustedError:
            pass  # other data fills the device: send chunks
    return make(send=sender(program.device))


def sender(device: str) -> Callable[..., Chunk]:
    """Return a function that copies a chunk to a device; any thread may call it."""

    def send(inputs: Floats, targets: Floats, weight: Floats, n_steps: int) -> Chunk:
        with tf.device(device):
            sent = tf.constant(inputs)  # a copy, also on a processor
            same = np.shares_memory(inputs, targets)
            return sent, sent if same else tf.constant(targets), tf.constant(weight), n_steps

    return send


class ResidentFeeder:
    """A feeder that keeps dense rows on the device, and gathers the mini-batches there.

    Rows come in the same order as from a `Feeder`, and have the same bits.  Corruptions differ,
    because the device draws them from another generator.

    Parameters
    ----------
    program : Program
        The program to feed.
    rows : Rows
        Dense rows in memory.
    corruption : Corruption or None
        A corruption that `corrupt_on_device` knows.
    sent_bytes : int
        Rows are copied to the device in blocks of this many bytes.
    """

    def __init__(
        self, program: "Program", rows: Rows, corruption: Corruption | None, sent_bytes: int
    ) -> None:
        self.program, self.rows, self.batch_size = program, rows, program.spec.batch_size
        self.corruption = corruption
        self.reader = MemoryReader(rows, program.chunk_steps * self.batch_size)
        with tf.device(program.device):
            self.matrices = [_copy_to_device(np.asarray(X), sent_bytes) for X in rows.matrices]

    def shuffled(self, orders: Sequence[Rng], noises: Sequence[Rng]) -> Chunks:
        """Yield chunks with all rows in random order.

        Parameters
        ----------
        orders, noises : sequence of Generator
            A generator of the order, and a generator of the corruption.

        Yields
        ------
        inputs, targets, weight : tensor of shape (n_steps, batch_size, ...)
            A chunk.  Rows with weight zero fill the last mini-batch.
        n_steps : int
            Number of mini-batches that contain rows.
        """
        return self._chunks(self.reader.shuffled(*orders), *noises)

    def in_order(self, noise: Rng) -> Chunks:
        """Yield all rows in their own order, as `shuffled` does; draw corruption from ``noise``."""
        return self._chunks(self.reader.in_order(), noise)

    def _chunks(self, parts: Iterable[Array], noise: Rng) -> Chunks:
        for part in parts:
            yield self._gather(np.asarray(self.rows.index)[part], noise)

    def _gather(self, numbers: Array, noise: Rng) -> Chunk:
        """Make a chunk of the rows with these numbers."""
        n_steps = -(-len(numbers) // self.batch_size)
        shape = (self.program.chunk_steps if self.program.jit else n_steps, self.batch_size)
        # row 0 with weight zero is the padding
        index, weight = np.zeros(shape, numbers.dtype), np.zeros(shape, np.float32)
        index.flat[: len(numbers)] = numbers
        weight.flat[: len(numbers)] = self.rows.weights(numbers)
        with tf.device(self.program.device):
            inputs, *others = (tf.gather(matrix, index) for matrix in self.matrices)
            targets = others[0] if others else inputs
            if self.corruption is not None:
                seed = noise.integers(0, 1 << 31, 2, np.int32)
                n_rows = np.clip(len(numbers) - self.batch_size * np.arange(shape[0]), 0, shape[1])
                inputs = corrupt_on_device(self.corruption, inputs, seed, n_rows)
            return inputs, targets, tf.constant(weight), n_steps


def _copy_to_device(X: Array, sent_bytes: int) -> Tensor:
    """Copy rows to the device as float32, in blocks, so that the host needs no copy of all rows."""
    step = max(1, sent_bytes // (4 * X.shape[1]))
    with as_float32():
        blocks = [
            tf.constant(np.asarray(X[start : start + step], np.float32))
            for start in range(0, len(X), step)
        ]
    return blocks[0] if len(blocks) == 1 else tf.concat(blocks, axis=0)


def _runs_on_device(corruption: Corruption | None) -> bool:
    """Return whether `corrupt_on_device` knows the corruption, or none is needed.

    It does not know a user's subclass, which may corrupt in another way.
    """
    return corruption is None or type(corruption) in corrupt_on_device.registry
