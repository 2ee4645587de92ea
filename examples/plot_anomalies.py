"""
Anomalies by their reconstruction error
=======================================

A network that was trained on normal rows reconstructs others badly.  `score_samples` is minus the
error of each row, and so a score of how normal it is, as in scikit-learn's outlier detectors.
"""

# %%
# Train on what is normal
# -----------------------
# Sevens are normal here, and the nine other digits are not.  A narrow code is what makes the
# difference: a wide one would learn to copy anything.
import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from skae import DeepAutoencoder, ReconstructionDisplay, ReconstructionErrorDisplay
from skae.datasets import load_mnist

mnist = load_mnist()
normal = mnist.X_train[mnist.y_train == 7]
print(f"{len(normal)} normal images")
autoencoder = DeepAutoencoder(n_components=8, epochs=50, random_state=0).fit(normal[:-100])

# %%
# Choose a threshold
# ------------------
# Normal images that were kept back tell which error is usual: here that which 5 % of them exceed.
held_back = -autoencoder.score_samples(normal[-100:])
threshold = np.quantile(held_back, 0.95)
labels = np.where(mnist.y_test == 7, "seven", "other digit")
ReconstructionErrorDisplay.from_estimator(autoencoder, mnist.X_test, labels, threshold=threshold)

# %%
# What is not normal
# ------------------
# The worst of the test images, and what the network makes of them: something like sevens.
worst = np.argsort(autoencoder.score_samples(mnist.X_test))[:10]
ReconstructionDisplay.from_estimator(
    autoencoder, mnist.X_test, rows=worst, image_shape=mnist.image_shape
)

# %%
# How it compares
# ---------------
# The area under the ROC curve: how often a seven has a better score than another digit.
is_normal = mnist.y_test == 7
pca = PCA(8).fit(normal[:-100])
pca_error = ((mnist.X_test - pca.inverse_transform(pca.transform(mnist.X_test))) ** 2).mean(axis=1)
forest = IsolationForest(random_state=0).fit(normal[:-100])
scores = {
    "DeepAutoencoder": autoencoder.score_samples(mnist.X_test),
    "PCA": -pca_error,
    "IsolationForest": forest.score_samples(mnist.X_test),
}
for name, score in scores.items():
    print(f"{name:16} {roc_auc_score(is_normal, score):.3f}")
