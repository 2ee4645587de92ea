"""Mini-batches of sparse rows, and the numbers of values in them."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skae._rows.batches.dense import aligned_zeros
from skae._rows.finite import as_float32
from skae._rows.readers import Reader, csr_rows
from skae._rows.rows import Rows
from skae._typing import Array, EpochNoise, Floats, Matrix

BLOCK_VALUES = 1 << 20  # values of the rows that are counted, or made sparse, at once


class SparseRows(NamedTuple):
    """The values of mini-batches that are not zero, with their places.

    All are arrays or tensors of shape (n_batches, n_entries), or (n_entries,) for one mini-batch.
    ``row`` is the place in the mini-batch.  Zeros in the first row and column fill each mini-batch.
    """

    row: Any
    column: Any
    value: Any

    @classmethod
    def allocate(cls, n_batches: int, n_entries: int) -> "SparseRows":
        """Allocate memory for mini-batches of ``n_entries`` values."""
        dtypes = (np.int32, np.int32, np.float32)
        return cls(*(aligned_zeros((n_batches, n_entries), dtype) for dtype in dtypes))

    def write(self, X: Matrix, batch_size: int) -> None:
        """Write the rows of a CSR matrix, and zeros after the last value of each mini-batch."""
        row = np.repeat(np.arange(X.shape[0]) % batch_size, np.diff(X.indptr))
        for batch, first in enumerate(range(0, X.shape[0], batch_size)):
            start, stop = X.indptr[first], X.indptr[min(first + batch_size, X.shape[0])]
            for array, values in zip(self, (row, X.indices, X.data), strict=True):
                array[batch, : stop - start] = values[start:stop]
                array[batch, stop - start :] = 0


class SparseBuffers(NamedTuple):
    """Memory for a chunk of sparse mini-batches, with the methods of `DenseBuffers`."""

    inputs: SparseRows
    targets: SparseRows
    weight: Floats

    @classmethod
    def allocate(
        cls, shape: tuple[int, int], n_entries: int, *, separate_targets: bool
    ) -> "SparseBuffers":
        """Allocate buffers for ``shape`` = (n_steps, batch_size) rows."""
        inputs = SparseRows.allocate(shape[0], n_entries)
        targets = SparseRows.allocate(shape[0], n_entries) if separate_targets else inputs
        return cls(inputs, targets, aligned_zeros(shape))

    def batches(self, start: int, stop: int) -> "SparseBuffers":
        """Return a view of a range of mini-batches."""
        inputs, targets = (
            SparseRows(*(array[start:stop] for array in rows))
            for rows in (self.inputs, self.targets)
        )
        return SparseBuffers(inputs, targets, self.weight[start:stop])

    def fill(self, reader: Reader, part: Array, _: EpochNoise | None) -> int:
        """Write the rows of a part, and return their number; corrupted rows are not sparse."""
        rows, index = reader.rows, np.asarray(reader.rows.index)[part]
        for matrix, own in zip(rows.matrices, (self.inputs, self.targets), strict=False):
            own.write(sparse_rows(matrix, index), self.weight.shape[1])
        weight = self.weight.reshape(-1)
        weight[: len(index)], weight[len(index) :] = rows.weights(index), 0
        return len(index)


def sparse_rows(X: Matrix, index: Array) -> Matrix:
    """Return rows of a dense or CSR matrix as a CSR array in float32, without zeros."""
    rows = sparse.csr_array(csr_rows(X, index) if sparse.issparse(X) else _dense_rows(X, index))
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def _dense_rows(X: Array, index: Array) -> Floats:
    with as_float32():
        return X[index].astype(np.float32, copy=False)


def as_csr(rows: Rows) -> Rows:
    """Return the rows that are used as CSR matrices; CSR matrices stay as they are.

    Finding the values of dense rows takes ten times as long as copying those of CSR rows, so that
    it must not be done in every epoch.
    """
    if all(map(sparse.issparse, rows.matrices)):
        return rows
    index = np.asarray(rows.index)
    inputs, *targets = (
        sparse.vstack([sparse_rows(X, block) for block in _blocks(rows)], format="csr")
        for X in rows.matrices
    )
    own_targets = targets[0] if targets else None
    return Rows(inputs, own_targets, rows.weights(index), np.arange(len(index)))


def _blocks(rows: Rows) -> list[Array]:
    """Return the numbers of the rows that are used, in blocks."""
    index, step = np.asarray(rows.index), max(1, BLOCK_VALUES // rows.inputs.shape[1])
    return [index[start : start + step] for start in range(0, len(index), step)]


def count_values(rows: Rows, share: float) -> Array | None:
    """Count the values of each row that are not zero; return None if they are a larger share.

    Parameters
    ----------
    rows : Rows
        Rows in memory.
    share : float
        A share of all values.

    Returns
    -------
    counts : ndarray of shape (n_rows,) or None
        The counts of the rows that are used: the larger of inputs and targets.
    """
    most = share * len(rows.index) * rows.inputs.shape[1]
    counts = []
    for X in rows.matrices:
        of_blocks, total = [], 0
        for block in _blocks(rows):
            of_blocks.append(_count(X, block))
            total += int(of_blocks[-1].sum())
            if total > most:
                return None
        counts.append(np.concatenate(of_blocks))
    return np.max(counts, axis=0)


def _count(X: Matrix, index: Array) -> Array:
    """Count the values of rows that are not zero."""
    if sparse.issparse(X):
        return np.diff(sparse_rows(X, index).indptr)
    return np.count_nonzero(_dense_rows(X, index), axis=1)


def most_values(counts: Array, batch_size: int) -> int:
    """Return the number of values in the fullest mini-batch of rows with these numbers."""
    return int(np.add.reduceat(counts, np.arange(0, len(counts), batch_size)).max())


def round_up(n: int) -> int:
    """Round up by half at most, to a number that most similar fits share, and with it a program."""
    unit = 1 << max(n.bit_length() - 2, 0)
    return -(-n // unit) * unit
