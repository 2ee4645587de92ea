"""A grid search on the digits, in fresh processes: each structure is compiled once in each."""

import json

from benchmarks.measure import complaints, fresh, interleave
from benchmarks.results import Case, Goal, Result, Row, ratio

ONE, TWO, SCIKERAS = "skae, n_jobs=1", "skae, n_jobs=2", "scikeras, n_jobs=1"
CONTESTANTS = {ONE: ("skae", "1"), TWO: ("skae", "2"), SCIKERAS: ("scikeras", "1")}
SEARCH = """
import sys
from benchmarks.cases.searches import measure
measure(*sys.argv[1:])
"""


def run(settings):
    sizes, failures = json.dumps(settings.search_sizes), {}
    found = interleave(
        {
            name: lambda a=arguments: fresh(SEARCH, *a, sizes)
            for name, arguments in CONTESTANTS.items()
        },
        settings.rounds,
        failures,
    )
    first = {name: [one["seconds"][0] for one in searches] for name, searches in found.items()}
    rows = [
        Row(name, seconds, mse=found[name][0]["mse"], remark="first search of a process")
        for name, seconds in first.items()
    ]
    rows += [
        Row(name, [one["seconds"][1] for one in found[name]], remark="second search")
        for name in (ONE, TWO)
        if name in found
    ]
    if TWO in found:
        start = [one["start"] for one in found[TWO]]
        rows.append(Row("joblib's processes", start, remark="their start, a second of it idle"))
    values = [ratio(first, ONE, SCIKERAS), ratio(first, TWO, ONE)]
    n_fits = sorted({one["fits"] for searches in found.values() for one in searches})
    notes = [f"{n} fits a search." for n in n_fits]
    return Result(values, rows, [*notes, *complaints(failures), *_differences(found)])


def _differences(found):
    """Check that the scores have the same bits: otherwise the times cannot be compared."""
    if ONE in found and TWO in found and found[ONE][0]["scores"] != found[TWO][0]["scores"]:
        return ["**n_jobs=2 gave other scores than n_jobs=1.**"]
    return []


CASE = Case(
    "search",
    "GridSearchCV on the digits: 5 bottlenecks, 3 learning rates, 5 folds, 20 epochs a fit",
    (
        Goal("grid search: skae / scikeras", 1 / 18, 1 / 40, "1/x"),
        Goal("grid search: n_jobs=2 / n_jobs=1", 1.0, 0.7, "x"),
    ),
    run,
    needs_mnist=False,
)
