"""
The two figures of the Keras recipe
===================================

skae began with an article that trains two Keras autoencoders on MNIST's digits and shows their
results.  This example draws the article's two figures, from networks with the same layers.
``python -m skae`` draws them as well, prints a table, and takes all 70,000 digits if you give it
``--download``.
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
# Originals, noisy images, codes and denoised images
# --------------------------------------------------
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
# In a notebook, an estimator shows its layers and the number of its parameters.
autoencoder
