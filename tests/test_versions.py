"""Pickles of other versions of skae."""

import pickle
import warnings
from pathlib import Path

import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

import skae
from skae import DeepAutoencoder, GaussianNoise
from tests.pickles import write

RELEASES = sorted(Path(__file__).with_name("pickles").glob("*.pickle"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.stem)
def test_the_pickles_of_each_release_load_and_give_the_same(file):
    kept = pickle.loads(file.read_bytes())
    X = kept["X"]

    assert kept["noise"].transform(X).shape == X.shape
    for estimator, codes, rows in kept["estimators"]:
        assert_allclose(estimator.transform(X), codes, rtol=1e-9, atol=1e-12)
        assert_allclose(estimator.reconstruct(X), rows, rtol=1e-9, atol=1e-12)
        assert estimator.encoder_.input_shape == (None, 8)
        assert clone(estimator).fit(X).n_iter_ == 2


@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.stem)
def test_the_pickles_of_each_release_go_on_training(file):
    kept = pickle.loads(file.read_bytes())
    estimator, *_ = kept["estimators"][1]

    assert estimator.partial_fit(kept["X"]).n_iter_ == 3


def test_there_is_a_pickle_of_this_release():
    assert skae.__version__ in [file.stem for file in RELEASES], "run tests/pickles/write.py"


def test_the_pickle_of_a_release_is_not_written_again(monkeypatch):
    before = {file: file.read_bytes() for file in RELEASES}
    monkeypatch.setattr(write, "is_released", lambda version: True)
    with pytest.raises(SystemExit, match="is of a release, and stays as it is"):
        write.main()

    assert {file: file.read_bytes() for file in RELEASES} == before


def test_a_version_is_released_once_the_changelog_has_its_date():
    assert not write.is_released("0.1.0") or "## [0.1.0] - 20" in write.CHANGELOG.read_text()
    assert write.is_released("0.0.1")


@pytest.mark.parametrize("kind", [DeepAutoencoder, GaussianNoise])
def test_a_parameter_that_the_writing_version_did_not_have_gets_its_default(kind):
    state = kind(random_state=3).__getstate__()
    old = {name: state[name] for name in state if name not in ("scale", "epochs", "n_components")}
    estimator = kind.__new__(kind)
    estimator.__setstate__(old)

    assert estimator.get_params() == kind(random_state=3).get_params()


@pytest.mark.parametrize("kind", [DeepAutoencoder, GaussianNoise])
def test_a_pickle_of_a_newer_version_says_which(kind, monkeypatch):
    with monkeypatch.context() as newer:
        newer.setattr(skae, "__version__", "12.3.1rc1")
        pickled = pickle.dumps(kind())

    with pytest.warns(UserWarning, match=rf"{kind.__name__} was written by skae 12\.3\.1rc1"):
        pickle.loads(pickled)


@pytest.mark.parametrize("kind", [DeepAutoencoder, GaussianNoise])
def test_the_version_is_no_attribute(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = pickle.loads(pickle.dumps(kind()))

    assert vars(copy).keys() == vars(kind()).keys()
