"""Options and files of the comparisons that a later call continues."""

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def add_output(parser, name, *, is_continued=True):
    """Add the option of the folder for the results of a comparison."""
    files = f"where {name}.json and {name}.md go"
    note = "; a later call continues these results" if is_continued else ""
    parser.add_argument(
        "--output",
        type=Path,
        default=RESULTS,
        metavar="FOLDER",
        help=f"{files} (default: benchmarks/results){note}",
    )


def earlier(file, name, **settings):
    """Return what an interrupted call with the same settings left in a file: its list ``name``."""
    if not file.is_file():
        return []
    state = json.loads(file.read_text())
    is_same = all(state[setting] == value for setting, value in settings.items())
    return state[name] if is_same else []
