"""
Sparse text
===========

Word counts make wide and sparse matrices.  skae takes sparse matrices:
training converts one chunk of rows at a time to a dense array, and the
first product of :meth:`~skae.DeepAutoencoder.transform` is a sparse one.

The texts are docstrings of libraries that skae depends on, so the example
downloads nothing.  The class of a text is its module.
"""

# %%
# The texts
# ---------
import inspect
from importlib import import_module

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import Normalizer

from skae import DeepAutoencoder, LatentSpaceDisplay

MODULES = """
scipy.special scipy.stats scipy.signal scipy.linalg scipy.ndimage
scipy.optimize sklearn.metrics numpy.polynomial
"""


def docstrings(module):
    for name, thing in inspect.getmembers(import_module(module)):
        text = inspect.getdoc(thing) or ""
        if callable(thing) and not name.startswith("_") and len(text) > 300:
            yield text


texts = {
    text: module
    for module in MODULES.split()
    for text in docstrings(module)
}
documents, labels = list(texts), np.array(list(texts.values()))
print(f"{len(documents)} docstrings of {len(set(labels))} modules")

# %%
# Words and their weights
# -----------------------
# Each row has length 1, and most of its values are 0.  For such rows a
# squared error on a linear output is better than cross-entropy.
vectorizer = TfidfVectorizer(
    stop_words="english",
    token_pattern=r"[a-z]{3,}",
    min_df=5,
    max_features=2000,
    sublinear_tf=True,
)
X = vectorizer.fit_transform(documents).astype(np.float32)
share = X.nnz / np.prod(X.shape)
print(f"{X.shape[0]} x {X.shape[1]}, {share:.1%} of the values are not 0")

# %%
# Codes of 16 numbers
# -------------------
autoencoder = DeepAutoencoder(
    n_components=16,
    hidden_layer_sizes=(128,),
    activation="tanh",
    output_activation="linear",
    loss="mean_squared_error",
    epochs=30,
    random_state=0,
)
X_train, X_test = train_test_split(X, random_state=0)
autoencoder.fit(X_train, X_val=X_test)
svd = TruncatedSVD(16, random_state=0).fit(X_train)
print(f"autoencoder: mean squared error {-autoencoder.score(X_test):.2e}")
error = np.mean(
    (svd.inverse_transform(svd.transform(X_test)) - X_test.toarray()) ** 2
)
print(f"TruncatedSVD: mean squared error {error:.2e}")

# %%
# The two errors are about equal.  A linear map suits sums of words, and
# some hundred texts are too few to learn more.  With more texts, the hidden
# layers of the network can be made wider.
#
# Neighbours
# ----------
# How often does the majority of the five nearest docstrings name the right
# module?
codes = {
    "autoencoder": autoencoder.transform(X),
    "TruncatedSVD": svd.transform(X),
    "all words": X,
}
for name, rows in codes.items():
    accuracy = cross_val_score(
        KNeighborsClassifier(5), Normalizer().fit_transform(rows), labels
    )
    print(f"{name:14} {accuracy.mean():.3f}")

# %%
# A map of the texts
# ------------------
# The rows are scaled to length 1, because the direction of a code carries
# the meaning, as it does for a row of words.
LatentSpaceDisplay.from_predictions(
    Normalizer().fit_transform(codes["autoencoder"]), labels
)
