"""`MaskingNoise`."""

import numpy as np

from skae._checks import check_number, check_random_state
from skae._corruption.base import CorruptingTransformer
from skae._typing import Array, Rng


class MaskingNoise(CorruptingTransformer):
    """Replace a random share of the values by a constant.

    A `DenoisingAutoencoder` that is trained with it learns to predict values from the other values
    of the row.  Its codes give better classifiers than those of an autoencoder that is trained
    without noise [1]_.

    Parameters
    ----------
    fraction : float, default=0.25
        Probability with which each value is replaced, in [0, 1].
    fill_value : float, default=0
        The value that replaces them, in the units of X.
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
        fraction: float = 0.25,
        *,
        fill_value: float = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.fraction = fraction
        self.fill_value = fill_value
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
        replaced = rng.random(X.shape, dtype=np.float32) < self.fraction
        return np.where(replaced, X.dtype.type(self.fill_value), X)

    def _check_parameters(self) -> None:
        """Raise ValueError or TypeError unless the parameters are as documented."""
        check_number("fraction", self.fraction, low=0, high=1)
        check_number("fill_value", self.fill_value, low=-np.inf)
        check_random_state(self.random_state)
