"""The code on the documentation pages runs, and the tests that the pages name exist."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "guide").glob("*.md"))]
PACKAGES = {
    "ecosystem": ["mlflow", "onnxruntime", "skl2onnx", "skops"],
    "searching": ["optuna", "optuna_integration"],
    "watching": ["sklearn.callback"],
}
BLOCK = re.compile(r"^```(pycon|python)\n(.*?)^```$", re.M | re.S)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page):
    """Return the language, code and line number of each block of Python on a page."""
    text = page.read_text(encoding="utf-8")
    return [(m[1], m[2], text.count("\n", 0, m.start(2))) for m in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", list(filter(blocks, PAGES)), ids=lambda page: page.stem)
def test_code_on_pages_runs(page, tmp_path, monkeypatch):
    """The blocks of a page run from top to bottom, in one namespace."""
    for package in PACKAGES.get(page.stem, ()):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for language, code, line in blocks(page):
        if language == "python":
            exec(compile("\n" * line + code, str(page), "exec"), namespace)
        else:
            test = doctest.DocTestParser().get_doctest(code, namespace, page.stem, str(page), line)
            test.globs = namespace  # not a copy, so that later blocks see the names of earlier ones
            runner.run(test, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0


def test_promises_name_existing_tests():
    """Every row of docs/reliability.md names a test; the names of test files are unique."""
    files = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| (?!promise \|)", line)]
    for row in rows:
        tests = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row.split("|")[2])
        assert tests, f"this row names no test: {row}"
        for file, name in tests:
            assert f"\ndef {name}(" in files[file].read_text(encoding="utf-8"), name
