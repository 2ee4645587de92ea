"""
Codes as features of a classifier
=================================

Labels are often expensive, and rows are cheap.  In this example, all 6,000 digits train an
autoencoder, which needs no labels.  Then 100 to 1,000 labelled digits train a classifier on its
codes.
"""

# %%
# The digits
# ----------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae.datasets import load_mnist

mnist = load_mnist()
X_train, y_train, X_test, y_test = mnist.X_train, mnist.y_train, mnist.X_test, mnist.y_test
print(mnist.source)

# %%
# Three reductions to 32 numbers
# ------------------------------
# Each reduction is fitted on all training images, without their labels.
reductions = {
    "PCA": PCA(32, random_state=0),
    "DeepAutoencoder": DeepAutoencoder(32, random_state=0),
    "DenoisingAutoencoder": DenoisingAutoencoder(32, noise_scale=0.5, random_state=0),
}
for reduction in reductions.values():
    reduction.fit(X_train)

# %%
# A classifier for each reduction
# -------------------------------
# The pixels themselves are the fourth set of features.  The scaler gives all components of a code
# the same scale, because a regularised classifier neglects components of a small scale.
sizes = [100, 200, 500, 1000]


def accuracies(encode):
    codes, test_codes = encode(X_train[: sizes[-1]]), encode(X_test)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    for size in sizes:
        yield classifier.fit(codes[:size], y_train[:size]).score(test_codes, y_test)


results = {"pixels": list(accuracies(lambda X: X))}
for name, reduction in reductions.items():
    results[name] = list(accuracies(reduction.transform))
print(f"{'labels':22}" + "".join(f"{size:8}" for size in sizes))
for name, values in results.items():
    print(f"{name:22}" + "".join(f"{value:8.3f}" for value in values))

# %%
# The denoising autoencoder has the best codes, because noise brings the codes of similar images
# closer together.
_, ax = plt.subplots(layout="constrained")
styles = zip(["#767676", "#0072B2", "#D55E00", "#009E73"], "osD^", strict=True)
for (name, values), (color, marker) in zip(results.items(), styles, strict=True):
    ax.semilogx(sizes, values, color=color, marker=marker, label=name)
ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
ax.set_xticks([], minor=True)
ax.set(xlabel="labelled images", ylabel="accuracy on the test images")
ax.legend(frameon=False)

# %%
# As one pipeline
# ---------------
# If all rows have labels, a pipeline joins the reduction and the classifier in one estimator, for
# cross-validation and searches.
pipeline = make_pipeline(
    DenoisingAutoencoder(32, noise_scale=0.5, random_state=0),
    StandardScaler(),
    LogisticRegression(max_iter=500),
)
pipeline.fit(X_train[:1000], y_train[:1000])
print(f"accuracy: {np.mean(pipeline.predict(X_test) == y_test):.3f}")
pipeline
