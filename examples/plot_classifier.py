"""
Features for a classifier
=========================

Labels are often expensive, and rows are cheap.  In this example, 6,000
digits without labels train two autoencoders.  Then a logistic regression
learns the labels of 1,000 digits from different features: the pixels, the
components of PCA, the codes of the autoencoders, and the outputs of their
hidden layers.
"""

# %%
# The digits
# ----------
# An image is a row of 784 numbers between 0 and 1.  The sample of MNIST
# comes with skae.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae.datasets import load_mnist_sample

mnist = load_mnist_sample()
X_train, y_train = mnist.X_train, mnist.y_train
X_test, y_test = mnist.X_test, mnist.y_test
print(f"{len(X_train):,} training images, {len(X_test):,} test images")

# %%
# Eight kinds of features
# -----------------------
# Neither PCA nor the autoencoders see a label.  The parameter ``features``
# says what ``transform`` returns, and it may change after ``fit``.  So one
# fit gives three kinds of features: the code, the hidden layers of the
# encoder, and both.
#
# By default, a ``DeepAutoencoder`` starts at PCA: a linear path does most
# of the work, and the hidden layers learn less.  With ``init="random"``, it
# has no such path, and its hidden layers are better features.
features = {"pixels": (X_train, X_test)}
pca = PCA(32, random_state=0).fit(X_train)
features["PCA"] = pca.transform(X_train), pca.transform(X_test)
settings = {"init": "random", "early_stopping": False, "random_state": 0}
for kind in (DeepAutoencoder, DenoisingAutoencoder):
    autoencoder = kind(32, **settings).fit(X_train)
    for part in ("code", "hidden", "all"):
        autoencoder.set_params(features=part)
        name = f"{kind.__name__}, {part}"
        features[name] = (
            autoencoder.transform(X_train),
            autoencoder.transform(X_test),
        )

# %%
# One classifier for all of them
# ------------------------------
# The scaler gives all features the same scale, because a regularised
# classifier neglects features of a small scale.  Each classifier learns
# from 1,000 labels, five times: the standard deviation shows how much the
# accuracy depends on the choice of labels.
rng = np.random.default_rng(0)
labelled = [rng.choice(len(X_train), 1000, replace=False) for _ in range(5)]
classifier = make_pipeline(
    StandardScaler(), LogisticRegression(max_iter=500)
)
means, deviations = [], []
for name, (rows, test_rows) in features.items():
    accuracies = []
    for chosen in labelled:
        classifier.fit(rows[chosen], y_train[chosen])
        accuracies.append(classifier.score(test_rows, y_test))
    means.append(np.mean(accuracies))
    deviations.append(np.std(accuracies))
    accuracy = f"{means[-1]:.2f} ± {deviations[-1]:.2f}"
    print(f"{name:28}{rows.shape[1]:4} features: {accuracy}")

# %%
# The hidden layers of the denoising autoencoder are the best features here.
# They have more columns than the code, and they are not linear in the
# pixels.
_, ax = plt.subplots(figsize=(7, 4), layout="constrained")
colors = ["#767676", "#0072B2", *["#D55E00"] * 3, *["#009E73"] * 3]
places = range(len(features))
ax.scatter(means, places, color=colors, zorder=3)
ax.errorbar(means, places, xerr=deviations, fmt="none", ecolor=colors)
ax.set_yticks(places, list(features))
ax.invert_yaxis()
ax.set(xlabel="accuracy on the test images, from 1,000 labels")
ax.grid(axis="x", color="#dddddd")

# %%
# As one pipeline
# ---------------
# A pipeline joins the features and the classifier in one estimator, for
# cross-validation and searches.  It learns both from the rows with labels
# only.
pipeline = make_pipeline(
    DenoisingAutoencoder(32, features="all", **settings),
    StandardScaler(),
    LogisticRegression(max_iter=500),
)
pipeline.fit(X_train[:1000], y_train[:1000])
print(f"accuracy: {pipeline.score(X_test, y_test):.2f}")
pipeline
