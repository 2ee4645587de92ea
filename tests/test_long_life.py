"""A process that lives long: memory, threads and open files stay flat."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SCRIPT = """
import json, os, re, sys
from itertools import product
from pathlib import Path
import numpy as np
from sklearn.datasets import load_digits
from skae import DeepAutoencoder, DenoisingAutoencoder, limit_programs

max_programs, n_fits, n_transforms = map(int, sys.argv[1:])
limit_programs(max_programs)
X = load_digits().data[:64] / 16
structures = [
    (kind, {"n_components": n, "hidden_layer_sizes": hidden, "activation": activation})
    for kind, n, hidden, activation in product(
        (DeepAutoencoder, DenoisingAutoencoder), (2, 4), ((), (8,), (8, 4)), ("relu", "tanh"),
    )
]
assert len(structures) == 24

def held():
    status = Path("/proc/self/status").read_text()
    numbers = [int(re.search(rf"{name}:\\s+(\\d+)", status)[1]) for name in ("VmRSS", "Threads")]
    return numbers[0] / 1024, numbers[1], len(os.listdir("/proc/self/fd"))

fits = []
for i in range(n_fits):
    kind, structure = structures[i % 24]
    last = kind(**structure, epochs=2, batch_size=32, random_state=i).fit(X)
    last.transform(X)
    fits.append(held())
rows, transforms = [X[i : i + 1] for i in range(64)], []
for i in range(n_transforms):
    last.transform(rows[i % 64])
    if i % (n_transforms // 100) == 0:
        transforms.append(held())
print(json.dumps([fits, transforms]))
"""


def live(max_programs, n_fits, n_transforms):
    """What a process holds, of megabytes, threads and open files, after each fit and later."""
    command = [sys.executable, "-c", SCRIPT, *map(str, (max_programs, n_fits, n_transforms))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "retracing" not in done.stderr
    fits, transforms = json.loads(done.stdout)
    return [list(zip(*part, strict=True)) for part in (fits, transforms)]


@pytest.mark.parametrize("max_programs", [32, 8], ids="{} programs".format)
def test_memory_threads_and_open_files_stay_flat(max_programs, long):
    """24 structures take turns: where only 8 programs are kept, every fit compiles."""
    if max_programs == 8 and not long:
        pytest.skip("compiles for each fit; test_memory.py has 500 structures")
    n_fits, n_transforms = (2000, 1_000_000) if long else (96, 20_000)
    (megabytes, threads, files), later = live(max_programs, n_fits, n_transforms)
    half = n_fits // 2
    growth = max(megabytes[half:]) - max(megabytes[24:half])
    print(f"{n_fits} fits: {growth:+.1f} MB, {max(threads)} threads, {max(files)} files")
    print(f"{n_transforms} transforms: {max(later[0]) - later[0][1]:+.1f} MB")

    assert growth < 20
    assert max(threads[half:]) <= max(threads[24:half])
    assert max(files[half:]) <= max(files[24:half])
    assert max(later[0]) - later[0][1] < 5
    assert set(later[1]) == {later[1][0]}
    assert set(later[2]) == {later[2][0]}
