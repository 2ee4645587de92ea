"""``python -m benchmarks.tables``: its gaps, its tables, and a quick run."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

# The benchmarks are run from a checkout and are not installed.  Their folder goes to the end of
# the path, so that an installed skae is still found first.
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks import machine
from benchmarks.tables import __main__, cells, features, report, sets, timing

PENGUINS = sets.SETS["penguins"]


def test_hidden_cells_were_known():
    X, hidden = PENGUINS.gaps(0, 0.3, 100)
    assert len(X) == 100
    assert not (hidden & X.isna().to_numpy()).any()
    assert hidden.mean() == pytest.approx(0.3, abs=0.05)


def test_published_rows_are_tests():
    frame = pd.DataFrame({"place": range(10)})
    published = sets.Set("ten", lambda: (frame, np.arange(10)), 2, n_test=3)
    X, X_test, y, y_test = published.split(seed=5)
    assert list(X_test["place"]) == list(y_test) == [0, 1, 2]
    assert list(X["place"]) == list(y) == list(range(3, 10))


def test_strings_become_categories():
    frame = sets.with_categories(pd.DataFrame({"a": ["x", None], "b": [1, 2], "c": [0.5, None]}))
    assert sets.categorical(frame) == ["a"]
    assert frame["a"].isna().tolist() == [False, True]


def test_neighbours_restore_a_copied_column():
    """Known cells are kept, and a category that another column names is found."""
    colour = pd.Series(["red", "green", "blue"] * 20, dtype="category")
    X = pd.DataFrame({"colour": colour, "again": colour, "number": np.arange(60.0)})
    gaps = X.mask(np.arange(180).reshape(60, 3) % 21 == 0)
    restored = cells.neighbours(gaps, 0)
    assert list(restored["colour"]) == list(X["colour"])
    known = gaps["again"].notna()
    assert list(restored["again"][known]) == list(X["again"][known])


def test_forests_follow_other_columns(monkeypatch):
    """Known cells are kept, and gaps are predicted from a category and from a number."""
    monkeypatch.setattr(cells, "TREES", 10)
    colour = pd.Series(["red", "green", "blue"] * 20, dtype="category")
    X = pd.DataFrame({"colour": colour, "again": colour, "number": colour.cat.codes * 2.0})
    gaps = X.mask(np.arange(180).reshape(60, 3) % 21 == 0)
    restored = cells.forests(gaps, 0)
    assert restored.astype({"number": float}).equals(X)


def test_timed_frames_have_no_gaps():
    X = PENGUINS.load()[0]
    whole = timing.whole(X)
    assert len(whole) == 342
    assert not whole.isna().any(axis=None)
    assert list(whole["sex"].cat.categories) == ["female", "male", "?"]


def test_goals_are_judged_by_their_side():
    results = {
        "features": {"Adult": {"DeepAutoencoder, all": [0.84, 0.87], "PCA of these": [0.9]}},
        "cells": {"penguins": {cells.OURS: [0.7], "KNNImputer after one-hot": [0.75]}},
        "time": {"Adult": {timing.FRAME: [1.1], timing.DETOUR: [1.0]}},
    }
    text = report.as_markdown(results, machine.describe(), quick=False)
    title = "| Adult: accuracy with features of the frame |"
    assert f"{title} 0.855 | 0.85 | pass | 0.855 | pass |" in text
    assert "| penguins: restored categories above rivals | -0.05 | 0 | fail | 0 | fail |" in text
    assert "| Adult: time over the one-hot detour | 1.1 | 1.2 | pass | 1 | fail |" in text
    assert "| DeepAutoencoder, all | 85.5 ± 2.1 |" in text


def test_quick_run_is_continued(tmp_path, monkeypatch, capsys):
    """Results that are there are not computed again; a quick run judges nothing."""
    monkeypatch.setattr(cells, "STEPS", 6)
    for part in (features, cells):
        kept = {name: part.CONTESTANTS[name] for name in list(part.CONTESTANTS)[:1]}
        monkeypatch.setitem(__main__.CONTESTANTS, part.__name__.split(".")[-1], kept)
    arguments = ["--quick", "--output", str(tmp_path), "--parts", "cells"]
    __main__.main(arguments)
    first = json.loads((tmp_path / "tables.json").read_text())["records"]
    __main__.main([*arguments, "features", "time"])
    both = json.loads((tmp_path / "tables.json").read_text())["records"]
    assert both[: len(first)] == first
    assert [len(record["values"]) for record in both] == [1, len(features.PARTS), 2]
    assert "A quick run" in capsys.readouterr().out
    assert "pass" not in (tmp_path / "tables.md").read_text()


def test_sets_without_files_are_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SKAE_DATA", raising=False)
    __main__.main(["--sets", "Adult", "--output", str(tmp_path)])
    assert "set SKAE_DATA" in capsys.readouterr().err
