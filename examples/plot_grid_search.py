"""
Grid search over the bottleneck
===============================

How many numbers does a code need?
:class:`~sklearn.model_selection.GridSearchCV` answers this question as it
does for PCA: by the score of the autoencoder, which needs no labels, or by
the score of a classifier on the codes.
"""

# %%
# By reconstruction
# -----------------
# :meth:`~skae.DeepAutoencoder.score` returns minus the mean squared error,
# here of rows that were not trained on.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import DeepAutoencoder

X, y = load_digits(return_X_y=True)
X = X / 16
sizes = [2, 4, 8, 16, 32]
folds = KFold(3, shuffle=True, random_state=0)

search = GridSearchCV(
    DeepAutoencoder(random_state=0),
    {"n_components": sizes},
    cv=folds,
    refit=False,
).fit(X)
errors = -search.cv_results_["mean_test_score"]
spread = search.cv_results_["std_test_score"]


# %%
# The score of PCA is a likelihood, so a scorer has to compute its error.
def minus_error(pca, X, y=None):
    return -np.mean((pca.inverse_transform(pca.transform(X)) - X) ** 2)


pca = GridSearchCV(
    PCA(),
    {"n_components": sizes},
    cv=folds,
    scoring=minus_error,
    refit=False,
)
pca_errors = -pca.fit(X).cv_results_["mean_test_score"]

_, ax = plt.subplots(layout="constrained")
ax.errorbar(
    sizes,
    errors,
    spread,
    color="#0072B2",
    marker="o",
    capsize=3,
    label="DeepAutoencoder",
)
ax.plot(
    sizes,
    pca_errors,
    color="#D55E00",
    marker="s",
    linestyle="--",
    label="PCA",
)
ax.set_xscale("log", base=2)
ax.set_xticks(sizes, sizes)
ax.set(
    xlabel="n_components",
    ylabel="mean squared error of unseen rows",
    ylim=(0, None),
)
ax.legend(frameon=False)
for size, error, pca_error in zip(sizes, errors, pca_errors, strict=True):
    print(f"{size:3} components: {error:.4f}, PCA {pca_error:.4f}")

# %%
# The error falls with each size, but less and less.  For the same error,
# the autoencoder needs fewer numbers than PCA, until the code is so wide
# that a linear map suffices.
#
# By the accuracy of a classifier
# -------------------------------
# In a pipeline, the score is the accuracy of the classifier.  The grid can
# vary all parameters of the autoencoder: those of its network, its
# optimizer and its noise.  Candidates that differ only in rates or seeds
# share a compiled program.
pipeline = Pipeline(
    [
        ("ae", DeepAutoencoder(random_state=0)),
        ("scale", StandardScaler()),
        ("clf", LogisticRegression(max_iter=2000)),
    ]
)
grid = {
    "ae__n_components": [4, 8, 16, 32],
    "ae__learning_rate": [0.01, 0.02],
}
search = GridSearchCV(pipeline, grid, cv=folds).fit(X, y)
for name, value in search.best_params_.items():
    print(f"{name} = {value}")
print(f"accuracy {search.best_score_:.3f}")

# %%
# The best candidate, fitted on all rows:
search.best_estimator_
