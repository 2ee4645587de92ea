"""skae's estimators with default parameters, as contestants for a `Worker`.

TensorFlow is imported with this module: before anything is timed.
"""

import keras  # noqa: F401
import numpy as np
import tensorflow  # noqa: F401

from benchmarks.data import errors
from skae import DeepAutoencoder, DenoisingAutoencoder

NOISE_SCALE = 0.5


class Deep:
    def __init__(self, X, X_test):
        self.X, self.X_test = X, X_test

    def fit(self, epochs, seed):
        self.autoencoder = DeepAutoencoder(epochs=epochs, random_state=seed).fit(self.X)

    def errors(self):
        return errors(self.X_test, self.autoencoder.reconstruct(self.X_test))


class Denoiser(Deep):
    def fit(self, epochs, seed):
        self.autoencoder = DenoisingAutoencoder(
            epochs=epochs, noise_scale=NOISE_SCALE, random_state=seed
        ).fit(self.X)

    def errors(self):
        """Compare the reconstruction of noisy rows, clipped to [0, 1], with the clean rows."""
        noise = np.random.default_rng(0).standard_normal(self.X_test.shape, np.float32)
        noisy = np.clip(self.X_test + np.float32(NOISE_SCALE) * noise, 0, 1)
        return errors(self.X_test, self.autoencoder.reconstruct(noisy))
