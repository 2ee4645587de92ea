"""
Anomalies by their reconstruction error
=======================================

A network that was trained on normal rows reconstructs other rows badly.
:meth:`~skae.DeepAutoencoder.score_samples` returns minus the error of each
row.  As in scikit-learn's outlier detectors, a higher score means a more
normal row.
"""

# %%
# Train on normal rows
# --------------------
# In this example sevens are normal, and the nine other digits are not.  The
# code must be narrow: with a wide code, the network would learn to copy any
# image.
import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from skae import (
    DeepAutoencoder,
    ReconstructionDisplay,
    ReconstructionErrorDisplay,
)
from skae.datasets import load_mnist

mnist = load_mnist()
normal = mnist.X_train[mnist.y_train == 7]
print(f"{len(normal)} normal images")
autoencoder = DeepAutoencoder(
    n_components=8, epochs=50, random_state=0
).fit(normal[:-100])

# %%
# Choose a threshold
# ------------------
# Normal images that were not trained on show which errors are usual.  The
# threshold is the error that 5 % of them exceed.
held_back = -autoencoder.score_samples(normal[-100:])
threshold = np.quantile(held_back, 0.95)
print(f"threshold: {threshold:.4f}")
labels = np.where(mnist.y_test == 7, "seven", "other digit")
ReconstructionErrorDisplay.from_estimator(
    autoencoder, mnist.X_test, labels, threshold=threshold
)

# %%
# Look at the anomalies
# ---------------------
# The test images with the largest errors: the network reconstructs them as
# something like sevens.
worst = np.argsort(autoencoder.score_samples(mnist.X_test))[:10]
ReconstructionDisplay.from_estimator(
    autoencoder, mnist.X_test, rows=worst, image_shape=mnist.image_shape
)

# %%
# Compare with other detectors
# ----------------------------
# The area under the ROC curve is the probability that a seven has a better
# score than another digit.
is_normal = mnist.y_test == 7
pca = PCA(8).fit(normal[:-100])
pca_error = (
    (mnist.X_test - pca.inverse_transform(pca.transform(mnist.X_test))) ** 2
).mean(axis=1)
forest = IsolationForest(random_state=0).fit(normal[:-100])
scores = {
    "DeepAutoencoder": autoencoder.score_samples(mnist.X_test),
    "PCA": -pca_error,
    "IsolationForest": forest.score_samples(mnist.X_test),
}
for name, score in scores.items():
    print(f"{name:16} {roc_auc_score(is_normal, score):.3f}")
