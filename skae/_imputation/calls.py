"""One call of `fit`, `transform` or `sample`: the resulting attributes or rows."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.impute import MissingIndicator

from skae._checks import is_auto, make_seed
from skae._estimators.inputs import check_labels
from skae._imputation.draws import draw, hidden_errors
from skae._imputation.fitting import (
    FEW_ROWS,
    FOLDS,
    default_autoencoder,
    fit_folds,
    fit_network,
    known_rows,
)
from skae._imputation.inputs import (
    check_draws,
    check_known,
    check_parameters,
    check_table,
    is_nan,
    marked,
    warn_of_empty,
)
from skae._imputation.scaling import Scaling
from skae._rows.finite import check_results
from skae._typing import Array


def fitted_attributes(imputer: Any, X: Any, y: Any) -> dict[str, Any]:
    """Fit to rows, and return the attributes of the fitted imputer."""
    check_parameters(imputer)
    X = check_table(imputer, X, reset=True)
    check_labels(y)
    rows = marked(imputer, X)
    unknown = np.isnan(rows)
    check_known(unknown)
    empty = np.asarray(unknown.all(axis=0))
    warn_of_empty(imputer, empty)
    indicator = _indicator(imputer).fit(X) if imputer.add_indicator else None
    return _networks(imputer, rows[:, ~empty]) | {"_empty": empty, "indicator_": indicator}


def _networks(imputer: Any, rows: Array) -> dict[str, Any]:
    """Fit networks to columns that have known values, and return the attributes.

    A network that is trained on all rows fills gaps better than the mean of those of the folds.
    """
    rng = np.random.default_rng(make_seed(imputer.random_state))
    scaling = Scaling.of(rows)
    Z = scaling(rows)
    used = known_rows(Z)
    n_rows = len(used)
    autoencoder = imputer.autoencoder
    if autoencoder is None:
        autoencoder = default_autoencoder(n_rows)
    folds = fit_folds(autoencoder, Z, _n_folds(imputer, n_rows), rng)
    return {
        "estimator_": fit_network(autoencoder, Z[used], rng),
        "_scales": vars(scaling),
        "_errors": hidden_errors(folds, Z, rng),
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


def transformed(imputer: Any, X: Any) -> Array:
    """Return rows without gaps, and with the columns of the indicator."""
    X = check_table(imputer, X)
    fill = _mean_draw(imputer) if imputer.sample_posterior else imputer.estimator_.reconstruct
    filled = _filled(imputer, X, fill)
    if imputer.indicator_ is None:
        return filled
    return np.hstack([filled, imputer.indicator_.transform(X)], dtype=filled.dtype)


def sampled(imputer: Any, X: Any, n_draws: int | None) -> Array:
    """Return ``n_draws`` tables without gaps, as one array."""
    n_draws = imputer.n_draws if n_draws is None else n_draws
    check_draws(n_draws)
    X = check_table(imputer, X)
    one = _draw(imputer)
    return np.stack([_filled(imputer, X, one) for _ in range(n_draws)])


def _draw(imputer: Any) -> Callable[[Array], Array]:
    """Return a function that draws the unknown cells of scaled rows."""
    limits = Scaling(**imputer._scales).limits
    rng = np.random.default_rng((make_seed(imputer.random_state), 1))  # not that of `fit`
    return functools.partial(draw, imputer.estimator_, imputer._errors, limits, rng=rng)


def _mean_draw(imputer: Any) -> Callable[[Array], Array]:
    one = _draw(imputer)
    return lambda Z: sum(one(Z) for _ in range(imputer.n_draws)) / imputer.n_draws


def _filled(imputer: Any, X: Array, fill: Callable[[Array], Array]) -> Array:
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
