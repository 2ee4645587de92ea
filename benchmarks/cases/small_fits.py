"""The digits' fits, as contestants for a `Worker`; TensorFlow is imported before they are timed.

scikeras is imported beforehand for scikeras alone: skae imports it in its first fit, and that
is part of the fit's time.
"""

import keras
import tensorflow  # noqa: F401

from benchmarks.contestants.keras_model import models
from benchmarks.contestants.network import PLAIN
from skae import DeepAutoencoder

EPOCHS, BATCH = 20, 128


def network(n_features):
    return models(n_features)[0]


class Skae:
    def __init__(self, X):
        self.X = X

    def fit(self):
        DeepAutoencoder(
            optimizer="adam", epochs=EPOCHS, batch_size=BATCH, random_state=0, **PLAIN
        ).fit(self.X)


class Scikeras:
    def __init__(self, X):
        from scikeras.wrappers import BaseWrapper

        self.X = X
        self.wrapper = BaseWrapper(
            network,
            n_features=X.shape[1],
            optimizer=keras.optimizers.Adam,
            loss="binary_crossentropy",
            epochs=EPOCHS,
            batch_size=BATCH,
            verbose=0,
        )

    def fit(self):
        self.wrapper.fit(self.X, self.X)
