"""The loss that default parameters reach in the 50 epochs of the Keras recipe."""

import statistics

from benchmarks.measure import Worker
from benchmarks.results import Case, Goal, Result, Row

DEEP, DENOISER = (f"benchmarks.cases.estimators:{name}" for name in ("Deep", "Denoiser"))


def fits(target, settings, epochs):
    """Fit once for each seed, and time it; compilation falls into the first fit."""
    with Worker(target, settings.mnist) as worker:
        for seed in settings.seeds:
            seconds, _ = worker.call("fit", epochs, seed)
            reached = worker.call("errors")[1]
            yield Row(f"skae, seed {seed}, {epochs} epochs", [seconds], **reached)


def run(settings):
    rows = list(fits(DEEP, settings, settings.quality_epochs))
    return Result([statistics.median(row.bce for row in rows)], rows)


CASE = Case(
    "quality",
    "Test loss after the article's 50 epochs, default parameters",
    (Goal("test BCE after 50 epochs (the article's: 0.0842)", 0.0745, 0.0710, "loss"),),
    run,
)
