"""Comparison of rows with reference points: scores, the share of each column, expected values.

A row and its error of reconstruction, in units of each column's usual error, make a point with two
coordinates for each column, or for each one-hot column of a category.  The score is minus the mean
squared distance to the nearest reference points, which are centres of the points of the rows of the
fit.  The row itself keeps rows that are far away from being normal, even if the network
reconstructs them.  The errors find rows that are near the others, but break the relation between
columns.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._outliers.scaling import Scaling
from skae._outliers.tables import TableScaling
from skae._rows.dtypes import output_dtype
from skae._rows.finite import check_results
from skae._rows.output import write_blocks
from skae._typing import Array, Matrix

BLOCK_ROWS = 4096  # rows at a time; their distances to 128 references take 4 MiB
ERROR_WEIGHT = 0.5  # of a squared error, beside a squared value; chosen on ADBench's sets

AnyScaling = Scaling | TableScaling


@dataclass(frozen=True)
class Member:
    """A network, and the reference points that it compares rows with.

    Attributes
    ----------
    autoencoder : estimator
        Fitted to scaled rows, or to rows of a table.
    scaling : Scaling or TableScaling
        The map to coordinates.
    units : ndarray of shape (n_coordinates,)
        Error of each column that counts as 1: the root mean square over rows that were not trained
        on, divided by the root of ``ERROR_WEIGHT``.
    references : ndarray of shape (n_references, 2 * n_coordinates)
        The reference points: values and errors.
    """

    autoencoder: Any
    scaling: AnyScaling
    units: Array
    references: Array

    def errors(self, Z: Array) -> Array:
        """Return rows less their reconstructions."""
        return Z - self.scaling.reconstruct(self.autoencoder, Z)

    def points(self, Z: Array) -> Array:
        """Return the points of rows, which are coordinates."""
        return np.concatenate([Z, self.errors(Z) / self.units.astype(Z.dtype)], axis=1)

    def scores(self, Z: Array, n_neighbors: int) -> Array:
        """Return the score of each row: at most 0, and higher is more normal."""
        points, known = self._known_points(Z)
        distances = self._distances(points, known)
        n = min(n_neighbors, distances.shape[1])
        distances.partition(n - 1, axis=1)
        mean = distances[:, :n].mean(axis=1) + np.einsum("ij,ij->i", points, points)
        return np.minimum(mean / -self.scaling.n_columns, 0)

    def column_scores(self, Z: Array, n_neighbors: int) -> Array:
        """Return what each column adds to minus the score, of shape (n_rows, n_columns)."""
        points, known = self._known_points(Z)
        nearest = self._nearest(points, known, n_neighbors)
        total = np.zeros_like(points)
        for numbers in nearest.T:
            total += (points - self.references[numbers]) ** 2
        if known is not None:
            total[~known] = 0
        values, errors = np.hsplit(total, 2)
        return self.scaling.by_column(values + errors) / (nearest.shape[1] * self.scaling.n_columns)

    def expected(self, Z: Array, n_neighbors: int) -> Array:
        """Return the reconstruction of the mean of the nearest references, as coordinates.

        References near an outlier are often unusual themselves, and their reconstruction is less
        so.
        """
        values = self.references[:, : Z.shape[1]].astype(Z.dtype)
        nearest = self._nearest(*self._known_points(Z), n_neighbors)
        total: Array = functools.reduce(np.add, (values[numbers] for numbers in nearest.T))
        return self.scaling.reconstruct(self.autoencoder, total / nearest.shape[1])

    def _known_points(self, Z: Array) -> tuple[Array, Array | None]:
        """Return the points of rows, and which of their coordinates are known.

        Unknown coordinates are zero.  If all are known, None is returned instead of an array.
        """
        points = self.points(Z)
        known = self.scaling.known(points)
        return (points, None) if known is None else (np.where(known, points, 0), known)

    def _nearest(self, points: Array, known: Array | None, n_neighbors: int) -> Array:
        """Return the numbers of the nearest references of each row, in any order."""
        n = min(n_neighbors, len(self.references))
        return np.argpartition(self._distances(points, known), n - 1, axis=1)[:, :n]

    def _distances(self, points: Array, known: Array | None) -> Array:
        """Return squared distances to the references' points, less the rows' own squares.

        Unknown coordinates do not count.
        """
        others = self.references.astype(points.dtype, copy=False)
        distances: Array = points @ (-2 * others.T)
        if known is None:
            distances += np.einsum("ij,ij->i", others, others)
        else:
            distances += known @ (others**2).T
        return distances


def scaled_blocks(X: Matrix, scaling: AnyScaling) -> Iterator[tuple[slice, Array]]:
    """Yield the coordinates of the rows of X in blocks, after checking them."""
    dtype = output_dtype(X)
    for start in range(0, X.shape[0], BLOCK_ROWS):
        rows = slice(start, min(start + BLOCK_ROWS, X.shape[0]))
        yield rows, scaling.block(X[rows], start, dtype)


def average(
    members: Sequence[Member],
    X: Matrix,
    n_neighbors: int,
    function: Callable[[Member, Array, int], Array],
    width: tuple[int, ...] = (),
    out: Any = None,
    finish: Callable[[Array], Array] = np.asarray,
) -> Any:
    """Write the mean over the members of a function of rows to ``out`` or a new array.

    Parameters
    ----------
    members : sequence of Member
        The members, which have the same scaling.
    X : matrix
        The rows.
    n_neighbors : int
        Number of references that a row is compared with.
    function : callable
        Returns an array for a member, the coordinates of rows, and ``n_neighbors``.
    width : tuple of int, default=()
        Shape of the result for one row, after ``finish``.
    out : object with shape, dtype and item assignment, default=None
        Where to write.
    finish : callable, default=numpy.asarray
        Applied to the mean.
    """

    def blocks() -> Iterator[tuple[slice, Array]]:
        for rows, Z in scaled_blocks(X, members[0].scaling):
            with np.errstate(over="ignore", invalid="ignore"):
                mean = functools.reduce(
                    np.add, (function(m, Z, n_neighbors) for m in members)
                ) / len(members)
            check_results(mean, rows.start)
            yield rows, finish(mean)

    return write_blocks(blocks(), (X.shape[0], *width), output_dtype(X), out, X)
