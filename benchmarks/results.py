"""The goals of a case, and its results."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Goal:
    """One line of the table of goals: a figure that must be at most ``must``, better ``aim``."""

    measure: str
    must: float
    aim: float
    form: str  # how the figure is written: "1/x", "x", "loss", "us" or "GB"


@dataclass(frozen=True)
class Row:
    """One contestant's samples in a case, in seconds or bytes, and the errors it reached."""

    contestant: str
    samples: list[float]
    unit: str = "s"
    bce: float | None = None
    mse: float | None = None
    remark: str = ""

    @property
    def median(self):
        return statistics.median(self.samples)


@dataclass(frozen=True)
class Result:
    """The result of a case: a value for each of its goals, or None if it was not measured."""

    values: list[float | None]
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    goals: tuple[Goal, ...]
    run: Callable
    needs_mnist: bool = True

    def skipped(self, why):
        return Result([None] * len(self.goals), remarks=[why])


def ratio(samples, over, under):
    """Median of the rounds' ratios, or None if a contestant is missing or failed.

    The samples of a round are seconds apart, so a slow phase of the machine affects both.
    """
    if not samples.get(over) or not samples.get(under):
        return None
    rounds = zip(samples[over], samples[under], strict=False)  # one may fail in the last ones
    return statistics.median(a / b for a, b in rounds)


def timed_rows(samples):
    return [Row(name, seconds) for name, seconds in samples.items()]
