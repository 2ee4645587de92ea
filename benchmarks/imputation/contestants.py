"""Imputers by name: functions of a seed that return an unfitted imputer."""

from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

OURS = "AutoencoderImputer"


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


CONTESTANTS = {
    OURS: ours,
    "SimpleImputer": mean,
    "KNNImputer": neighbours,
    "IterativeImputer (BayesianRidge)": regressions,
    "IterativeImputer (ExtraTrees)": trees,
}
