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
    samples = {name: seconds for name, seconds in samples.items() if name in errors}
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
    """Say what a contestant's other measures were."""
    remarks = [f"a first fit adds {added / 1e6:.0f} MB to its process" for added in peaks[name]]
    if SVD in errors:
        remarks.insert(0, f"{errors[name][0] / errors[SVD][0]:.4f} of {SVD}'s error")
    return "; ".join(remarks)


def _each(workers, method, failures):
    """Call a method of each contestant that has not failed; return lists with at most a value."""
    values = {}
    for name, worker in workers.items():
        if name not in failures:
            try:
                value = worker.call(method)[1]
                values[name] = [] if value is None else [value]
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
