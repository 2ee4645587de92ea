"""Compare outlier detectors on ADBench's sets, as ROC AUC and average precision."""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks import continued
from benchmarks.outliers import report, sets, speed
from benchmarks.outliers.contestants import PYOD, available

NO_SETS = "skipped: set SKAE_DATA to a folder that has a folder adbench with ADBench's sets as .npz"


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outliers", description=__doc__)
    parser.add_argument("--sets", nargs="+", metavar="SET", help="names of sets; default: all")
    parser.add_argument("--half", choices=["choose", "report"], help="every second set")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--contamination", nargs="+", type=float, default=[0.0, 0.1])
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument(
        "--most-rows", type=int, default=10_000, help="of a set that train; larger ones are sampled"
    )
    parser.add_argument("--no-speed", action="store_true", help="leave out the times")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parents[1] / "results" / "outliers.json",
        metavar="FILE",
        help="results so far, which a later call with the same rows continues",
    )
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    if sets.folder() is None:
        print(NO_SETS)
        return
    contestants = available()
    missing = sorted(PYOD.keys() - contestants.keys())
    if missing:
        print(f"left out, because PyOD is not installed: {', '.join(missing)}", file=sys.stderr)
    results = continued.earlier(options.output, "results", most_rows=options.most_rows)
    for record in _missing(options, contestants, results):
        results.append(record)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        state = {"most_rows": options.most_rows, "results": results}
        options.output.write_text(json.dumps(state, indent=1) + "\n")
    print(report.as_markdown(results, options.most_rows))
    if not options.no_speed:
        print("\n".join(speed.measure()))


def _missing(options, contestants, results):
    """Yield the results that are not there yet; all contestants see the same rows."""
    done = {(r["contamination"], r["set"], r["seed"], r["contestant"]) for r in results}
    halves = {"choose": sets.chosen_with(), "report": sets.names()[::2], None: sets.names()}
    for seed in options.seeds:
        for contamination in options.contamination:
            for name in options.sets or halves[options.half]:
                for contestant in options.contestants or contestants:
                    key = contamination, name, seed, contestant
                    if key not in done:
                        yield _run(*key, contestants[contestant], options.most_rows)


def _run(contamination, name, seed, contestant, function, most_rows):
    split = sets.split(name, seed, most_rows, contamination)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = function(split.train, split.test, seed)
    return {
        "contamination": contamination,
        "set": name,
        "seed": seed,
        "contestant": contestant,
        "seconds": time.perf_counter() - start,
        "auc": float(roc_auc_score(split.labels, scores)),
        "precision": float(average_precision_score(split.labels, scores)),
    }


if __name__ == "__main__":
    main()
