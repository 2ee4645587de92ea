"""Keras objects among an estimator's parameters, packed so that a copy needs no Keras to load."""

import pickle
import sys
from dataclasses import dataclass
from typing import Any, Self

PLAIN = (str, int, float, bool, type(None))
PARAMETERS = (
    "optimizer", "loss", "metrics", "learning_rate_schedule", "callbacks",
    "activation", "code_activation", "output_activation",
)  # fmt: skip
MISSING = "<Keras object; TensorFlow is not available>"


@dataclass(frozen=True)
class Sealed:
    """A parameter on its way, or one that could not be opened: TensorFlow is missing there.

    Keras' own objects travel as their configuration in JSON.  Everything else, such as a user's
    function, is a ``value`` that skops looks into, and in a pickle a pickle within (`Packed`).
    """

    value: object = None
    config: str | None = None

    def __repr__(self) -> str:
        return MISSING

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle and copy come here, and skops does not."""
        if self.config is not None:
            return Sealed, (None, self.config)
        return unpack, (pickle.dumps(self.value),)

    def open(self) -> object:
        if self.config is None:
            return self.value
        try:
            from skae._serialization import from_json
        except ImportError:
            return self
        return from_json(self.config)


class Packed:
    """A parameter that is known as a pickle only, as TensorFlow is missing.

    No skops file can hold one: opening it runs code.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __repr__(self) -> str:
        return MISSING

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return unpack, (self._content,)

    def __getstate__(self) -> dict[str, Any]:
        """Skops comes here."""
        raise TypeError(
            "A parameter of this estimator is known as a pickle only, as TensorFlow is not "
            "available: write the skops file where TensorFlow is installed."
        )

    def __setstate__(self, state: object) -> None:
        raise TypeError("This is no file that skae wrote: a skops file must not hold a pickle.")


def unpack(content: bytes) -> Sealed | Packed:
    """Open a pickle within a pickle."""
    try:
        return Sealed(pickle.loads(content))
    except ImportError:
        return Packed(content)


def seal(state: dict[str, Any]) -> dict[str, Any]:
    """Pack the parameters that may hold Keras objects, each for itself."""
    return {
        name: _seal(value)
        if name in PARAMETERS and not isinstance(value, (*PLAIN, Sealed, Packed))
        else value
        for name, value in state.items()
    }


def unseal(state: dict[str, Any]) -> dict[str, Any]:
    """Unpack what `seal` packed, so far as Keras can be imported."""
    return {
        name: value.open() if isinstance(value, Sealed) else value for name, value in state.items()
    }


def _seal(value: object) -> Sealed:
    if "keras" in sys.modules:  # else it is none of Keras'
        from skae._serialization import to_json

        config = to_json(value)
        if config is not None:
            return Sealed(config=config)
    return Sealed(value)
