"""`BaseAutoencoder`: the methods that all autoencoders share."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae._checks import unchanged_on_error
from skae._corruption.base import Corruption
from skae._engine.limits import Limits
from skae._estimators.describe import takes_gaps
from skae._estimators.docs import shared_docs
from skae._estimators.fitting import fitted_attributes
from skae._estimators.inputs import check_codes, check_rows, check_weight, labels_of_step
from skae._estimators.parameters import check_decodes, check_features
from skae._estimators.routing import PREFIXES, check_names, declare_parameters, routed_parameters
from skae._interop import copies, html, keras_models, onnx, pickling
from skae._network.features import n_features_out
from skae._network.inference import Network
from skae._rows.finite import finite_mean
from skae._tables.inputs import categories, probabilities, refuse_out, restore
from skae._training.watchers.sklearn_callbacks import CallbackSupportMixin


@shared_docs
class BaseAutoencoder(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    ABC,
):
    """Base class of the autoencoders.  A subclass decides how training corrupts its inputs."""

    _limits: ClassVar[Limits] = Limits()
    _network: Network
    features: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declare_parameters(cls)

    @abstractmethod
    def _corruption(
        self, bounded: bool, paired: bool, n_features: int | None = None
    ) -> Corruption | None:
        """Check the parameters of the corruption, and return the corruption or None.

        ``bounded`` is True if the targets are in [0, 1].  ``paired`` is True if the user passed
        both inputs and targets.  The parameters must suit rows with ``n_features`` features; None
        leaves that unchecked.
        """

    # Pipelines must not route ``out`` as metadata.
    __metadata_request__transform: ClassVar = {"out": UNUSED}
    __metadata_request__inverse_transform: ClassVar = {"out": UNUSED}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, including those of the optimizer and the loss.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of nested estimators, such as a corruption.

        Returns
        -------
        params : dict
            Values by name.
        """
        return super().get_params(deep) | routed_parameters(self)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, including those of the optimizer and the loss.

        Parameters
        ----------
        **params : dict
            Values by name, such as ``n_components=16`` or ``optimizer__beta_1=0.8``.  `fit` checks
            the values, and the names after ``optimizer__`` and ``loss__``.

        Returns
        -------
        self : estimator
            The estimator.

        Raises
        ------
        ValueError
            If a name is not that of a parameter.  No parameter is set then.
        """
        check_names(self, params)
        routed = {name: params[name] for name in params if name.startswith(PREFIXES)}
        with unchanged_on_error(self):
            super().set_params(**{name: params[name] for name in params if name not in routed})
            self.__dict__.update(routed)
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit to rows, and encode them.

        Parameters
        ----------
        {X_fit}
        y : array-like, default=None
            Ignored.  It may have several columns, but not the shape of X, which `fit` refuses.
        **fit_params : dict
            Other arguments of `fit`.

        Returns
        -------
        {codes}
        """
        return super().fit_transform(X, labels_of_step(X, y), **fit_params)

    def transform(self, X: Any, *, out: Any = None) -> Any:
        """Encode rows.

        Parameters
        ----------
        {X}
        out : array of shape (n_samples, n_features_out), default=None
        {out}

        Returns
        -------
        {codes}

        Raises
        ------
        {use_raises}
        """
        check_is_fitted(self)
        return self._network.encode(self._checked(X), out, check_features(self))

    def inverse_transform(self, X: Any, *, out: Any = None) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : {array-like, source} of shape (n_samples, n_features_out)
            Rows like those that `transform` returns; a source is read in blocks.
        out : array of shape (n_samples, n_features), default=None
        {out}

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            The rows: float32 if X is float32, else float64; a frame if `fit` had categories.

        Raises
        ------
        ValueError
            If X does not have the features of `transform`, holds NaN, infinity or masked values, if
            a result overflows its dtype, or if ``features`` does not determine the code.
        """
        check_is_fitted(self)
        features = check_decodes(self)
        refuse_out(self, out)
        rows = self._network.decode(check_codes(self, X, self._n_features_out), out, features)
        return restore(self, rows, X)

    def reconstruct(self, X: Any, *, out: Any = None) -> Any:
        """Encode rows and decode their codes.

        Parameters
        ----------
        {X}
        out : array of shape (n_samples, n_features), default=None
        {out}

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            The rows: float32 if X is float32, else float64; a frame if `fit` had categories.

        Raises
        ------
        {use_raises}
        """
        check_is_fitted(self)
        refuse_out(self, out)
        return restore(self, self._network.reconstruct(self._checked(X), out), X)

    def reconstruct_proba(self, X: Any) -> dict[str, Any]:
        """Reconstruct the categories of rows as probabilities.

        Parameters
        ----------
        {X}

        Returns
        -------
        probabilities : dict of str to ndarray of shape (n_samples, n_categories)
            The probabilities of the ``categories_`` of each categorical column, by its name.

        Raises
        ------
        {use_raises}
        """
        check_is_fitted(self)
        return probabilities(self, self._network.reconstruct(self._checked(X)))

    @property
    def categories_(self) -> dict[str, list[Any]]:
        """Categories of each categorical column, by its name."""
        return categories(self)

    def score_samples(self, X: Any, *, out: Any = None) -> Any:
        """Measure how well each row is reconstructed.

        Parameters
        ----------
        {X}
        out : array of shape (n_samples,), default=None
        {out}

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean squared error over the known features of each row, in squared units of
            X; see ``feature_weights`` and ``categorical_features``.  At most 0; higher is better.

        Raises
        ------
        {use_raises}
        """
        check_is_fitted(self)
        return self._network.scores(self._checked(X), out)

    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:
        """Measure how well all rows are reconstructed.

        Parameters
        ----------
        {X}
        {y_of_score}
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.  Not negative, and not zero for every row.

        Returns
        -------
        score : float
            Mean of `score_samples`, weighted by ``sample_weight``: at most 0, and higher is better.
            It is rounded to seven digits, so that the threads of the BLAS library change nothing.

        Raises
        ------
        {use_raises}
        """
        check_is_fitted(self)
        scores = self._network.scores(self._checked(X), dtype=np.dtype(np.float64))
        weight = None if sample_weight is None else check_weight(self, scores, sample_weight)
        return float(f"{finite_mean(scores, weight):.7g}")

    @property
    def encoder_(self) -> Any:
        """Keras model from rows to codes."""
        return keras_models.models_of(self)[0]

    @property
    def decoder_(self) -> Any:
        """Keras model from codes to rows."""
        return keras_models.models_of(self)[1]

    @property
    def autoencoder_(self) -> Any:
        """Keras model from rows to their reconstructions; shares the layers of the others."""
        return keras_models.models_of(self)[2]

    @classmethod
    def from_keras(cls, encoder: Any, decoder: Any, **params: Any) -> Self:
        """Make a fitted estimator of a Keras encoder and decoder.

        {from_keras}

        Examples
        --------
        >>> import keras, numpy as np
        >>> encoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
        >>> decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8)])
        >>> from skae import DeepAutoencoder
        >>> autoencoder = DeepAutoencoder.from_keras(encoder, decoder, epochs=5)
        >>> autoencoder.transform(np.ones((3, 8))).shape
        (3, 2)
        """
        from skae._interop.from_keras import read

        network, found = read(encoder, decoder, params)
        estimator: Any = cls(**found, **params)
        estimator.n_features_in_ = network.spec.n_features
        estimator._bounded = network.spec.activations[-1] == "sigmoid"
        estimator._state = None
        vars(estimator).update(fitted_attributes(network, {}))
        return estimator

    # skl2onnx looks these up on an estimator that it does not know
    onnx_parser = onnx.Hook(onnx.register)
    onnx_shape_calculator = onnx.Hook(onnx.shape_calculator)
    onnx_converter = onnx.Hook(onnx.converter)

    def _checked(self, X: Any) -> Any:
        """Return rows for the network, which checks their values itself."""
        return check_rows(self, X, finite=False, gaps=self._network.spec.has_gaps)

    @property
    def _n_features_out(self) -> int:
        return n_features_out(self._network.spec, check_features(self))

    def __sklearn_is_fitted__(self) -> bool:
        return "_network" in vars(self)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = takes_gaps(vars(self))
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @available_if(__sklearn_is_fitted__)
    def _sk_visual_block_(self) -> html.Block:
        return html.block(self._network)

    def __dir__(self) -> list[str]:
        return keras_models.visible_names(self)

    def __getstate__(self) -> dict[str, Any]:
        return pickling.pack(super().__getstate__())

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Describe the estimator to pickle; skops calls `__getstate__` instead."""
        make, arguments, state, *rest = super().__reduce_ex__(protocol)
        return make, arguments, pickling.pack_objects(state), *rest

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(pickling.unpack(state, type(self)))

    def __sklearn_clone__(self) -> Self:
        return copies.clone(self)

    def __copy__(self) -> Self:
        return copies.shallow_copy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copies.deep_copy(self, memo)
