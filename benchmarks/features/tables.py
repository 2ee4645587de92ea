"""The tables of accuracies, of differences to PCA, and of goals, in Markdown."""

import statistics

from benchmarks.report import table, verdict


def mean(values):
    return statistics.mean(values)


def accuracies(results):
    """A line for each kind of features and a column for each set, in per cent."""
    names = list(results)
    rows = [[row, *(_accuracy(results[name].get(row)) for name in names)] for row in _rows(results)]
    return table(["test accuracy, %", *names], rows)


def _rows(results):
    return list(dict.fromkeys(row for found in results.values() for row in found))


def _accuracy(values):
    if values is None:
        return "-"
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread}"


def differences(halves):
    """Points above PCA: the mean over the sets of each half, and the worst set of each half.

    ``halves`` is a dict of titles and results.
    """
    rows = []
    everything = {name: found for results in halves.values() for name, found in results.items()}
    for row in _rows(everything):
        cells = [_mean_and_worst(row, results) for results in (*halves.values(), everything)]
        rows.append([row, *(cell for pair in cells for cell in pair)])
    head = [f"{title}: {what}" for title in (*halves, "all sets") for what in ("mean", "worst")]
    return table(["points above PCA", *head], rows)


def _mean_and_worst(row, results):
    points = {name: 100 * above_pca(found, row) for name, found in results.items() if row in found}
    if not points:
        return "-", "-"
    worst = min(points, key=points.get)
    return f"{mean(points.values()):+.1f}", f"{points[worst]:+.1f} ({worst})"


def above_pca(found, row):
    return mean(found[row]) - mean(found["PCA"])


def goals(checked, judged):
    """``checked`` is a list of (name of a set, its goal, the best row, its accuracy)."""
    rows = []
    for name, goal, row, value in checked:
        limits = [
            cell
            for limit in (goal.must, goal.aim)
            for cell in (f"{limit:.3f}", verdict(-value, -limit, judged))
        ]
        rows.append([name, row, f"{value:.4f}", *limits])
    return table(["set", "features", "accuracy", "must reach", "", "aim", ""], rows)
