"""The file of results that each processor has, and the table with a column for each of them."""

import json
from dataclasses import asdict

from benchmarks.cases import CASES
from benchmarks.processor import Processor
from benchmarks.report import figure, table

MISSING = "not measured"


def store(folder, machine, results):
    """Add results to the file of their processor, and return the file.

    Measures that were not taken this time keep their earlier values, with their date and commit.

    Parameters
    ----------
    folder : Path
        The folder with a file for each processor.
    machine : dict
        What `benchmarks.machine.describe` returns.
    results : list of pair of a case and its result
        The cases that were run.
    """
    processor = Processor(**machine["processor"])
    file = folder / f"{processor.slug}.json"
    record = json.loads(file.read_text()) if file.is_file() else {"cases": {}}
    record["processor"] = machine["processor"]
    for case, result in results:
        before = record["cases"].get(case.name)
        record["cases"][case.name] = merge(before, case, result, machine)
    file.write_text(json.dumps(record, indent=2) + "\n")
    return file


def merge(before, case, result, machine):
    """Return the record of a case: new values, and the earlier ones of what was not measured."""
    before = before or {"goals": {}}
    now = {key: machine.get(key) for key in ("date", "commit")}
    goals = dict(before["goals"])
    for goal, value in zip(case.goals, result.values, strict=True):
        if value is not None or goal.measure not in goals:
            goals[goal.measure] = {"value": value, "form": goal.form} | now
    if all(value is None for value in result.values):
        return before | {"goals": goals}
    rows = [asdict(row) | {"median": row.median} for row in result.rows if row.samples]
    return {"goals": goals, "rows": rows, "remarks": result.remarks, "machine": machine}


def load(folder):
    """Return the records of all processors; other files in the folder are left out."""
    records = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    records = [r for r in records if isinstance(r, dict) and {"processor", "cases"} <= r.keys()]
    return [(Processor(**record["processor"]), record["cases"]) for record in records]


def as_table(records):
    """Return the lines of a Markdown table: a line for each measure, a column for each processor.

    The first lines describe the processors.  Measures that no case has, or no longer has, are last.
    """
    goals = {(case.name, goal.measure): goal for case in CASES.values() for goal in case.goals}
    keys = {**goals, **dict.fromkeys(key for _, cases in records for key in _keys(cases))}
    head = ["measure", *(processor.label for processor, _ in records), "must", "aim"]
    rows = [[name, *cells, "", ""] for name, cells in _descriptions(records)]
    for key in keys:
        limits = [getattr(goals.get(key), name, None) for name in ("must", "aim")]
        forms = [goals[key].form if key in goals else None] * 2
        limits = [figure(limit, form) for limit, form in zip(limits, forms, strict=True)]
        rows.append([key[1], *(_cell(cases, key) for _, cases in records), *limits])
    return table(head, rows)


def _keys(cases):
    return [(name, measure) for name, case in cases.items() for measure in case["goals"]]


def _cell(cases, key):
    goal = cases.get(key[0], {"goals": {}})["goals"].get(key[1])
    return MISSING if goal is None or goal["value"] is None else figure(goal["value"], goal["form"])


def _descriptions(records):
    processors = [processor for processor, _ in records]
    yield "threads", [str(p.threads or "unknown") for p in processors]
    yield "gain of NumPy's products from all threads", [_gain(p) for p in processors]
    yield "measured on (at commit)", [_when(cases) for _, cases in records]


def _gain(processor):
    if processor.gain is None:
        return MISSING
    shared = " (threads share a core)" if processor.shares_a_core else ""
    return f"{processor.gain:.2f}{shared}"


def _when(cases):
    """The days and commits of the values, the earliest first."""
    goals = [goal for case in cases.values() for goal in case["goals"].values()]
    runs = {(g.get("date"), g.get("commit")) for g in goals if g["value"] is not None}
    runs = {(date[:10] if date else "day unknown", commit or "unknown") for date, commit in runs}
    return "; ".join(f"{day} ({commit})" for day, commit in sorted(runs)) or MISSING
