"""Fits on a file of rows that is larger than the memory they take."""

import contextlib
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import Failed, Worker, complaints, interleave, running
from benchmarks.results import Case, Goal, Result, Row, ratio

FITS = "benchmarks.cases.out_of_core_fits"
N_FEATURES = 256
WRITTEN_ROWS = 10_000  # at a time
MEMORY = "an array"


@dataclass(frozen=True)
class Stored:
    """Rows of float32 in a file, which a process maps."""

    path: Path
    n_rows: int

    @property
    def n_bytes(self):
        return 4 * N_FEATURES * self.n_rows

    def write(self):
        """Write rows in [0, 1] of rank 16."""
        rng = np.random.default_rng(0)
        basis = rng.random((16, N_FEATURES), np.float32) / 16
        with self.path.open("wb") as file:
            for _ in range(0, self.n_rows, WRITTEN_ROWS):
                file.write(rng.random((WRITTEN_ROWS, 16), np.float32) @ basis)

    def load(self):
        shape = self.n_rows, N_FEATURES
        return (np.memmap(self.path, np.float32, "r", shape=shape),)


def run(settings):
    with on_disk(settings.stored_rows[-1]) as stored:
        peak, failures = measure_peak(stored)
        samples, busy = measure_rows(stored, settings, failures)
    largest = _named(settings.stored_rows[-1])
    curve = {name: samples.get(name) for name in map(_named, settings.stored_rows)}
    return Result(
        [peak, ratio(samples, largest, MEMORY), _spread(curve)],
        [
            Row(name, seconds, remark=f"{1e6 * np.median(busy[name]):.1f} us of processors")
            for name, seconds in samples.items()
        ],
        [
            f"Seconds per row and epoch of whole fits, {N_FEATURES}-128-64-32-64-128-{N_FEATURES}, "
            f"batch 256, on the first rows of a file of {stored.n_bytes / 1e9:.2f} GB, and on "
            f"{settings.stored_rows[-2]:,} rows in memory.  Each fit trains on "
            f"{settings.stored_rows[-2]:,} rows or more: the fewer there are, the more epochs.",
            "The file is in the system's page cache as far as that goes, but where its line says "
            "otherwise.",
            *complaints(failures),
        ],
    )


@contextlib.contextmanager
def on_disk(n_rows):
    """Write the rows to a temporary folder, and delete them afterwards."""
    with tempfile.TemporaryDirectory(prefix="skae-benchmark-") as folder:
        stored = Stored(Path(folder) / "rows.dat", n_rows)
        if shutil.disk_usage(folder).free < 1.1 * stored.n_bytes:
            raise Failed(f"{folder} has no room for {stored.n_bytes / 1e9:.1f} GB; set TMPDIR")
        stored.write()
        yield stored


def measure_peak(stored):
    """Bytes that a fit on all rows adds to a process that has TensorFlow loaded."""
    try:
        with Worker(f"{FITS}:OutOfCore", stored) as worker:
            return worker.call("peak")[1], {}
    except Failed as failure:
        return None, {"the fit whose memory is measured": str(failure)}


def measure_rows(stored, settings, failures):
    """Seconds per row and epoch, by the clock and of processors.

    They are measured for growing parts of the file, and for an array.
    """
    busy = defaultdict(list)
    least = settings.stored_rows[-2]
    in_memory = Stored(stored.path, least)
    with (
        running({"memmap": f"{FITS}:OutOfCore"}, stored) as (mapped, failed),
        running({MEMORY: f"{FITS}:InMemory"}, in_memory) as (held, failed_too),
    ):
        failures.update(failed | failed_too)
        if failures:
            return {}, busy

        def measure(name, worker, n_rows, *prepare):
            for method in prepare:
                worker.call(method)
            epochs = max(1, least // n_rows)
            seconds, seconds_busy = worker.call("fit", n_rows, epochs)
            busy[name].append(seconds_busy / (n_rows * epochs))
            return seconds / (n_rows * epochs)

        memmap, array = mapped["memmap"], held[MEMORY]
        for worker in (memmap, array):
            worker.call("fit", least, 1)  # compiles
        asked = {_named(n): (memmap, n) for n in settings.stored_rows}
        asked[MEMORY] = array, least
        asked[f"{_named(stored.n_rows)}, none in the page cache"] = memmap, stored.n_rows, "evict"
        measures = {name: partial(measure, name, *args) for name, args in asked.items()}
        return interleave(measures, settings.rounds, failures), busy


def _named(n_rows):
    return f"{n_rows:,} rows"


def _spread(curve):
    """Highest over lowest of the medians."""
    if not all(curve.values()):
        return None
    medians = [np.median(seconds) for seconds in curve.values()]
    return float(max(medians) / min(medians))


CASE = Case(
    "out-of-core",
    "More data than memory",
    (
        Goal("memory that a fit on 10 GB takes, above TensorFlow's", 1.5e9, 0.5e9, "GB"),
        Goal("time per row: a file of 10 GB / an array of 1 GB", 1 / 0.8, 1.1, "x"),
        Goal("time per row, 10,000 to 10,000,000 rows: highest / lowest", 1.25, 1.1, "x"),
    ),
    run,
    needs_mnist=False,
)
