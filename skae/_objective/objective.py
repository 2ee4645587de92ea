"""`Objective`: the function that training minimises."""

import json
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from skae._network.activations import RANGES
from skae._network.frozen import KerasConfig, name_of
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
# Losses that only depend on the distance between a value and its reconstruction, and grow with it.
DISTANCES = (*DEGREES, "huber", "Huber", "log_cosh", "logcosh", "LogCosh")
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
    shown_weight : float, default=1
        Weight of a value that the network is shown, next to one that a corruption hides as NaN.
    weighted : bool, default=False
        Whether columns have weights, which are an argument of the compiled program, too.
    """

    loss: Hashable
    options: tuple[tuple[str, Hashable], ...] = ()
    penalties: tuple[Penalty, ...] = ()
    shown_weight: float = 1.0
    weighted: bool = False

    @property
    def is_cross_entropy(self) -> bool:
        """Whether the loss compares probabilities."""
        return name_of(self.loss) in CROSS_ENTROPIES

    @property
    def degree(self) -> int | None:
        """The power with which the loss grows with the units of the rows; None if it has none."""
        return DEGREES.get(name_of(self.loss)) if _is_keras(self.loss) else None

    @property
    def takes_logits(self) -> bool:
        """Whether the loss itself applies the sigmoid."""
        return bool(self._option("from_logits"))

    @property
    def favours_means(self) -> bool:
        """Whether the best constant reconstruction of a column is its mean."""
        if self.is_cross_entropy and not self.takes_logits:
            return "focal" not in name_of(self.loss).lower() and not self._option("label_smoothing")
        return self.degree == 2

    @property
    def is_distance(self) -> bool:
        """Whether the loss grows with the distance between values and reconstructions."""
        return name_of(self.loss) in DISTANCES and _is_keras(self.loss)

    def _option(self, name: str) -> object:
        """Return a parameter of the loss, or None if it is not set."""
        if isinstance(self.loss, KerasConfig):
            return json.loads(self.loss.config).get(name)
        return dict(self.options).get(name)

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
        for what, bounds in self._ranges(output, _is_keras(output_activation)):
            _check_range(what, bounds, values, name)
        if self.is_cross_entropy and output == "linear" and not self.takes_logits:
            raise ValueError(
                f"loss={name_of(self.loss)!r} needs outputs between 0 and 1; got "
                "output_activation='linear': set output_activation='sigmoid'."
            )

    def _ranges(self, output: str, is_keras: bool) -> Iterator[tuple[str, Range]]:
        """Yield the ranges that the data must be in, each after the parameter that requires it."""
        if is_keras and output in RANGES:
            yield f"output_activation={output!r}", RANGES[output]
        if self.is_cross_entropy:
            yield f"loss={name_of(self.loss)!r}", (0, 1)


def _check_range(what: str, bounds: Range, values: ValueRange, name: str) -> None:
    low, high = bounds
    if values.within(low, high):
        return
    wanted = f"between {low:.4g} and {high:.4g}"
    if math.isinf(high):
        wanted = f"of at least {low:.4g}"
    elif math.isinf(low):
        wanted = f"of at most {high:.4g}"
    advice = "Scale the data (MinMaxScaler(clip=True))"
    if name != "data":
        advice = (
            f"Scale {name} like X, within a pipeline by "
            f'Pipeline(..., transform_input=["{name}"]) and MinMaxScaler(clip=True)'
        )
    raise ValueError(
        f"{what} needs {name} {wanted}; got values from {values.low:.7g} to {values.high:.7g}. "
        f"{advice}, or set output_activation='linear' and loss='mean_squared_error'."
    )


def _is_keras(value: object) -> bool:
    """Return whether an activation or a loss is Keras' own, and not one that shares its name."""
    kind = value.kind if isinstance(value, KerasConfig) else value
    return isinstance(kind, str) or str(getattr(kind, "__module__", "")).startswith("keras.")
