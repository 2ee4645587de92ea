"""How to train, and the result: records that need no TensorFlow."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from skae._corruption.base import Corruption
from skae._network.conditioning import Conditioning
from skae._typing import Array, Floats, History


@dataclass(frozen=True)
class Plan:
    """How to train: everything that changes the result, but not the compiled program.

    Attributes
    ----------
    epochs : int
        Number of passes over the rows.
    optimizer : object
        The parameter of the estimator; it gives the rate if ``learning_rate`` is "auto".
    learning_rate : float or "auto"
        The highest learning rate.
    schedule : str or callable
        Name of a schedule, or a Keras ``LearningRateSchedule``.
    seed : int
        Seed of every random stream.
    corruption : Corruption or None, default=None
        The corruption of the inputs.
    strengths : tuple of float, default=()
        Weights of the objective's penalties.
    conditioning : Conditioning or None, default=None
        The shift and scale with which the network sees the rows.
    single_epoch : bool, default=False
        Whether this is one epoch of `partial_fit`.  Its rate is constant, because the end of the
        schedule is not known.
    init : {"random", "pca"}, default="random"
        Where the weights of a new network start.
    column_weights : ndarray of shape (n_columns,) or None, default=None
        Weights of the columns in the loss, with a mean of one; None means equal weights.
    """

    epochs: int
    optimizer: object
    learning_rate: float | str
    schedule: str | Callable[[Any], Any]
    seed: int
    corruption: Corruption | None = None
    strengths: tuple[float, ...] = ()
    conditioning: Conditioning | None = None
    single_epoch: bool = False
    init: str = "random"
    column_weights: Array | None = None


@dataclass(frozen=True)
class State:
    """The state from which a later fit continues.

    ``optimizer`` describes the optimizer that ``optimizer_state`` belongs to.  ``shift`` and
    ``scale`` are those of the fit's `Conditioning`: the weights take rows that are shifted and
    scaled.  Without a shift, the weights take rows in their own units, and ``scale`` is that of the
    rows for which tied kernels are transposes.
    """

    weights: list[Floats]
    optimizer: str = ""
    optimizer_state: list[Array] | None = None
    n_steps: int = 0
    n_epochs: int = 0
    shift: Array | None = None
    scale: float = 1.0


class WatcherState(NamedTuple):
    """The state of a watcher in a checkpoint: values of JSON's types, and arrays."""

    values: dict[str, Any]
    arrays: list[Array]


@dataclass(frozen=True)
class Saved:
    """A fit after its last whole epoch: everything that it needs to continue from there.

    Watchers have scaled the learning rates by ``rate_factor``.  ``stopped`` tells whether training
    ended early.  ``watchers`` has the states of watchers by the names of their classes.
    """

    weights: list[Floats]
    optimizer_state: list[Array]
    history: list[dict[str, float]]
    rate_factor: float
    stopped: bool
    watchers: dict[str, WatcherState] = field(default_factory=dict)


class DamageError(ValueError):
    """A checkpoint holds something that no fit has written.

    The message is a clause about the file, such as "its arrays are not those of this network".
    """


@dataclass(frozen=True)
class TrainResult:
    """The result of a fit: the weights to use, the history, and the state to continue from."""

    weights: list[Floats]
    history: History
    state: State
    interrupted: bool


def columns(records: Sequence[dict[str, float]]) -> History:
    """Return the records of epochs by name; NaN stands for a value that was not measured."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name, math.nan) for record in records] for name in names}


def appended(past: History, history: History) -> History:
    """Append a history to an earlier one; NaN stands for a value that was not measured."""
    lengths = [len(part.get("loss", ())) for part in (past, history)]
    return {
        name: [
            value
            for part, length in zip((past, history), lengths, strict=True)
            for value in part.get(name, [math.nan] * length)
        ]
        for name in past | history
    }
