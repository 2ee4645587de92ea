"""Finished fits do not fill the memory."""

import gc
import itertools
import json
import subprocess
import sys
import weakref

import pytest
from specs import make_spec

from skae._engine.cache import ProgramCache
from skae._objective.penalties import CodeL1, Contraction, KernelL2

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SCRIPT = """
import json, re, sys
from pathlib import Path
from sklearn.datasets import load_digits
from skae import DeepAutoencoder, limit_programs

X = load_digits().data[:64] / 16
optimizer, n_structures, megabytes = sys.argv[1], int(sys.argv[2]), []

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

limit_programs(4)
for i in range(500):
    DeepAutoencoder(
        2 + i % n_structures, hidden_layer_sizes=(), init="random", early_stopping=False,
        optimizer=optimizer, epochs=2, batch_size=32, random_state=i,
    ).fit(X)
    megabytes.append(resident())
print(json.dumps(megabytes))
"""


def fit_500(optimizer, n_structures):
    """Return the megabytes in memory after each of 500 fits."""
    command = [sys.executable, "-c", SCRIPT, optimizer, str(n_structures)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    assert "retracing" not in done.stderr
    return json.loads(done.stdout)


@needs_proc
def test_memory_stays_flat_after_twenty_fits():
    megabytes = fit_500("adam", n_structures=1)

    assert max(megabytes[20:]) - megabytes[19] < 20


@needs_proc
def test_memory_stays_flat_over_500_structures():
    """No two of the 500 structures share a width."""
    megabytes = fit_500("muon", n_structures=500)

    assert max(megabytes[20:]) - megabytes[19] < 20


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adam"},
        {"optimizer": "muon"},
        {"dropout": 0.5},
        {"penalties": (KernelL2(), CodeL1(), Contraction())},
    ],
)
def test_evicted_program_frees_its_graphs(changes):
    sizes = itertools.count(2)
    cache = ProgramCache(max_size=1)
    graphs = []
    for _ in range(2):
        spec = make_spec(n_components=next(sizes), hidden_layer_sizes=(4,), **changes)
        with cache.borrow(spec, False) as program:
            graphs.append(weakref.ref(program._compiled_train.graph))
            graphs.append(weakref.ref(program._compiled_evaluate.graph))
    del program
    gc.collect()

    assert [graph() is None for graph in graphs] == [True, True, False, False]


def test_variables_share_one_name():
    """TensorFlow keeps 60 kB for each name of a variable, for the life of the process."""
    cache = ProgramCache(max_size=2)
    for beta in (0.8, 0.9):
        options = (("beta_1", beta),)
        spec = make_spec(hidden_layer_sizes=(), optimizer="adam", optimizer_options=options)
        with cache.borrow(spec, False) as program:
            names = {v.value.name for v in program.model.variables + program.optimizer.variables}
            assert len(names) == 1
