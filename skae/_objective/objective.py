"""`Objective`: the function that training minimises."""

import json
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from skae._frozen import KerasConfig, name_of
from skae._network.activations import ACTIVATIONS
from skae._objective.penalties import Penalty
from skae._rows.rows import ValueRange

CROSS_ENTROPIES = (
    "binary_crossentropy",
    "BinaryCrossentropy",
    "bce",
    "BCE",
    "binary_focal_crossentropy",
    "BinaryFocalCrossentropy",
)
# How a loss grows when rows and reconstructions are multiplied by a number: with its power.
DEGREES = {
    **dict.fromkeys(("mean_squared_error", "MeanSquaredError", "mse", "MSE"), 2),
    **dict.fromkeys(("mean_absolute_error", "MeanAbsoluteError", "mae", "MAE"), 1),
}
Range = tuple[float, float]


@dataclass(frozen=True)
class Objective:
    """A loss between rows and their reconstructions, and penalties.

    The weights of the penalties are arguments of the compiled program and not part of this value,
    so that a search over them compiles once.

    Attributes
    ----------
    loss : str, class, function or KerasConfig
        The loss.
    options : tuple of (str, hashable)
        Parameters of the loss, such as ``("delta", 0.5)``.
    penalties : tuple of Penalty
        The penalties.
    """

    loss: Hashable
    options: tuple[tuple[str, Hashable], ...] = ()
    penalties: tuple[Penalty, ...] = ()

    @property
    def is_cross_entropy(self) -> bool:
        """Whether the loss compares probabilities."""
        return name_of(self.loss) in CROSS_ENTROPIES

    @property
    def degree(self) -> int | None:
        """The power with which the loss grows with the units of the rows; None if it has none."""
        kind = self.loss.kind if isinstance(self.loss, KerasConfig) else self.loss
        is_keras = isinstance(kind, str) or kind.__module__.startswith("keras.")
        return DEGREES.get(name_of(self.loss)) if is_keras else None

    @property
    def takes_logits(self) -> bool:
        """Whether the loss itself applies the sigmoid."""
        if isinstance(self.loss, KerasConfig):
            return bool(json.loads(self.loss.config).get("from_logits", False))
        return ("from_logits", True) in self.options

    def check(self, output_activation: object, values: ValueRange, name: str = "data") -> None:
        """Check that the loss, the last activation and the data fit together.

        Parameters
        ----------
        output_activation : str, function or KerasConfig
            The last activation.
        values : ValueRange
            The range of the rows to reconstruct.
        name : str, default="data"
            Name of these rows, for the error.

        Raises
        ------
        ValueError
            If the activation cannot return the values, or if a cross-entropy gets values that are
            not between 0 and 1.
        """
        output = name_of(output_activation)
        for what, bounds in self._ranges(output):
            _check_range(what, bounds, values, name)
        if self.is_cross_entropy and output == "linear" and not self.takes_logits:
            raise ValueError(
                f"loss={name_of(self.loss)!r} needs outputs between 0 and 1; got "
                "output_activation='linear': set output_activation='sigmoid'."
            )

    def _ranges(self, output: str) -> Iterator[tuple[str, Range]]:
        """Yield the ranges that the data must be in, each after the parameter that requires it."""
        form = ACTIVATIONS.get(output)
        if form is not None and math.isfinite(form.low):
            yield f"output_activation={output!r}", (form.low, form.high)
        if self.is_cross_entropy:
            yield f"loss={name_of(self.loss)!r}", (0, 1)


def _check_range(what: str, bounds: Range, values: ValueRange, name: str) -> None:
    low, high = bounds
    if values.within(low, high):
        return
    wanted = f"of at least {low:.4g}" if math.isinf(high) else f"between {low:.4g} and {high:.4g}"
    raise ValueError(
        f"{what} needs {name} {wanted}; got values from {values.low:.7g} to {values.high:.7g}. "
        "Scale the data (MinMaxScaler(clip=True)), or set output_activation='linear' and "
        "loss='mean_squared_error'."
    )
