"""
Missing values, and what they leave open
========================================

:class:`~skae.AutoencoderImputer` fills the gaps of a table.  Its draws show
how far the values could be from its best guesses.
"""

# %%
# Hide three in ten cells
# -----------------------
# The breast cancer data have thirty measurements of each tumour.  The true
# values of the hidden cells are known here, so that errors can be computed.
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer

data = load_breast_cancer()
X = data.data
hidden = np.random.default_rng(0).random(X.shape) < 0.3
X_gaps = np.where(hidden, np.nan, X)

# %%
# Fill the gaps
# -------------
# The errors are in units of each column's standard deviation.
# ``KNNImputer`` needs scaled columns; the autoencoder scales them itself.
imputer = AutoencoderImputer(n_folds=1, random_state=0).fit(X_gaps)
neighbours = make_pipeline(StandardScaler(), KNNImputer()).fit(X_gaps)
filled = {
    "SimpleImputer": SimpleImputer().fit_transform(X_gaps),
    "KNNImputer": neighbours[0].inverse_transform(
        neighbours.transform(X_gaps)
    ),
    "AutoencoderImputer": imputer.transform(X_gaps),
}
for name, values in filled.items():
    errors = ((values - X) / X.std(axis=0))[hidden]
    print(f"{name:18} {np.sqrt(np.mean(errors**2)):.3f}")

# %%
# Draw plausible values
# ---------------------
# Each of the tables has other draws in the gaps.  Nine in ten true values
# should be between the 5th and the 95th percentile of the draws.
tables = imputer.sample(X_gaps, n_draws=50)
low, high = np.quantile(tables, [0.05, 0.95], axis=0)
inside = np.clip(X, low, high) == X
print(f"{inside[hidden].mean():.0%} of the true values are inside")

# %%
# Several columns determine the radius, and only one is close to the
# texture. So the intervals of the one are narrow, and many of the other are
# wide.
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
names = list(data.feature_names)
for ax, name in zip(axes, ("mean radius", "mean texture"), strict=True):
    column = names.index(name)
    rows = np.flatnonzero(hidden[:, column])[:60]
    guess = filled["AutoencoderImputer"][rows, column]
    ends = np.abs(np.array([low, high])[:, rows, column] - guess)
    ax.errorbar(
        X[rows, column], guess, ends, fmt="o", markersize=4, elinewidth=1
    )
    ax.axline((X[:, column].mean(),) * 2, slope=1, color="grey", zorder=0)
    ax.set(title=name, xlabel="true value", ylabel="imputed value")
