"""The tables: means over halves of the sets, and what must be reached."""

import numpy as np

from benchmarks.outliers import sets
from benchmarks.outliers.contestants import OURS
from benchmarks.report import table

SLACK = 0.05  # a set counts as lost if a rival's ROC AUC is higher by more


def by_set(results, measure, contamination):
    """Means over the seeds: ``{contestant: {set: mean}}``."""
    found = {}
    for record in results:
        if record["contamination"] == contamination:
            values = found.setdefault(record["contestant"], {}).setdefault(record["set"], [])
            values.append(record[measure])
    return {
        contestant: {name: float(np.mean(values)) for name, values in of_sets.items()}
        for contestant, of_sets in found.items()
    }


def as_markdown(results, most_rows):
    lines = ["# Outliers: skae beside other detectors", ""]
    lines += [
        f"At most {most_rows:,} rows of each set train; as many of each class are scored.",
        "",
    ]
    for contamination in sorted({record["contamination"] for record in results}):
        lines += [f"## {contamination:.0%} of outliers among the rows that train", ""]
        for measure, title in (("auc", "ROC AUC"), ("precision", "average precision")):
            lines += [f"Mean {title}", "", *_means(by_set(results, measure, contamination)), ""]
        lines += [*_verdicts(by_set(results, "auc", contamination)), ""]
        lines += [*_all_sets(by_set(results, "auc", contamination)), ""]
    return "\n".join(lines)


def _means(means):
    """One line for each contestant, the best mean over all sets first."""
    common = set.intersection(*map(set, means.values()))
    chosen = common & set(sets.chosen_with())
    groups = chosen, common - chosen, common
    rows = []
    for contestant, of_sets in means.items():
        values = [np.mean([of_sets[n] for n in group]) if group else np.nan for group in groups]
        rows.append((contestant, *values))
    rows.sort(key=lambda row: -row[-1])
    head = ["contestant", *(f"{name} ({len(group)})" for name, group in
            zip(("chosen with", "reported", "all"), groups, strict=True))]  # fmt: skip
    return table(head, [[name, *(f"{value:.4f}" for value in values)] for name, *values in rows])


def _verdicts(means):
    """For each of ours: the distance to the best mean, and the number of sets lost."""
    common = set.intersection(*map(set, means.values()))
    rivals = {name: of for name, of in means.items() if name not in OURS}
    average = {name: np.mean([of[n] for n in common]) for name, of in means.items()}
    if not rivals:
        return []
    best = max(rivals, key=average.get)
    lines = []
    for name in (name for name in means if name in OURS):
        lost = [
            n for n in sorted(common)
            if means[name][n] < max(of[n] for of in rivals.values()) - SLACK
        ]  # fmt: skip
        lines.append(f"- {name}: {average[name] - average[best]:+.4f} to {best}; more than {SLACK}")
        lines[-1] += f" below the best rival on {len(lost)} of {len(common)} sets {lost}"
        lines += [
            f"  - to {rival}: {average[name] - average[rival]:+.4f}"
            for rival in ("PyOD AutoEncoder", "IsolationForest") if rival in average
        ]  # fmt: skip
    return lines


def _all_sets(means):
    names = sorted({n for of in means.values() for n in of}, key=str.casefold)
    rows = [
        [name, *(f"{of[name]:.3f}" if name in of else "-" for of in means.values())]
        for name in names
    ]
    return table(["set", *means], rows)
