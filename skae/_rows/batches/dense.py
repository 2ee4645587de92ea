"""`DenseBuffers`: memory for a chunk of dense mini-batches."""

from typing import Any, NamedTuple

import numpy as np

from skae._rows.readers import Reader
from skae._typing import Array, EpochNoise, Floats

ALIGNMENT = 64  # bytes; TensorFlow uses an array without a copy only at such an address


class DenseBuffers(NamedTuple):
    """Memory for a chunk of dense mini-batches; equal inputs and targets share it."""

    inputs: Floats
    targets: Floats
    weight: Floats

    @classmethod
    def allocate(
        cls, shape: tuple[int, int], n_features: int, *, separate_targets: bool
    ) -> "DenseBuffers":
        """Allocate buffers for ``shape`` = (n_steps, batch_size) rows."""
        inputs = aligned_zeros((*shape, n_features))
        targets = aligned_zeros((*shape, n_features)) if separate_targets else inputs
        return cls(inputs, targets, aligned_zeros(shape))

    def batches(self, start: int, stop: int) -> "DenseBuffers":
        """Return a view of a range of mini-batches."""
        return DenseBuffers(*(array[start:stop] for array in self))

    def fill(self, reader: Reader, part: Any, corruption: EpochNoise | None) -> int:
        """Write the rows of a part, with corrupted inputs, and return their number."""
        inputs, targets, weight = flat(self.inputs), flat(self.targets), self.weight.reshape(-1)
        rows = (targets,) if corruption is not None else (inputs, targets)
        n_rows = reader.take(part, (*rows[: len(reader.rows.matrices)], weight))
        weight[n_rows:] = 0
        if corruption is not None:
            batch_size = self.weight.shape[1]
            for start in range(0, n_rows, batch_size):  # one mini-batch stays in the cache
                batch = slice(start, min(start + batch_size, n_rows))
                corruption(targets[batch], out=inputs[batch])
        return n_rows


def flat(batches: Floats) -> Floats:
    """View mini-batches, of shape (n_steps, batch_size, n_features), as rows."""
    return batches.reshape(-1, batches.shape[-1])


def aligned_zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Return zeros in memory that TensorFlow can use without a copy."""
    n_bytes = np.dtype(dtype).itemsize * int(np.prod(shape))
    buffer = np.zeros(n_bytes + ALIGNMENT, np.uint8)
    offset = -buffer.ctypes.data % ALIGNMENT
    return buffer[offset : offset + n_bytes].view(dtype).reshape(shape)
