"""One call of `fit`, `transform` or `sample`: the resulting attributes or rows."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.impute import MissingIndicator

from skae._checks import is_auto, make_seed
from skae._estimators.inputs import check_labels
from skae._imputation.cells import Cells
from skae._imputation.draws import draw, hidden_errors
from skae._imputation.fitting import (
    FEW_ROWS,
    FOLDS,
    default_autoencoder,
    fit_folds,
    fit_network,
    known_rows,
    table_parameters,
)
from skae._imputation.inputs import (
    check_draws,
    check_known,
    check_mark,
    check_parameters,
    check_table,
    is_nan,
    mark_of,
    marked,
    warn_of_empty,
)
from skae._imputation.scaling import Scaling
from skae._rows.finite import check_results
from skae._tables.inputs import find_table, table_of
from skae._typing import Array

if TYPE_CHECKING:
    from skae._tables.table import Table  # imports narwhals, which takes 40 ms

Fill = Callable[[Array], Array]  # takes rows of cells with gaps, and returns values for all cells


def fitted_attributes(imputer: Any, X: Any, y: Any) -> dict[str, Any]:
    """Fit to rows, and return the attributes of the fitted imputer."""
    check_parameters(imputer)
    parameters = table_parameters(imputer.autoencoder)
    table = find_table(parameters, X, mark_of(imputer))
    if table is None:
        check_mark(imputer)
        return _fit_numbers(imputer, X, y)
    return _fit_table(imputer, X, y, table, parameters.handle_unknown)


def _fit_numbers(imputer: Any, X: Any, y: Any) -> dict[str, Any]:
    X = check_table(imputer, X, reset=True)
    check_labels(y)
    rows = marked(imputer, X)
    gaps = np.isnan(rows)
    check_known(gaps)
    empty = _empty(imputer, gaps)
    indicator = _indicator(imputer).fit(X) if imputer.add_indicator else None
    rows = rows[:, ~empty]
    scaling = Scaling.of(rows)
    attributes = _networks(imputer, scaling(rows), Cells())
    return attributes | _attributes(None, scaling, empty, indicator)


def _fit_table(imputer: Any, X: Any, y: Any, table: "Table", handle_unknown: str) -> dict[str, Any]:
    from skae._imputation import tables

    read = tables.learn(imputer, X, table, handle_unknown)
    check_labels(y)
    empty = _empty(imputer, read.gaps)
    indicator = tables.indicator(read.gaps) if imputer.add_indicator else None
    attributes = _networks(imputer, read.Z, Cells(read.table))
    return attributes | _attributes(read.table.pack(), read.scaling, empty, indicator)


def _empty(imputer: Any, gaps: Array) -> Array:
    """Return a mask of the columns without a known value, after a warning of these."""
    empty = np.asarray(gaps.all(axis=0))
    warn_of_empty(imputer, empty)
    return empty


def _attributes(table: Any, scaling: Scaling, empty: Array, indicator: Any) -> dict[str, Any]:
    return {
        "_table": table,
        "_scales": vars(scaling),
        "_empty": empty,
        "indicator_": indicator,
    }


def _networks(imputer: Any, Z: Array, cells: Cells) -> dict[str, Any]:
    """Fit networks to scaled rows of columns that have known values, and return the attributes.

    A network that is trained on all rows fills gaps better than the mean of those of the folds.
    """
    rng = np.random.default_rng(make_seed(imputer.random_state))
    used = known_rows(Z)
    n_rows = len(used)
    autoencoder = imputer.autoencoder
    if autoencoder is None:
        autoencoder = default_autoencoder(n_rows, has_table=cells.table is not None)
    folds = fit_folds(autoencoder, Z, _n_folds(imputer, n_rows), rng, cells)
    return {
        "estimator_": fit_network(autoencoder, cells.rows(Z[used]), rng),
        "_errors": hidden_errors(folds, Z, rng, cells),
    }


def _n_folds(imputer: Any, n_rows: int) -> int:
    n_folds = imputer.n_folds
    if is_auto(n_folds):
        n_folds = FOLDS if n_rows < FEW_ROWS else 1
    return min(int(n_folds), n_rows)


def _indicator(imputer: Any) -> Any:
    value = imputer.missing_values
    missing_values = np.nan if is_nan(value) else float(value)
    indicator = MissingIndicator(missing_values=missing_values, error_on_new=False)
    return indicator.set_output(transform="default")


def transformed(imputer: Any, X: Any) -> Any:
    """Return rows without gaps, and with the columns of the indicator."""
    cells = Cells(table_of(imputer))
    fill = _mean_draw(imputer, cells) if imputer.sample_posterior else _best(imputer, cells)
    if cells.table is not None:
        return _filled_frames(imputer, X, cells.table, [fill], indicator=True)[0]
    X = check_table(imputer, X)
    filled = _filled(imputer, X, fill)
    if imputer.indicator_ is None:
        return filled
    return np.hstack([filled, imputer.indicator_.transform(X)], dtype=filled.dtype)


def sampled(imputer: Any, X: Any, n_draws: int | None) -> Any:
    """Return ``n_draws`` tables without gaps, as one array; as a list, if they have categories."""
    n_draws = imputer.n_draws if n_draws is None else n_draws
    check_draws(n_draws)
    cells = Cells(table_of(imputer))
    one = _draw(imputer, cells)
    if cells.table is not None:
        return _filled_frames(imputer, X, cells.table, [one] * n_draws)
    X = check_table(imputer, X)
    return np.stack([_filled(imputer, X, one) for _ in range(n_draws)])


def _best(imputer: Any, cells: Cells) -> Fill:
    return lambda Z: cells.best(cells.outputs(imputer.estimator_, Z))


def _draw(imputer: Any, cells: Cells) -> Fill:
    """Return a function that draws the unknown cells of scaled rows."""
    limits = Scaling(**imputer._scales).limits
    rng = np.random.default_rng((make_seed(imputer.random_state), 1))  # not that of `fit`
    return functools.partial(
        draw, imputer.estimator_, imputer._errors, limits, rng=rng, cells=cells
    )


def _mean_draw(imputer: Any, cells: Cells) -> Fill:
    one = _draw(imputer, cells)
    return lambda Z: cells.middle([one(Z) for _ in range(imputer.n_draws)])


def _filled_frames(
    imputer: Any, X: Any, table: "Table", fills: list[Fill], *, indicator: bool = False
) -> list[Any]:
    """Return a copy of a frame for each way to fill the gaps."""
    from skae._imputation import tables

    read = tables.read(imputer, X, table)
    index = np.flatnonzero(np.isnan(read.Z).any(axis=1))
    frames = []
    for fill in fills:
        values = read.Z.copy()
        if len(index):
            values[index] = fill(read.Z[index])
        frames.append(tables.restored(imputer, X, read, values, indicator=indicator))
    return frames


def _filled(imputer: Any, X: Array, fill: Fill) -> Array:
    """Return a copy of rows with the values of ``fill`` in their unknown cells.

    ``fill`` takes scaled rows with gaps, and returns values for all cells.  The unknown cells of
    columns that had no known value in `fit` become zero.
    """
    scaling, used = Scaling(**imputer._scales), np.flatnonzero(~imputer._empty)
    rows = marked(imputer, X)
    unknown = np.isnan(rows)
    filled = np.where(unknown, X.dtype.type(0), X)
    index = np.flatnonzero(unknown[:, used].any(axis=1))
    if len(index):
        part = np.ix_(index, used)
        values = scaling.undo(fill(scaling(rows[part])))
        with np.errstate(over="ignore"):
            filled[part] = np.where(unknown[part], values, X[part])
        check_results(filled, 0)
    return filled if imputer.keep_empty_features else filled[:, used]
