"""The network of the Keras recipe: ReLU in all layers, also the code, and a sigmoid output."""

import keras

from benchmarks.contestants.network import CODE, HIDDEN


def models(n_features, n_components=CODE):
    """Autoencoder and encoder, which share their layers."""
    inputs = hidden = keras.Input((n_features,))
    for units in HIDDEN:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    hidden = code = keras.layers.Dense(n_components, activation="relu")(hidden)
    for units in HIDDEN[::-1]:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    outputs = keras.layers.Dense(n_features, activation="sigmoid")(hidden)
    return keras.Model(inputs, outputs), keras.Model(inputs, code)
