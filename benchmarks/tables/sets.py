"""Adult and the penguins, as frames with categories and missing values."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.features.sets import N_ADULT_TEST, data_folder
from skae.datasets import load_penguins

ADULT_FILE = "adult.csv.gz"


@dataclass(frozen=True)
class Set:
    """A frame with labels.

    Attributes
    ----------
    name : str
        Its name in the tables.
    load : callable
        Returns the frame, without labels, and the labels.
    n_components : int
        How many codes a network makes.
    n_test : int or None
        How many of the first rows are the published test rows.  None takes 30 % of the rows.
    file : str
        Its file in the folder that SKAE_DATA names, or "" without one.
    """

    name: str
    load: Callable
    n_components: int
    n_test: int | None = None
    file: str = ""

    def available(self):
        return not self.file or (
            data_folder() is not None and (data_folder() / self.file).is_file()
        )

    def split(self, seed):
        """Return training rows, test rows, and the labels of both."""
        X, y = self.load()
        if self.n_test is None:
            return train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
        return X[self.n_test :], X[: self.n_test], y[self.n_test :], y[: self.n_test]

    def gaps(self, seed, rate, most_rows):
        """Return rows, and which of their known cells are hidden."""
        X = self.load()[0]
        rng = np.random.default_rng(seed)
        if len(X) > most_rows:
            X = X.iloc[np.sort(rng.choice(len(X), most_rows, replace=False))]
        return X, (rng.random(X.shape) < rate) & X.notna().to_numpy()


def adult():
    """All rows of Adult; "?" is a missing value."""
    frame = pd.read_csv(data_folder() / ADULT_FILE, na_values="?")
    y = (frame.pop("income") == ">50K").to_numpy().astype(int)
    return with_categories(frame), y


def penguins():
    """The penguins without the year; their species is the label."""
    found = load_penguins()
    return found.X.drop(columns="year"), found.y.to_numpy()


def with_categories(frame):
    strings = frame.columns[[dtype.kind not in "iuf" for dtype in frame.dtypes]]
    return frame.astype(dict.fromkeys(strings, "category"))


def categorical(frame):
    """Names of the columns with categories."""
    return list(frame.select_dtypes("category"))


SETS = {
    found.name: found
    for found in (
        Set("Adult", adult, 32, N_ADULT_TEST, ADULT_FILE),
        Set("penguins", penguins, 4),
    )
}
