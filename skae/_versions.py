"""Pickles of other versions of skae."""

import inspect
import re
import warnings
from typing import Any

KEY = "_skae_version"


def stamp(state: dict[str, Any]) -> dict[str, Any]:
    """Add the version that writes a state."""
    from skae import __version__

    return {**state, KEY: __version__}


def upgrade(state: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    """Fit the state of an estimator of class ``kind`` to this version.

    Parameters that the writing version did not have get their defaults.  A newer version may have
    written what this one does not know, so that is said.
    """
    from skae import __version__

    state = dict(state)
    written = state.pop(KEY, __version__)
    if _numbers(written) > _numbers(__version__):
        warnings.warn(
            f"This {kind.__name__} was written by skae {written} and is loaded by skae "
            f"{__version__}, which may not know all of it: install skae {written} or newer.",
            stacklevel=4,
        )
    parameters = inspect.signature(kind).parameters
    return {name: value.default for name, value in parameters.items()} | state


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]
