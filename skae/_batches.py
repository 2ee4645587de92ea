"""Chunks of mini-batches, gathered from an array or a sparse matrix as training asks for them."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import sparse

NOISE_POOL = 1 << 21
ALIGNMENT = 64


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

    def __init__(self, scale, clip, n_rows, n_features):
        self.scale = np.float32(scale)
        self.clip = clip
        pool = max(NOISE_POOL, 64 * n_features)
        self.pooled = n_rows * n_features > pool
        self.shape = (pool,) if self.pooled else (0, n_features)

    def start(self, rng):
        """Begin an epoch."""
        self.rng = rng
        if self.pooled:
            pool = rng.standard_normal(self.shape, dtype=np.float32)
            pool *= self.scale
            self.windows = pool

    def __call__(self, clean, out):
        """Write ``clean`` of shape (n_rows, n_features) plus noise to ``out``."""
        if self.pooled:
            windows = sliding_window_view(self.windows, clean.shape[1])
            noise = windows[self.rng.integers(0, len(windows), len(clean))]
        else:
            noise = self.rng.standard_normal(clean.shape, dtype=np.float32)
            noise *= self.scale
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
    corruption : GaussianCorruption or None
        What is done to the inputs.
    """

    def __init__(self, rows, batch_size, chunk_steps, *, pad, corruption=None):
        self.rows = rows
        self.corruption = corruption
        self.pad = pad
        n_features = rows.inputs.shape[1]
        steps = chunk_steps if pad else min(chunk_steps, -(-len(rows.index) // batch_size))
        self.inputs = aligned_zeros((steps, batch_size, n_features))
        apart = rows.targets is not None or corruption is not None
        self.targets = aligned_zeros(self.inputs.shape) if apart else self.inputs
        self.weight = aligned_zeros((steps, batch_size))

    def chunks(self, order, rng=None):
        """Yield ``(inputs, targets, weight, n_steps)`` for the rows in the given order.

        The last mini-batch is filled up with rows of weight zero.
        """
        if self.corruption is not None:
            self.corruption.start(rng)
        capacity = self.weight.size
        for start in range(0, len(order), capacity):
            yield self._gather(self.rows.index[order[start : start + capacity]])

    def _gather(self, index):
        n_rows, batch_size = len(index), self.weight.shape[1]
        inputs, targets = (flat(array)[:n_rows] for array in (self.inputs, self.targets))
        if self.corruption is not None:
            take_rows(self.rows.inputs, index, targets)
            for batch in range(0, n_rows, batch_size):  # a batch at a time stays in the cache
                part = slice(batch, batch + batch_size)
                self.corruption(targets[part], out=inputs[part])
        else:
            take_rows(self.rows.inputs, index, inputs)
            if self.rows.targets is not None:
                take_rows(self.rows.targets, index, targets)
        weight = self.weight.reshape(-1)
        weight[:n_rows] = 1 if self.rows.weight is None else self.rows.weight[index]
        weight[n_rows:] = 0
        n_steps = -(-n_rows // batch_size)
        shown = len(self.weight) if self.pad else n_steps
        return self.inputs[:shown], self.targets[:shown], self.weight[:shown], n_steps


def take_rows(X, index, out):
    """Write rows of a dense or CSR matrix to ``out``, as float32."""
    if sparse.issparse(X):
        X[index].astype(np.float32, copy=False).toarray(out=out)
    elif X.dtype == np.float32 and X.flags.c_contiguous:
        np.take(X, index, axis=0, out=out, mode="clip")  # other modes go through a copy
    else:
        out[...] = X[index]


def flat(batches):
    """View chunks of mini-batches as rows."""
    return batches.reshape(-1, batches.shape[-1])


def aligned_zeros(shape):
    """Allocate float32 zeros at an address that TensorFlow takes over without a copy."""
    n_bytes = 4 * int(np.prod(shape))
    buffer = np.zeros(n_bytes + ALIGNMENT, np.uint8)
    offset = -buffer.ctypes.data % ALIGNMENT
    return buffer[offset : offset + n_bytes].view(np.float32).reshape(shape)
