"""Fits on another device than the first, in a process with two logical ones."""

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

from skae import DeepAutoencoder, DenoisingAutoencoder, _accelerator, _training
from skae._batches import aligned_zeros
from skae._cache import programs
from skae._programs import in_place
from skae._records import Rows

X = np.random.default_rng(0).random((131, 12), dtype=np.float32)

def fit(kind, optimizer):
    params = dict(optimizer=optimizer, hidden_layer_sizes=(8,), metrics=["mse"], batch_size=32)
    return kind(3, epochs=3, random_state=0, **params).fit(X, X_val=X[:20])

def devices(program):
    variables = [*program.variables, *program.optimizer.variables, *program.model.metrics_variables]
    steps = program.chunk_steps if program.jit else 2
    rows, weight = aligned_zeros((steps, 32, 12)), aligned_zeros((steps, 32))
    loss = program.evaluate(in_place(rows), in_place(rows), in_place(weight), 2)
    return sorted({thing.device[-5:] for thing in (loss, *(v.value for v in variables))})

results = {}
for jit in (False, True):
    _training.pays_for_xla = lambda *_: jit
    for kind, optimizer in ((DeepAutoencoder, "muon"), (DenoisingAutoencoder, "adam")):
        programs.clear()
        with tf.device("CPU:1"):
            there = fit(kind, optimizer)
            placed = devices(*programs._programs.values())
        here = fit(kind, optimizer)
        with tf.device("CPU:1"):
            again = fit(kind, optimizer)
        same = [
            all(map(np.array_equal, here._network.weights, other._network.weights))
            and here.history_ == other.history_
            for other in (there, again)
        ]
        traces = [program.n_traces for program in programs._programs.values()]
        results[f"{kind.__name__}, {'XLA' if jit else 'graph'}"] = [placed, same, traces]

rows = Rows(X, None, None, np.arange(len(X)))
program, = (p for p in programs._programs.values() if p.device[-5:] == "CPU:1")
with ThreadPoolExecutor(1) as thread:  # which is in no scope, as rows are where the program is
    feeder = _accelerator.ResidentFeeder(program, rows, 32, None)
    gathered = thread.submit(next, feeder.in_order(np.random.default_rng(0))).result()
    sent = thread.submit(_accelerator.sender(program.device), X, X, X[:, 0], 5).result()
places = [sorted({part.device[-5:] for part in chunk[:3]}) for chunk in (gathered, sent)]

_accelerator.on_accelerator = _training.on_accelerator = lambda _: True
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
def test_variables_and_steps_are_on_the_device_of_the_scope_that_fit_is_called_in(results, case):
    placed, *_ = results[case]
    assert placed == ["CPU:1"]


@pytest.mark.parametrize("case", CASES)
def test_a_fit_has_the_same_bits_on_every_device_and_a_program_for_each(results, case):
    _, same, traces = results[case]
    assert same == [True, True]
    assert traces == [1, 1]


def test_rows_are_on_the_device_of_the_program_whole_or_sent_from_another_thread(results):
    gathered, sent, same = results["rows"]
    assert gathered == sent == ["CPU:1"]
    assert same == [True, True]
