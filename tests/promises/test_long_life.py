"""Memory, threads and open files stay constant in a process that lives long."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
HEAD = """
import json, os, re, sys
from pathlib import Path
from sklearn.datasets import load_digits
from skae import DeepAutoencoder, DenoisingAutoencoder, limit_programs

X = load_digits().data[:64] / 16

def resources():
    status = Path("/proc/self/status").read_text()
    numbers = [int(re.search(rf"{name}:\\s+(\\d+)", status)[1]) for name in ("VmRSS", "Threads")]
    return numbers[0] / 1024, numbers[1], len(os.listdir("/proc/self/fd"))
"""
STRUCTURES = """
from itertools import product

max_programs, n_fits, n_transforms = map(int, sys.argv[1:])
limit_programs(max_programs)
structures = [
    (kind, {"n_components": n, "hidden_layer_sizes": hidden, "activation": activation})
    for kind, n, hidden, activation in product(
        (DeepAutoencoder, DenoisingAutoencoder), (2, 4), ((), (8,), (8, 4)), ("relu", "tanh"),
    )
]
assert len(structures) == 24
fits = []
for i in range(n_fits):
    kind, structure = structures[i % 24]
    last = kind(**structure, epochs=2, batch_size=32, random_state=i).fit(X)
    last.transform(X)
    fits.append(resources())
rows, transforms = [X[i : i + 1] for i in range(64)], []
for i in range(n_transforms):
    last.transform(rows[i % 64])
    if i % (n_transforms // 100) == 0:
        transforms.append(resources())
print(json.dumps([fits, transforms]))
"""
USES = """
import pickle
from sklearn.base import clone
import keras

adam = keras.optimizers.Adam(0.01)

def make_autoencoder(**params):
    return DeepAutoencoder(
        4, hidden_layer_sizes=(8,), init="random", early_stopping=False, epochs=2, batch_size=32,
        random_state=0, optimizer=adam,
    ).set_params(**params)

def with_callbacks():
    make_autoencoder(callbacks=[keras.callbacks.EarlyStopping("loss", patience=5)]).fit(X)

def with_a_checkpoint():
    make_autoencoder(checkpoint="run.ckpt").fit(X)
    make_autoencoder(checkpoint="run.ckpt").fit(X)
    os.remove("run.ckpt")

def with_keras_models():
    make_autoencoder().fit(X).autoencoder_.get_weights()

def copied():
    pickle.loads(pickle.dumps(clone(make_autoencoder()).fit(X))).partial_fit(X)

def failed():
    try:
        make_autoencoder(epochs=-1).fit(X)
    except ValueError:
        pass
    try:
        rate = {"learning_rate": 1e30, "learning_rate_schedule": "constant"}
        make_autoencoder(
            optimizer="sgd", loss="mean_squared_error", output_activation="linear", **rate
        ).fit(X)
    except ValueError:
        pass
    else:
        raise AssertionError("the second fit did not diverge")

uses = [with_callbacks, with_a_checkpoint, with_keras_models, copied, failed]
fits = []
for i in range(int(sys.argv[1])):
    uses[i % len(uses)]()
    fits.append(resources())
print(json.dumps([fits]))
"""


def run_and_measure(program, *numbers, folder):
    """Run `program`; return the megabytes, threads and open files that each part of it recorded."""
    command = [sys.executable, "-c", HEAD + program, *map(str, numbers)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "retracing" not in done.stderr
    return [list(zip(*part, strict=True)) for part in json.loads(done.stdout)]


def assert_flat(fits, n_warm):
    """Check that the second half holds no more than the first half after `n_warm` fits."""
    half = len(fits[0]) // 2
    growth, threads, files = (max(part[half:]) - max(part[n_warm:half]) for part in fits)
    print(
        f"{len(fits[0])} fits: {growth:+.1f} MB, {max(fits[1])} threads, {max(fits[2])} open files"
    )
    assert growth < 20
    assert threads <= 0
    assert files <= 0


@pytest.mark.parametrize("max_programs", [32, 8], ids="{} programs".format)
def test_resources_stay_flat_over_fits(max_programs, long, tmp_path):
    """24 structures take turns; if the cache keeps only 8 programs, every fit compiles."""
    if max_programs == 8 and not long:
        pytest.skip("slow, as each fit compiles; test_memory.py covers 500 structures")
    sizes = (2000, 1_000_000) if long else (96, 20_000)
    fits, later = run_and_measure(STRUCTURES, max_programs, *sizes, folder=tmp_path)

    assert_flat(fits, n_warm=24)
    print(f"{sizes[1]} transforms: {max(later[0]) - later[0][1]:+.1f} MB")
    assert max(later[0]) - later[0][1] < 5
    assert set(later[1]) == {later[1][0]}
    assert set(later[2]) == {later[2][0]}


def test_every_use_releases_its_resources(long, tmp_path):
    """Callbacks, checkpoints, Keras models, copies and failing fits leave no resource behind."""
    (fits,) = run_and_measure(USES, 2000 if long else 100, folder=tmp_path)

    assert_flat(fits, n_warm=25)
