"""The comparison of features for a classifier: its tables, and one run on a small set."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

# The benchmarks are run from a checkout and are not installed.  Their folder goes to the end of
# the path, so that an installed skae is still found first.
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.features import __main__, protocols, sets, tables

CHOSEN = {"a": {"PCA": [0.5, 0.7], "code": [0.7, 0.7]}, "b": {"PCA": [0.5], "code": [0.4]}}
OTHER = {"c": {"PCA": [0.9], "code": [0.9], "tree": [1.0]}}


def test_spread_is_sample_deviation():
    assert tables.accuracies(CHOSEN)[2:] == [
        "| PCA | 60.0 ± 14.1 | 50.0 |",
        "| code | 70.0 ± 0.0 | 40.0 |",
    ]


def test_losses_stand_in_the_table():
    """Each half has its mean and its worst set by name; "-" stands for sets that did not run."""
    lines = tables.differences({"chosen": CHOSEN, "other": OTHER})
    assert "| code | +0.0 | -10.0 (b) | +0.0 | +0.0 (c) | +0.0 | -10.0 (b) |" in lines
    assert "| tree | - | - | +10.0 | +10.0 (c) | +10.0 | +10.0 (c) |" in lines


def test_goals_are_lower_limits():
    goal = protocols.Goal("code", must=0.9, aim=0.95)
    line = tables.goals([("digits", goal, "code", 0.92)], judged=True)[-1]
    assert line == "| digits | code | 0.9200 | 0.900 | pass | 0.950 | fail |"


def test_half_of_the_sets_judge():
    assert len(sets.SETS) == 10
    assert sum(found.chosen_on for found in sets.SETS.values()) == 5


@pytest.mark.parametrize("name", ["digits", "iris"])
def test_folds_test_each_row_once(name):
    found = sets.SETS[name]
    splits = list(found.splits(seed=0))
    assert sum(len(split.y_test) for split in splits) == len(found.load()[1])
    assert {split.n_components for split in splits} == {{"digits": 32, "iris": 2}[name]}


def test_scaler_sees_training_rows_only():
    split = next(sets.SETS["wine"].splits(seed=1))
    np.testing.assert_allclose(split.X.mean(axis=0), 0, atol=1e-5)
    assert abs(split.X_test.mean(axis=0)).max() > 0.01


def test_sets_without_files_are_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(__main__, "CONTESTANTS", __main__.CONTESTANTS[:2])
    monkeypatch.delenv("SKAE_DATA", raising=False)
    __main__.main(["--sets", "iris", "penguins", "--seeds", "2", "--output", str(tmp_path)])
    assert "Skipped, because SKAE_DATA names no folder" in capsys.readouterr().out
    record = json.loads((tmp_path / "features.json").read_text())
    assert list(record["accuracies"]) == ["iris"]
    assert [len(values) for values in record["accuracies"]["iris"].values()] == [2, 2]
    assert (tmp_path / "features.md").is_file()
