"""`GaussianNoise`."""

import numpy as np

from skae._checks import check_clip, check_random_state
from skae._corruption.base import CorruptingTransformer
from skae._corruption.cells import PerFeature, check_per_feature
from skae._typing import Array, Rng


class GaussianNoise(CorruptingTransformer):
    """Add independent normal noise to every value.

    Use it to make test data for a denoiser, to augment data, or to measure how robust a pipeline
    is.  In a pipeline, it adds noise in ``predict`` as well as in ``fit``.  To train a denoiser,
    pass it to `DenoisingAutoencoder` as ``corruption``: every training step then draws new noise.

    Parameters
    ----------
    scale : float or array-like of shape (n_features,), default=0.5
        Standard deviation of the noise, in the units of X.  At least 0.  A list, tuple or array has
        one value for each feature.
    clip : tuple of (float, float) or None, default=None
        Lowest and highest value of the noisy rows, such as ``(0, 1)`` for images.  None does not
        limit them.
    random_state : int, RandomState instance or None, default=None
        Determines the noise that `transform` adds.  An int gives the same noise in every call.
        `DenoisingAutoencoder` ignores it, and uses its own ``random_state``.

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
    SwapNoise : Replaces a random share of the values by those of other rows.
    DenoisingAutoencoder : Learns to remove noise.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import GaussianNoise
    >>> X = np.full((2, 3), 0.5)
    >>> GaussianNoise(scale=0.1, clip=(0, 1), random_state=0).fit_transform(X).round(2)
    array([[0.5 , 0.65, 0.5 ],
           [0.6 , 0.56, 0.36]])
    """

    def __init__(
        self,
        scale: PerFeature = 0.5,
        *,
        clip: tuple[float, float] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.scale = scale
        self.clip = clip
        self.random_state = random_state

    def corrupt(self, X: Array, rng: Rng) -> Array:
        """Return a copy of X with noise.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The clean rows, float32 or float64.
        rng : numpy.random.Generator
            Generator of the noise.

        Returns
        -------
        X_noisy : ndarray of shape (n_samples, n_features)
            The noisy rows, in the dtype of X.
        """
        noisy = rng.standard_normal(X.shape, dtype=X.dtype.type)
        noisy *= np.asarray(self.scale, X.dtype)  # float64 would round differently than float32
        noisy += X
        if self.clip is None:
            return noisy
        return np.clip(noisy, *map(X.dtype.type, self.clip), out=noisy)

    def _check_parameters(self, n_features: int | None = None) -> None:
        """Raise ValueError or TypeError unless the parameters are as documented."""
        check_per_feature("scale", self.scale, n_features, low=0)
        check_clip(self.clip)
        check_random_state(self.random_state)
