"""`DeepAutoencoder`."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from skae._estimators.base import BaseAutoencoder
from skae._estimators.docs import shared_docs
from skae._estimators.fitting import Data, fit
from skae._estimators.routing import store_routed
from skae._typing import Activation


@shared_docs
class DeepAutoencoder(BaseAutoencoder):
    """Nonlinear dimensionality reduction by a deep autoencoder.

    A network of dense layers learns to reconstruct its input from a code of ``n_components``
    numbers.  `transform` computes the codes of rows, and `inverse_transform` computes rows from
    codes, as in `sklearn.decomposition.PCA`.  No *linear* network reconstructs better than PCA; a
    deep network can.

    Parameters
    ----------
    {network}
    {training}
    {routed}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DenoisingAutoencoder : Learns to remove noise.
    sklearn.decomposition.PCA : The linear counterpart.  It is much faster, and better on few rows.

    Notes
    -----
    {notes}

    References
    ----------
    G. E. Hinton and R. R. Salakhutdinov, "Reducing the Dimensionality of Data with Neural
    Networks", Science 313, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DeepAutoencoder
    >>> X = load_digits().data / 16
    >>> autoencoder = DeepAutoencoder(n_components=8, epochs=5, random_state=0).fit(X)
    >>> autoencoder.transform(X).shape
    (1797, 8)
    >>> autoencoder.reconstruct(X).shape
    (1797, 64)
    """

    def __init__(
        self,
        n_components: int = 32,
        *,
        hidden_layer_sizes: int | Sequence[int] = (128, 64),
        decoder_layer_sizes: int | Sequence[int] | None = None,
        activation: Activation = "leaky_relu",
        code_activation: Activation = "linear",
        output_activation: Activation = "auto",
        tied_weights: bool = False,
        init: str = "pca",
        features: str = "code",
        missing_values: str = "error",
        categorical_features: str | Sequence[str | int] | None = "from_dtype",
        min_frequency: float | None = None,
        handle_unknown: str = "ignore",
        feature_weights: Sequence[float] | Mapping[str, float] | None = None,
        dropout: float = 0.0,
        alpha: float = 0.0,
        code_penalty: float = 0.0,
        contraction: float = 0.0,
        loss: Any = "auto",
        optimizer: Any = "muon",
        learning_rate: float | str = "auto",
        learning_rate_schedule: str | Callable[[Any], Any] = "one_cycle",
        batch_size: int | str = "auto",
        epochs: int = 20,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        metrics: Any = None,
        warm_start: bool = False,
        callbacks: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        **routed: Any,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_layer_sizes = decoder_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.tied_weights = tied_weights
        self.init = init
        self.features = features
        self.missing_values = missing_values
        self.categorical_features = categorical_features
        self.min_frequency = min_frequency
        self.handle_unknown = handle_unknown
        self.feature_weights = feature_weights
        self.dropout = dropout
        self.alpha = alpha
        self.code_penalty = code_penalty
        self.contraction = contraction
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.metrics = metrics
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose
        store_routed(self, routed)

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None, X_val: Any = None) -> Self:
        """Train the network to reconstruct X.

        Ctrl-C ends training with a warning.  The estimator is then fitted, and has the weights of
        that moment.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            The rows.  At least two rows.  Sparse rows are made dense in parts, if at all.
        {y}
        {sample_weight}
        X_val : {array-like, sparse matrix, source} of shape (n_validation_samples, n_features), \
                default=None
            Rows to measure ``val_loss`` on after each epoch.

        Returns
        -------
        self : DeepAutoencoder
            The fitted estimator.

        Raises
        ------
        {fit_raises}
        """
        fit(self, Data(X, y, sample_weight, X_val))
        return self

    def partial_fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Train for one more epoch on X, and continue from the last call.

        {partial_fit}

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            The rows.
        {y}
        {sample_weight}

        Returns
        -------
        self : DeepAutoencoder
            The fitted estimator.

        Raises
        ------
        {fit_raises}
        """
        fit(self, Data(X, y, sample_weight), single_epoch=True)
        return self

    def _corruption(self, bounded: bool, paired: bool, n_features: int | None = None) -> None:
        return None
