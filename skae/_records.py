"""What goes between the estimators and the engine: rows, a plan, and the result.

Nothing here needs TensorFlow: a `State` may be part of a pickle.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._sources import Source
from skae._typing import Array, Floats, History, Matrix


@contextlib.contextmanager
def as_float32() -> Iterator[None]:
    """Convert the user's numbers to float32, and say where they are too large for it."""
    try:
        with np.errstate(over="raise"):
            yield
    except FloatingPointError as error:
        raise ValueError(
            "The data, or the noise on it, is too large: training computes in float32, which ends "
            f"at {np.finfo(np.float32).max:.3g}. Scale the data (StandardScaler, RobustScaler)."
        ) from error


@dataclass(frozen=True)
class Rows:
    """Rows to train or validate on.

    ``index`` says which rows of ``inputs`` these are, so that a split or a row of weight
    zero costs no copy of the data; it ascends, and is a range where it names all rows of a
    `Source`.  ``targets`` is None where the network has to give back its inputs, ``weight`` None
    where every row counts the same.
    """

    inputs: Matrix
    targets: Matrix | None
    weight: Array | None
    index: Array | range

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return (self.inputs,) if self.targets is None else (self.inputs, self.targets)

    @property
    def in_memory(self) -> bool:
        return not any(isinstance(matrix, Source) for matrix in self.matrices)

    @property
    def are_arrays(self) -> bool:
        """Whether they are dense and in memory."""
        return self.in_memory and isinstance(self.inputs, np.ndarray)

    def weights(self, index: Array) -> Array:
        """Return the weights of some of the rows."""
        return np.ones(len(index), np.float32) if self.weight is None else self.weight[index]

    @property
    def total_weight(self) -> float:
        return len(self.index) if self.weight is None else float(self.weight[self.index].sum())


@dataclass(frozen=True)
class Plan:
    """How to train: what changes the result, but not the compiled program.

    ``learning_rate`` may be "auto"; ``optimizer`` is the user's, whose own rate that may mean.
    Without a ``patience``, in epochs, training does not stop early.  A ``single_epoch`` goes at
    a constant rate, as the end of the schedule is not known.
    """

    epochs: int
    optimizer: object
    learning_rate: float | str
    schedule: str | Callable[[Any], Any]
    seed: int
    noise_scale: float | None = None
    clip: tuple[float, float] | None = None
    patience: int | None = None
    tol: float = 0.0
    single_epoch: bool = False


@dataclass(frozen=True)
class State:
    """Where training stands, to go on from.

    ``optimizer`` says whose state ``optimizer_state`` is.
    """

    weights: list[Floats]
    optimizer: str = ""
    optimizer_state: list[Array] | None = None
    n_steps: int = 0
    n_epochs: int = 0


@dataclass(frozen=True)
class Saved:
    """Where a fit stands after its last whole epoch: all that going on from there needs.

    ``history`` is the record of each epoch; ``rate_factor`` is what callbacks made of the learning
    rates; ``stopped`` says whether training ended before all epochs were run.
    """

    weights: list[Floats]
    optimizer_state: list[Array]
    history: list[dict[str, float]]
    best_loss: float
    best_weights: list[Floats] | None
    epochs_without_gain: int
    rate_factor: float
    stopped: bool
    callbacks: list[dict[str, Any]]
    callback_arrays: list[Array]


@dataclass(frozen=True)
class TrainResult:
    """What a fit leaves behind: the weights to use, a record of each epoch, and where it ended."""

    weights: list[Floats]
    history: History
    state: State
    interrupted: bool
