"""Run the suite: ``python -m benchmarks --help``."""

import argparse
import sys
import time
from pathlib import Path

from benchmarks import machine, record, report, settings
from benchmarks.cases import CASES
from benchmarks.data import mnist_file
from benchmarks.measure import Failed

NO_MNIST = (
    "skipped: needs the full MNIST; set SKAE_DATA to a folder with mnist.npz "
    "(keys x_train and x_test, as Keras' download has them)"
)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="cut all sizes: shows that the suite runs, no more"
    )
    parser.add_argument(
        "--only", nargs="+", choices=CASES, metavar="CASE", help=f"from: {', '.join(CASES)}"
    )
    parser.add_argument(
        "--full-article",
        action="store_true",
        help="run the article's 50 epochs instead of multiplying one",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results",
        metavar="FOLDER",
        help="where results.md and a JSON file for each processor go (default: benchmarks/results)",
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help="measure nothing: print the table of the processors' files, for docs/benchmarks.md",
    )
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    if options.table:
        print("\n".join(record.as_table(record.load(options.output))))
        return
    chosen = (settings.quick if options.quick else settings.full)(options.full_article)
    described, results = machine.describe(), []
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.only or CASES:
        results.append((CASES[name], _run(CASES[name], chosen)))
        if chosen.judged:
            record.store(options.output, described, results[-1:])
        markdown = report.as_markdown(described, chosen, results)  # kept if a later case is ended
        (options.output / "results.md").write_text(markdown)
    print(markdown)
    print(f"Written to {options.output}", file=sys.stderr)


def _run(case, chosen):
    if case.needs_mnist and mnist_file() is None:
        return case.skipped(NO_MNIST)
    print(f"{case.name} ...", end=" ", file=sys.stderr, flush=True)
    start = time.perf_counter()
    try:
        result = case.run(chosen)
    except Failed as failure:
        result = case.skipped(f"failed: {failure}")
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    return result


if __name__ == "__main__":
    main()
