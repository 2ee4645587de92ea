"""Frames with categories that users pass to an estimator, and the frames that they get back."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._rows.finite import check_finite
from skae._rows.readable import refuse_unreadable
from skae._rows.sources import is_source
from skae._tables.encoded import Encoded
from skae._typing import Array, Matrix

if TYPE_CHECKING:
    from skae._tables.table import Table  # imports narwhals, which takes 40 ms


def learn_table(estimator: Any, X: Any) -> None:
    """Set the estimator's ``_table``: the columns of X, or None if they are all numbers."""
    table = X.table if isinstance(X, Encoded) else find_table(estimator, X)
    estimator._table = None if table is None else table.pack()


def find_table(estimator: Any, X: Any, missing: Any = None) -> "Table | None":
    """Return the columns of X with the parameters of an estimator; None if they are all numbers.

    ``missing`` is another value that marks unknown cells, besides None and NaN.
    """
    categorical = estimator.categorical_features
    if categorical is None or (isinstance(categorical, str) and not hasattr(X, "columns")):
        return None
    if is_source(X):
        raise ValueError(
            f"categorical_features={categorical!r} needs rows in memory; got {type(X).__name__}: "
            "pass a frame or an array, or encode the categories in the file as numbers."
        )
    from skae._tables.table import Table

    refuse_unreadable("X", X)
    return Table.of(X, categorical, estimator.min_frequency, missing)


def table_of(estimator: Any) -> "Table | None":
    """Return the table of a fitted estimator; None if its rows are numbers."""
    packed = vars(estimator).get("_table")
    if packed is None:
        return None
    from skae._tables.table import Table

    return Table.unpack(packed)


def encode(
    estimator: Any,
    X: Any,
    table: "Table",
    *,
    name: str = "X",
    reset: bool = False,
    min_samples: int = 1,
    gaps: bool = False,
    handle_unknown: str | None = None,
) -> Matrix:
    """Return the matrix of a frame after checking it; of `Encoded` rows, their matrix.

    ``handle_unknown`` is needed if the estimator does not have it as a parameter.
    """
    if isinstance(X, Encoded):
        matrix = X.matrix
        if reset:
            _take_names(estimator, X.table)
    else:
        if name == "X":
            validate_data(estimator, X, reset=reset, skip_check_array=True)
        refuse_unreadable(name, X)
        matrix = table.encode(X, handle_unknown or estimator.handle_unknown, gaps=gaps, name=name)
    check_array(
        matrix,
        accept_sparse="csr",
        ensure_min_samples=min_samples,
        ensure_all_finite=False,
        input_name=name,
        estimator=estimator,
    )
    check_finite(name, matrix, gaps=gaps)  # for NaN of types that a column does not know as missing
    return matrix


def _take_names(estimator: Any, table: "Table") -> None:
    """Set what `validate_data` learns from a frame, so that the estimator takes frames, too."""
    from skae._tables.frames import ARRAY

    estimator.n_features_in_ = len(table.columns)
    if table.library != ARRAY:
        estimator.feature_names_in_ = np.array(table.names, dtype=object)


def restore(estimator: Any, outputs: Array, X: Any) -> Any:
    """Return the frame that outputs of the network stand for.

    It has the index of X, if that is a frame of pandas.  The outputs themselves are returned
    without a table, and if X is `Encoded`.
    """
    table = table_of(estimator)
    if table is None or isinstance(X, Encoded):
        return outputs
    return table.decode(outputs, X.index if hasattr(X, "iloc") else None)


def refuse_source(estimator: Any, name: str) -> None:
    """Raise ValueError if rows that are a source of numbers should have categories."""
    if table_of(estimator) is not None:
        raise ValueError(
            f"{name} is a source of numbers, but the rows of fit have categories: pass a frame."
        )


def refuse_out(estimator: Any, out: Any) -> None:
    """Raise ValueError if results that are a frame should go to an array."""
    if out is not None and vars(estimator).get("_table") is not None:
        raise ValueError(
            "out is for results that are numbers, but the rows have categories: leave out at None."
        )


def probabilities(estimator: Any, outputs: Array) -> dict[str, Array]:
    """Return the probabilities of categories, by the names of their columns."""
    table = table_of(estimator)
    return {} if table is None else table.probabilities(outputs)


def categories(estimator: Any) -> dict[str, list[Any]]:
    """Return the categories of an estimator's categorical columns, by the names of these."""
    check_is_fitted(estimator)
    table = table_of(estimator)
    return {} if table is None else table.categories
