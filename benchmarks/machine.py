"""The machine that the figures were measured on."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy  # noqa: F401 - its BLAS is known to threadpoolctl once it is loaded
from threadpoolctl import threadpool_info

PACKAGES = (
    *("skae", "numpy", "scipy", "scikit-learn", "tensorflow", "keras", "scikeras"),
    *("torch", "jax", "pyod", "encdr", "lightning"),
)


def describe():
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "blas": [_blas(pool) for pool in threadpool_info() if pool["user_api"] == "blas"],
        "openblas_environment": {k: v for k, v in os.environ.items() if k.startswith("OPENBLAS_")},
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES if _version(name)},
    }


def _processor():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and (found := re.search(r"model name\s*: (.+)", cpuinfo.read_text())):
        return found[1]
    return platform.processor() or platform.machine()


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
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; "
        f"NumPy's BLAS: {blas}; {machine['date']}.",
        f"Python {machine['python']}, {versions}.",
    ]
