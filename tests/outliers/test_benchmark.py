"""``python -m benchmarks.outliers`` on two small sets."""

import json

import numpy as np
import pytest

from benchmarks.outliers import sets
from benchmarks.outliers.__main__ import main


@pytest.fixture
def data(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    (tmp_path / "adbench").mkdir()
    for name in ("one", "Two"):
        X, y = rng.normal(size=(120, 3)), np.arange(120) % 10 == 0
        np.savez(tmp_path / "adbench" / f"{name}.npz", X=X + 5 * y[:, np.newaxis], y=y)
    monkeypatch.setenv("SKAE_DATA", str(tmp_path))
    return tmp_path


def test_results_are_written_and_continued(data, capsys):
    output = data / "results.json"
    options = ["--contestants", "PCA reconstruction", "kNN(5)", "--no-speed", "--output", output]
    main([*map(str, options), "--seeds", "0"])
    first = json.loads(output.read_text())["results"]
    main([*map(str, options), "--seeds", "0", "1"])
    both = json.loads(output.read_text())["results"]
    assert both[: len(first)] == first
    assert len(both) == 2 * len(first) == 16
    assert "| kNN(5) |" in capsys.readouterr().out


def test_training_rows_are_normal(data):
    split = sets.split("one", 0, 1000)
    assert len(split.train) == 54
    assert split.labels.sum() == 12
    assert np.abs(split.train).max() < 4
    assert len(sets.split("one", 0, 1000, contamination=0.1).train) == 60
    assert sets.names() == ["one", "Two"]
    assert sets.chosen_with() == ["Two"]


def test_missing_sets_are_named(monkeypatch, capsys):
    monkeypatch.delenv("SKAE_DATA", raising=False)
    main([])
    assert "set SKAE_DATA" in capsys.readouterr().out
