"""Rows on an accelerator: all of them where they fit, else chunks that are sent ahead."""

from collections.abc import Callable

import numpy as np

from skae._batches import Chunk, Chunks, Feeder, GaussianCorruption
from skae._keras import current_device, tf
from skae._records import Rows, as_float32
from skae._typing import Array, Floats, Rng, Tensor

# TensorFlow does not say how much memory a device has.  This is a quarter of what the smaller
# ones have that people train on; of more rows, or if it is taken, chunks are sent.
RESIDENT_BYTES = 1 << 31
SENT_BYTES = 1 << 26


def on_accelerator() -> bool:
    """Whether the caller computes on a device that is no processor, and on no other."""
    if tf.distribute.has_strategy():
        return False
    return bool(tf.DeviceSpec.from_string(current_device()).device_type != "CPU")


def feeder_for(
    rows: Rows,
    batch_size: int,
    chunk_steps: int,
    pad: bool,
    n_epochs: int,
    corruption: GaussianCorruption | None,
) -> "Feeder | ResidentFeeder":
    """Make the feeder for the caller's device; the arguments are a `Feeder`'s."""
    if not on_accelerator():
        return Feeder(
            rows, batch_size, chunk_steps, pad=pad, n_epochs=n_epochs, corruption=corruption
        )
    n_bytes = sum(4 * int(np.prod(X.shape)) for X in rows.matrices)
    if rows.are_arrays and n_bytes <= RESIDENT_BYTES:
        try:
            return ResidentFeeder(rows, batch_size, chunk_steps, pad, corruption)
        except tf.errors.ResourceExhaustedError:
            pass
    return Feeder(rows, batch_size, chunk_steps, pad=pad, corruption=corruption, send=sender())


def sender() -> Callable[..., Chunk]:
    """Make a function that copies a chunk to the caller's device, on whatever thread."""
    device = current_device()

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
        rows: Rows,
        batch_size: int,
        chunk_steps: int,
        pad: bool,
        corruption: GaussianCorruption | None,
    ) -> None:
        self.rows, self.batch_size, self.chunk_steps = rows, batch_size, chunk_steps
        self.pad, self.corruption = pad, corruption
        self.index = np.asarray(rows.index)
        self.matrices = [_moved(np.asarray(X)) for X in rows.matrices]

    def shuffled(self, rng: Rng) -> Chunks:
        """Yield ``(inputs, targets, weight, n_steps)`` for all rows, in an order drawn anew."""
        return self._chunks(self.index[rng.permutation(len(self.index))], rng)

    def in_order(self, rng: Rng) -> Chunks:
        """Yield the same for all rows as they lie; noise is drawn from ``rng``."""
        return self._chunks(self.index, rng)

    def _chunks(self, order: Array, rng: Rng) -> Chunks:
        capacity = self.chunk_steps * self.batch_size
        for start in range(0, len(order), capacity):
            part = order[start : start + capacity]
            n_steps = -(-len(part) // self.batch_size)
            shape = (self.chunk_steps if self.pad else n_steps, self.batch_size)
            # filled up with the first row, at a weight of zero
            index, weight = np.zeros(shape, part.dtype), np.zeros(shape, np.float32)
            index.flat[: len(part)] = part
            weight.flat[: len(part)] = self.rows.weights(part)
            inputs, *others = (tf.gather(matrix, index) for matrix in self.matrices)
            targets = others[0] if others else inputs
            if self.corruption is not None:
                inputs = _corrupted(inputs, self.corruption, rng)
            yield inputs, targets, tf.constant(weight), n_steps


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
