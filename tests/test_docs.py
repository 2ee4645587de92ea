"""The code on the pages does what they say it does."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "guide").glob("*.md"))]
PACKAGES = {
    "ecosystem": ["mlflow", "onnxruntime", "skl2onnx", "skops"],
    "searching": ["optuna", "optuna_integration"],
    "watching": ["sklearn.callback"],
}
BLOCK = re.compile(r"^```(pycon|python)\n(.*?)^```$", re.M | re.S)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page):
    """Language, code and line of each block of Python."""
    text = page.read_text(encoding="utf-8")
    return [(m[1], m[2], text.count("\n", 0, m.start(2))) for m in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", list(filter(blocks, PAGES)), ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
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
            test.globs = namespace  # itself, not a copy: later blocks go on from it
            runner.run(test, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0


def test_each_promise_names_tests_that_exist():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| (?!promise \|)", line)]
    for row in rows:
        tests = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row.split("|")[2])
        assert tests, f"no test keeps {row}"
        for file, name in tests:
            assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), name
