"""`SaltAndPepperNoise`."""

import numpy as np

from skae._checks import check_number, check_random_state
from skae._corruption.base import CorruptingTransformer
from skae._corruption.cells import PerFeature, check_cells, check_per_feature, choose_cells
from skae._typing import Array, Rng


class SaltAndPepperNoise(CorruptingTransformer):
    """Replace a random share of the values by a high value (salt) or a low one (pepper).

    In images, the replaced pixels become white or black [1]_.

    Parameters
    ----------
    fraction : float or array-like of shape (n_features,), default=0.1
        Probability with which each value is replaced, in [0, 1].  A list, tuple or array has one
        probability for each feature.
    salt_vs_pepper : float, default=0.5
        Probability with which a replaced value becomes ``high`` instead of ``low``, in [0, 1].
    low, high : float or array-like of shape (n_features,), default=0 and 1
        The values of pepper and of salt, in the units of X.  ``low`` must be at most ``high``.  The
        defaults are black and white in images with pixels in [0, 1].  A list, tuple or array has
        one value for each feature, such as ``X.min(axis=0)`` and ``X.max(axis=0)``.
    random_state : int, RandomState instance or None, default=None
        Determines which values `transform` replaces, and by what.  An int gives the same choice in
        every call.  `DenoisingAutoencoder` ignores it, and uses its own ``random_state``.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, if all names of X are strings.

    See Also
    --------
    MaskingNoise : Replaces a random share of the values by a constant.
    SwapNoise : Replaces a random share of the values by those of other rows.
    GaussianNoise : Adds normal noise to every value.
    DenoisingAutoencoder : Learns to remove noise.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, "Stacked Denoising
       Autoencoders: Learning Useful Representations in a Deep Network with a Local Denoising
       Criterion", Journal of Machine Learning Research 11, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import SaltAndPepperNoise
    >>> X = np.full((2, 6), 0.5)
    >>> SaltAndPepperNoise(fraction=0.4, random_state=0).fit_transform(X)
    array([[1. , 0. , 1. , 0. , 0. , 0.5],
           [0.5, 0.5, 1. , 0.5, 0. , 1. ]])
    """

    def __init__(
        self,
        fraction: PerFeature = 0.1,
        *,
        salt_vs_pepper: float = 0.5,
        low: PerFeature = 0,
        high: PerFeature = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.fraction = fraction
        self.salt_vs_pepper = salt_vs_pepper
        self.low = low
        self.high = high
        self.random_state = random_state

    def corrupt(self, X: Array, rng: Rng) -> Array:
        """Return a copy of X with a random share of the values replaced.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The clean rows, float32 or float64.
        rng : numpy.random.Generator
            Generator that chooses the values to replace, and what replaces them.

        Returns
        -------
        X_noisy : ndarray of shape (n_samples, n_features)
            The noisy rows, in the dtype of X.
        """
        noisy = X.copy()
        cells = np.flatnonzero(choose_cells(self.fraction, None, X.shape, rng))
        is_salt = rng.random(len(cells), np.float32) < np.float32(self.salt_vs_pepper)
        columns = cells % X.shape[1]
        low, high = (
            np.broadcast_to(np.asarray(value, X.dtype), X.shape[1]).take(columns)
            for value in (self.low, self.high)
        )
        noisy.ravel()[cells] = np.where(is_salt, high, low)  # a view of the rows
        return noisy

    def _check_parameters(self, n_features: int | None = None) -> None:
        """Raise ValueError or TypeError unless the parameters are as documented."""
        check_cells(self.fraction, None, n_features)
        check_number("salt_vs_pepper", self.salt_vs_pepper, low=0, high=1)
        check_per_feature("low", self.low, n_features, low=-np.inf)
        check_per_feature("high", self.high, n_features, low=-np.inf)
        if n_features is not None and np.any(np.greater(self.low, self.high)):
            raise ValueError(f"low must be at most high; got {self.low!r} and {self.high!r}.")
        check_random_state(self.random_state)
