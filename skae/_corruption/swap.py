"""`SwapNoise`."""

import numpy as np

from skae._checks import check_random_state
from skae._corruption.base import CorruptingTransformer
from skae._corruption.cells import Groups, PerFeature, check_cells, choose_cells, number_units
from skae._typing import Array, Rng


class SwapNoise(CorruptingTransformer):
    """Replace a random share of the values by the values of other rows in the same columns.

    A replaced value is always one that its column can have.  Therefore this noise suits tables with
    columns of different units, ranges and categories [1]_ [2]_.  Each replaced value has a donor
    row of its own, which is drawn from the other rows of the mini-batch in training, and from the
    other rows of X in `transform`.  A row without other rows stays unchanged, so a denoiser with
    ``batch_size=1`` trains without noise.

    Parameters
    ----------
    fraction : float or array-like of shape (n_features,), default=0.15
        Probability with which each value is replaced, in [0, 1].  A list, tuple or array has one
        probability for each feature.  The donor may have the same value, so fewer values change.
    groups : list of lists of int or None, default=None
        Numbers of the columns that are replaced together, such as ``[[0, 1], [4, 5, 6]]`` for two
        categories in one-hot columns.  There is one random decision and one donor for each row and
        group.  Groups must not share columns.  A column that is in no group is replaced by itself.
    random_state : int, RandomState instance or None, default=None
        Determines which values `transform` replaces, and the donors.  An int gives the same choice
        in every call.  `DenoisingAutoencoder` ignores it, and uses its own ``random_state``.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, if all names of X are strings.

    See Also
    --------
    MaskingNoise : Replaces a random share of the values by a constant.
    SaltAndPepperNoise : Replaces a random share of the values by a low or a high value.
    GaussianNoise : Adds normal noise to every value.
    DenoisingAutoencoder : Learns to remove noise.

    References
    ----------
    .. [1] M. Jahrer, winning solution of "Porto Seguro's Safe Driver Prediction", Kaggle 2017.
    .. [2] J. Yoon, Y. Zhang, J. Jordon and M. van der Schaar, "VIME: Extending the Success of
       Self- and Semi-supervised Learning to Tabular Domain", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import SwapNoise
    >>> X = np.arange(12).reshape(3, 4)
    >>> SwapNoise(fraction=0.5, random_state=0).fit_transform(X)
    array([[ 4.,  9.,  6., 11.],
           [ 0.,  5., 10.,  7.],
           [ 4.,  9.,  2.,  7.]])
    """

    def __init__(
        self,
        fraction: PerFeature = 0.15,
        *,
        groups: Groups = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.fraction = fraction
        self.groups = groups
        self.random_state = random_state

    def corrupt(self, X: Array, rng: Rng) -> Array:
        """Return a copy of X with a random share of the values taken from other rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The clean rows, float32 or float64.
        rng : numpy.random.Generator
            Generator that chooses the values to replace, and their donors.

        Returns
        -------
        X_swapped : ndarray of shape (n_samples, n_features)
            The rows with swapped values, in the dtype of X.
        """
        swapped = X.copy()
        if len(X) > 1:
            values = swapped.ravel()  # a view
            cells = np.flatnonzero(choose_cells(self.fraction, self.groups, X.shape, rng))
            distances = self._draw_distances(cells, X.shape, rng) * X.shape[1]
            values[cells] = values[(cells + distances) % X.size]
        return swapped

    def _draw_distances(self, cells: Array, shape: tuple[int, ...], rng: Rng) -> Array:
        """Return by how many rows each cell's donor is below it; the first row follows the last."""
        n_rows, n_features = shape
        if self.groups is None:
            return rng.integers(1, n_rows, len(cells))
        units = number_units(self.groups, n_features)
        return rng.integers(1, n_rows, (n_rows, units.max() + 1)).take(units, axis=1).take(cells)

    def _check_parameters(self, n_features: int | None = None) -> None:
        """Raise ValueError or TypeError unless the parameters are as documented."""
        check_cells(self.fraction, self.groups, n_features)
        check_random_state(self.random_state)
