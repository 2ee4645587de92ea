"""The same network in scikeras, with a warm start, because a new fit would compile again."""

from scikeras.wrappers import BaseWrapper

from benchmarks.contestants.keras_model import models
from benchmarks.contestants.network import BATCH
from benchmarks.data import errors


def autoencoder(n_features):
    return models(n_features)[0]


class Training:
    def __init__(self, X, X_test):
        self.X, self.X_test = X, X_test
        self.wrapper = BaseWrapper(
            autoencoder,
            n_features=X.shape[1],
            optimizer="adam",
            loss="binary_crossentropy",
            batch_size=BATCH,
            warm_start=True,
            verbose=0,
        )

    def epochs(self, n):
        self.wrapper.set_params(epochs=n).fit(self.X, self.X)

    def errors(self):
        return errors(self.X_test, self.wrapper.predict(self.X_test))
