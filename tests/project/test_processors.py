"""The files of results that the benchmarks keep for each processor, and their table."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # see test_benchmarks.py

from benchmarks import __main__, machine, processor, record
from benchmarks.processor import Processor, parse_cpuinfo
from benchmarks.results import Case, Goal, Result, Row

EPYC = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu avx avx2 avx512f avx512_bf16
"""
XEON = """\
cpu family\t: 6
model\t\t: 85
model name\t: Intel(R) Xeon(R) Processor @ 2.60GHz
flags\t\t: avx avx2 avx512f amx_tile
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n"


EPYC_SETS = ("AVX", "AVX2", "AVX-512", "AVX-512 BF16")
XEON_SETS = ("AVX", "AVX2", "AVX-512", "AMX")
OLD_EPYC = EPYC.replace("avx2 avx512f avx512_bf16", "")


@pytest.mark.parametrize(
    ("text", "slug", "label", "sets"),
    [
        (EPYC, "amd-epyc-25-17-avx-512", "AMD EPYC, AVX-512", EPYC_SETS),
        (XEON, "intel-xeon-processor-6-85-avx-512", "Intel Xeon Processor, AVX-512", XEON_SETS),
        (OLD_EPYC, "amd-epyc-25-17-avx", "AMD EPYC, AVX", ("AVX",)),
    ],
)
def test_processor_is_read_from_linux(text, slug, label, sets):
    found = Processor(**parse_cpuinfo(text))
    assert (found.slug, found.label, found.instruction_sets) == (slug, label, sets)


@pytest.mark.parametrize(("text", "sets"), [(ARM, ("NEON", "SVE")), ("", ()), ("nonsense", ())])
def test_processor_without_a_name(monkeypatch, text, sets):
    """Without a model name, Python's name of the machine is taken, or "unknown"."""
    monkeypatch.setattr(processor.platform, "processor", lambda: "")
    monkeypatch.setattr(processor.platform, "machine", lambda: "aarch64")
    assert Processor(**parse_cpuinfo(text)) == Processor("aarch64", instruction_sets=sets)
    monkeypatch.setattr(processor.platform, "machine", lambda: "")
    assert Processor(**parse_cpuinfo(text)).name == "unknown"


@pytest.mark.parametrize(("gain", "shared"), [(None, None), (1.03, True), (1.9, False)])
def test_gain_tells_shared_cores(gain, shared):
    assert Processor("A", gain=gain).shares_a_core is shared


def test_gain_needs_two_threads():
    assert processor.thread_gain(1) is None
    assert processor.thread_gain(2, rounds=1, size=8) > 0


FIRST, SECOND = Goal("a / b", 1.0, 0.5, "x"), Goal("a / c", 1 / 4, 1 / 8, "1/x")
CASE = Case("both", "Two ratios", (FIRST, SECOND), run=None)


def machine_of(name, date, **facts):
    found = Processor(name, threads=2, **facts)
    return {"processor": asdict(found), "date": date, "commit": "abc"}


def stored(folder, name, *values, date="2026-01-01T10:00", case=CASE):
    rows = [Row("a", [1.0, 3.0])] if any(values) else []
    result = Result(list(values), rows, ["a remark"])
    return record.store(folder, machine_of(name, date), [(case, result)])


def test_file_is_named_by_processor(tmp_path):
    file = stored(tmp_path, "Maker One", 0.5, 0.25)
    assert file == tmp_path / "maker-one.json"
    case = json.loads(file.read_text())["cases"]["both"]
    assert case["rows"][0]["median"] == 2
    assert case["goals"]["a / c"]["value"] == 0.25


def test_other_cases_are_kept(tmp_path):
    """A case that is not run again stays, and so does a measure that is not taken again."""
    other = Case("other", "Another", (Goal("d", 1, 1, "x"),), run=None)
    stored(tmp_path, "A B", 0.9, case=other)
    stored(tmp_path, "A B", 0.5, 0.25)
    file = stored(tmp_path, "A B", 0.7, None, date="2026-02-02T10:00")
    cases = json.loads(file.read_text())["cases"]
    assert cases["other"]["goals"]["d"]["value"] == 0.9
    assert {m: (g["value"], g["date"][:7]) for m, g in cases["both"]["goals"].items()} == {
        "a / b": (0.7, "2026-02"),
        "a / c": (0.25, "2026-01"),
    }


def test_failed_case_loses_nothing(tmp_path):
    before = json.loads(stored(tmp_path, "A", 0.5, 0.25).read_text())
    after = json.loads(stored(tmp_path, "A", None, None, date="2026-02-02").read_text())
    assert before == after


def test_table_has_a_column_for_each(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "CASES", {"both": CASE})
    stored(tmp_path, "Maker One", 0.5, 0.25)
    stored(tmp_path, "Maker Two", 0.75, None)
    retired = Case("retired", "Gone", (Goal("e", 1, 1, "us"),), run=None)
    stored(tmp_path, "Maker Two", 2e-6, case=retired, date="2026-03-03")
    (tmp_path / "features.json").write_text('{"of": "another suite"}')
    assert record.as_table(record.load(tmp_path)) == [
        "| measure | Maker One | Maker Two | must | aim |",
        "| --- | --- | --- | --- | --- |",
        "| threads | 2 | 2 |  |  |",
        "| gain of NumPy's products from all threads | not measured | not measured |  |  |",
        "| measured on (at commit) | 2026-01-01 (abc) | 2026-01-01 (abc); 2026-03-03 (abc) |  |  |",
        "| a / b | 0.50 | 0.75 | 1.00 | 0.50 |",
        "| a / c | 1/4 | not measured | 1/4 | 1/8 |",
        "| e | not measured | 2 us | - | - |",
    ]


def test_table_measures_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "describe", None)
    stored(tmp_path, "Maker One", 0.5, 0.25)
    __main__.main(["--table", "--output", str(tmp_path)])
    assert "| a / b | 0.50 | - | - |" in capsys.readouterr().out


def test_page_has_the_table():
    """docs/benchmarks.md has the table of the files that are committed."""
    root = Path(__file__).parents[2]
    lines = record.as_table(record.load(root / "benchmarks" / "results"))
    assert "\n".join(lines) in (root / "docs" / "benchmarks.md").read_text()


def test_footer_names_the_processor():
    facts = machine_of("Maker One", "2026-01-01", instruction_sets=("AVX2",), gain=1.03)
    rest = {"blas": [], "openblas_environment": {}, "versions": {}, "python": "3", "system": "L"}
    line = machine.footer(facts | rest)[0]
    assert "Maker One, AVX2, 2 threads which share a core" in line
    assert "gain 1.03" in line
