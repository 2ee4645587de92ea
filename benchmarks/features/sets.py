"""Ten sets of rows with labels, and how each is split and scaled."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from benchmarks.data import mnist_file

FOLDS = 5
FEW_ROWS = 2_000
MOST_CODES = 32


@dataclass(frozen=True)
class Split:
    """Training and test rows, scaled by a scaler that saw the training rows, and their labels."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def n_components(self):
        """Half as many as columns, and at most the default of the estimators."""
        return min(MOST_CODES, -(-self.X.shape[1] // 2))


@dataclass(frozen=True)
class LabelledSet:
    """Rows with labels.  ``load`` returns the rows, their labels and an unfitted scaler."""

    name: str
    load: Callable
    chosen_on: bool  # whether settings were chosen on it
    file: str = ""  # in the folder SKAE_DATA

    def available(self):
        return not self.file or (
            data_folder() is not None and (data_folder() / self.file).is_file()
        )

    def splits(self, seed):
        """Yield five folds if there are few rows; else one split, with 30 % of rows for tests."""
        X, y, scaler = self.load()
        if len(y) < FEW_ROWS:
            chosen = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        else:
            chosen = StratifiedShuffleSplit(1, test_size=0.3, random_state=seed)
        for train, test in chosen.split(np.zeros(len(y)), y):
            yield scaled(scaler, _rows(X, train), y[train], _rows(X, test), y[test])


def scaled(scaler, X, y, X_test, y_test):
    X = scaler.fit_transform(X).astype(np.float32)
    return Split(X, y, scaler.transform(X_test).astype(np.float32), y_test)


def _rows(X, index):
    return X.iloc[index] if hasattr(X, "iloc") else X[index]


def data_folder():
    folder = os.environ.get("SKAE_DATA")
    return Path(folder) if folder else None


def table(load):
    """A numeric table of scikit-learn."""

    def loaded():
        found = load()
        return found.data, found.target, StandardScaler()

    return loaded


def outlier_table(name):
    """A numeric table of ADBench.  Outliers are the second class."""

    def loaded():
        with np.load(data_folder() / "adbench" / f"{name}.npz") as data:
            return data["X"], data["y"].astype(int), StandardScaler()

    return loaded


def digits():
    found = datasets.load_digits()
    return found.data / 16, found.target, FunctionTransformer()


class FirstRowsOfMnist(LabelledSet):
    """The first 6,000 images, and MNIST's own test rows: only the estimators' seeds differ."""

    def splits(self, seed):
        yield mnist(6_000)


def mnist(n_rows):
    with np.load(mnist_file()) as data:
        X, X_test = (data[f"x_{part}"].reshape(-1, 784) for part in ("train", "test"))
        X, X_test = X[:n_rows] / np.float32(255), X_test / np.float32(255)
        return Split(X, data["y_train"][:n_rows], X_test, data["y_test"])


def penguins():
    """Rows without missing values; the species is the label."""
    frame = _frame("penguins.csv").dropna()
    return frame.drop(columns=["species", "year"]), frame["species"].to_numpy(), mixed()


def adult():
    """All rows; a missing category is a category of its own."""
    frame = _frame("adult.csv.gz")
    return frame.drop(columns="income"), _rich(frame), mixed()


def adult_by_subtab():
    """The published split, without incomplete rows, all 104 columns scaled, as SubTab has it."""
    frame = _frame("adult.csv.gz")
    parts = (frame.iloc[N_ADULT_TEST:], frame.iloc[:N_ADULT_TEST])
    whole = [part[~(part == "?").any(axis=1)] for part in parts]
    rows, test_rows = (part.drop(columns="income") for part in whole)
    first = scaled(mixed(), rows, _rich(whole[0]), test_rows, _rich(whole[1]))
    return scaled(StandardScaler(), first.X, first.y, first.X_test, first.y_test)


N_ADULT_TEST = 16_281  # the file holds UCI's adult.test first, and then adult.data


def _frame(name):
    import pandas

    return pandas.read_csv(data_folder() / name)


def _rich(frame):
    return (frame["income"] == ">50K").to_numpy().astype(int)


def mixed():
    """Numbers with a mean of zero and a variance of one; categories as one-hot columns."""
    from sklearn.compose import make_column_selector

    return ColumnTransformer(
        [
            ("numbers", StandardScaler(), make_column_selector(dtype_include="number")),
            (
                "categories",
                OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
                make_column_selector(dtype_exclude="number"),
            ),
        ]
    )


SETS = {
    found.name: found
    for found in (
        LabelledSet("digits", digits, True),
        LabelledSet("wine", table(datasets.load_wine), True),
        LabelledSet("iris", table(datasets.load_iris), True),
        LabelledSet("satellite", outlier_table("satellite"), True, "adbench/satellite.npz"),
        LabelledSet("Adult", adult, True, "adult.csv.gz"),
        LabelledSet("breast cancer", table(datasets.load_breast_cancer), False),
        LabelledSet("penguins", penguins, False, "penguins.csv"),
        LabelledSet("fault", outlier_table("fault"), False, "adbench/fault.npz"),
        LabelledSet("magic", outlier_table("magic.gamma"), False, "adbench/magic.gamma.npz"),
        FirstRowsOfMnist("MNIST-6k", None, False, "mnist.npz"),
    )
}
