"""The tables: errors, times, and what must be reached."""

import numpy as np

from benchmarks import machine
from benchmarks.imputation.contestants import CONTESTANTS
from benchmarks.imputation.goals import PUBLISHED, UCI, goals
from benchmarks.imputation.sets import CASES, CHOSEN_WITH, FILES
from benchmarks.report import QUICK, table, verdict

MEASURES = {"mae": "mean absolute error", "rmse": "root mean squared error"}


def by_case(results):
    """Means over the seeds: ``{title: {contestant: {measure: mean}}}``."""
    found = {}
    for record in results:
        of = found.setdefault(record["case"], {}).setdefault(record["contestant"], [])
        of.append(record)
    return {
        title: {
            contestant: {
                measure: float(np.mean([record[measure] for record in records]))
                for measure in ("mae", "rmse", "mse", "seconds")
            }
            for contestant, records in of_case.items()
        }
        for title, of_case in found.items()
    }


def as_markdown(results, described, *, quick):
    means = by_case(results)
    lines = ["# Imputation", ""]
    if quick:
        lines += [QUICK, ""]
    lines += [f"Settings were chosen with {', '.join(CHOSEN_WITH)}.", ""]
    for mechanism in dict.fromkeys(case.mechanism for case in CASES):
        cases = [c for c in CASES if c.mechanism == mechanism and c.title in means]
        for measure, title in MEASURES.items():
            part = [c for c in cases if (c.name in FILES) == (measure == "mae")]
            if part:
                lines += [f"## {title.capitalize()}, gaps {mechanism}", ""]
                lines += [*_errors(means, part, measure), ""]
    lines += ["## Seconds of `fit_transform`", "", *_errors(means, CASES, "seconds", ".1f"), ""]
    if checked := list(_complete_goals(means)):
        lines += ["## Goals", "", *_goals(checked, judged=not quick), ""]
    return "\n".join([*lines, "---", "", *machine.footer(described)]) + "\n"


def _complete_goals(means):
    """The goals, if every contestant took part."""
    complete = {t: of for t, of in means.items() if CONTESTANTS.keys() <= of.keys()}
    return goals(complete)


def _errors(means, cases, measure, form=".4f"):
    cases = [case for case in cases if case.title in means]
    rows = []
    for contestant in CONTESTANTS:
        found = [means[case.title].get(contestant) for case in cases]
        if any(found):
            rows.append([contestant, *(format(of[measure], form) if of else "-" for of in found)])
    if measure == "mae" and cases == [case for case in UCI if case in cases]:
        for name, of in PUBLISHED.items():
            rows.append([name, *(f"{of[case.name]:.3f}" for case in cases)])
    return table(["imputer", *(f"{case.name} {case.rate:.0%}" for case in cases)], rows)


def _goals(checked, judged):
    rows = []
    for goal in checked:
        cells = [goal.measure, f"{goal.value:.4g}"]
        for limit in (goal.must, goal.aim):
            if limit is None:
                cells += ["-", "-"]
            else:
                sign = -1 if goal.at_least else 1
                cells += [f"{limit:g}", verdict(sign * goal.value, sign * limit, judged)]
        rows.append(cells)
    return table(["measure", "value", "must", "", "aim", ""], rows)
