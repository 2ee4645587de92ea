"""The tables of accuracies and times, and the goals, in Markdown."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks import machine
from benchmarks.report import QUICK, table, verdict
from benchmarks.tables import cells, timing

FEATURES, CELLS, TIME = "features", "cells", "time"
TITLES = {
    FEATURES: "Test accuracy of a logistic regression, %",
    CELLS: "Hidden categories that are restored, %",
    TIME: "Seconds of a fit",
}


@dataclass(frozen=True)
class Goal:
    """A measure of one part and one set, with limits; ``at_least`` says on which side it is."""

    measure: str
    part: str
    name: str
    of: Callable
    must: float
    aim: float
    at_least: bool = True


def best_features(found):
    return max(value for row, value in found.items() if "Autoencoder" in row)


def above_rivals(found):
    """Accuracy above that of the best rival, as a share of cells."""
    rivals = (value for row, value in found.items() if "Autoencoder" not in row)
    return found[cells.OURS] - max(rivals)


def over_detour(found):
    return found[timing.FRAME] / found[timing.DETOUR]


GOALS = (
    Goal("accuracy with features of the frame", FEATURES, "Adult", best_features, 0.850, 0.855),
    Goal("restored categories above rivals", CELLS, "Adult", above_rivals, 0, 0),
    Goal("restored categories above rivals", CELLS, "penguins", above_rivals, 0, 0),
    Goal("time over the one-hot detour", TIME, "Adult", over_detour, 1.2, 1.0, at_least=False),
)


def as_markdown(results, described, *, quick):
    """``results[part][set][row]`` is a list with a value for each seed."""
    lines = ["# Tables with categories", ""]
    if quick:
        lines += [QUICK, ""]
    for part, title in TITLES.items():
        if results.get(part):
            lines += [f"## {title}", "", *_values(part, results[part]), ""]
    if checked := list(_checked(results)):
        lines += ["## Goals", "", *_goals(checked, judged=not quick), ""]
    return "\n".join([*lines, "---", "", *machine.footer(described)]) + "\n"


def _values(part, of_sets):
    names = list(dict.fromkeys(row for found in of_sets.values() for row in found))
    rows = [[name, *(_cell(part, found.get(name)) for found in of_sets.values())] for name in names]
    return table(["", *of_sets], rows)


def _cell(part, values):
    if not values:
        return "-"
    if part == TIME:
        return f"{np.median(values):.1f}"
    spread = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread}"


def _checked(results):
    """Yield the goals that were measured, with their values."""
    for goal in GOALS:
        found = results.get(goal.part, {}).get(goal.name, {})
        middle = np.median if goal.part == TIME else np.mean
        try:
            yield goal, float(goal.of({row: middle(values) for row, values in found.items()}))
        except (KeyError, ValueError):  # a contestant did not take part
            continue


def _goals(checked, judged):
    rows = []
    for goal, value in checked:
        cells = [f"{goal.name}: {goal.measure}", f"{value:.4g}"]
        sign = -1 if goal.at_least else 1
        for limit in (goal.must, goal.aim):
            cells += [f"{limit:g}", verdict(sign * value, sign * limit, judged)]
        rows.append(cells)
    return table(["measure", "value", "must", "", "aim", ""], rows)
