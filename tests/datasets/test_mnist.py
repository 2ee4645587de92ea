"""Measured promises on the full MNIST; SKAE_DATA names the folder of mnist.npz."""

import os
from pathlib import Path

import numpy as np
import pytest

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise

FILE = Path(os.environ.get("SKAE_DATA", "")) / "mnist.npz"
pytestmark = pytest.mark.skipif(
    "SKAE_DATA" not in os.environ or not FILE.exists(),
    reason="needs the full MNIST: set SKAE_DATA to the folder of mnist.npz",
)


@pytest.fixture(scope="module")
def mnist():
    with np.load(FILE) as file:
        return tuple(
            file[name].reshape(-1, 784).astype(np.float32) / 255 for name in ("x_train", "x_test")
        )


def test_defaults_beat_the_keras_recipe(mnist):
    """Ten epochs reach less than the loss of the Keras recipe for this network after fifty."""
    train, test = mnist
    autoencoder = DeepAutoencoder(epochs=10, random_state=0).fit(train, X_val=test)
    outputs = np.clip(autoencoder.reconstruct(test).astype(np.float64), 1e-7, 1 - 1e-7)
    cross_entropy = -np.mean(test * np.log(outputs) + (1 - test) * np.log1p(-outputs))

    assert cross_entropy < 0.0842
    assert autoencoder.history_["val_loss"][-1] == pytest.approx(cross_entropy, rel=1e-3)


def test_denoiser_beats_pca(mnist):
    """The denoiser also beats Adam with a rising and falling rate after as many epochs, 0.0176."""
    train, test = mnist
    noisy = GaussianNoise(0.5, clip=(0, 1), random_state=0).fit_transform(test)
    denoiser = DenoisingAutoencoder(epochs=10, random_state=0).fit(train)
    error = np.mean((denoiser.reconstruct(noisy) - test) ** 2, dtype=np.float64)

    assert error < 0.0176  # PCA with 32 components has 0.0327
    assert np.mean((noisy - test) ** 2, dtype=np.float64) == pytest.approx(0.1156, abs=0.001)
