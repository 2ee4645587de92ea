"""
Faults in a time series
=======================

A sensor repeats a pattern, and sometimes something goes wrong.  Each window
of the series is a row: with NumPy's ``sliding_window_view``, a detector for
rows finds faults in a series.
"""

# %%
# A series, and its windows
# -------------------------
# The pattern has a period of about 40 samples.  Its speed and its height
# change slowly, as those of a pulse or of a machine do.
import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor

from skae import AutoencoderOutlierDetector, DeepAutoencoder

WINDOW = 40
rng = np.random.default_rng(0)


def slow(n_samples):
    """Return a random curve in [-1, 1] that changes within 500 samples."""
    knots = rng.uniform(-1, 1, size=n_samples // 500 + 2)
    return np.interp(np.arange(n_samples) / 500, range(len(knots)), knots)


def series(n_samples):
    phase = np.cumsum(2 * np.pi / 40 * (1 + 0.2 * slow(n_samples)))
    beat = np.sin(phase) + 0.6 * np.sin(2 * phase + 1)
    beat += 0.4 * np.sin(3 * phase)
    noise = rng.normal(scale=0.1, size=n_samples)
    return (1 + 0.3 * slow(n_samples)) * beat + noise


def windows(values):
    """Return the window that starts at each sample, as a row."""
    return sliding_window_view(values, WINDOW)


normal, later, checked = series(6000), series(4000), series(3000)

# %%
# Five faults
# -----------
# None of the faults leaves the range of the normal values, so that a limit
# on the values finds none of them.
n_faulty = 25
starts = [300, 900, 1500, 2100, 2700]
names = ["stuck", "reversed", "twice as fast", "flat peak", "inverted"]
stuck, backwards, fast, flat, inverted = (
    checked[start : start + n_faulty] for start in starts
)
stuck[:] = stuck[0] + rng.normal(scale=0.1, size=n_faulty)
backwards[:] = backwards[::-1].copy()
fast[:] = np.tile(fast[::2], 2)[:n_faulty]
flat[:] = 0.3 * flat
inverted[:] = -inverted
is_faulty = np.zeros(len(checked), dtype=bool)
for start in starts:
    is_faulty[start : start + n_faulty] = True

# %%
# Fit, and set the threshold with a later stretch
# -----------------------------------------------
# Eight codes are enough for the phase, the speed and the height.  Windows
# that overlap are nearly equal, so a threshold from windows between those
# that trained the network would be too strict.  ``calibrate`` sets it again
# with a stretch of the series that the network has not seen.
network = DeepAutoencoder(8, hidden_layer_sizes=(64,), epochs=20)
detector = AutoencoderOutlierDetector(
    network, false_alarm_rate=0.01, standardize=False, random_state=0
)
detector.fit(windows(normal)).calibrate(windows(later))
labels = detector.predict(windows(checked))
has_fault = windows(is_faulty).any(axis=1)
false_alarms = np.mean(labels[~has_fault] == -1)
found = np.mean(labels[has_fault] == -1)
print(f"{false_alarms:.1%} of the normal windows are false alarms")
print(f"{found:.1%} of the windows with a part of a fault are found")

# %%
# Where in the series is the fault?
# ---------------------------------
# ``feature_scores`` splits the score of a window into the shares of its
# samples.  A sample is in up to 40 windows: the mean of its shares shows
# where the fault is.
shares = detector.feature_scores(windows(checked))
total = np.zeros(len(checked))
count = np.zeros(len(checked))
for place in range(WINDOW):
    total[place : place + len(shares)] += shares[:, place]
    count[place : place + len(shares)] += 1
blame = total / count

figure, axes = plt.subplots(
    3, sharex=True, figsize=(8, 5.4), layout="constrained"
)
middle = np.arange(len(shares)) + WINDOW // 2
axes[0].plot(checked, color="#0072B2", linewidth=0.8)
axes[0].set(ylabel="series")
scores = detector.score_samples(windows(checked))
axes[1].plot(middle, -scores, color="black")
axes[1].axhline(-detector.offset_, color="#767676", linestyle="--")
axes[1].set(ylabel="minus the score\nof the window", yscale="log")
axes[2].plot(blame, color="black")
axes[2].set(ylabel="share of\nthe sample", xlabel="sample")
for start, name in zip(starts, names, strict=True):
    for ax in axes:
        ax.axvspan(start, start + n_faulty, color="#D55E00", alpha=0.3)
    axes[0].text(start, checked.max() * 1.15, name, color="#D55E00")
axes[0].set_ylim(top=checked.max() * 1.5)

# %%
# Compare with other detectors
# ----------------------------
# The area under the ROC curve is the probability that a normal window has a
# better score than one with a fault.  LocalOutlierFactor is as good.  It
# keeps all windows of the fit, and compares each new window with them.
train, test = windows(normal), windows(checked)
pca = PCA(8).fit(train)
restored = pca.inverse_transform(pca.transform(test))
forest = IsolationForest(random_state=0).fit(train)
factor = LocalOutlierFactor(novelty=True).fit(train)
scores = {
    "AutoencoderOutlierDetector": detector.score_samples(test),
    "PCA": -((test - restored) ** 2).mean(axis=1),
    "LocalOutlierFactor": factor.score_samples(test),
    "IsolationForest": forest.score_samples(test),
}
for name, score in scores.items():
    print(f"{name:26} {roc_auc_score(~has_fault, score):.3f}")
