"""Rows of numbers with columns of variance one, and rows that are equal merged to one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from skae._network.moments import moments
from skae._rows.finite import check_finite, check_results
from skae._rows.rows import Rows, all_rows
from skae._rows.sources import Source
from skae._typing import Array, Matrix


@dataclass(frozen=True)
class Scaling:
    """The map ``(X - center) / scale``, with a number for each column.

    `skae._outliers.tables.TableScaling` has the same methods, which it describes, for rows with
    categories.  Here, each column has one coordinate, and all coordinates are known.
    """

    center: Array
    scale: Array

    @classmethod
    def of(cls, X: Matrix, weight: Array) -> "Scaling":
        """Compute mean and standard deviation of each column; a constant column has scale 1."""
        mean, variance = moments(Rows(X, None, weight, all_rows(X)))
        scale = np.sqrt(variance)
        scale[scale <= np.finfo(np.float32).eps * np.abs(mean)] = 1
        return cls(mean, scale)

    @classmethod
    def identity(cls, n_features: int) -> "Scaling":
        return cls(np.zeros(n_features), np.ones(n_features))

    def __call__(self, block: Any, dtype: Any) -> Array:
        """Return a dense array of the scaled rows."""
        dense = block.toarray() if sparse.issparse(block) else np.asarray(block)
        return ((dense - self.center) / self.scale).astype(dtype, copy=False)

    def undo(self, rows: Array) -> Array:
        """Return scaled rows in the units of X."""
        return rows * self.scale + self.center

    @property
    def n_columns(self) -> int:
        return len(self.center)

    n_results = n_columns

    def block(self, rows: Any, start: int, dtype: Any) -> Array:
        """Return scaled rows after checking them; ``start`` is the number of the first."""
        check_finite("X", rows, start)
        with np.errstate(over="ignore"):
            Z = self(rows, dtype)
        check_results(Z, start)
        return Z

    def for_networks(self, X: Matrix) -> Any:
        """Return the scaled rows of ``X``: an array if it is one, else a source."""
        return self(X, np.float32) if isinstance(X, np.ndarray) else ScaledRows(X, self)

    def reconstruct(self, network: Any, Z: Array) -> Array:
        reconstructed: Array = network.reconstruct(Z)
        return reconstructed

    def fill(self, network: Any, Z: Array) -> Array:
        return Z

    def known(self, Z: Array) -> Array | None:
        return None

    def by_column(self, values: Array) -> Array:
        return values

    def spread(self, values: Array) -> Array:
        return values


class ScaledRows:
    """The scaled rows of a matrix, computed block by block while an autoencoder reads them.

    It is a source, so that neither a dense copy of sparse rows nor all rows of a file are in
    memory.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, X: Matrix, scaling: Scaling) -> None:
        self.X = X
        self.scaling = scaling
        self.shape = X.shape

    def __getitem__(self, rows: slice) -> Array:
        return self.scaling(self.X[rows], self.dtype)


def take_rows(X: Matrix, index: Array) -> Array:
    """Return the rows with these numbers, in ascending order, as a dense array."""
    if not isinstance(X, Source):
        rows = X[index]
        return rows.toarray() if sparse.issparse(rows) else rows
    found = []
    for number in range(len(X.starts)):
        start, stop = X.extent(number)
        first, last = np.searchsorted(index, (start, stop))
        if first < last:
            found.append(X.block(number)[index[first:last] - start])
    return np.concatenate(found)


def merge_equal_rows(X: Matrix, weight: Array) -> tuple[Matrix, Array]:
    """Return each distinct row of a matrix in memory once, with the sum of the weights.

    A row of weight two then gives the same bits as two equal rows.  Rows of weight zero are left
    out.  A `Source` is returned unchanged.
    """
    if isinstance(X, Source):
        return X, weight
    used = np.flatnonzero(weight)
    keys = _sparse_keys(X[used]) if sparse.issparse(X) else _dense_keys(X[used])
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return X[used[first]], np.bincount(group, weight[used])


def _dense_keys(X: Array) -> Array:
    """Return a value for each row: its bytes, with one form of zero."""
    rows = np.ascontiguousarray(X + X.dtype.type(0))
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()


def _sparse_keys(X: Any) -> Array:
    """Return a value for each row: its place among the distinct rows, in their order."""
    X = X.copy()
    X.sum_duplicates()
    X.eliminate_zeros()
    ends = zip(X.indptr[:-1], X.indptr[1:], strict=True)
    values = np.where(np.isnan(X.data), np.inf, X.data)  # NaN is not equal to itself
    keys = [(tuple(X.indices[a:b].tolist()), tuple(values[a:b].tolist())) for a, b in ends]
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    return np.array([places[key] for key in keys])
