"""Peak memory of a fit over the size of its data."""

from benchmarks.measure import Failed, Worker, complaints
from benchmarks.results import Case, Goal, Result, Row

SKAE, ARTICLE = "skae", "Keras, article's recipe"
TARGETS = {
    SKAE: "benchmarks.cases.memory_peak:Skae",
    ARTICLE: "benchmarks.cases.memory_peak:Article",
}
PIXEL_BYTES = 4
N_FEATURES = 784


def run(settings):
    rows, failures = [], {}
    for name, target in TARGETS.items():
        try:
            with Worker(target, settings.mnist) as worker:
                rows.append(Row(name, [worker.call("peak", settings.epochs)[1]], unit="B"))
        except Failed as failure:
            failures[name] = str(failure)
    data = PIXEL_BYTES * N_FEATURES * settings.mnist.n_rows
    added = {row.contestant: row.median for row in rows}
    value = 1 + added[SKAE] / data if SKAE in added else None
    remarks = [
        f"Bytes that a fit adds to its process, which holds the data ({data / 1e6:.0f} MB) and has "
        "run a small fit before; the goal's figure is one, for the data, plus these over the data.",
        *complaints(failures),
    ]
    return Result([value], rows, remarks)


CASE = Case(
    "memory",
    "Peak memory of a fit",
    (Goal("peak memory of `fit` over the data's own size", 1.4, 1.15, "x"),),
    run,
)
