"""Compare imputers on tables whose cells are hidden, as the error of the hidden cells."""

import argparse
import json
import sys
import time
import warnings

import numpy as np

from benchmarks import continued, machine
from benchmarks.imputation import report, sets
from benchmarks.imputation.contestants import CONTESTANTS, available

NO_SETS = "skipped: set SKAE_DATA to a folder that has a folder uci with UCI's tables as .txt"


def parse(arguments):
    parser = argparse.ArgumentParser("python -m benchmarks.imputation", description=__doc__)
    names = list(dict.fromkeys(case.name for case in sets.CASES))
    mechanisms = list(dict.fromkeys(case.mechanism for case in sets.CASES))
    parser.add_argument("--sets", nargs="+", choices=names, default=names, metavar="SET",
                        help=f"from: {', '.join(names)}")  # fmt: skip
    parser.add_argument("--mechanisms", nargs="+", choices=mechanisms, default=mechanisms)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="of masks")
    parser.add_argument(
        "--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="NAME",
        help=f"from: {', '.join(CONTESTANTS)}",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true",
        help="one mask of the first rows of breast cancer: shows that it runs, no more",
    )  # fmt: skip
    continued.add_output(parser, "imputation")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sets, options.seeds = ["breast cancer"], [0]
        options.mechanisms = mechanisms[:1]
    return options


def main(arguments=None):
    options = parse(arguments)
    wanted = [c for c in sets.CASES if c.name in options.sets and c.mechanism in options.mechanisms]
    cases = list(filter(sets.available, wanted))
    if len(cases) < len(wanted):
        print(NO_SETS, file=sys.stderr)
    contestants = available(options.contestants)
    for name in sorted(set(options.contestants) - set(contestants)):
        print(f"left out, because its package is not installed: {name}", file=sys.stderr)
    options.contestants = contestants
    options.output.mkdir(parents=True, exist_ok=True)
    results = continued.earlier(options.output / "imputation.json", "results", quick=options.quick)
    described = machine.describe()
    _write(options, results, described)
    for record in _missing(options, cases, results):
        results.append(record)
        _write(options, results, described)
    print(_write(options, results, described))


def _missing(options, cases, results):
    """Yield the results that are not there yet; all contestants see the same gaps."""
    done = {(r["case"], r["seed"], r["contestant"]) for r in results}
    for seed in options.seeds:
        for case in cases:
            for contestant in options.contestants:
                if (case.title, seed, contestant) not in done:
                    yield _run(case, seed, contestant, options.quick)


def _run(case, seed, contestant, quick):
    X, hidden = case.load(seed, quick)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of iterations that did not converge
        filled = CONTESTANTS[contestant](seed).fit_transform(np.where(hidden, np.nan, X))
    filled = np.asarray(filled)  # a frame, from hyperimpute
    seconds = time.perf_counter() - start
    errors = (filled - X)[hidden]
    return {
        "case": case.title,
        "seed": seed,
        "contestant": contestant,
        "seconds": seconds,
        "mae": float(np.abs(errors).mean()),
        "mse": float((errors**2).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
    }


def _write(options, results, described):
    record = {"quick": options.quick, "machine": described, "results": results}
    (options.output / "imputation.json").write_text(json.dumps(record, indent=1) + "\n")
    text = report.as_markdown(results, described, quick=options.quick)
    (options.output / "imputation.md").write_text(text)
    return text


if __name__ == "__main__":
    main()
