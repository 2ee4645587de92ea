"""`shared_docs` puts shared descriptions into docstrings."""

import inspect
import re
import subprocess
import sys

import numpy
import pytest

import skae
from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._estimators.base import BaseAutoencoder
from skae._estimators.docs import BLOCKS, PLACEHOLDER, shared_docs

CLASSES = [thing for thing in vars(skae).values() if inspect.isclass(thing)]


def docstrings():
    """Yield (name, docstring) of all classes of skae and their methods, inherited ones included."""
    for kind in (BaseAutoencoder, *CLASSES):
        yield kind.__name__, kind.__doc__
        for name, member in inspect.getmembers(kind):
            if inspect.isroutine(member) and str(getattr(member, "__module__", "")).startswith(
                "skae"
            ):
                yield f"{kind.__name__}.{name}", inspect.getdoc(member) or ""


def description(kind, name):
    """Return the description of a parameter or an attribute, with its first line."""
    pattern = rf"^{name} : .*\n(?:(?: +.*)?\n)*"
    return re.search(pattern, inspect.getdoc(kind) + "\n", re.MULTILINE)[0].rstrip()


def test_placeholder_becomes_its_block():
    @shared_docs
    class Documented:
        """A class.

        {y}
        """

        def method(self):
            """Describe y.

            {y}
            """

    for docstring in (inspect.getdoc(Documented), inspect.getdoc(Documented.method)):
        assert docstring.endswith(f"\n\n{BLOCKS['y']}")


@pytest.mark.parametrize("where", ["class", "method"])
def test_misspelt_placeholder_is_refused(where):
    class Documented:
        def method(self):
            pass

    thing = Documented if where == "class" else Documented.method
    thing.__doc__ = "Text.\n\n    {sample_wieght}\n"

    with pytest.raises(KeyError, match="sample_wieght"):
        shared_docs(Documented)


def test_no_placeholder_is_left():
    left = [name for name, docstring in docstrings() if PLACEHOLDER.search(docstring)]

    assert left == []


def test_every_block_is_used():
    texts = {" ".join(docstring.split()) for _, docstring in docstrings()}
    unused = [
        name
        for name, block in BLOCKS.items()
        if not any(" ".join(block.split()) in text for text in texts)
    ]

    assert unused == []


@pytest.mark.parametrize("section", ["network", "training", "routed", "attributes"])
def test_siblings_share_descriptions(section):
    names = re.findall(r"^(\S[^:\n]*) : ", BLOCKS[section], re.MULTILINE)
    assert names
    for name in map(re.escape, names):
        assert description(DeepAutoencoder, name) == description(DenoisingAutoencoder, name)


def test_documented_defaults_are_true():
    for kind in CLASSES:
        for name, parameter in inspect.signature(kind).parameters.items():
            stated = re.search(
                rf"^{name} : (?:.*\\\n)?.*default=(.*)$", inspect.getdoc(kind), re.MULTILINE
            )
            if stated:
                where = f"{kind.__name__}({name})"
                numpy.testing.assert_equal(eval(stated[1]), parameter.default, where)


def test_docstrings_may_be_stripped():
    """Under ``python -OO`` there are no docstrings."""
    program = "import skae; assert not skae.DeepAutoencoder.__doc__; print(skae.DeepAutoencoder())"
    done = subprocess.run(
        [sys.executable, "-OO", "-c", f"{program}\nif __debug__: raise SystemExit(3)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout == "DeepAutoencoder()\n"
