"""Copies of estimators, and of the Keras objects that Keras itself cannot copy.

Keras copies an object of its own by the name of its class, which it finds only if the class is
registered or importable.  A class in a script or a notebook is neither.  Here an object is copied
by its class and its configuration.
"""

import copy
import sys
from typing import Any

from sklearn.base import BaseEstimator


class ByConfig:
    """Holds a Keras object; its deep copy, and its pickle, are those of a new, equal object.

    The pickle calls the class method ``from_config``, so that it does not name this class.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return type(self.value).from_config, (self.value.get_config(),)

    def __deepcopy__(self, memo: object) -> Any:
        """Return a new object, or the same one if its configuration lacks arguments."""
        from skae._engine.tensorflow import unnamed_variables

        try:
            with unnamed_variables():
                return type(self.value).from_config(self.value.get_config())
        except Exception:  # of any kind; `fit` names the missing arguments
            return self.value


def by_config(value: Any) -> Any:
    """Wrap the Keras objects in a parameter, which may be a list of them."""
    if type(value) in (list, tuple):
        return type(value)(map(by_config, value))
    keras: Any = sys.modules.get("keras")
    if keras is None or isinstance(value, type):
        return value
    kinds = keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer
    return ByConfig(value) if isinstance(value, kinds) else value


def clone(estimator: Any) -> Any:
    """Return scikit-learn's clone of an estimator."""
    kind: Any = type(estimator)
    held = kind.__new__(kind)
    vars(held).update({name: by_config(value) for name, value in vars(estimator).items()})
    return BaseEstimator.__sklearn_clone__(held)


def shallow_copy(estimator: Any) -> Any:
    """Return a copy of an estimator that shares its arrays and its functions."""
    kind: Any = type(estimator)
    made = kind.__new__(kind)
    made.__setstate__(estimator.__getstate__())
    return made


def deep_copy(estimator: Any, memo: dict[int, Any]) -> Any:
    """Return a copy of an estimator that shares its functions only."""
    kind: Any = type(estimator)
    made = memo[id(estimator)] = kind.__new__(kind)
    state = {name: by_config(value) for name, value in estimator.__getstate__().items()}
    made.__setstate__(copy.deepcopy(state, memo))
    return made
