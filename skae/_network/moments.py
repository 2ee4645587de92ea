"""Mean and variance of the rows to reconstruct."""

from typing import Any

import numpy as np

from skae._rows.readers import make_reader
from skae._rows.rows import Rows
from skae._typing import Array

BLOCK_VALUES = 1 << 20  # how many values are converted to float64 at once


def moments(rows: Rows) -> tuple[Array, Array]:
    """Compute mean and variance of each column, with the weights of the rows.

    One pass over the rows, block by block.  Values are taken relative to the first of each column:
    otherwise the variance of rows far from zero would be lost in rounding.  NaN does not count.

    Parameters
    ----------
    rows : Rows
        The rows; their targets count if they have any, else their inputs.

    Returns
    -------
    mean, variance : ndarray of shape (n_features,)
        In float64.  Both are zero for a column without any value.
    """
    n_features = rows.inputs.shape[1]
    capacity = min(max(1, BLOCK_VALUES // n_features), len(rows.index))
    reader = make_reader(rows, capacity)
    buffers = [np.empty((capacity, n_features), np.float32) for _ in rows.matrices]
    buffers.append(np.empty(capacity, np.float32))
    origin = np.full(n_features, np.nan)
    total: Any = 0.0
    sums, squares = np.zeros(n_features), np.zeros(n_features)
    for part in reader.in_order():
        n_rows = reader.take(part, buffers)
        block, weight = buffers[-2][:n_rows].astype(np.float64), buffers[-1][:n_rows]
        known = ~np.isnan(block)
        if np.isnan(origin).any():
            origin = np.where(np.isnan(origin), _first(block, known), origin)
        block -= origin
        if known.all():
            total = total + weight.sum(dtype=np.float64)
        else:
            block[~known] = 0
            total = total + weight.astype(np.float64) @ known
        sums += weight @ block
        squares += weight @ np.square(block, out=block)
    total = np.maximum(total, np.finfo(np.float64).tiny)  # zero for a column without any value
    mean = sums / total
    return np.nan_to_num(origin) + mean, np.maximum(squares / total - mean**2, 0)


def _first(block: Array, known: Array) -> Array:
    """Return the first known value of each column, or NaN if there is none."""
    return block[known.argmax(axis=0), np.arange(block.shape[1])]
