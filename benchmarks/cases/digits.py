"""Small fits: the first of a process, and those of the same structure that follow it."""

from benchmarks.data import Digits
from benchmarks.measure import Worker, complaints, interleave, running, warm_up
from benchmarks.results import Case, Goal, Result, Row, ratio

SKAE, SCIKERAS = "skae", "scikeras"
TARGETS = {
    SKAE: "benchmarks.cases.small_fits:Skae",
    SCIKERAS: "benchmarks.cases.small_fits:Scikeras",
}


def run(settings):
    failures = {}
    first = interleave(
        {name: lambda t=target: _first_fit(t) for name, target in TARGETS.items()},
        settings.rounds,
        failures,
    )
    later = _later_fits(settings, failures)
    rows = [Row(f"{name}, first fit", samples) for name, samples in first.items()]
    rows += [Row(f"{name}, later fits", samples) for name, samples in later.items()]
    values = [ratio(samples, SKAE, SCIKERAS) for samples in (first, later)]
    return Result(values, rows, complaints(failures))


def _first_fit(target):
    with Worker(target, Digits()) as worker:
        return worker.call("fit")[0]


def _later_fits(settings, failures):
    with running(TARGETS, Digits()) as (workers, dead):
        failures |= dead
        warm_up(workers, "fit", (), failures)
        measures = {name: lambda w=worker: w.repeat("fit", 3) for name, worker in workers.items()}
        return interleave(measures, 4 * settings.rounds, failures)


CASE = Case(
    "digits",
    "20 epochs on the digits (1,437 x 64), TensorFlow already imported",
    (
        Goal("first fit on the digits: skae / scikeras", 0.5, 0.2, "x"),
        Goal("later fits on the digits: skae / scikeras", 1 / 20, 1 / 40, "1/x"),
    ),
    run,
    needs_mnist=False,
)
