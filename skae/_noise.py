"""The transformer that adds noise."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from skae._forward import output_dtype
from skae._parameters import check_clip, check_number, make_seed
from skae._validation import check_dtype, in_numpy, refuse_masked, unchanged_on_error
from skae._versions import stamp, upgrade


class GaussianNoise(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Add independent normal noise to every value.

    For test data of a denoiser, for augmentation, and for measuring how robust a pipeline
    is.  It adds noise whenever it transforms, in ``predict`` of a pipeline as in ``fit``.
    To *train* a denoiser, use `DenoisingAutoencoder`, which corrupts its clean rows anew at
    every step.

    Parameters
    ----------
    scale : float, default=0.5
        Standard deviation of the noise, in the units of X.  At least 0.
    clip : tuple of (float, float) or None, default=None
        Lowest and highest value of the result, such as ``(0, 1)`` for images.
    random_state : int, RandomState instance or None, default=None
        An int gives the same noise at every call.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, where X has names that are all strings.

    See Also
    --------
    DenoisingAutoencoder : Learns to remove the noise.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import GaussianNoise
    >>> X = np.full((2, 3), 0.5)
    >>> GaussianNoise(scale=0.1, clip=(0, 1), random_state=0).fit_transform(X).shape
    (2, 3)
    """

    def __init__(
        self,
        scale: float = 0.5,
        *,
        clip: tuple[float, float] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.scale = scale
        self.clip = clip
        self.random_state = random_state

    @in_numpy
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters, and remember the features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : None
            Ignored.

        Returns
        -------
        self : GaussianNoise
            The transformer.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or X is empty or not finite.
        """
        self._check_parameters()
        refuse_masked("X", X)
        with unchanged_on_error(self):
            check_dtype(self, "X", validate_data(self, X))
        return self

    @in_numpy
    def transform(self, X: Any) -> Any:
        """Return X with noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        X_noisy : ndarray of shape (n_samples, n_features)
            float32 where X is, else float64.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or X with its noise is beyond that dtype.
        """
        self._check_parameters()
        refuse_masked("X", X)
        X = check_dtype(self, "X", validate_data(self, X, reset=False))
        rng = np.random.default_rng(make_seed(self.random_state))
        noisy = rng.standard_normal(X.shape, dtype=output_dtype(X).type)
        with np.errstate(over="ignore"):
            noisy *= self.scale
            noisy += X
        if self.clip is not None:
            np.clip(noisy, *self.clip, out=noisy)
        if not np.isfinite(noisy).all():
            raise ValueError(
                f"X with its noise is beyond {noisy.dtype}: scale X, lower scale, or set clip."
            )
        return noisy

    def _check_parameters(self) -> None:
        check_number("scale", self.scale, low=0)
        check_clip(self.clip)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.non_deterministic = self.random_state is None
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return stamp(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(upgrade(state, type(self)))
