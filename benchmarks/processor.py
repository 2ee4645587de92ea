"""The processor: its name, its instruction sets, and how much its second thread adds."""

import os
import platform
import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

CPUINFO = Path("/proc/cpuinfo")
# The sets that change how fast NumPy, XLA and oneDNN multiply, from the narrowest to the widest.
INSTRUCTION_SETS = {
    "asimd": "NEON",
    "sve": "SVE",
    "avx": "AVX",
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 BF16",
    "amx_tile": "AMX",
}
WIDTHS = ("AVX-512", "AVX2", "AVX", "SVE", "NEON")
SHARED_GAIN = 1.3  # two threads of one core gain 1.0 to 1.2 in products, two cores 1.6 to 2
SIZE, ROUNDS = 1024, 15


@dataclass(frozen=True)
class Processor:
    """What is known of a processor; None or empty if the system does not tell.

    Virtual machines may hide the model's name: "AMD EPYC" is the name of several generations.  The
    numbers of family and model tell them apart.
    """

    name: str
    family: str | None = None
    model: str | None = None
    instruction_sets: tuple[str, ...] = ()
    threads: int | None = None
    gain: float | None = None  # time of NumPy's products on one thread over that on all threads

    @property
    def widest(self):
        return next((width for width in WIDTHS if width in self.instruction_sets), None)

    @property
    def label(self):
        return ", ".join(filter(None, (self.name, self.widest)))

    @property
    def slug(self):
        """The name of its file of results."""
        parts = filter(None, (self.name, self.family, self.model, self.widest))
        return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")

    @property
    def shares_a_core(self):
        """Whether its threads share the units of one core, or None if that is unknown."""
        return None if self.gain is None else self.gain < SHARED_GAIN


def find_processor():
    """Describe the processor at hand, and measure what its second thread adds."""
    text = CPUINFO.read_text() if CPUINFO.is_file() else ""
    threads = available_threads()
    return Processor(**parse_cpuinfo(text), threads=threads, gain=thread_gain(threads))


def parse_cpuinfo(text):
    """Read Linux's description; without one, only the name that Python knows is left."""
    fields = dict(re.findall(r"^([^\t:]+?)\s*: (.+)$", text, re.MULTILINE))
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    name = fields.get("model name") or platform.processor() or platform.machine() or "unknown"
    return {
        "name": _short_name(name),
        "family": fields.get("cpu family"),
        "model": fields.get("model"),
        "instruction_sets": tuple(s for flag, s in INSTRUCTION_SETS.items() if flag in flags),
    }


def _short_name(name):
    """Leave out trademarks and the clock rate."""
    return " ".join(re.sub(r"\((R|TM)\)|@.*", " ", name).split())


def available_threads():
    """Count the threads that this process may use, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_gain(threads, rounds=ROUNDS, size=SIZE):
    """Return the time of a product on one thread over that on all: near 1 if they share a core.

    The two take turns, and the median of the rounds counts.
    """
    blas = ThreadpoolController().select(user_api="blas")
    if threads < 2 or not blas:
        return None
    factor = np.random.default_rng(0).random((size, size), np.float32)
    seconds = [[_seconds(blas, n, factor) for n in (1, threads)] for _ in range(rounds + 1)]
    return round(statistics.median(one / many for one, many in seconds[1:]), 2)


def _seconds(blas, threads, factor):
    with blas.limit(limits=threads):
        start = time.perf_counter()
        factor @ factor
        return time.perf_counter() - start
