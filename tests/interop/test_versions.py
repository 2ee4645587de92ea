"""Pickles of other versions of skae."""

import pickle
import warnings
from pathlib import Path

import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

import skae
from skae import DeepAutoencoder, GaussianNoise, _version
from tests.pickles import write

RELEASES = sorted((Path(__file__).parents[1] / "pickles").glob("*.pickle"))


@pytest.mark.filterwarnings("error", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.stem)
def test_released_pickles_load(file):
    kept = pickle.loads(file.read_bytes())
    X = kept["X"]

    assert kept["noise"].transform(X).shape == X.shape
    for estimator, codes, rows in kept["estimators"]:
        assert_allclose(estimator.transform(X), codes, rtol=1e-9, atol=1e-12)
        assert_allclose(estimator.reconstruct(X), rows, rtol=1e-9, atol=1e-12)
        assert estimator.encoder_.input_shape == (None, 8)
        assert clone(estimator).fit(X).n_iter_ == 2


@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.stem)
def test_released_pickles_train(file):
    kept = pickle.loads(file.read_bytes())
    estimator, *_ = kept["estimators"][1]

    assert estimator.partial_fit(kept["X"]).n_iter_ == 3


def test_this_release_has_a_pickle():
    assert skae.__version__ in [file.stem for file in RELEASES], "run tests/pickles/write.py"


def test_released_pickle_is_final(monkeypatch):
    before = {file: file.read_bytes() for file in RELEASES}
    monkeypatch.setattr(write, "is_released", lambda version: True)
    with pytest.raises(SystemExit, match="is the pickle of a release"):
        write.main()

    assert {file: file.read_bytes() for file in RELEASES} == before


def test_changelog_says_what_is_released():
    """A version counts as released as soon as the changelog has its date."""
    assert not write.is_released("0.1.0") or "## [0.1.0] - 20" in write.CHANGELOG.read_text()
    assert write.is_released("0.0.1")


@pytest.mark.parametrize("kind", [DeepAutoencoder, GaussianNoise])
def test_new_parameter_gets_default(kind):
    """A state of an older version lacks the parameters that are new since then."""
    state = kind(random_state=3).__getstate__()
    old = {name: state[name] for name in state if name not in ("scale", "epochs", "n_components")}
    estimator = kind.__new__(kind)
    estimator.__setstate__(old)

    assert estimator.get_params() == kind(random_state=3).get_params()


@pytest.mark.parametrize("kind", [DeepAutoencoder, GaussianNoise])
def test_newer_version_is_named(kind, monkeypatch):
    with monkeypatch.context() as newer:
        newer.setattr(_version, "__version__", "12.3.1rc1")
        pickled = pickle.dumps(kind())

    with pytest.warns(UserWarning, match=rf"{kind.__name__} was written by skae 12\.3\.1rc1"):
        pickle.loads(pickled)


@pytest.mark.parametrize("kind", [DeepAutoencoder, GaussianNoise])
def test_version_is_not_an_attribute(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = pickle.loads(pickle.dumps(kind()))

    assert vars(copy).keys() == vars(kind()).keys()
