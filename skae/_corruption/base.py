"""The interface of corruptions, and the base class of those that are transformers."""

from abc import ABC, abstractmethod
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from skae._checks import make_seed, unchanged_on_error
from skae._rows.dtypes import check_dtype, output_dtype, without_array_api
from skae._rows.finite import check_finite
from skae._rows.readable import readable
from skae._typing import Array, Rng
from skae._version import stamp, upgrade


@runtime_checkable
class Corruption(Protocol):
    """The method that `skae.DenoisingAutoencoder` calls."""

    def corrupt(self, X: Array, rng: Rng) -> Array:
        """Return a corrupted copy of rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The clean rows.  They are read-only, and float32 in training.
        rng : numpy.random.Generator
            Generator of all random numbers.

        Returns
        -------
        X_corrupted : ndarray of shape (n_samples, n_features)
            The corrupted rows, in the dtype of X.
        """


def corrupt_copy(corruption: Corruption, X: Array, rng: Rng) -> Array:
    """Call ``corruption.corrupt`` on a read-only view of ``X``, and check the result's shape.

    In training, ``X`` holds the targets, so a corruption must not change it.  An overflow is no
    error here: the caller checks the result.
    """
    rows = X.view()
    rows.flags.writeable = False
    with np.errstate(over="ignore"):
        corrupted = np.asarray(corruption.corrupt(rows, rng))
    if corrupted.shape != X.shape:
        raise ValueError(
            f"{type(corruption).__name__}.corrupt must return an array of the shape of its rows, "
            f"{X.shape}; got shape {corrupted.shape}."
        )
    return corrupted


class CorruptingTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, ABC):
    """A corruption that is a scikit-learn transformer."""

    random_state: int | np.random.RandomState | None

    @property
    def _makes_gaps(self) -> bool:
        """Whether the corrupted rows may have NaN, as an unknown value."""
        return False

    @abstractmethod
    def corrupt(self, X: Array, rng: Rng) -> Array:
        """Return a corrupted copy of rows, drawn from a generator.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The clean rows, float32 or float64.
        rng : numpy.random.Generator
            Generator of all random numbers.

        Returns
        -------
        X_corrupted : ndarray of shape (n_samples, n_features)
            The corrupted rows, in the dtype of X.
        """

    @abstractmethod
    def _check_parameters(self, n_features: int | None = None) -> None:
        """Raise ValueError or TypeError unless the parameters are as documented.

        If ``n_features`` is given, they must also suit rows with this number of features.
        """

    @without_array_api
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters, and store the number and the names of the features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : None
            Ignored.

        Returns
        -------
        self : estimator
            The transformer.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of its range or does not suit the number of features, or if X is
            empty, or contains NaN or infinity.
        """
        self._check_parameters()
        with unchanged_on_error(self):
            rows = _check_rows(self, X, reset=True)
            self._check_parameters(rows.shape[1])
        return self

    @without_array_api
    def transform(self, X: Any) -> Any:
        """Return a corrupted copy of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        X_corrupted : ndarray of shape (n_samples, n_features)
            The corrupted rows: float32 if X is float32, else float64.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of its range or does not suit the number of features, if X does
            not have the features seen in `fit` or contains NaN or infinity, or if the result
            overflows its dtype.
        """
        self._check_parameters()
        X = _check_rows(self, X, reset=False)
        self._check_parameters(X.shape[1])
        rng = np.random.default_rng(make_seed(self.random_state))
        corrupted = corrupt_copy(self, X.astype(output_dtype(X), copy=False), rng)
        if np.isinf(corrupted).any() or (np.isnan(corrupted).any() and not self._makes_gaps):
            raise ValueError(
                f"The corrupted X overflows {corrupted.dtype}: scale X, or corrupt it less."
            )
        return corrupted

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


def _check_rows(transformer: Any, X: Any, *, reset: bool) -> Array:
    """Return the rows of X as an array of finite numbers."""
    with readable("X", X):
        rows = validate_data(transformer, X, reset=reset, ensure_all_finite=False)
        rows = check_dtype(transformer, "X", rows)
    check_finite("X", rows)
    return rows
