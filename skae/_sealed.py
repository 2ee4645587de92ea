"""Keras objects among an estimator's parameters, packed so that a copy needs no Keras to load."""

import pickle
import sys
from dataclasses import dataclass
from typing import Any

PLAIN = (str, int, float, bool, type(None))
PARAMETERS = (
    "optimizer", "loss", "metrics", "learning_rate_schedule", "callbacks",
    "activation", "code_activation", "output_activation",
)  # fmt: skip


@dataclass(frozen=True)
class Sealed:
    """A parameter on its way, or one that could not be opened: TensorFlow is missing there.

    Keras' own objects travel as their configuration in JSON.  Everything else, such as a user's
    function, is a ``value`` that skops looks into, and ``packed`` as a pickle within a pickle.
    """

    value: object = None
    config: str | None = None
    packed: bytes | None = None

    def __repr__(self) -> str:
        return "<Keras object; TensorFlow is not available>"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle and copy come here, and skops does not."""
        packed = pickle.dumps(self.value) if self.value is not None else self.packed
        return Sealed, (None, self.config, packed)

    def __getstate__(self) -> dict[str, Any]:
        """Skops comes here."""
        if self.packed is not None:
            raise TypeError(
                "A parameter of this estimator is known as a pickle only, as TensorFlow is not "
                "available: write the skops file where TensorFlow is installed."
            )
        return vars(self)


def seal(state: dict[str, Any]) -> dict[str, Any]:
    """Pack the parameters that may hold Keras objects, each for itself."""
    return {
        name: _pack(value)
        if name in PARAMETERS and not isinstance(value, (*PLAIN, Sealed))
        else value
        for name, value in state.items()
    }


def unseal(state: dict[str, Any]) -> dict[str, Any]:
    """Unpack what `seal` packed, so far as Keras can be imported."""
    return {
        name: _open(value) if isinstance(value, Sealed) else value for name, value in state.items()
    }


def _pack(value: object) -> Sealed:
    if "keras" in sys.modules:  # else it is none of Keras'
        from skae._keras import to_json

        config = to_json(value)
        if config is not None:
            return Sealed(config=config)
    return Sealed(value)


def _open(sealed: Sealed) -> object:
    try:
        if sealed.config is not None:
            from skae._keras import from_json

            return from_json(sealed.config)
        return sealed.value if sealed.packed is None else pickle.loads(sealed.packed)
    except ImportError:
        return sealed
