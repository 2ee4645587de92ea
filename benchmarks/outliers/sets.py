"""ADBench's sets, and its protocol: half of the normal rows train, all others are scored."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def folder():
    """Where the sets are, or None."""
    data = os.environ.get("SKAE_DATA")
    sets = Path(data) / "adbench" if data else None
    return sets if sets and sets.is_dir() else None


def names():
    """Names of all sets, in alphabetical order without regard to case."""
    return sorted((file.stem for file in folder().glob("*.npz")), key=str.casefold)


def chosen_with():
    """The sets on even places, with which the detector's defaults were chosen."""
    return names()[1::2]


def read(name):
    """Return the rows of a set, and their labels: 1 for outliers."""
    with np.load(folder() / f"{name}.npz") as data:
        return data["X"].astype(np.float64), data["y"].astype(int)


@dataclass(frozen=True)
class Split:
    """Rows to train on, and rows to score with their labels: 1 for outliers."""

    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray


def split(name, seed, most_rows, contamination=0.0):
    """Read a set and split it; columns have a variance of one in the rows that train.

    With ``contamination``, that share of the rows that train are outliers, but at most half of all
    outliers.  At most ``most_rows`` rows train, and as many normal rows and outliers are scored.
    """
    X, y = read(name)
    rng = np.random.default_rng(seed)
    normal, outliers = (rng.permutation(np.flatnonzero(y == label)) for label in (0, 1))
    half = len(normal) // 2
    train, others = normal[:half][:most_rows], normal[half:][:most_rows]
    if contamination:
        n = round(contamination * len(train) / (1 - contamination))
        n = min(n, len(outliers) // 2)
        train, outliers = rng.permutation(np.append(train, outliers[:n])), outliers[n:]
    outliers = outliers[:most_rows]
    mean, scale = X[train].mean(0), X[train].std(0)
    scale[scale == 0] = 1
    X = (X - mean) / scale
    labels = np.repeat([0, 1], [len(others), len(outliers)])
    return Split(X[train], X[np.append(others, outliers)], labels)
