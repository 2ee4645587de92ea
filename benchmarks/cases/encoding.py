"""Encoding many rows, and one."""

import statistics

from benchmarks.contestants import ARTICLE, CONTESTANTS, FLOOR, SKAE
from benchmarks.measure import complaints, interleave, running, warm_up
from benchmarks.results import Case, Goal, Result, ratio, timed_rows

PREDICT, LARGE_BATCHES = "Model.predict", "Model.predict, batch 2048"
CALLS = 3  # in a row, and their median counts: threads still sleep in the first call
CALLS_OF_PREDICT = 20  # it takes some 45 ms a row


def run_rows(settings):
    contestants = {
        SKAE: SKAE,
        FLOOR: FLOOR,
        PREDICT: ARTICLE,
        LARGE_BATCHES: "Keras, tuned",
        "PyTorch": "PyTorch, eager",
    }
    with _encoders(contestants, settings) as (workers, failures):
        _fit_and_warm_up(workers, "encode", failures)
        measures = {
            name: lambda w=worker: w.repeat("encode", CALLS) for name, worker in workers.items()
        }
        samples = interleave(measures, settings.short_rounds, failures)
    values = [ratio(samples, SKAE, rival) for rival in (FLOOR, PREDICT)]
    return Result(values, timed_rows(samples), complaints(failures))


def run_one_row(settings):
    with _encoders({SKAE: SKAE, PREDICT: ARTICLE}, settings) as (workers, failures):
        _fit_and_warm_up(workers, "encode_row", failures)
        calls = {SKAE: settings.row_calls, PREDICT: CALLS_OF_PREDICT}
        measures = {
            name: lambda w=worker, n=calls[name]: w.repeat("encode_row", n)
            for name, worker in workers.items()
        }
        samples = interleave(measures, settings.short_rounds, failures)
    seconds = statistics.median(samples[SKAE]) if SKAE in samples else None
    return Result([seconds], timed_rows(samples), complaints(failures))


def _encoders(contestants, settings):
    """Workers of the contestants that are installed."""
    known = {name: CONTESTANTS[contestant] for name, contestant in contestants.items()}
    targets = {name: c.target for name, c in known.items() if c.installed}
    return running(targets, settings.mnist)


def _fit_and_warm_up(workers, method, failures):
    warm_up(workers, "epochs", (1,), failures)
    alive = {name: worker for name, worker in workers.items() if name not in failures}
    warm_up(alive, method, (), failures)


ROWS = Case(
    "encode",
    "Encoding 60,000 rows",
    (
        Goal("encode 60,000 rows: skae / matrix products alone", 1.2, 1.05, "x"),
        Goal("encode 60,000 rows: skae / `Model.predict`", 1 / 20, 1 / 28, "1/x"),
    ),
    run_rows,
)
ONE_ROW = Case(
    "one-row",
    "`transform` of one row, validation included",
    (Goal("`transform` of one row", 100e-6, 60e-6, "us"),),
    run_one_row,
)
