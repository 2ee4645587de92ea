"""From what the user passes to `fit` to the rows that the engine takes."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from skae._forward import is_finite
from skae._records import Rows
from skae._sources import Source, is_source, load_small
from skae._typing import Array, Matrix

P = ParamSpec("P")
T = TypeVar("T")

SPLIT = 1 << 31  # keeps the seed of the validation split apart from those of the epochs
# Rows stay in the user's dtype and are converted as they are fed, not as a whole.
ROW_FORMAT: dict[str, Any] = {"accept_sparse": "csr", "dtype": "numeric", "order": "C"}


def in_numpy(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function take arrays of other libraries as NumPy's where the user has told
    scikit-learn's own estimators to leave them as they are.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if not get_config()["array_api_dispatch"]:  # a tenth of the time that the context takes
            return function(*args, **kwargs)
        with config_context(array_api_dispatch=False):
            return function(*args, **kwargs)

    return wrapper


@contextlib.contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Put every attribute back where a fit fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def check_dtype(estimator: Any, name: str, X: Matrix) -> Matrix:
    """Make numbers of Python's, and refuse dates and durations, of which NumPy would make some."""
    if X.dtype == object:  # scikit-learn converts only what shows its dtype at once
        X = check_array(X, input_name=name, estimator=estimator, **ROW_FORMAT)
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers; got dtype {X.dtype}.")
    return X


def refuse_masked(name: str, X: Any) -> None:
    """Refuse masked values: `numpy.asarray` would make numbers of what lies under the mask."""
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(
            f"{name} has masked values: fill them ({name}.filled(0)), or make them NaN and impute "
            "them (SimpleImputer)."
        )


@in_numpy
def check_rows(
    estimator: Any, X: Any, *, reset: bool = False, min_samples: int = 1, finite: bool = True
) -> Matrix:
    """Validate the rows of ``X`` against the features that the estimator knows.

    A `Network` reads a `Source` block by block, and looks for NaN and infinity itself: ``finite``
    is for the rest.
    """
    if is_source(X):
        source = Source(X, "X")
        head = source[0 : min(min_samples, source.shape[0])]
        validate_data(estimator, head, reset=reset, ensure_min_samples=min_samples, **ROW_FORMAT)
        return load_small(source) if finite else source
    if reset or not _is_valid(estimator, X, min_samples):
        refuse_masked("X", X)
        X = validate_data(
            estimator,
            X,
            reset=reset,
            ensure_min_samples=min_samples,
            ensure_all_finite=False,
            **ROW_FORMAT,
        )
        X = check_dtype(estimator, "X", X)
    if finite:
        _check_finite(estimator, "X", X)
    return X


def _is_valid(estimator: Any, X: Any, min_samples: int) -> bool:
    """Whether `validate_data` would return X itself, NaN and infinity aside.

    To find that out it takes twice as long as one row's encoding does.
    """
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.shape[0] >= min_samples
        and X.shape[1] == estimator.n_features_in_
        and X.dtype in (np.float32, np.float64)
        and X.flags.c_contiguous
        and not hasattr(estimator, "feature_names_in_")  # then it warns
    )


def _check_finite(estimator: Any, name: str, X: Matrix) -> None:
    """Raise scikit-learn's error for NaN and infinity, found in a third of its time."""
    if isinstance(X, np.ndarray) and X.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            if is_finite(X):
                return
    assert_all_finite(X, estimator_name=type(estimator).__name__, input_name=name)


@in_numpy
def check_codes(estimator: Any, X: Any, n_components: int) -> Matrix:
    """Validate codes."""
    if is_source(X):
        source = Source(X, "X")
        _check_head(estimator, source)
        X = source
    else:
        refuse_masked("X", X)
        X = check_array(X, input_name="X", estimator=estimator)
        X = check_dtype(estimator, "X", X)
    if X.shape[1] != n_components:
        raise ValueError(
            f"X has {X.shape[1]} features, but the codes of {type(estimator).__name__} "
            f"have {n_components}."
        )
    return X


@in_numpy
def check_matrix(estimator: Any, name: str, X: Any) -> Matrix:
    """Validate rows to train or validate on that are not the estimator's X."""
    if is_source(X):
        source = Source(X, name)
        _check_head(estimator, source)
        return load_small(source)
    refuse_masked(name, X)
    X = check_array(X, input_name=name, estimator=estimator, ensure_all_finite=False, **ROW_FORMAT)
    _check_finite(estimator, name, X)
    return check_dtype(estimator, name, X)


def _check_head(estimator: Any, source: Source) -> None:
    head = source[0 : min(1, source.shape[0])]
    check_array(head, input_name=source.name, estimator=estimator)


def check_clean(estimator: Any, name: str, X_clean: Any, X: Matrix) -> Matrix | None:
    """Validate the clean rows of ``X``, or pass None through."""
    if X_clean is None:
        return None
    X_clean = check_matrix(estimator, name, X_clean)
    if X_clean.shape != X.shape:
        raise ValueError(
            f"{name} must hold the clean row of every noisy one, of shape {X.shape}; "
            f"got shape {X_clean.shape}."
        )
    return X_clean


def weighted_rows(estimator: Any, X: Matrix, X_clean: Matrix | None, sample_weight: Any) -> Rows:
    """Make `Rows` of those that have a weight: a weight of zero leaves a row out."""
    if sample_weight is None:
        return Rows(X, X_clean, None, all_rows(X))
    weight = check_weight(estimator, X, sample_weight)
    return Rows(X, X_clean, weight, np.flatnonzero(weight))


@in_numpy
def check_weight(estimator: Any, X: Any, sample_weight: Any) -> Array:
    """Validate a weight for each row of X."""
    refuse_masked("sample_weight", sample_weight)
    weight = check_array(
        sample_weight,
        ensure_2d=False,
        dtype=np.float64,
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
        raise ValueError("sample_weight must not be zero for every row: no row is left.")
    return _scaled(weight)


def _scaled(weight: Array) -> Array:
    """Bring the largest weight to about 1, as only ratios count, and float32's range is short.

    A power of two as factor rounds nothing.  What float32 cannot tell from zero then is zero.
    """
    weight = np.ldexp(weight, -np.frexp(weight.max())[1])
    weight[weight < np.finfo(np.float32).tiny] = 0
    return weight.astype(np.float32)


@in_numpy
def validation_rows(estimator: Any, X_val: Any, X_val_clean: Any, *, paired: bool) -> Rows:
    """Make `Rows` of the user's validation set."""
    if (X_val_clean is not None) != paired:
        raise ValueError(
            "X_val_clean belongs to X_val as X_clean belongs to X: give both or none of "
            "X_clean and X_val_clean."
        )
    rows = check_matrix(estimator, "X_val", X_val)
    if rows.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X_val must have the {estimator.n_features_in_} features of X; got {rows.shape[1]}."
        )
    validate_data(estimator, X_val, reset=False, skip_check_array=True)  # compares the names
    targets = check_clean(estimator, "X_val_clean", X_val_clean, rows)
    return Rows(rows, targets, None, all_rows(rows))


def all_rows(X: Matrix) -> Array | range:
    """Number the rows; those of a `Source` may be too many to hold a number for each."""
    return range(X.shape[0]) if isinstance(X, Source) else np.arange(X.shape[0])


def split_rows(rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
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
    train, validation = np.sort(order[n_validation:]), np.sort(order[:n_validation])
    return (
        Rows(rows.inputs, rows.targets, rows.weight, train),
        Rows(rows.inputs, rows.targets, rows.weight, validation),
    )
