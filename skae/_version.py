"""The version of skae, and the state of pickles that other versions wrote."""

import inspect
import re
import warnings
from typing import Any

__version__ = "0.1.0"
KEY = "_skae_version"


def stamp(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with the number of this version."""
    return {**state, KEY: __version__}


def upgrade(state: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    """Return the state of an estimator of class ``kind``, adapted to this version.

    Parameters that did not exist in the version that wrote the state get their defaults.  If that
    version is newer than this one, a UserWarning says so.
    """
    state = dict(state)
    written = state.pop(KEY, __version__)
    if _numbers(written) > _numbers(__version__):
        warnings.warn(
            f"This {kind.__name__} was written by skae {written}, but skae {__version__} is "
            f"installed and may not understand all of it. Install skae {written} or newer.",
            stacklevel=4,
        )
    parameters = inspect.signature(kind).parameters
    return {name: value.default for name, value in parameters.items()} | state


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]
