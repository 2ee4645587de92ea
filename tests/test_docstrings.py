"""Every parameter of the public face is in the reference, and nothing there is made up."""

import inspect
import re

import pytest

import skae
import skae.datasets

IGNORED = {"self", "routed", "params"}  # the last two are documented with their stars


def public_callables():
    """Yield name and callable: functions, classes, and the methods that skae defines."""
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
    """Names in the section Parameters, in their order."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", docstring, re.M | re.S)
    heads = re.findall(r"^(\S[^:\n]*?)(?: : .*)?$", section[1], re.M) if section else []
    return [name for head in heads for name in re.findall(r"\w+", head)]


@pytest.mark.parametrize(
    ("name", "thing"), [pytest.param(*pair, id=pair[0]) for pair in public_callables()]
)
def test_parameters_are_documented_in_their_order(name, thing):
    docstring = inspect.getdoc(thing)
    assert docstring, f"{name} has no docstring"
    expected = [p for p in inspect.signature(thing).parameters if p not in IGNORED]
    assert [p for p in documented(docstring) if p not in IGNORED] == expected
