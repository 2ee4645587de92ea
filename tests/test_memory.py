"""What stays in memory of fits that are over."""

import gc
import itertools
import subprocess
import sys
import weakref

import pytest

from skae._architecture import Architecture
from skae._cache import ProgramCache

SCRIPT = """
import gc, re, sys
from pathlib import Path
from sklearn.datasets import load_digits
from skae import DeepAutoencoder, limit_programs

X = load_digits().data[:64] / 16
shapes = [{"n_components": n, "hidden_layer_sizes": h} for n in (2, 4) for h in ((), (8,))]
activations = ("relu", "tanh", "elu", "selu", "gelu")
structures = [
    shape | {"activation": activation, "optimizer": "adam"}
    | {"optimizer__beta_1": beta / 100}
    for beta in range(75, 100) for activation in activations for shape in shapes
]

def resident():
    gc.collect()  # evicted programs are cycles, and go when Python looks for these
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

limit_programs(4)
n_fits, n_structures, warm_up = map(int, sys.argv[1:])
for i in range(n_fits):
    structure = structures[i % n_structures]
    DeepAutoencoder(**structure, epochs=2, batch_size=32, random_state=i).fit(X)
    if i == warm_up - 1:
        before = resident()
print(resident() - before)
"""


def run(*args):
    command = [sys.executable, "-c", SCRIPT, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("n_fits", "n_structures", "warm_up", "megabytes"), [(500, 1, 20, 20), (500, 500, 80, 10)]
)
def test_memory_stays_flat_after_the_first_fits(n_fits, n_structures, warm_up, megabytes):
    done = run(n_fits, n_structures, warm_up)

    assert float(done.stdout) < megabytes
    assert "retracing" not in done.stderr


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_an_evicted_program_takes_its_graphs_along(optimizer):
    sizes = itertools.count(2)
    cache = ProgramCache(max_size=1)
    graphs = []
    for _ in range(2):
        architecture = Architecture(
            6, (), next(sizes), "relu", "linear", "linear", "mean_squared_error", optimizer,
            (), (), 8,
        )  # fmt: skip
        with cache.borrow(architecture, False) as program:
            graphs.append(weakref.ref(program.train.graph))
            graphs.append(weakref.ref(program.evaluate.graph))
    del program
    gc.collect()

    assert [graph() is None for graph in graphs] == [True, True, False, False]


def test_variables_of_equal_shape_look_alike_to_tensorflow():
    """Each name of a variable costs 60 kB for good."""
    cache = ProgramCache(max_size=2)
    for beta in (0.8, 0.9):
        architecture = Architecture(
            6, (), 2, "relu", "linear", "linear", "mean_squared_error", "adam",
            (), (("optimizer__beta_1", beta),), 8,
        )  # fmt: skip
        with cache.borrow(architecture, False) as program:
            names = {v.value.name for v in program.model.variables + program.optimizer.variables}
            assert len(names) == 1
