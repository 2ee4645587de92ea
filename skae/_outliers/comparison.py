"""Comparison of rows with reference points: scores, the share of each column, expected values.

A row and its error of reconstruction, in units of each column's usual error, make a point with two
coordinates for each column.  The score is minus the mean squared distance to the nearest reference
points, which are centres of the points of the rows of the fit.  The row itself keeps rows that are
far away from being normal, even if the network reconstructs them.  The errors find rows that are
near the others, but break the relation between columns.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._outliers.scaling import Scaling
from skae._rows.dtypes import output_dtype
from skae._rows.finite import check_finite, check_results
from skae._rows.output import write_blocks
from skae._typing import Array, Matrix

BLOCK_ROWS = 4096  # rows at a time; their distances to 128 references take 4 MiB
ERROR_WEIGHT = 0.5  # of a squared error, beside a squared value; chosen on ADBench's sets


@dataclass(frozen=True)
class Member:
    """A network, and the reference points that it compares rows with.

    Attributes
    ----------
    autoencoder : estimator
        Fitted to scaled rows.
    units : ndarray of shape (n_features,)
        Error of each column that counts as 1: the root mean square over rows that were not trained
        on, divided by the root of ``ERROR_WEIGHT``.
    references : ndarray of shape (n_references, 2 * n_features)
        The reference points: values and errors.
    """

    autoencoder: Any
    units: Array
    references: Array

    def points(self, Z: Array) -> Array:
        """Return the points of scaled rows."""
        errors = (Z - self.autoencoder.reconstruct(Z)) / self.units.astype(Z.dtype)
        return np.concatenate([Z, errors], axis=1)

    def scores(self, Z: Array, n_neighbors: int) -> Array:
        """Return the score of each scaled row: at most 0, and higher is more normal."""
        points = self.points(Z)
        distances = self._distances(points)
        n = min(n_neighbors, distances.shape[1])
        distances.partition(n - 1, axis=1)
        mean = distances[:, :n].mean(axis=1) + np.einsum("ij,ij->i", points, points)
        return np.minimum(mean / -Z.shape[1], 0)

    def column_scores(self, Z: Array, n_neighbors: int) -> Array:
        """Return what each column adds to minus the score, of shape (n_rows, n_features)."""
        points = self.points(Z)
        nearest = self._nearest(points, n_neighbors)
        total = np.zeros_like(points)
        for numbers in nearest.T:
            total += (points - self.references[numbers]) ** 2
        values, errors = np.hsplit(total, 2)
        return (values + errors) / (nearest.shape[1] * Z.shape[1])

    def expected(self, Z: Array, n_neighbors: int) -> Array:
        """Return the reconstruction of the mean of the nearest references, in scaled units.

        References near an outlier are often unusual themselves, and their reconstruction is less
        so.
        """
        values = self.references[:, : Z.shape[1]].astype(Z.dtype)
        nearest = self._nearest(self.points(Z), n_neighbors)
        total: Array = functools.reduce(np.add, (values[numbers] for numbers in nearest.T))
        expected: Array = self.autoencoder.reconstruct(total / nearest.shape[1])
        return expected

    def _nearest(self, points: Array, n_neighbors: int) -> Array:
        """Return the numbers of the nearest references of each row, in any order."""
        n = min(n_neighbors, len(self.references))
        return np.argpartition(self._distances(points), n - 1, axis=1)[:, :n]

    def _distances(self, points: Array) -> Array:
        """Return squared distances to the references' points, less the rows' own squares."""
        others = self.references.astype(points.dtype, copy=False)
        distances: Array = points @ (-2 * others.T)
        distances += np.einsum("ij,ij->i", others, others)
        return distances


def scaled_blocks(X: Matrix, scaling: Scaling) -> Iterator[tuple[slice, Array]]:
    """Yield the rows of X in scaled blocks, after checking them for NaN and infinity."""
    dtype = output_dtype(X)
    for start in range(0, X.shape[0], BLOCK_ROWS):
        rows = slice(start, min(start + BLOCK_ROWS, X.shape[0]))
        block = X[rows]
        check_finite("X", block, start)
        with np.errstate(over="ignore"):
            Z = scaling(block, dtype)
        check_results(Z, start)
        yield rows, Z


def average(
    members: Sequence[Member],
    X: Matrix,
    scaling: Scaling,
    n_neighbors: int,
    function: Callable[[Member, Array, int], Array],
    width: tuple[int, ...] = (),
    out: Any = None,
    finish: Callable[[Array], Array] = np.asarray,
) -> Any:
    """Write the mean over the members of a function of scaled rows to ``out`` or a new array.

    Parameters
    ----------
    members : sequence of Member
        The members.
    X : matrix
        The rows.
    scaling : Scaling
        The map from X to scaled rows.
    n_neighbors : int
        Number of references that a row is compared with.
    function : callable
        Returns an array of shape ``(n_rows, *width)`` for a member, scaled rows and
        ``n_neighbors``.
    width : tuple of int, default=()
        Shape of the result for one row.
    out : object with shape, dtype and item assignment, default=None
        Where to write.
    finish : callable, default=numpy.asarray
        Applied to the mean.
    """

    def blocks() -> Iterator[tuple[slice, Array]]:
        for rows, Z in scaled_blocks(X, scaling):
            with np.errstate(over="ignore", invalid="ignore"):
                mean = functools.reduce(
                    np.add, (function(m, Z, n_neighbors) for m in members)
                ) / len(members)
            check_results(mean, rows.start)
            yield rows, finish(mean)

    return write_blocks(blocks(), (X.shape[0], *width), output_dtype(X), out, X)
