"""Compare autoencoders of frames with one-hot columns: features, restored cells and time."""

import argparse
import json
import sys
import warnings

from sklearn.exceptions import ConvergenceWarning

from benchmarks import continued, machine
from benchmarks.tables import cells, features, report, timing
from benchmarks.tables.sets import SETS

NO_ADULT = "Adult is skipped: set SKAE_DATA to a folder that has adult.csv.gz"
RATE = 0.3  # of the cells that are hidden


def parse(arguments):
    parser = argparse.ArgumentParser("python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET",
                        help=f"from: {', '.join(SETS)}")  # fmt: skip
    parser.add_argument("--parts", nargs="+", choices=report.TITLES, default=list(report.TITLES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--most-rows", type=int, default=5_000, metavar="N",
                        help="rows whose cells are hidden, of larger sets")  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="penguins and one seed: shows that it runs, no more"
    )
    continued.add_output(parser, "tables")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sets, options.seeds = ["penguins"], [0]
    return options


def main(arguments=None):
    options = parse(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)  # of the classifier, and of early stops
    options.output.mkdir(parents=True, exist_ok=True)
    sets = [SETS[name] for name in options.sets if SETS[name].available()]
    if len(sets) < len(options.sets):
        print(NO_ADULT, file=sys.stderr)
    file = options.output / "tables.json"
    records = continued.earlier(file, "records", quick=options.quick)
    described = machine.describe()
    text = _write(options, records, described)
    for record in _missing(options, sets, records):
        records.append(record)
        text = _write(options, records, described)
    print(text)


def _missing(options, sets, records):
    """Yield the results that are not there yet."""
    done = {(r["part"], r["set"], r["seed"], r["contestant"]) for r in records}
    for seed in options.seeds:
        for part in options.parts:
            for found in sets:
                for contestant in CONTESTANTS[part]:
                    key = part, found.name, seed, contestant
                    if key not in done:
                        values = _run(options, part, found, seed, contestant)
                        names = ("part", "set", "seed", "contestant")
                        yield dict(zip(names, key, strict=True)) | {"values": values}


CONTESTANTS = {
    report.FEATURES: features.CONTESTANTS,
    report.CELLS: cells.CONTESTANTS,
    report.TIME: ["both"],  # they take turns
}


def _run(options, part, found, seed, contestant):
    """Return the values of a contestant's rows."""
    if part == report.FEATURES:
        return features.CONTESTANTS[contestant](found, seed)
    if part == report.TIME:
        return timing.seconds(found, seed)
    arguments = {"rate": RATE, "most_rows": options.most_rows}
    return {contestant: cells.accuracy(found, seed, contestant, **arguments)}


def by_part(records):
    """Lists of values, one for each seed: ``results[part][set][row]``."""
    results = {}
    for record in records:
        of_set = results.setdefault(record["part"], {}).setdefault(record["set"], {})
        for row, value in record["values"].items():
            of_set.setdefault(row, []).append(value)
    return results


def _write(options, records, described):
    state = {"quick": options.quick, "machine": described, "records": records}
    (options.output / "tables.json").write_text(json.dumps(state, indent=1) + "\n")
    text = report.as_markdown(by_part(records), described, quick=options.quick)
    (options.output / "tables.md").write_text(text)
    return text


if __name__ == "__main__":
    main()
