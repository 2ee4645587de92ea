"""Fits on the second of two logical devices."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._engine import feeding
from skae._engine.cache import programs
from skae._engine.feeding import without_copy
from skae._engine.limits import Limits
from skae._engine.losses import Values
from skae._rows.batches.dense import aligned_zeros
from skae._rows.rows import Rows
from skae._training import fit as fitting

X = np.random.default_rng(0).random((131, 12), dtype=np.float32)

def fit(kind, optimizer, jit=None):
    params = dict(optimizer=optimizer, hidden_layer_sizes=(8,), metrics=["mse"], batch_size=32)
    estimator = kind(3, epochs=3, random_state=0, dropout=0.1, code_penalty=0.01, **params)
    estimator._limits = Limits(xla=jit)
    return estimator.fit(X, X_val=X[:20])

def devices(program):
    variables = [*program.variables, *program.optimizer.variables, *program.model.metrics_variables]
    steps = program.chunk_steps if program.jit else 2
    rows, weight = aligned_zeros((steps, 32, 12)), aligned_zeros((steps, 32))
    values = Values((0.01,), np.zeros(12), 1.0)
    loss = program.evaluate(*map(without_copy, (rows, rows, weight)), 2, values)
    return sorted({thing.device[-5:] for thing in (loss, *(v.value for v in variables))})

results = {}
for jit in (False, True):
    for kind, optimizer in ((DeepAutoencoder, "muon"), (DenoisingAutoencoder, "adam")):
        programs.clear()
        with tf.device("CPU:1"):
            there = fit(kind, optimizer, jit)
            placed = devices(*programs._programs.values())
        here = fit(kind, optimizer, jit)
        with tf.device("CPU:1"):
            again = fit(kind, optimizer, jit)
        same = [
            all(map(np.array_equal, here._network.weights, other._network.weights))
            and here.history_ == other.history_
            for other in (there, again)
        ]
        traces = [program.n_traces for program in programs._programs.values()]
        results[f"{kind.__name__}, {'XLA' if jit else 'graph'}"] = [placed, same, traces]

rows = Rows(X, None, None, np.arange(len(X)))
program, = (p for p in programs._programs.values() if p.device[-5:] == "CPU:1")
with ThreadPoolExecutor(1) as thread:  # the thread is in no scope, and still finds the device
    feeder = feeding.ResidentFeeder(program, rows, None, sent_bytes=1 << 26)
    gathered = thread.submit(next, feeder.in_order(np.random.default_rng(0))).result()
    sent = thread.submit(feeding.sender(program.device), X, X, X[:, 0], 5).result()
places = [sorted({part.device[-5:] for part in chunk[:3]}) for chunk in (gathered, sent)]

feeding.on_accelerator = fitting.on_accelerator = lambda _: True
here = fit(DenoisingAutoencoder, "adam"), fit(DeepAutoencoder, "adam")
with tf.device("CPU:1"):
    there = fit(DenoisingAutoencoder, "adam"), fit(DeepAutoencoder, "adam")
same = [
    all(map(np.array_equal, one._network.weights, other._network.weights))
    for one, other in zip(here, there)
]
results["rows"] = [*places, same]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


CASES = [
    f"{kind}, {how}"
    for kind in ("DeepAutoencoder", "DenoisingAutoencoder")
    for how in ("graph", "XLA")
]


@pytest.mark.parametrize("case", CASES)
def test_fit_computes_on_the_scopes_device(results, case):
    placed, *_ = results[case]
    assert placed == ["CPU:1"]


@pytest.mark.parametrize("case", CASES)
def test_devices_give_the_same_bits(results, case):
    """Each device has its own program."""
    _, same, traces = results[case]
    assert same == [True, True]
    assert traces == [1, 1]


def test_rows_are_on_the_programs_device(results):
    """Both rows that stay there and rows that another thread sends."""
    gathered, sent, same = results["rows"]
    assert gathered == sent == ["CPU:1"]
    assert same == [True, True]
