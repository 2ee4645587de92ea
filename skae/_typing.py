"""Types that many signatures share."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float32]
Matrix = Any  # an array, a sparse matrix or a `Source`; SciPy's matrices have no types
Tensor = Any  # TensorFlow has no types
Rng = np.random.Generator
History = dict[str, list[float]]  # a list for each name, with one number for each epoch
Activation = str | Callable[..., Any]
Layers = Sequence[tuple[Array, Array, Callable[[Array], Array]]]


class RowMatrix(Protocol):
    """Rows of numbers: the methods that arrays, sparse matrices and a `Source` share."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows and number of features."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Return a range of rows."""

    def min(self) -> Any:
        """Return the lowest value."""

    def max(self) -> Any:
        """Return the highest value."""

    def sum(self) -> Any:
        """Return the sum of all values."""


class EpochNoise(Protocol):
    """Corruption of the inputs of training, drawn again in every epoch."""

    def start(self, rng: Rng) -> None:
        """Begin an epoch; all its random numbers come from ``rng``."""

    def __call__(self, clean: Floats, out: Floats) -> None:
        """Write a corrupted copy of rows to an array.

        Parameters
        ----------
        clean : ndarray of shape (n_rows, n_features)
            Clean rows, which stay as they are.
        out : ndarray of shape (n_rows, n_features)
            Array for the corrupted rows.  It shares no memory with ``clean``.
        """
