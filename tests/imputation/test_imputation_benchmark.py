"""``python -m benchmarks.imputation``: its gaps, its tables, and a quick run."""

import json

import numpy as np
import pytest

from benchmarks import machine
from benchmarks.imputation import __main__, contestants, goals, report, sets
from benchmarks.imputation.gaps import MECHANISMS


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_rate_of_gaps(mechanism):
    X = np.random.default_rng(0).normal(size=(4000, 6))
    rates = MECHANISMS[mechanism](X, 0.3, np.random.default_rng(1)).mean(axis=0)
    np.testing.assert_allclose(rates[rates > 0], 0.3, atol=0.03)
    assert (rates > 0).sum() == (4 if mechanism == "at random" else 6)


def test_self_masking_hides_one_side():
    X = np.random.default_rng(0).normal(size=(4000, 6))
    hidden = MECHANISMS["self-masking"](X, 0.3, np.random.default_rng(1))
    means = np.abs([X[column, i].mean() for i, column in enumerate(hidden.T)])
    assert means.min() > 0.5


def test_no_row_is_hidden_whole():
    X, hidden = sets.Case("breast cancer", 0.5).load(0)
    assert hidden.mean() == pytest.approx(0.5, abs=0.01)
    assert not hidden.all(axis=1).any()
    np.testing.assert_allclose(X.std(axis=0), 1)


def record(case, contestant, error):
    return {"case": case.title, "contestant": contestant, "seed": 0, "seconds": 1.0, "mae": error,
            "mse": error**2, "rmse": error}  # fmt: skip


def test_goals_compare_with_rivals_and_papers():
    ours = {"concrete": 0.08, "housing": 0.09, "kin8nm": 0.25, "wine": 0.06, "yacht": 0.3}
    results = [record(case, contestants.OURS, ours[case.name]) for case in goals.UCI]
    results += [
        record(case, name, 0.1)
        for case in goals.UCI
        for name in contestants.CONTESTANTS
        if name != contestants.OURS
    ]
    found = [goal.value for goal in goals.goals(report.by_case(results))]
    assert found == [4, 3, 2, 3, 3, 3]
    text = report.as_markdown(results, machine.describe(), quick=False)
    assert "| below KNNImputer, sets of 5 | 3 | 5 | fail | 5 | fail |" in text
    assert "| GRAPE, published | 0.090 | 0.075 | 0.249 | 0.063 | 0.151 |" in text


def test_quick_run_is_continued(tmp_path, monkeypatch, capsys):
    """Results that are there are not computed again; a quick run judges nothing."""
    monkeypatch.delenv("SKAE_DATA", raising=False)
    output = ["--output", str(tmp_path)]
    rivals = ["SimpleImputer", "KNNImputer"]
    __main__.main(["--quick", "--contestants", rivals[0], *output])
    first = json.loads((tmp_path / "imputation.json").read_text())["results"]
    __main__.main(["--quick", "--contestants", *rivals, *output])
    both = json.loads((tmp_path / "imputation.json").read_text())["results"]
    assert both[: len(first)] == first
    assert len(both) == 2 * len(first) == 6
    assert "A quick run" in capsys.readouterr().out
    assert "pass" not in (tmp_path / "imputation.md").read_text()


def test_sets_without_files_are_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SKAE_DATA", raising=False)
    __main__.main(["--sets", "yacht", "--output", str(tmp_path)])
    assert "set SKAE_DATA" in capsys.readouterr().err
