"""Data types of rows, and their conversion to numbers."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils import check_array

from skae._typing import Matrix

P = ParamSpec("P")

T = TypeVar("T")

# Rows keep the user's dtype.  They are converted in small parts when they are used.
ROW_FORMAT: dict[str, Any] = {"accept_sparse": "csr", "dtype": "numeric", "order": "C"}


def without_array_api(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function so that it converts arrays of other libraries to NumPy arrays.

    With ``array_api_dispatch=True``, scikit-learn's validation would leave them unconverted.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if not get_config()["array_api_dispatch"]:  # takes a tenth of the context's time
            return function(*args, **kwargs)
        with config_context(array_api_dispatch=False):
            return function(*args, **kwargs)

    return wrapper


def check_dtype(estimator: Any, name: str, X: Matrix) -> Matrix:
    """Convert an object array to numbers, and return other numbers unchanged.

    Raises
    ------
    ValueError
        If X contains dates or durations, which NumPy would silently convert to numbers.
    """
    if X.dtype == object:  # scikit-learn converts object arrays, but not lists of objects
        X = check_array(
            X, input_name=name, estimator=estimator, ensure_all_finite=False, **ROW_FORMAT
        )
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers; got dtype {X.dtype}.")
    return X


def nan_for_missing(X: Any) -> Any:
    """Return a frame with NaN instead of pandas' NA in columns of objects, or X itself.

    scikit-learn converts NA in columns of all other types.
    """
    if not hasattr(X, "isetitem"):
        return X
    places = [place for place, dtype in enumerate(X.dtypes) if dtype.kind == "O"]
    X = X.copy() if places else X
    for place in places:
        X.isetitem(place, X.iloc[:, place].to_numpy(object, na_value=np.nan))
    return X


def refuse_masked(name: str, X: Any) -> None:
    """Raise ValueError if values are masked.

    `numpy.asarray` would ignore the mask, and use the numbers under it.
    """
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(
            f"{name} has masked values: fill them ({name}.filled(0)), or replace them by NaN and "
            "impute them (SimpleImputer)."
        )


def output_dtype(X: Matrix) -> np.dtype[Any]:
    """Return the dtype of results for X: float32 for float32, and float64 for every other."""
    is_float32 = X.dtype.kind == "f" and X.dtype.itemsize == 4  # in either byte order
    return np.dtype(np.float32 if is_float32 else np.float64)
