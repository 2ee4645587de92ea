"""The estimators' way to Keras models, and back."""

from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from skae._forward import Network

KERAS_MODELS = ("encoder_", "decoder_", "autoencoder_")


class HasKerasModels:
    """The network of an estimator as Keras models; an estimator of Keras models."""

    _network: Network
    _keras_models: Any

    @property
    def encoder_(self) -> Any:
        """Keras model from rows to codes."""
        return self._models()[0]

    @property
    def decoder_(self) -> Any:
        """Keras model from codes to rows."""
        return self._models()[1]

    @property
    def autoencoder_(self) -> Any:
        """Keras model from rows to their reconstructions; shares the layers of the others."""
        return self._models()[2]

    def _models(self) -> Any:
        """Build the Keras models when they are first asked for."""
        check_is_fitted(self)
        if self._keras_models is None:
            try:
                from skae._keras import models_with_weights
            except ImportError as error:  # an AttributeError is what hasattr and reprs expect
                raise AttributeError(
                    "encoder_, decoder_ and autoencoder_ are Keras models and need TensorFlow, "
                    f"which could not be imported: {error}"
                ) from error
            network = self._network
            self._keras_models = models_with_weights(
                network.layer_sizes, network.activations, network.n_encoder_layers, network.weights
            )
        return self._keras_models

    def __dir__(self) -> list[str]:
        """List what there is, but no Keras models that are not built yet.

        Looking at each attribute, as scikit-learn 1.9 does here and in its HTML representation,
        must not import TensorFlow.  Completion finds the models in the class.
        """
        unbuilt = KERAS_MODELS if getattr(self, "_keras_models", None) is None else ()
        return [
            name for name in object.__dir__(self) if name not in unbuilt and hasattr(self, name)
        ]

    @classmethod
    def from_keras(cls, encoder: Any, decoder: Any, **params: Any) -> Self:
        """Make a fitted estimator of a Keras encoder and decoder.

        Their weights are copied, and the layers between the dense ones folded into these:
        BatchNormalization and Rescaling, Activation and its kin; those that do nothing at
        inference, such as Dropout, are left out, and a row is flat, whatever Flatten and Reshape
        make of it.

        `fit` trains a new network of the same widths, and `partial_fit` goes on from this one.
        Where the decoder does not mirror the encoder, the parameters describe the encoder alone:
        the estimator transforms and reconstructs, but cannot go on training.

        Parameters
        ----------
        encoder : keras.Model
            From rows to codes, a chain of layers.
        decoder : keras.Model
            From codes to rows, a chain of layers.
        **params : dict
            Parameters of the estimator, such as ``learning_rate``, but those that the models
            determine: ``n_components``, ``hidden_layer_sizes`` and the activations.

        Returns
        -------
        estimator : estimator
            A fitted one, with an empty ``history_``.

        Raises
        ------
        TypeError
            If these are no Keras models, or one of ``params`` is determined by them.
        ValueError
            If a model has other layers or branches, or the two do not fit together.

        Examples
        --------
        >>> import keras, numpy as np
        >>> from skae import DeepAutoencoder
        >>> encoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
        >>> decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8)])
        >>> autoencoder = DeepAutoencoder.from_keras(encoder, decoder, epochs=5)
        >>> autoencoder.transform(np.ones((3, 8))).shape
        (3, 2)
        """
        from skae._from_keras import parameters, read

        network = read(encoder, decoder)
        estimator: Any = cls(**parameters(network), **params)
        estimator.n_features_in_ = network.layer_sizes[0]
        estimator._bounded = network.activations[-1] == "sigmoid"
        estimator._state = None
        estimator._network, estimator._keras_models = network, None
        estimator.history_, estimator.n_iter_ = {}, 0
        return estimator
