"""Keras models of a trained network."""

from collections.abc import Callable
from typing import Any

from sklearn.utils.validation import check_is_fitted

from skae._typing import Activation, Array

KERAS_MODELS = ("encoder_", "decoder_", "autoencoder_")


def models_of(estimator: Any) -> Any:
    """Return an estimator's encoder, decoder and autoencoder; build them at the first call."""
    check_is_fitted(estimator)
    if estimator._keras_models is None:
        try:
            from skae._engine.models import models_with_weights
        except ImportError as error:  # hasattr expects an AttributeError
            raise AttributeError(
                "encoder_, decoder_ and autoencoder_ are Keras models and need TensorFlow, "
                f"which could not be imported: {error}"
            ) from error
        network = estimator._network
        estimator._keras_models = models_with_weights(network.spec, network.weights)
    return estimator._keras_models


def visible_names(estimator: Any) -> list[str]:
    """List an estimator's attributes without the Keras models that are not built yet, and ONNX.

    scikit-learn 1.9 reads each attribute in this list for its HTML representation.  This must not
    import TensorFlow.  Tab completion finds the models in the class.
    """
    hidden = {"onnx_parser", "onnx_shape_calculator", "onnx_converter"}
    if vars(estimator).get("_keras_models") is None:
        hidden.update(KERAS_MODELS)
    names = [name for name in object.__dir__(estimator) if name not in hidden]
    return [name for name in names if hasattr(estimator, name)]


def eager_fallback(activation: Activation) -> Callable[[Array], Array]:
    """Return an activation that has no NumPy form, as a function of arrays; Keras computes it."""
    from skae._engine.lookup.names import eager_activation

    return eager_activation(activation)
