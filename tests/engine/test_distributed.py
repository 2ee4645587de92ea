"""Fits on several devices and processes against a fit in this process."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from skae import DeepAutoencoder

N_ROWS, BATCH, TIMEOUT = 131, 33, 300  # 33: shares of 17 and 16, a last one of 32
LOST = "RuntimeError: Training stopped because a worker of MultiWorkerMirroredStrategy was lost"
COMMON = """
import json, os, sys, time
import keras
import numpy as np
import tensorflow as tf
from skae import DeepAutoencoder, DenoisingAutoencoder

X = np.random.default_rng(0).random((131, 12), dtype=np.float32)
weight = np.random.default_rng(1).random(131) + 0.5

class Killed(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 3 and os.environ.get("KILL") == "1":
            os.kill(os.getpid(), 9)
        if epoch == 3:
            time.sleep(float(os.environ.get("IDLE_IN_A_CALLBACK", 0)))

def make(kind=DeepAutoencoder, **params):
    defaults = dict(hidden_layer_sizes=(8,), batch_size=33, epochs=6, random_state=0)
    return kind(3, **(defaults | params))

def fit(estimator):
    return estimator.fit(X, sample_weight=weight, X_val=X[:50])
"""
MIRRORED = """
from skae._engine.cache import programs

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy()
cases = {
    "muon": {},
    "metrics": {"metrics": ["mse"]},
    "adam": {"optimizer": "adam"},
    "clipped": {"optimizer": "adam", "optimizer__clipnorm": 0.01},
    "averaged": {"optimizer": "adam", "optimizer__use_ema": True},
    "one row left over": {"batch_size": 130},
    "stopped early": {"loss": "mean_squared_error", "early_stopping": True, "n_iter_no_change": 1},
    "denoising": {"kind": DenoisingAutoencoder},
    "tied": {"tied_weights": True},
    "tied, adam": {"tied_weights": True, "optimizer": "adam"},
    "penalised": {"alpha": 0.01, "code_penalty": 0.1, "contraction": 0.01},
}
results = {"replicas": strategy.num_replicas_in_sync}
for name, params in cases.items():
    alone = fit(make(**params))
    with strategy.scope():
        shared = fit(make(**params))
    pairs = zip(alone._network.weights, shared._network.weights, strict=True)
    results[name] = [
        max(float(abs(a - b).max()) for a, b in pairs), alone.history_, shared.history_
    ]
one, two = make(), make()
for _ in range(2):
    one.partial_fit(X)
    with strategy.scope():
        two.partial_fit(X)
pairs = zip(one._network.weights, two._network.weights, strict=True)
results["epoch by epoch"] = [
    max(float(abs(a - b).max()) for a, b in pairs), one.history_, two.history_
]
with strategy.scope():
    dropout = [fit(make(dropout=0.3, random_state=seed)).history_ for seed in (0, 0, 1)]
results["dropout"] = dropout
n_programs = len(programs)
again = fit(make(**params))
with strategy.scope():
    shared_again = fit(make(**params))
same = [
    all(map(np.array_equal, a._network.weights, b._network.weights))
    for a, b in ((alone, again), (shared, shared_again))
]
results["again"] = [*same, len(programs) - n_programs]
print(json.dumps(results))
"""
WORKER = """
from skae import wait_for_workers

patience, folder = int(os.environ["PATIENCE"]), sys.argv[1]
time.sleep(float(os.environ.get("LATE", 0)))
start = time.monotonic()
try:
    wait_for_workers(patience)
except TimeoutError:
    print(time.monotonic() - start)
    raise
strategy = tf.distribute.MultiWorkerMirroredStrategy(
    communication_options=tf.distribute.experimental.CommunicationOptions(timeout_seconds=patience)
)
time.sleep(float(os.environ.get("IDLE", 0)))

index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
estimator = make(checkpoint=f"{folder}/{index}.ckpt", callbacks=[Killed()], metrics=["mse"])
with strategy.scope():
    fit(estimator)
    print(json.dumps(estimator.history_))
    np.savez(f"{folder}/{index}.npz", *estimator._network.weights)
    try:
        make(random_state=index, tol=index, early_stopping=False).fit(X + index)
    except ValueError as error:
        print(error)
"""


def start(program, *args, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", COMMON + program, *map(str, args)],
        env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(*processes):
    """Wait for processes, and end them; return the exit status, output and errors of each."""
    try:
        written = [process.communicate(timeout=TIMEOUT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, written, strict=True)]


def start_workers(folder, indices=(0, 1), patience=60, **environment):
    with socket.socket() as first, socket.socket() as second:
        for free in (first, second):
            free.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in (first, second)]
    return [
        start(
            WORKER,
            folder,
            PATIENCE=str(patience),
            TF_CONFIG=json.dumps(
                {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            ),
            **{name: value if index else "0" for name, value in environment.items()},
        )
        for index in indices
    ]


@pytest.fixture(scope="module")
def mirrored():
    [(status, out, errors)] = finish(start(MIRRORED))
    assert status == 0, errors[-3000:]
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def killed(folder):
    """A fit; its second worker is killed at the end of the fourth epoch."""
    return finish(*start_workers(folder, KILL="1"))


@pytest.fixture(scope="module")
def resumed(folder, killed):
    """The same fit, started again from one worker's checkpoint; the second worker is late."""
    shutil.copy(Path(folder) / "0.ckpt", Path(folder) / "1.ckpt")
    return finish(*start_workers(folder, LATE="3"))


@pytest.fixture(scope="module")
def alone():
    return fit_alone()


def fit_alone():
    X = np.random.default_rng(0).random((N_ROWS, 12), dtype=np.float32)
    weight = np.random.default_rng(1).random(N_ROWS) + 0.5
    autoencoder = DeepAutoencoder(
        3, hidden_layer_sizes=(8,), batch_size=BATCH, epochs=6, random_state=0, metrics=["mse"]
    )
    return autoencoder.fit(X, sample_weight=weight, X_val=X[:50])


def test_one_device_strategy_keeps_weights(alone):
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        there = fit_alone()

    for array, expected in zip(there._network.weights, alone._network.weights, strict=True):
        assert_allclose(array, expected, atol=1e-5)


def test_other_strategies_are_refused():
    strategy = tf.distribute.experimental.CentralStorageStrategy()

    with strategy.scope(), pytest.raises(ValueError, match="got a CentralStorageStrategy"):
        DeepAutoencoder(2, random_state=0).fit(np.eye(8))


@pytest.mark.parametrize(
    "case",
    [
        "muon", "metrics", "adam", "clipped", "averaged", "one row left over", "stopped early",
        "denoising", "tied", "tied, adam", "penalised", "epoch by epoch",
    ],
)  # fmt: skip
def test_two_devices_match_one(mirrored, case):
    difference, alone, shared = mirrored[case]

    assert mirrored["replicas"] == 2
    assert difference < 1e-5
    assert list(shared) == list(alone)
    for name, values in alone.items():
        assert_allclose(shared[name], values, rtol=1e-5)


def test_replicas_draw_dropout_from_seed(mirrored):
    """Dropout on replicas is reproducible, but its masks are not those of one device."""
    one, same, other = mirrored["dropout"]

    assert one == same
    assert one["loss"] != other["loss"]
    assert one["loss"][-1] < one["loss"][0]


def test_scopes_keep_their_programs(mirrored):
    """A second fit in a scope, or outside of it, compiles nothing and has the bits of the first."""
    alone_is_same, shared_is_same, new_programs = mirrored["again"]

    assert alone_is_same
    assert shared_is_same
    assert new_programs == 0


def test_killed_worker_stops_the_others(killed):
    (status, _, errors), (killed_status, *_) = killed

    assert killed_status == -9
    assert status == 1
    assert LOST in errors


def test_workers_match_one_process(folder, resumed, alone):
    assert [status for status, *_ in resumed] == [0, 0], resumed[0][2][-3000:]
    with np.load(folder / "0.npz") as first, np.load(folder / "1.npz") as second:
        for name, expected in zip(first.files, alone._network.weights, strict=True):
            assert_array_equal(first[name], second[name])
            assert_allclose(first[name], expected, atol=1e-5)


def test_workers_share_the_history(resumed, alone):
    first, second = [json.loads(out.splitlines()[0]) for _, out, _ in resumed]

    assert first == second
    assert list(first) == list(alone.history_)
    for name, values in alone.history_.items():
        assert_allclose(first[name], values, rtol=1e-5)


def test_differing_workers_are_refused(resumed):
    for _, out, _ in resumed:
        assert "differ in: random_state (set an integer); X and X_clean; parameters;" in out


@pytest.mark.parametrize("index", [0, 1])
def test_absent_worker_is_named_in_time(folder, index):
    [(status, out, errors)] = finish(*start_workers(folder, indices=(index,), patience=2))

    assert status == 1
    assert 2 <= float(out) < 5
    assert "TimeoutError: 1 of 2 workers did not connect within 2 s: " in errors
    assert f"worker {1 - index} (127.0.0.1:" in errors


@pytest.mark.parametrize("where", ["IDLE", "IDLE_IN_A_CALLBACK"])
def test_idle_worker_stops_the_others(tmp_path, where):
    first, idle = start_workers(tmp_path, patience=4, **{where: "60"})
    [(status, _, errors)] = finish(first)
    idled_on = idle.poll() is None
    idle.kill()
    finish(idle)

    assert idled_on
    assert status == 1
    assert LOST in errors
    assert "DeadlineExceededError" in errors
