"""The machine that the figures were measured on."""

import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info

from benchmarks.processor import Processor, find_processor

PACKAGES = (
    *("skae", "numpy", "scipy", "scikit-learn", "tensorflow", "keras", "scikeras"),
    *("torch", "jax", "pyod", "encdr", "lightning"),
)


def describe():
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": current_commit(),
        "processor": asdict(find_processor()),
        "system": platform.system(),
        "blas": [_blas(pool) for pool in threadpool_info() if pool["user_api"] == "blas"],
        "openblas_environment": {k: v for k, v in os.environ.items() if k.startswith("OPENBLAS_")},
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES if _version(name)},
    }


def _blas(pool):
    return {
        "library": pool["internal_api"],
        "version": pool["version"],
        "kernel": pool.get("architecture"),
        "threads": pool["num_threads"],
    }


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def current_commit():
    """The commit of the checkout, with "-dirty" if files differ from it; None without git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def footer(machine):
    """Two lines for the foot of the report."""
    blas = "; ".join(
        f"{b['library']} {b['version']}, kernel {b['kernel']}, {b['threads']} threads"
        for b in machine["blas"]
    )
    forced = ", ".join(f"{k}={v}" for k, v in machine["openblas_environment"].items())
    if forced:
        blas += f" ({forced} set in the environment, which may slow NumPy)"
    versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items())
    return [
        f"{_processor(Processor(**machine['processor']))}, {machine['system']}; "
        f"NumPy's BLAS: {blas}; {machine['date']}, commit {machine['commit']}.",
        f"Python {machine['python']}, {versions}.",
    ]


def _processor(processor):
    sets = ", ".join(processor.instruction_sets) or "instruction sets unknown"
    numbers = f" (family {processor.family}, model {processor.model})" if processor.model else ""
    line = f"{processor.name}{numbers}, {sets}, {processor.threads} threads"
    if processor.gain is None:
        return line
    shared = "which share a core" if processor.shares_a_core else "on cores of their own"
    return f"{line} {shared}: NumPy's products gain {processor.gain:.2f} from all of them"
