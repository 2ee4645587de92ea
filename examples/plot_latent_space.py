"""
A map of the latent space
=========================

Codes of two numbers are points of a plane, and so a map of the data.  The
decoder turns any point of the plane into an image, also between the codes.
"""

# %%
# Two components
# --------------
# The colours show the classes of the digits, which the network was not
# told.
from sklearn.decomposition import PCA

from skae import DeepAutoencoder, LatentSpaceDisplay
from skae.datasets import load_mnist

mnist = load_mnist()
# sphinx_gallery_thumbnail_number = 3
autoencoder = DeepAutoencoder(
    n_components=2, hidden_layer_sizes=(256, 64), epochs=30, random_state=0
)
autoencoder.fit(mnist.X_train)
display = LatentSpaceDisplay.from_estimator(
    autoencoder, mnist.X_test, mnist.y_test
)
display.ax_.set_title("DeepAutoencoder")

# %%
# For comparison, two components of PCA:
pca = PCA(2).fit(mnist.X_train)
display = LatentSpaceDisplay.from_estimator(pca, mnist.X_test, mnist.y_test)
display.ax_.set_title("PCA")
for name, estimator in {"autoencoder": autoencoder, "PCA": pca}.items():
    restored = estimator.inverse_transform(
        estimator.transform(mnist.X_test)
    )
    error = ((restored - mnist.X_test) ** 2).mean()
    print(f"{name:12} mean squared error {error:.4f}")

# %%
# Decode the map
# --------------
# Each image is decoded from the point at its middle.  One digit turns into
# another, by way of shapes that do not occur in the data.
LatentSpaceDisplay.from_estimator(
    autoencoder, mnist.X_test, image_shape=mnist.image_shape
)

# %%
# More components
# ---------------
# :class:`~skae.LatentSpaceDisplay` projects codes of more than two numbers,
# here by PCA, and the labels of the axes name the share of the codes'
# variance that they show.  ``projection="umap"`` uses UMAP, which needs
# ``umap-learn``.  ``projection`` may also be any transformer.
wide = DeepAutoencoder(n_components=16, random_state=0).fit(mnist.X_train)
print(f"16 numbers: mean squared error {-wide.score(mnist.X_test):.4f}")
LatentSpaceDisplay.from_estimator(wide, mnist.X_test, mnist.y_test)
