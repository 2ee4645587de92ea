"""Rows on an accelerator: all of them where they fit, else chunks that are sent ahead."""

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from skae._batches import Chunk, Chunks, Feeder, GaussianCorruption, Lookup
from skae._keras import tf
from skae._records import Rows, as_float32
from skae._typing import Array, Floats, Rng, Tensor

if TYPE_CHECKING:
    from skae._programs import Program

# TensorFlow does not say how much memory a device has.  This is a quarter of what the smaller
# ones have that people train on; of more rows, or if it is taken, chunks are sent.
RESIDENT_BYTES = 1 << 31
SENT_BYTES = 1 << 26


def on_accelerator(program: "Program") -> bool:
    """Whether a program is on a device that is no processor, and on no other."""
    if tf.distribute.has_strategy():
        return False
    return bool(tf.DeviceSpec.from_string(program.device).device_type != "CPU")


def feeder_for(
    program: "Program",
    rows: Rows,
    batch_size: int,
    n_epochs: int,
    corruption: GaussianCorruption | None,
) -> "Feeder | ResidentFeeder":
    """Make the feeder for a program, on its device; the other arguments are a `Feeder`'s."""
    make = functools.partial(
        Feeder, rows, batch_size, program.chunk_steps, pad=program.jit, corruption=corruption
    )
    if not on_accelerator(program):
        return make(n_epochs=n_epochs)
    n_bytes = sum(4 * int(np.prod(X.shape)) for X in rows.matrices)
    if rows.are_arrays and n_bytes <= RESIDENT_BYTES:
        try:
            return ResidentFeeder(program, rows, batch_size, corruption)
        except tf.errors.ResourceExhaustedError:
            pass
    return make(send=sender(program.device))


def sender(device: str) -> Callable[..., Chunk]:
    """Make a function that copies a chunk to a device, on whatever thread."""

    def send(inputs: Floats, targets: Floats, weight: Floats, n_steps: int) -> Chunk:
        with tf.device(device):
            there = tf.constant(inputs)  # copies, on a processor too
            same = np.shares_memory(inputs, targets)
            return there, there if same else tf.constant(targets), tf.constant(weight), n_steps

    return send


class ResidentFeeder:
    """A `Feeder` of dense rows that are on the device, where mini-batches are gathered.

    The rows' order is a `Feeder`'s, and so are the bits.  Noise is drawn on the device, from
    another generator than a `Feeder`'s.
    """

    def __init__(
        self,
        program: "Program",
        rows: Rows,
        batch_size: int,
        corruption: GaussianCorruption | None,
    ) -> None:
        self.program, self.rows, self.batch_size = program, rows, batch_size
        self.corruption = corruption
        self.reader = Lookup(rows, program.chunk_steps * batch_size)
        with tf.device(program.device):
            self.matrices = [_moved(np.asarray(X)) for X in rows.matrices]

    def shuffled(self, rng: Rng) -> Chunks:
        """Yield ``(inputs, targets, weight, n_steps)`` for all rows, in an order drawn anew."""
        return self._chunks(self.reader.shuffled(rng), rng)

    def in_order(self, rng: Rng) -> Chunks:
        """Yield the same for all rows as they lie; noise is drawn from ``rng``."""
        return self._chunks(self.reader.in_order(), rng)

    def _chunks(self, parts: Iterable[Array], rng: Rng) -> Chunks:
        for part in parts:
            yield self._gathered(np.asarray(self.rows.index)[part], rng)

    def _gathered(self, numbers: Array, rng: Rng) -> Chunk:
        """Make a chunk of the rows with these numbers."""
        n_steps = -(-len(numbers) // self.batch_size)
        shape = (self.program.chunk_steps if self.program.jit else n_steps, self.batch_size)
        # filled up with the first row, at a weight of zero
        index, weight = np.zeros(shape, numbers.dtype), np.zeros(shape, np.float32)
        index.flat[: len(numbers)] = numbers
        weight.flat[: len(numbers)] = self.rows.weights(numbers)
        with tf.device(self.program.device):
            inputs, *others = (tf.gather(matrix, index) for matrix in self.matrices)
            targets = others[0] if others else inputs
            if self.corruption is not None:
                inputs = _corrupted(inputs, self.corruption, rng)
            return inputs, targets, tf.constant(weight), n_steps


def _moved(X: Array) -> Tensor:
    """Copy rows to the device as float32, some 64 MiB at a time: none are copied here at once."""
    step = max(1, SENT_BYTES // (4 * X.shape[1]))
    with as_float32():
        blocks = [
            tf.constant(np.asarray(X[start : start + step], np.float32))
            for start in range(0, len(X), step)
        ]
    return blocks[0] if len(blocks) == 1 else tf.concat(blocks, axis=0)


def _corrupted(clean: Tensor, corruption: GaussianCorruption, rng: Rng) -> Tensor:
    seed = rng.integers(0, 1 << 31, 2, np.int32)
    noisy = clean + corruption.scale * tf.random.stateless_normal(clean.shape, seed)
    return noisy if corruption.clip is None else tf.clip_by_value(noisy, *corruption.clip)
