"""
The two figures of the article
==============================

skae began with an article that trains two autoencoders of MNIST's digits and shows what they
do.  These are its two figures, from networks of the same layers.  ``python -m skae`` makes
them, too, with a table, and of all 70,000 digits where it can have them.
"""

# %%
# One image of each digit
# -----------------------
import numpy as np

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise, ReconstructionDisplay
from skae.datasets import load_mnist

mnist = load_mnist()
ten = [int(np.flatnonzero(mnist.y_test == digit)[0]) for digit in range(10)]

# %%
# Originals, codes and reconstructions
# ------------------------------------
autoencoder = DeepAutoencoder(random_state=0).fit(mnist.X_train)
display = ReconstructionDisplay.from_estimator(
    autoencoder, mnist.X_test, rows=ten, image_shape=mnist.image_shape
)

# %%
# Originals, noisy images, codes and what is left of the noise
# ------------------------------------------------------------
noise = GaussianNoise(0.5, clip=(0, 1), random_state=0)
denoiser = DenoisingAutoencoder(noise_scale=0.5, random_state=0).fit(mnist.X_train)
display = ReconstructionDisplay.from_estimator(
    denoiser,
    mnist.X_test,
    X_corrupted=noise.fit_transform(mnist.X_test),
    rows=ten,
    image_shape=mnist.image_shape,
)

# %%
# The networks
# ------------
# In a notebook an estimator shows its layers and the number of its parameters.
autoencoder
