"""
A table with categories and gaps
================================

A frame goes in as it is: with categories, with numbers in any units, and
with missing values.  Here are a map of its rows, and the frame that comes
back, without gaps.
"""

# %%
# The penguins
# ------------
# 344 penguins have an island, a sex and four measurements.  Eleven have no
# sex, and two of these no measurements.
import numpy as np
from matplotlib import pyplot as plt

from skae import (
    DeepAutoencoder,
    DenoisingAutoencoder,
    MaskingNoise,
    ReconstructionDisplay,
)
from skae.datasets import load_penguins

penguins = load_penguins()
X, species = penguins.X.drop(columns="year"), penguins.y
print(X.dtypes)

# %%
# A map of two codes
# ------------------
# The network compares the island and the sex as categories, and the
# measurements on a common scale.  The species is not in the table: it only
# colours the points.
autoencoder = DeepAutoencoder(
    n_components=2, missing_values="mask", epochs=200, random_state=0
)
codes = autoencoder.fit_transform(X)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, label in zip(axes, (species, X["sex"]), strict=True):
    for value in label.cat.categories:
        ax.scatter(*codes[label == value].T, s=12, label=value)
    ax.set(title=label.name, xlabel="code 1", ylabel="code 2")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)

# %%
# Rows and their reconstructions
# ------------------------------
# Each column is a line, and each row has its values beside those that come
# back from two codes.  The darker a cell, the larger its error; blue values
# stand where the row has none.
ReconstructionDisplay.from_estimator(autoencoder, X, rows=[0, 8, 200, 300])

# %%
# Fill the gaps
# -------------
# A denoiser that learned to restore hidden cells fills those that are
# missing.  The frame that it returns has the columns and the dtypes of X.
denoiser = DenoisingAutoencoder(
    hidden_layer_sizes=(64,),
    corruption=MaskingNoise(0.8, fill_value=np.nan, vary=True),
    missing_values="mask",
    epochs=200,
    random_state=0,
)
restored = denoiser.fit(X).reconstruct(X)
print(restored.dtypes.equals(X.dtypes))
filled = X.fillna(restored)
print(filled[X.isna().any(axis=1)].round(1))

# %%
# How good are the guesses?
# -------------------------
# Three in ten of the known cells are hidden, and restored by a denoiser
# that never saw them.
hidden = np.random.default_rng(0).random(X.shape) < 0.3
hidden &= X.notna()
X_gaps = X.mask(hidden)
restored = denoiser.fit(X_gaps).reconstruct(X_gaps)
for name in ("island", "sex"):
    true = X[name][hidden[name]]
    right = (restored[name][hidden[name]] == true).mean()
    usual = (X_gaps[name].mode()[0] == true).mean()
    print(f"{name:7} {right:.0%} right; the most frequent: {usual:.0%}")

# %%
# ``reconstruct_proba`` has the probabilities behind a guess.
sexes = denoiser.reconstruct_proba(X)["sex"]
print(denoiser.categories_["sex"])
print(sexes[X["sex"].isna()].round(2)[:3])
