"""One call of `fit` or `calibrate`: checks of parameters and data, and the resulting attributes."""

import math
import warnings
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skae._checks import check_bool, check_number, check_random_state, is_auto, make_seed
from skae._estimators.base import BaseAutoencoder
from skae._estimators.denoising import DenoisingAutoencoder
from skae._estimators.inputs import check_labels, check_weight
from skae._estimators.parameters import check_nested
from skae._outliers.calibration import Calibration
from skae._outliers.comparison import Member, average
from skae._outliers.fitting import FEW_ROWS, FOLDS, Settings, default_autoencoder, fit_members
from skae._outliers.scaling import merge_equal_rows
from skae._outliers.state import calibration_of, members_of, pack_calibration, pack_members
from skae._outliers.tables import learn_rows, read_rows
from skae._tables.inputs import table_of
from skae._typing import Array, Matrix

FEWEST_ROWS, MOST_FOLDS = 4, 1000


def fitted_attributes(detector: Any, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """Fit to rows, and return the attributes of the fitted detector."""
    check_parameters(detector)
    X, weight = _check_fit(detector, X, y, sample_weight)
    rng = np.random.default_rng(make_seed(detector.random_state))
    table = table_of(detector)
    autoencoder = _make_autoencoder(detector, X.shape[1])
    options = _settings(detector, int(np.count_nonzero(weight)))
    with warnings.catch_warnings():
        if detector.autoencoder is None:  # its epochs were chosen for the scores, not for the loss
            warnings.simplefilter("ignore", ConvergenceWarning)
        ensemble = fit_members(autoencoder, X, weight, options, rng, table)
    attributes = pack_members(ensemble.members, options.n_neighbors)
    attributes |= _threshold(detector, Calibration.of(ensemble.scores, ensemble.weight))
    if not is_auto(detector.contamination):
        scores = _scores(ensemble.members, X, options.n_neighbors)
        attributes["offset_"] = _offset(detector, _calibration(scores, weight))
    return attributes


def calibrated_attributes(detector: Any, X: Any, sample_weight: Any) -> dict[str, Any]:
    """Return the attributes of a detector with a new threshold."""
    _check_threshold(detector)
    if X is None:
        return _threshold(detector, calibration_of(detector))
    X = read_rows(detector, detector.estimators_[0], X)
    weight = _weight(detector, X, sample_weight)
    scores = _scores(members_of(detector), X, detector._n_neighbors)
    return _threshold(detector, _calibration(scores, weight))


def _check_fit(detector: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Matrix, Array]:
    """Check rows and weights, and merge equal rows."""
    autoencoder = detector.autoencoder
    X = learn_rows(detector, DenoisingAutoencoder() if autoencoder is None else autoencoder, X)
    check_labels(y)
    X, weight = merge_equal_rows(X, _weight(detector, X, sample_weight))
    n_rows = np.count_nonzero(weight)
    if n_rows < FEWEST_ROWS:
        raise ValueError(
            f"fit needs at least {FEWEST_ROWS} distinct rows with a weight above zero; got "
            f"{n_rows}: give more rows."
        )
    return X, weight


def _weight(detector: Any, X: Matrix, sample_weight: Any) -> Array:
    if sample_weight is None:
        return np.ones(X.shape[0])
    return check_weight(detector, X, sample_weight).astype(np.float64)


def _threshold(detector: Any, calibration: Calibration) -> dict[str, Any]:
    return pack_calibration(calibration) | {"offset_": _offset(detector, calibration)}


def _offset(detector: Any, calibration: Calibration) -> float:
    contamination: Any = detector.contamination
    if is_auto(contamination):
        return calibration.offset(detector.false_alarm_rate)
    return calibration.quantile(contamination)


def _scores(members: list[Member], X: Matrix, n_neighbors: int) -> Array:
    scores: Array = average(members, X, n_neighbors, Member.scores)
    return scores.astype(np.float64)


def _calibration(scores: Array, weight: Array) -> Calibration:
    used = np.flatnonzero(weight)
    return Calibration.of(scores[used], weight[used])


def check_parameters(detector: Any) -> None:
    """Check the types and ranges of a detector's parameters.

    Raises
    ------
    ValueError, TypeError
        If a parameter does not have the documented type or range.
    """
    check_nested(detector.autoencoder, BaseAutoencoder, "DeepAutoencoder")
    _check_threshold(detector)
    check_number("trim", detector.trim, low=0, high=0.5)
    check_number("n_folds", detector.n_folds, low=1, high=MOST_FOLDS, kind=Integral, auto=True)
    fraction = detector.calibration_fraction
    check_number("calibration_fraction", fraction, low=0, high=1, above=True, below=True)
    check_number("n_neighbors", detector.n_neighbors, low=1, kind=Integral)
    check_number("n_references", detector.n_references, low=1, kind=Integral)
    check_bool("standardize", detector.standardize)
    check_random_state(detector.random_state)


def _check_threshold(detector: Any) -> None:
    """Check the parameters that determine the threshold."""
    contamination, rate = detector.contamination, detector.false_alarm_rate
    check_number("contamination", contamination, low=0, high=0.5, above=True, auto=True)
    check_number("false_alarm_rate", rate, low=0, high=1, above=True, below=True)


def _make_autoencoder(detector: Any, n_features: int) -> Any:
    """Return the estimator to clone: the one that the parameter holds, or the default."""
    if detector.autoencoder is None:
        return default_autoencoder(n_features)
    return detector.autoencoder


def _settings(detector: Any, n_rows: int) -> Settings:
    """Return the parameters for `fit_members`; "auto" gets its meaning here."""
    n_folds = detector.n_folds
    if is_auto(n_folds):
        n_folds = FOLDS if n_rows < FEW_ROWS else 1
    contamination = 0.0 if is_auto(detector.contamination) else detector.contamination
    # the outliers of a fit are rarely one group: half of the share was the best on ADBench's sets
    n_more = math.ceil(max(detector.trim, contamination) * detector.n_references / 2)
    return Settings(
        n_folds=min(int(n_folds), n_rows),
        calibration_fraction=detector.calibration_fraction,
        n_neighbors=detector.n_neighbors + n_more,
        n_references=detector.n_references,
        trim=float(detector.trim),
        standardize=bool(detector.standardize),
    )
