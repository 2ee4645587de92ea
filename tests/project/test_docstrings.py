"""The docstrings of the public API list exactly the parameters of the signatures."""

import inspect
import re

import pytest

import skae
import skae.datasets

IGNORED = {"self", "routed", "params"}  # the docstrings write the last two with asterisks


def public_callables():
    """Yield (name, callable) for public functions, classes and the methods that skae defines."""
    for module in (skae, skae.datasets):
        for name, thing in vars(module).items():
            if name.startswith("_") or not getattr(thing, "__module__", "").startswith("skae"):
                continue
            yield name, thing
            for member, method in (
                inspect.getmembers(thing, callable) if isinstance(thing, type) else ()
            ):
                if not member.startswith("_") and method.__module__.startswith("skae"):
                    yield f"{name}.{member}", method


def documented(docstring):
    """Return the names in the section "Parameters", in order."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", docstring, re.M | re.S)
    heads = re.findall(r"^(\S[^:\n]*?)(?: : .*)?$", section[1], re.M) if section else []
    return [name for head in heads for name in re.findall(r"\w+", head)]


@pytest.mark.parametrize(
    ("name", "thing"), [pytest.param(*pair, id=pair[0]) for pair in public_callables()]
)
def test_parameters_are_documented_in_order(name, thing):
    docstring = inspect.getdoc(thing)
    assert docstring, f"{name} has no docstring"
    expected = [p for p in inspect.signature(thing).parameters if p not in IGNORED]
    assert [p for p in documented(docstring) if p not in IGNORED] == expected
