"""`MaskingNoise`."""

import math
from numbers import Real

import numpy as np

from skae._checks import check_bool, check_number, check_random_state
from skae._corruption.base import CorruptingTransformer
from skae._corruption.cells import Groups, PerFeature, check_cells, choose_cells, rates
from skae._typing import Array, Rng


class MaskingNoise(CorruptingTransformer):
    """Replace a random share of the values by a constant.

    A `DenoisingAutoencoder` that is trained with it learns to predict values from the other values
    of the row.  Its codes give better classifiers than those of an autoencoder that is trained
    without noise [1]_.

    Parameters
    ----------
    fraction : float or array-like of shape (n_features,), default=0.25
        Probability with which each value is replaced, in [0, 1].  A list, tuple or array has one
        probability for each feature.
    fill_value : float, default=0
        The value that replaces them, in the units of X.  NaN makes them unknown: an autoencoder
        with ``missing_values="mask"`` is told which values they are, and learns to restore them.
    vary : bool, default=False
        Whether each row has its own probability: ``fraction`` times a number drawn from [0, 1).
    groups : list of lists of int or None, default=None
        Numbers of the columns that are replaced together, such as ``[[0, 1], [4, 5, 6]]`` for two
        categories in one-hot columns.  There is one random decision for each row and group.
        Groups must not share columns.  A column that is in no group is replaced by itself.
    random_state : int, RandomState instance or None, default=None
        Determines which values `transform` replaces.  An int gives the same choice in every call.
        `DenoisingAutoencoder` ignores it, and uses its own ``random_state``.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, if all names of X are strings.

    See Also
    --------
    SwapNoise : Replaces a random share of the values by those of other rows.
    SaltAndPepperNoise : Replaces a random share of the values by a low or a high value.
    GaussianNoise : Adds normal noise to every value.
    DenoisingAutoencoder : Learns to remove noise.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and Composing Robust
       Features with Denoising Autoencoders", ICML 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import MaskingNoise
    >>> X = np.ones((2, 6))
    >>> MaskingNoise(fraction=0.4, random_state=0).fit_transform(X)
    array([[0., 0., 0., 0., 0., 1.],
           [1., 1., 0., 1., 0., 0.]])
    """

    def __init__(
        self,
        fraction: PerFeature = 0.25,
        *,
        fill_value: float = 0,
        vary: bool = False,
        groups: Groups = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.fraction = fraction
        self.fill_value = fill_value
        self.vary = vary
        self.groups = groups
        self.random_state = random_state

    def corrupt(self, X: Array, rng: Rng) -> Array:
        """Return a copy of X with a random share of the values replaced.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The clean rows, float32 or float64.
        rng : numpy.random.Generator
            Generator that chooses the values to replace.

        Returns
        -------
        X_masked : ndarray of shape (n_samples, n_features)
            The masked rows, in the dtype of X.
        """
        shares = rng.random((len(X), 1), np.float32) if self.vary else np.float32(1)
        replaced = choose_cells(rates(self.fraction) * shares, self.groups, X.shape, rng)
        return np.where(replaced, X.dtype.type(self.fill_value), X)

    def _check_parameters(self, n_features: int | None = None) -> None:
        """Raise ValueError or TypeError unless the parameters are as documented."""
        check_cells(self.fraction, self.groups, n_features)
        if not self._makes_gaps:
            check_number("fill_value", self.fill_value, low=-np.inf)
        check_bool("vary", self.vary)
        check_random_state(self.random_state)

    @property
    def _makes_gaps(self) -> bool:
        return isinstance(self.fill_value, Real) and math.isnan(self.fill_value)
