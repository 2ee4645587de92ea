"""Checks of the data that users pass to the estimators.  They return matrices and `Rows`."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from skae._estimators.describe import takes_gaps
from skae._rows.dtypes import (
    ROW_FORMAT,
    check_dtype,
    nan_for_missing,
    refuse_masked,
    without_array_api,
)
from skae._rows.finite import check_finite
from skae._rows.readable import readable, refuse_lazy
from skae._rows.rows import Rows, ValueRange, all_rows
from skae._rows.sources import Source, is_source, load_small
from skae._tables import inputs as tables
from skae._typing import Array, Matrix


@without_array_api
def check_rows(
    estimator: Any,
    X: Any,
    *,
    reset: bool = False,
    min_samples: int = 1,
    finite: bool = True,
    gaps: bool | None = None,
    learn: bool = False,
) -> Matrix:
    """Return the rows of ``X`` after checking them.

    Parameters
    ----------
    estimator : BaseAutoencoder
        The estimator.  X must have its features.
    X : object
        The user's rows.
    reset : bool, default=False
        Whether the estimator takes over the features of X.
    min_samples : int, default=1
        Smallest number of rows.
    finite : bool, default=True
        Whether to look for NaN and infinity, and to load a small `Source`.  A `Network` needs
        neither, because it checks every block that it reads.
    gaps : bool or None, default=None
        Whether NaN is allowed, as an unknown value.  None means that no parameter can allow it.
    learn : bool, default=False
        Whether the estimator takes over which columns of X are categories.
    """
    if learn:
        tables.learn_table(estimator, X)
    if is_source(X):
        tables.refuse_source(estimator, "X")
        source = Source(X, "X", gaps=gaps)
        head = source[0 : min(min_samples, source.shape[0])]
        validate_data(
            estimator,
            head,
            reset=reset,
            ensure_min_samples=min_samples,
            ensure_all_finite=False,  # the source has checked them
            **ROW_FORMAT,
        )
        return load_small(source) if finite else source
    if (table := tables.table_of(estimator)) is not None:
        return tables.encode(
            estimator, X, table, reset=reset, min_samples=min_samples, gaps=bool(gaps)
        )
    if reset or not _is_valid(estimator, X, min_samples):
        X = nan_for_missing(X) if gaps else X
        with readable("X", X, gaps=gaps):
            checked = validate_data(
                estimator,
                X,
                reset=reset,
                ensure_min_samples=min_samples,
                ensure_all_finite=False,
                **ROW_FORMAT,
            )
            X = check_dtype(estimator, "X", checked)
    if finite:
        check_finite("X", X, gaps=gaps)
    return X


def _is_valid(estimator: Any, X: Any, min_samples: int) -> bool:
    """Return whether `validate_data` would accept X unchanged, apart from NaN and infinity.

    `validate_data` takes twice as long as encoding one row.
    """
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.shape[0] >= min_samples
        and X.shape[1] == estimator.n_features_in_
        and X.dtype in (np.float32, np.float64)
        and X.flags.c_contiguous
        and "feature_names_in_" not in vars(estimator)  # `validate_data` warns then
    )


@without_array_api
def check_codes(estimator: Any, X: Any, n_components: int) -> Matrix:
    """Return codes after checking them."""
    if is_source(X):
        source = Source(X, "X")
        _check_head(estimator, source)
        X = source
    else:
        with readable("X", X):
            codes = check_array(X, input_name="X", estimator=estimator, ensure_all_finite=False)
            codes = check_dtype(estimator, "X", codes)
        _check_code_names(estimator, X)
        X = codes
        check_finite("X", X)
    if X.shape[1] != n_components:
        raise ValueError(
            f"X has {X.shape[1]} features, but the codes of {type(estimator).__name__} "
            f"have {n_components}."
        )
    return X


def _check_code_names(estimator: Any, X: Any) -> None:
    """Raise ValueError if a frame has the columns of `transform` in another order."""
    names = None if type(X) is np.ndarray else _feature_names(X)
    expected = estimator.get_feature_names_out()
    if names is not None and sorted(names) == sorted(expected):
        _check_order("X", names, expected, "columns of transform")


@without_array_api
def check_matrix(estimator: Any, name: str, X: Any) -> Matrix:
    """Return other rows than X, such as validation rows, after checking them."""
    gaps = takes_gaps(vars(estimator))
    if is_source(X):
        tables.refuse_source(estimator, name)
        source = Source(X, name, gaps=gaps)
        _check_head(estimator, source)
        return load_small(source)
    if (table := tables.table_of(estimator)) is not None:
        return tables.encode(estimator, X, table, name=name, gaps=bool(gaps))
    X = nan_for_missing(X) if gaps else X
    with readable(name, X, gaps=gaps):
        rows = check_array(
            X, input_name=name, estimator=estimator, ensure_all_finite=False, **ROW_FORMAT
        )
        rows = check_dtype(estimator, name, rows)
    check_finite(name, rows, gaps=gaps)
    return rows


def _check_head(estimator: Any, source: Source) -> None:
    head = source[0 : min(1, source.shape[0])]
    check_array(head, input_name=source.name, estimator=estimator, ensure_all_finite=False)


def check_clean(estimator: Any, name: str, X_clean: Any, X: Matrix) -> Matrix | None:
    """Return the clean rows that belong to ``X`` after checking them, or None."""
    if X_clean is None:
        return None
    checked = check_matrix(estimator, name, X_clean)
    if checked.shape != X.shape:
        raise ValueError(
            f"{name} must hold a clean row for every noisy row, of shape {X.shape}; "
            f"got shape {checked.shape}."
        )
    if tables.table_of(estimator) is None:
        _check_names(estimator, name, X_clean)
    return checked


def check_known(estimator: Any, values: ValueRange) -> None:
    """Raise ValueError if all values to reconstruct are unknown."""
    if takes_gaps(vars(estimator)) and np.isnan(values.low):
        raise ValueError("All values to reconstruct are NaN: give at least one known value.")


def _check_names(estimator: Any, name: str, X: Any) -> None:
    """Raise ValueError if the columns of a frame are not those of X, in the same order."""
    names, expected = _feature_names(X), getattr(estimator, "feature_names_in_", None)
    if names is not None and expected is not None:
        _check_order(name, names, expected, "feature names of X")


def _check_order(name: str, names: Any, expected: Any, what: str) -> None:
    if list(names) == list(expected):
        return
    place = next(i for i, pair in enumerate(zip(names, expected, strict=True)) if len({*pair}) > 1)
    raise ValueError(
        f"{name} must have the {what}, in the same order; column {place} is "
        f"{names[place]!r} instead of {expected[place]!r}."
    )


def _feature_names(X: Any) -> Any:
    """Return the names of a frame's columns as scikit-learn reads them, or None."""
    reader = BaseEstimator()
    validate_data(reader, X, skip_check_array=True)
    return getattr(reader, "feature_names_in_", None)


def check_labels(y: Any) -> None:
    """Raise ValueError if ``y`` has several columns: clean rows, which would be ignored.

    Labels of shape (n_samples,) or (n_samples, 1) are ignored, because searches pass them.
    """
    refuse_lazy("y", y)
    if _has_columns(y):
        raise ValueError(
            "y is ignored, and must be None or labels of shape (n_samples,); got shape "
            f"{_shape(y)}.  To learn clean rows from noisy ones, call "
            "DenoisingAutoencoder.fit(X, X_clean=y); otherwise leave y out."
        )


def labels_of_step(X: Any, y: Any) -> Any:
    """Return the ``y`` that `fit` gets from `fit_transform`.

    Pipelines call `fit_transform` for their steps with the targets of the last step.  Targets of
    several columns become None, unless they have the shape of X: `fit` refuses these.
    """
    return None if _has_columns(y) and _shape(y) != _shape(X) else y


def _has_columns(y: Any) -> bool:
    return any(size != 1 for size in _shape(y)[1:])


def _shape(y: Any) -> tuple[int, ...]:
    """Return the shape of ``y``, or an empty tuple for lists of different lengths."""
    if hasattr(y, "shape"):
        return tuple(y.shape)
    try:
        return np.asarray(y).shape
    except (ValueError, TypeError):
        return ()


def weighted_rows(estimator: Any, X: Matrix, X_clean: Matrix | None, sample_weight: Any) -> Rows:
    """Make `Rows`, and leave out the rows with weight zero."""
    if sample_weight is None:
        return Rows(X, X_clean, None, all_rows(X))
    weight = check_weight(estimator, X, sample_weight)
    return Rows(X, X_clean, weight, np.flatnonzero(weight))


@without_array_api
def check_weight(estimator: Any, X: Any, sample_weight: Any) -> Array:
    """Return the weights of the rows of X after checking them, as float32."""
    refuse_masked("sample_weight", sample_weight)
    try:
        weight = check_array(
            sample_weight,
            ensure_2d=False,
            dtype=np.float64,
            ensure_all_finite=False,
            input_name="sample_weight",
            estimator=estimator,
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"sample_weight must be numbers of shape (n_samples,): {error}") from error
    if weight.ndim != 1:
        raise ValueError(
            f"sample_weight must be of shape (n_samples,); got {weight.ndim} dimensions."
        )
    check_finite("sample_weight", weight[:, np.newaxis])
    check_consistent_length(X, weight)
    if weight.min() < 0:
        raise ValueError(f"sample_weight must not be negative; got {weight.min():.4g}.")
    if not weight.any():
        raise ValueError("sample_weight must not be zero for every row: no row would be left.")
    return _scaled(weight)


def _scaled(weight: Array) -> Array:
    """Scale weights so that the largest is at least 0.5 and below 1, and convert them to float32.

    Only ratios of weights count, and float32 has a short range.  The factor is a power of two, so
    that scaling rounds nothing.  A weight that is then below float32's smallest normal number
    becomes zero.
    """
    weight = np.ldexp(weight, -np.frexp(weight.max())[1])
    weight[weight < np.finfo(np.float32).tiny] = 0
    return weight.astype(np.float32)


@without_array_api
def validation_rows(estimator: Any, X_val: Any, X_val_clean: Any, *, paired: bool) -> Rows:
    """Make `Rows` of the user's validation rows; ``paired`` says whether X has clean rows."""
    if (X_val_clean is not None) != paired:
        raise ValueError(
            "X_val_clean belongs to X_val as X_clean belongs to X: give both X_clean and "
            "X_val_clean, or neither of them."
        )
    rows = check_matrix(estimator, "X_val", X_val)
    if tables.table_of(estimator) is not None:
        targets = check_clean(estimator, "X_val_clean", X_val_clean, rows)
        return Rows(rows, targets, None, all_rows(rows))
    if rows.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X_val must have the {estimator.n_features_in_} features of X; got {rows.shape[1]}."
        )
    _check_names(estimator, "X_val", X_val)
    targets = check_clean(estimator, "X_val_clean", X_val_clean, rows)
    return Rows(rows, targets, None, all_rows(rows))
