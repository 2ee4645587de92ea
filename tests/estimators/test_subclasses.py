"""Subclasses of the estimators, as users write them, keep scikit-learn's contract."""

import copy
import inspect
import pickle

import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skae import DeepAutoencoder, DenoisingAutoencoder


class Extended(DeepAutoencoder):
    def __init__(self, extra=1, **kwargs):
        super().__init__(**kwargs)
        self.extra = extra


class Twice(Extended):
    def __init__(self, *, more="a", **options):
        super().__init__(**options)
        self.more = more


class Logging:
    def __init__(self, log=False, **kwargs):
        super().__init__(**kwargs)
        self.log = log


class Mixed(Logging, DenoisingAutoencoder):
    pass


class OtherDefault(DeepAutoencoder):
    def __init__(self, **kwargs):
        kwargs.setdefault("epochs", 3)
        super().__init__(**kwargs)


class Narrow(DeepAutoencoder):
    def __init__(self, n_components=3, epochs=2):
        super().__init__(n_components, hidden_layer_sizes=(4,), epochs=epochs, random_state=0)


PARAMS = {
    "n_components": 2, "hidden_layer_sizes": (4,), "epochs": 2, "random_state": 0,
    "optimizer": "adam", "optimizer__beta_1": 0.8,
}  # fmt: skip
each_subclass = pytest.mark.parametrize(
    ("kind", "own"),
    [
        (Extended, {"extra": 5}),
        (Twice, {"extra": 5, "more": "b"}),
        (Mixed, {"log": True, "noise_scale": 0.1}),
        (OtherDefault, {}),
    ],
)


@each_subclass
def test_clone_keeps_all_parameters(kind, own, X):
    estimator = kind(**PARAMS, **own)
    other = clone(estimator.set_params(epochs=1))

    assert other.get_params() == estimator.get_params()
    assert other.get_params().items() >= (PARAMS | own | {"epochs": 1}).items()
    assert_array_equal(other.fit(X).transform(X), estimator.fit(X).transform(X))


@each_subclass
def test_signature_names_all_parameters(kind, own):
    names = inspect.signature(kind).parameters.keys()
    base = DenoisingAutoencoder if kind is Mixed else DeepAutoencoder

    assert names == {*inspect.signature(base).parameters, *own}
    assert "hidden_layer_sizes=(4,)" in repr(kind(**PARAMS, **own))
    assert "activation" not in repr(kind(**PARAMS, **own))
    with pytest.raises(TypeError, match=rf"{kind.__name__} got .* 'epoch'\. Did you mean 'epochs'"):
        kind(epoch=3)


@each_subclass
def test_search_sets_parameters(kind, own, X):
    search = GridSearchCV(kind(**PARAMS, **own), {"n_components": [1, 2]}, cv=2).fit(X)

    best = search.best_estimator_
    assert (best.epochs, best.hidden_layer_sizes) == (2, (4,))
    assert best.transform(X).shape[1] == search.best_params_["n_components"]


@each_subclass
def test_subclass_is_copied(kind, own, X):
    estimator = kind(**PARAMS, **own).fit(X)
    for other in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        assert other.get_params() == estimator.get_params()
        assert_array_equal(other.transform(X), estimator.transform(X))


def test_explicit_signature_stays():
    assert clone(Narrow(5)).get_params() == {"n_components": 5, "epochs": 2}


def test_positional_keywords_are_refused():
    class Positional(DeepAutoencoder):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    with pytest.raises(RuntimeError, match=r"\(no varargs\)"):
        clone(Positional(2))
