"""Imputers by name: functions of a seed that return an unfitted imputer."""

import importlib.util

from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

OURS, MIWAE = "AutoencoderImputer", "MIWAE (hyperimpute)"


def ours(seed):
    from skae import AutoencoderImputer

    return AutoencoderImputer(random_state=seed)


def mean(seed):
    return SimpleImputer()


def neighbours(seed):
    return KNNImputer()


def regressions(seed):
    return IterativeImputer(random_state=seed)


def trees(seed):
    """MissForest: D. J. Stekhoven and P. Buehlmann, Bioinformatics 28, 2012."""
    forest = ExtraTreesRegressor(n_estimators=100, random_state=seed)
    return IterativeImputer(forest, random_state=seed)


def miwae(seed):
    """P.-A. Mattei and J. Frellsen, "MIWAE: Deep Generative Modelling and Imputation of
    Incomplete Data Sets", ICML 2019.
    """
    from hyperimpute.plugins.imputers import Imputers

    return Imputers().get("miwae", random_state=seed)


CONTESTANTS = {
    OURS: ours,
    "SimpleImputer": mean,
    "KNNImputer": neighbours,
    "IterativeImputer (BayesianRidge)": regressions,
    "IterativeImputer (ExtraTrees)": trees,
    MIWAE: miwae,
}


def available(names):
    """Return the names of those contestants whose packages are installed."""
    has_miwae = importlib.util.find_spec("hyperimpute") is not None
    return [name for name in names if name != MIWAE or has_miwae]
