"""Run the comparison: ``python -m benchmarks.features --help``."""

import argparse
import json
import sys
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import continued, machine
from benchmarks.features import tables
from benchmarks.features.features import CONTESTANTS, C
from benchmarks.features.protocols import MNIST_6K, PROTOCOLS
from benchmarks.features.sets import SETS
from benchmarks.report import QUICK

QUICK_SETS = ("digits", "wine")


def parse(arguments):
    names = [*SETS, *PROTOCOLS]
    parser = argparse.ArgumentParser("python -m benchmarks.features", description=__doc__)
    parser.add_argument(
        "--sets", nargs="+", choices=names, metavar="SET", help=f"from: {', '.join(names)}"
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="two small sets, one seed: shows that it runs, no more"
    )
    continued.add_output(parser, "features", is_continued=False)
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds = 1
    options.sets = options.sets or (QUICK_SETS if options.quick else names)
    return options


def main(arguments=None):
    options = parse(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)  # of small fits, and of the classifier
    options.output.mkdir(parents=True, exist_ok=True)
    results, skipped = {}, []
    for name in options.sets:
        if (SETS.get(name) or PROTOCOLS[name].data).available():
            results[name] = run(name, options.seeds)
            _write(options, results, skipped)  # kept if a later set is interrupted
        else:
            skipped.append(name)
    print(_write(options, results, skipped))
    print(f"Written to {options.output}", file=sys.stderr)


def run(name, n_seeds):
    """Return a dict of the names of rows and their accuracies, one for each seed."""
    print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
    start = time.perf_counter()
    protocol = PROTOCOLS.get(name)
    data, sizes = (protocol.data, protocol.sizes) if protocol else (SETS[name], {})
    found = {}
    for seed in range(min(n_seeds, protocol.most_seeds) if protocol else n_seeds):
        for row, value in of_seed(data, seed, sizes).items():
            found.setdefault(row, []).append(value)
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    return found


def of_seed(data, seed, sizes):
    """Accuracy of each row over all test rows of a seed's splits."""
    right, n_tested = {}, 0
    for split in data.splits(seed):
        n_tested += len(split.y_test)
        for contestant in CONTESTANTS:
            for row, value in contestant.accuracies(split, seed, sizes).items():
                right[row] = right.get(row, 0) + value * len(split.y_test)
    return {row: count / n_tested for row, count in right.items()}


def checked_goals(results):
    """The best features of each kind, for each goal of the sets that were run."""
    goals = {"MNIST-6k": MNIST_6K} | {name: found.goals for name, found in PROTOCOLS.items()}
    for name in filter(results.__contains__, goals):
        for goal in goals[name]:
            means = {
                row: float(np.mean(values))
                for row, values in results[name].items()
                if ", " in row and row.endswith(goal.part)
            }
            best = max(means, key=means.get)
            yield name, goal, best, means[best]


def _write(options, results, skipped):
    described = machine.describe()
    record = {"machine": described, "seeds": options.seeds, "C": C, "accuracies": results}
    (options.output / "features.json").write_text(json.dumps(record, indent=2) + "\n")
    text = as_markdown(options, results, skipped, described)
    (options.output / "features.md").write_text(text)
    return text


def as_markdown(options, results, skipped, described):
    lines = ["# Features for a classifier", ""]
    if options.quick:
        lines += [QUICK, ""]
    halves = {
        title: {
            name: results[name] for name in SETS if name in results and SETS[name].chosen_on is on
        }
        for title, on in (("sets that settings were chosen on", True), ("other sets", False))
    }
    published = {name: results[name] for name in PROTOCOLS if name in results}
    for title, half in (*halves.items(), ("published protocols", published)):
        if half:
            lines += [f"## {title.capitalize()}", "", *tables.accuracies(half), ""]
    if any(halves.values()):
        lines += ["## Differences", "", *tables.differences(halves), ""]
    if checked := list(checked_goals(results)):
        lines += ["## Goals", "", *tables.goals(checked, not options.quick), ""]
    if skipped:
        lines += [
            f"Skipped, because SKAE_DATA names no folder with its file: {', '.join(skipped)}",
            "",
        ]
    return "\n".join([*lines, "---", "", *machine.footer(described)]) + "\n"


if __name__ == "__main__":
    main()
