"""Sparse rows: a fit to TF-IDF, beside scikit-learn's `TruncatedSVD`."""

from benchmarks.measure import Failed, complaints, interleave, running
from benchmarks.results import Case, Goal, Result, Row, ratio

SKAE, DENSE, SVD = "skae", "skae, rows made dense", "TruncatedSVD"
LARGE = "skae, batches of 256"
MODULE = "benchmarks.cases.text_fits"
TARGETS = {
    SVD: f"{MODULE}:Svd",
    SKAE: f"{MODULE}:Skae",
    DENSE: f"{MODULE}:Dense",
    LARGE: f"{MODULE}:LargeBatches",
}


def run(settings):
    with running(TARGETS, settings.texts) as (workers, failures):
        peaks = _each(workers, "peak", failures)  # these first fits also compile
        measures = {name: lambda w=worker: w.call("fit")[0] for name, worker in workers.items()}
        samples = interleave(measures, settings.rounds, failures)
        errors = _each(workers, "error", failures)
    rows = [
        Row(name, seconds, mse=errors[name][0], remark=_remark(name, errors, peaks))
        for name, seconds in samples.items()
    ]
    values = [
        ratio(samples, SKAE, SVD),
        ratio(errors, SKAE, SVD),
        ratio(peaks, SKAE, SVD),
        ratio(samples, SKAE, DENSE),
    ]
    return Result(values, rows, complaints(failures))


def _remark(name, errors, peaks):
    error, added = errors[name][0] / errors.get(SVD, [float("nan")])[0], peaks[name][0]
    return f"{error:.4f} of {SVD}'s error; a first fit adds {added / 1e6:.0f} MB to its process"


def _each(workers, method, failures):
    """Call a method of each contestant that has not failed; return the value of each, in a list."""
    values = {}
    for name, worker in workers.items():
        if name not in failures:
            try:
                values[name] = [worker.call(method)[1]]
            except Failed as failure:
                failures[name] = str(failure)
    return values


CASE = Case(
    "texts",
    "TF-IDF of 4,000 made-up texts x 4,600 words, 64 codes, default parameters",
    (
        Goal("texts: time of a fit over `TruncatedSVD`'s", 30, 10, "x"),
        Goal("texts: error over `TruncatedSVD`'s", 1.0, 0.98, "loss"),
        Goal("texts: memory of a first fit over `TruncatedSVD`'s", 2.0, 1.0, "x"),
        Goal("texts: sparse rows / rows made dense", 1.0, 0.9, "x"),
    ),
    run,
    needs_mnist=False,
)
