"""The features of rows that an encoder gives: the code, its hidden layers, or both."""

from collections.abc import Sequence
from typing import TypeVar

from skae._network.layers import Dense
from skae._network.spec import NetworkSpec

FEATURES = ("code", "hidden", "all")

T = TypeVar("T")


def n_features_out(network: NetworkSpec, features: str) -> int:
    """Return the number of features of a row."""
    return sum(select([layer.n_outputs for layer in network.trained_encoder], features))


def select(outputs: Sequence[T], features: str) -> list[T]:
    """Select from the outputs of the encoder's layers, of which the last is the code.

    The code comes first, so that its columns have the same places in "code" and in "all".
    """
    *hidden, code = outputs
    return {"code": [code], "hidden": hidden, "all": [code, *hidden]}[features]


def determine_code(network: NetworkSpec, features: str) -> bool:
    """Return whether the features of a row determine its code.

    Hidden layers do not determine it if a linear path is beside them.
    """
    return features != "hidden" or isinstance(network.layers[network.n_encoder_layers - 1], Dense)


def decoding(network: NetworkSpec, features: str) -> tuple[slice, int]:
    """Return which columns of the features are decoded, and the place of the first layer to run.

    The last hidden layer leads to the code, whose layer then has to run as well.
    """
    n = network.n_encoder_layers
    if features == "hidden":
        total = n_features_out(network, features)
        return slice(total - network.layers[n - 1].n_inputs, total), n - 1
    return slice(network.n_components), n
