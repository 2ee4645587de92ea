"""
Codes as features of a classifier
=================================

Labels are dear and rows are cheap: here all 6,000 digits train an autoencoder, which needs no
labels, and only 200 labelled ones train a classifier on its codes.
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
# Each is fitted on all training images, without their labels.
reductions = {
    "PCA": PCA(32, random_state=0),
    "DeepAutoencoder": DeepAutoencoder(32, random_state=0),
    "DenoisingAutoencoder": DenoisingAutoencoder(32, noise_scale=0.5, random_state=0),
}
for reduction in reductions.values():
    reduction.fit(X_train)

# %%
# A classifier for each, on few and on more labels
# ------------------------------------------------
# The pixels themselves are the fourth.  Units of a code differ in their scale, and a regularised
# classifier likes equal ones: hence the scaler.
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
# Noise makes the better codes: those of neighbouring images are closer together.
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
# Where all rows have labels, reduction and classifier are one estimator, which cross-validation
# and searches take as a whole.
pipeline = make_pipeline(
    DenoisingAutoencoder(32, noise_scale=0.5, random_state=0),
    StandardScaler(),
    LogisticRegression(max_iter=500),
)
pipeline.fit(X_train[:1000], y_train[:1000])
print(f"accuracy: {np.mean(pipeline.predict(X_test) == y_test):.3f}")
pipeline
