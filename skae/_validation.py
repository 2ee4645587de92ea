"""From what the user passes to `fit` to the rows that the engine takes."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from skae._records import Rows

SPLIT = 1 << 31  # keeps the seed of the validation split apart from those of the epochs
# Rows stay in the user's dtype and are converted as they are fed, not as a whole.
ROW_FORMAT = {"accept_sparse": "csr", "dtype": "numeric", "order": "C"}


def check_rows(estimator, X, *, reset=False, min_samples=1, finite=True):
    """Validate the rows of ``X`` against the features that the estimator knows.

    A `Network` looks for NaN and infinity itself as it reads the rows: ``finite`` is for the rest.
    """
    X = validate_data(
        estimator,
        X,
        reset=reset,
        ensure_min_samples=min_samples,
        ensure_all_finite=finite,
        **ROW_FORMAT,
    )
    if X.dtype == object:  # from a list: only what shows its dtype is converted at once
        X = check_array(X, input_name="X", estimator=estimator, **ROW_FORMAT)
    return X


def check_clean(estimator, name, X_clean, X):
    """Validate the clean rows of ``X``, or pass None through."""
    if X_clean is None:
        return None
    X_clean = check_array(X_clean, input_name=name, estimator=estimator, **ROW_FORMAT)
    if X_clean.shape != X.shape:
        raise ValueError(
            f"{name} must hold the clean row of every noisy one, of shape {X.shape}; "
            f"got shape {X_clean.shape}."
        )
    return X_clean


def weighted_rows(estimator, X, X_clean, sample_weight):
    """Make `Rows` of those that have a weight: a weight of zero leaves a row out."""
    if sample_weight is None:
        return Rows(X, X_clean, None, np.arange(X.shape[0]))
    weight = check_array(
        sample_weight,
        ensure_2d=False,
        dtype=np.float32,
        input_name="sample_weight",
        estimator=estimator,
    )
    if weight.ndim != 1:
        raise ValueError(
            f"sample_weight must be of shape (n_samples,); got {weight.ndim} dimensions."
        )
    check_consistent_length(X, weight)
    if weight.min() < 0:
        raise ValueError(f"sample_weight must not be negative; got {weight.min():.4g}.")
    if not weight.any():
        raise ValueError("sample_weight must not be zero for every row: nothing is left to fit.")
    return Rows(X, X_clean, weight, np.flatnonzero(weight))


def validation_rows(estimator, X_val, X_val_clean, *, paired):
    """Make `Rows` of the user's validation set."""
    if (X_val_clean is not None) != paired:
        raise ValueError(
            "X_val_clean belongs to X_val as X_clean belongs to X: give both or none of "
            "X_clean and X_val_clean."
        )
    rows = check_array(X_val, input_name="X_val", estimator=estimator, **ROW_FORMAT)
    if rows.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X_val must have the {estimator.n_features_in_} features of X; got {rows.shape[1]}."
        )
    validate_data(estimator, X_val, reset=False, skip_check_array=True)  # compares the names
    targets = check_clean(estimator, "X_val_clean", X_val_clean, rows)
    return Rows(rows, targets, None, np.arange(rows.shape[0]))


def split_rows(rows, fraction, seed):
    """Set a fraction of the rows aside for early stopping; copies nothing."""
    n_rows = len(rows.index)
    n_validation = int(np.ceil(fraction * n_rows))
    if n_validation == n_rows:
        raise ValueError(
            f"early_stopping=True sets {n_validation} of {n_rows} rows aside for validation "
            f"(validation_fraction={fraction}), which leaves none to train on: give more rows, "
            "X_val, or a smaller validation_fraction."
        )
    order = np.random.default_rng([seed, SPLIT]).permutation(rows.index)
    parts = np.sort(order[n_validation:]), np.sort(order[:n_validation])
    return tuple(Rows(rows.inputs, rows.targets, rows.weight, part) for part in parts)
