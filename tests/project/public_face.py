"""Describe the public API as text; ``python -m tests.project.public_face`` records it.

`test_public_face.py` compares the description with the recorded one, so that a change of a name,
parameter or default is noticed.
"""

import inspect
import re
import tomllib
from pathlib import Path

import skae
import skae.datasets
from skae.__main__ import make_parser

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_suffix(".txt")


def describe():
    """Return all names that users may rely on, one on each line."""
    return "\n".join([*modules(), *command_line(), *package()]) + "\n"


def modules():
    for module in (skae, skae.datasets):
        for name in sorted(module.__all__):
            thing = getattr(module, name)
            path = f"{module.__name__}.{name}"
            if not callable(thing):
                yield f"{path}: {type(thing).__name__}"
                continue
            yield path + signature(thing)
            if inspect.isclass(thing):
                yield from members(path, thing)


def members(path, kind):
    """Yield the methods and properties that skae defines, and the attributes in the docstring."""
    for name, member in sorted(inspect.getmembers(kind)):
        static = inspect.getattr_static(kind, name)
        if name.startswith("_"):
            continue
        if isinstance(static, property) and static.fget.__module__.startswith("skae"):
            yield f"{path}.{name}: property"
        elif callable(member) and member.__module__.startswith("skae"):
            yield f"{path}.{name}{signature(member)}"
    section = re.search(
        r"^Attributes\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", inspect.getdoc(kind), re.M | re.S
    )
    for names, what in re.findall(r"^(\S[^:\n]*) : (.*)$", section[1] if section else "", re.M):
        yield f"{path}.{names}: attribute, {what}"


def signature(function):
    """Return parameters and defaults; types are left out, because they may become more precise."""
    made = inspect.signature(function)
    bare = [p.replace(annotation=p.empty) for p in made.parameters.values()]
    return str(made.replace(parameters=bare, return_annotation=made.empty))


def command_line():
    for name, default in vars(make_parser().parse_args([])).items():
        yield f"python -m skae --{name} (default {default})"


def package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield f"Python {project['requires-python']}"
    for dependency in sorted(project["dependencies"]):
        yield f"needs {re.match('[A-Za-z0-9_-]+', dependency)[0]}"
    for extra in sorted(project["optional-dependencies"]):
        yield f"pip install skae[{extra}]"


if __name__ == "__main__":
    RECORD.write_text(describe(), encoding="utf-8")
    print(f"Wrote {RECORD}.  Run git diff to see the changes.")
