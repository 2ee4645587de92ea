"""
Reconstruction and denoising
============================

Two autoencoders learn MNIST's digits: one reconstructs images, the other
removes noise.  The networks have the layers of the usual Keras recipe.
``python -m skae`` draws the same two figures, prints a table, and takes all
70,000 digits with ``--download``.
"""

# %%
# One image of each digit
# -----------------------
import numpy as np

from skae import (
    DeepAutoencoder,
    DenoisingAutoencoder,
    GaussianNoise,
    ReconstructionDisplay,
)
from skae.datasets import load_mnist

mnist = load_mnist()
ten = [int(np.flatnonzero(mnist.y_test == digit)[0]) for digit in range(10)]
print(f"{len(mnist.X_train):,} training images")

# %%
# Originals, codes and reconstructions
# ------------------------------------
# :meth:`~skae.DeepAutoencoder.score` is minus the mean squared error of
# unseen images.
autoencoder = DeepAutoencoder(random_state=0).fit(mnist.X_train)
print(f"mean squared error: {-autoencoder.score(mnist.X_test):.4f}")
display = ReconstructionDisplay.from_estimator(
    autoencoder, mnist.X_test, rows=ten, image_shape=mnist.image_shape
)

# %%
# Originals, noisy images, codes and denoised images
# --------------------------------------------------
# :class:`~skae.GaussianNoise` makes noisy images to test with.
noise = GaussianNoise(0.5, clip=(0, 1), random_state=0)
noisy = noise.fit_transform(mnist.X_test)
denoiser = DenoisingAutoencoder(noise_scale=0.5, random_state=0).fit(
    mnist.X_train
)
for name, images in {
    "noisy": noisy,
    "denoised": denoiser.reconstruct(noisy),
}.items():
    print(f"{name:8} {((images - mnist.X_test) ** 2).mean():.4f}")
display = ReconstructionDisplay.from_estimator(
    denoiser,
    mnist.X_test,
    X_corrupted=noisy,
    rows=ten,
    image_shape=mnist.image_shape,
)

# %%
# The networks
# ------------
# In a notebook, an estimator shows its layers and the number of its
# parameters.
autoencoder
