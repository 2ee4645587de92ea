"""
Outliers: scores, a threshold and the columns to blame
======================================================

:class:`~skae.AutoencoderOutlierDetector` learns what normal rows look like.
It then labels new rows, says how rare each is among normal rows, and shows
which columns make it unusual.

The rows are the biopsies of scikit-learn's breast cancer set: 30
measurements of the nuclei of cells.  The detector sees benign biopsies
only.  The question is which new biopsies are not like them.
"""

# %%
# Fit to normal rows
# ------------------
# Half of the benign biopsies train the detector.  The other half and all
# malignant biopsies are new to it.
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector, OutlierDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
kind = np.where(y == 1, "benign", "malignant")
train, benign = train_test_split(
    np.flatnonzero(y == 1), test_size=0.5, random_state=0
)
new = np.append(benign, np.flatnonzero(y == 0))
detector = AutoencoderOutlierDetector(random_state=0).fit(X.iloc[train])

# %%
# The threshold
# -------------
# The detector sets the threshold with rows that its networks were not
# trained on, so that about 5 % of new benign rows are false alarms.
# Another rate needs no new training.
X_new = X.iloc[new]
is_benign = kind[new] == "benign"
for rate in (0.05, 0.1):
    detector.set_params(false_alarm_rate=rate).calibrate()
    labels = detector.predict(X_new)
    false_alarms = np.mean(labels[is_benign] == -1)
    found = np.mean(labels[~is_benign] == -1)
    print(
        f"at most {rate:.0%} wanted: {false_alarms:.1%} false alarms, "
        f"{found:.1%} of the malignant biopsies found"
    )

# %%
# The distribution of the scores shows how far the two kinds are apart.
OutlierDisplay.from_estimator(detector, X_new, kind[new], kind="scores")

# %%
# The columns to blame
# --------------------
# Each row of the picture is one of the most unusual biopsies.  The colour
# of a cell is the column's share of the score.  The cell has the value that
# was found and, in brackets, the value that the detector expected.
OutlierDisplay.from_estimator(detector, X_new, n_rows=8, n_columns=6)

# %%
# The same numbers are there for programs: ``feature_scores`` splits the
# score of a row, and ``expected_values`` has normal values to compare with.
worst = X_new.iloc[[detector.score_samples(X_new).argmin()]]
shares = detector.feature_scores(worst)[0]
expected = detector.expected_values(worst)[0]
for column in np.argsort(-shares)[:3]:
    share = shares[column] / shares.sum()
    print(
        f"{X.columns[column]:22} {share:4.0%} of the score: "
        f"found {worst.iloc[0, column]:.4g}, "
        f"expected {expected[column]:.4g}"
    )

# %%
# Compare with other detectors
# ----------------------------
# The area under the ROC curve is the probability that a benign biopsy has a
# better score than a malignant one.  The other detectors get columns with a
# variance of one.
mean, scale = X.iloc[train].mean(), X.iloc[train].std()
Z_train = ((X.iloc[train] - mean) / scale).to_numpy()
Z_new = ((X_new - mean) / scale).to_numpy()
scores = {"AutoencoderOutlierDetector": detector.score_samples(X_new)}
for rival in (
    IsolationForest(random_state=0),
    LocalOutlierFactor(novelty=True),
    OneClassSVM(),
):
    name = type(rival).__name__
    scores[name] = rival.fit(Z_train).score_samples(Z_new)
for name, score in scores.items():
    print(f"{name:26} {roc_auc_score(is_benign, score):.3f}")
