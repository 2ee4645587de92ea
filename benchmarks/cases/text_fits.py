"""Fits to texts, as contestants for a `Worker`; TensorFlow is imported before they are timed."""

import math
from dataclasses import replace

import keras  # noqa: F401
import tensorflow  # noqa: F401
from sklearn.decomposition import TruncatedSVD

from benchmarks.cases.memory_peak import CLEAR_REFS, added_at_peak
from skae import DeepAutoencoder

N_COMPONENTS, BATCH = 64, 256


class Skae:
    def __init__(self, X, X_test):
        self.X, self.X_test = X, X_test

    def make(self):
        return DeepAutoencoder(N_COMPONENTS, random_state=0)

    def reconstruct(self):
        return self.fitted.reconstruct(self.X_test)

    def fit(self):
        self.fitted = self.make().fit(self.X)

    def error(self):
        """Return the mean squared error on the texts of the test."""
        return float(((self.X_test.toarray() - self.reconstruct()) ** 2).mean())

    def peak(self):
        """Fit, and return the bytes that this adds to the process at its peak; None off Linux."""
        if CLEAR_REFS.exists():
            return added_at_peak(self.fit)
        self.fit()
        return None


class LargeBatches(Skae):
    def make(self):
        return DeepAutoencoder(N_COMPONENTS, batch_size=BATCH, random_state=0)


class Dense(Skae):
    """The same fit, but the rows of each chunk are made dense."""

    def make(self):
        estimator = super().make()
        estimator._limits = replace(estimator._limits, sparse_values=math.prod(self.X.shape))
        return estimator


class Svd(Skae):
    def make(self):
        return TruncatedSVD(N_COMPONENTS, random_state=0)

    def reconstruct(self):
        return self.fitted.inverse_transform(self.fitted.transform(self.X_test))
