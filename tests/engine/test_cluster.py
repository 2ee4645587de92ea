"""Searches on a cluster: dask.distributed with two worker processes."""

import os
import signal
from functools import partial
from itertools import chain
from pathlib import Path

import joblib
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        local_directory=tmp_path_factory.mktemp("workers"),
    )
    with cluster, distributed.Client(cluster) as client:
        client.amm.stop()  # keep scattered data on all workers
        yield client


@pytest.fixture
def search(make_autoencoder, X):
    grid = {"n_components": [2, 4], "learning_rate": [0.01, 0.02, 0.03]}
    return GridSearchCV(make_autoencoder(), grid, cv=list(KFold(3).split(X)), error_score="raise")


def score_or_die(estimator, X, y=None, *, killed_pid_file):
    """Score; kill the first process that reaches the last learning rate, after it wrote its id."""
    if estimator.learning_rate == 0.03:
        try:
            with open(killed_pid_file, "x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return estimator.score(X)


def assert_same_scores(ours, theirs):
    for split in range(3):
        name = f"split{split}_test_score"
        assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])
    assert_array_equal(
        ours.best_estimator_.transform([[0.5] * 64]), theirs.best_estimator_.transform([[0.5] * 64])
    )


def test_search_on_cluster_keeps_scores(client, search, X):
    here = clone(search).set_params(n_jobs=1).fit(X)
    with joblib.parallel_config(backend="dask"):
        there = clone(search).fit(X)

    assert len(set(here.cv_results_["mean_test_score"])) == 6
    assert_same_scores(there, here)
    # each worker has fitted, so that this process did not fit for them
    assert all(client.run(lambda: "tensorflow" in __import__("sys").modules).values())


def test_search_survives_killed_worker(client, search, X, tmp_path):
    killed_pid_file = tmp_path / "killed.pid"
    workers = set(client.run(os.getpid).values())
    here = clone(search).fit(X)
    search.set_params(scoring=partial(score_or_die, killed_pid_file=killed_pid_file))
    with joblib.parallel_config(backend="dask", scatter=[X, *chain(*search.cv)]):
        there = search.fit(X)

    client.wait_for_workers(2, timeout=60)
    killed = int(killed_pid_file.read_text())
    assert killed in workers
    assert not Path(f"/proc/{killed}").exists()
    assert killed not in client.run(os.getpid).values()
    assert_same_scores(there, here)
