"""Keras objects among an estimator's parameters, packed so that a pickle needs no Keras."""

import pickle
from dataclasses import dataclass

PLAIN = (str, int, float, bool, type(None))
PARAMETERS = ("optimizer", "loss", "metrics", "learning_rate_schedule")


@dataclass(frozen=True)
class Sealed:
    """A parameter that could not be unpacked where it is: TensorFlow is missing there."""

    packed: bytes

    def __repr__(self):
        return "<Keras object; TensorFlow is not available>"


def seal(state):
    """Pack the parameters that may hold Keras objects, each for itself."""
    return {
        name: Sealed(pickle.dumps(value))
        if name in PARAMETERS and not isinstance(value, (*PLAIN, Sealed))
        else value
        for name, value in state.items()
    }


def unseal(state):
    """Unpack what `seal` packed, so far as Keras can be imported."""
    return {
        name: _open(value) if isinstance(value, Sealed) else value for name, value in state.items()
    }


def _open(sealed):
    try:
        return pickle.loads(sealed.packed)
    except ImportError:
        return sealed
