"""
A map of the latent space
=========================

A code of two numbers is a point of a plane: a map of the data.  What is between the points can be
decoded, too.
"""

# %%
# Two components
# --------------
# The digits' classes were not known to the network.
from sklearn.decomposition import PCA

from skae import DeepAutoencoder, LatentSpaceDisplay
from skae.datasets import load_mnist

mnist = load_mnist()
autoencoder = DeepAutoencoder(
    n_components=2, hidden_layer_sizes=(256, 64), epochs=30, random_state=0
)
autoencoder.fit(mnist.X_train)
display = LatentSpaceDisplay.from_estimator(autoencoder, mnist.X_test, mnist.y_test)
display.ax_.set_title("DeepAutoencoder")

# %%
# PCA's two components, for comparison:
pca = PCA(2).fit(mnist.X_train)
display = LatentSpaceDisplay.from_estimator(pca, mnist.X_test, mnist.y_test)
display.ax_.set_title("PCA")
for name, estimator in {"autoencoder": autoencoder, "PCA": pca}.items():
    restored = estimator.inverse_transform(estimator.transform(mnist.X_test))
    print(f"{name:12} mean squared error {((restored - mnist.X_test) ** 2).mean():.4f}")

# %%
# What the map decodes to
# -----------------------
# Each image is what the decoder makes of the point at its middle.  One digit turns into another; in
# between lie shapes that were in no image.
LatentSpaceDisplay.from_estimator(autoencoder, mnist.X_test, image_shape=mnist.image_shape)

# %%
# More components
# ---------------
# Codes of more than two numbers are projected, here by PCA; the axes say how much of the codes'
# variance they show.  ``projection="umap"`` uses UMAP where ``umap-learn`` is installed, and any
# other transformer can be given as well.
wide = DeepAutoencoder(n_components=16, random_state=0).fit(mnist.X_train)
LatentSpaceDisplay.from_estimator(wide, mnist.X_test, mnist.y_test)
