import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

# The benchmarks are run from a checkout and are not installed.  Their folder goes to the end of
# the path, so that an installed skae is still found first.
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks import __main__, measure, report
from benchmarks.cases import out_of_core
from benchmarks.contestants import CONTESTANTS, floor, network
from benchmarks.data import Digits, errors
from benchmarks.results import ratio


class Doubler:
    """A contestant for a `Worker`, which finds it by name in another process."""

    def __init__(self, X):
        self.n_rows = len(X)

    def double(self, value):
        return 2 * value

    def fail(self):
        raise ValueError("no such luck")


def test_worker_calls_in_another_process():
    with measure.Worker("test_benchmarks:Doubler", Digits()) as worker:
        seconds, value = worker.call("double", 21)
        assert value == 42
        assert 0 < seconds < 1
        with pytest.raises(measure.Failed, match="ValueError: no such luck"):
            worker.call("fail")
        with pytest.raises(measure.Failed, match="process"):
            worker.call("double", 21)


def test_interleave_takes_turns():
    """Contestants take turns, and one that fails takes no further turn."""
    order = []

    def sample(name):
        order.append(name)
        if name == "B" and len(order) > 3:
            raise measure.Failed("gone")
        return len(order)

    failures = {}
    samples = measure.interleave({n: lambda n=n: sample(n) for n in "ABC"}, 3, failures, settle=0)
    assert "".join(order) == "ABCABCAC"
    assert samples == {"A": [1, 4, 7], "C": [3, 6, 8]}
    assert failures == {"B": "gone"}


def test_fresh_returns_last_line():
    assert measure.fresh("import sys; print('x'); print(sys.argv[1])", "1.5") == 1.5
    with pytest.raises(measure.Failed, match="ZeroDivisionError"):
        measure.fresh("1 / 0")


def test_ratio_is_median_of_rounds():
    assert ratio({"a": [1, 20, 3], "b": [4, 40, 4]}, "a", "b") == 20 / 40
    assert ratio({"a": [1, 20, 3], "b": [4, 40]}, "a", "b") == (1 / 4 + 20 / 40) / 2
    assert ratio({"a": [1.0]}, "a", "b") is None


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.25, "1/x", "1/4"),
        (1 / 3.5, "1/x", "1/3.5"),
        (1.126, "x", "1.13"),
        (0.0745, "loss", "0.0745"),
        (60e-6, "us", "60 us"),
        (1.5e9, "GB", "1.50 GB"),
        (None, "x", "-"),
    ],
)
def test_figures_have_the_form_of_goals(value, form, text):
    assert report.figure(value, form) == text


def test_verdict_compares_with_the_goal():
    assert report.verdict(1.0, 1.0, judged=True) == "pass"
    assert report.verdict(1.1, 1.0, judged=True) == "fail"
    assert report.verdict(1.0, 1.0, judged=False) == "-"
    assert report.verdict(None, 1.0, judged=True) == "-"


def test_errors_match_their_definitions():
    clean, outputs = np.array([[1.0, 0.0]]), np.array([[0.5, 0.25]])
    reached = errors(clean, outputs)
    np.testing.assert_allclose(reached["bce"], -(np.log(0.5) + np.log(0.75)) / 2)
    np.testing.assert_allclose(reached["mse"], (0.25 + 0.0625) / 2)


def test_floor_encodes_with_three_products():
    X = np.random.default_rng(0).random((20, 50), np.float32)
    products = floor.Training(X, X)
    first, second, third = products.kernels[:3]
    np.testing.assert_allclose(
        products.encode(block=7), X @ first @ second @ third, rtol=1e-4, atol=1e-2
    )


def test_floor_takes_every_product(monkeypatch):
    shapes = []

    def matmul(a, b, out):
        shapes.append((a.shape, b.shape))
        return np.dot(a, b, out=out)

    X = np.random.default_rng(0).random((10, 50), np.float32)
    products = floor.Training(X, X)
    monkeypatch.setattr(floor.np, "matmul", matmul)
    products.epochs(1)
    layers = network.shapes(50)
    forward = [((10, rows), (rows, columns)) for rows, columns in layers]
    kernels = [((rows, 10), (10, columns)) for rows, columns in layers]
    inputs = [((10, columns), (columns, rows)) for rows, columns in layers[1:]]
    assert sorted(shapes) == sorted(forward + kernels + inputs)


@pytest.mark.parametrize("contestant", ["skae", "scikeras"])
def test_searches_run(contestant, monkeypatch, capsys):
    from benchmarks.cases import searches

    for name, value in {"EPOCHS": 1, "RATES": [0.01], "N_FOLDS": 2}.items():
        monkeypatch.setattr(searches, name, value)
    searches.measure(contestant, "1", "[2]")

    found = json.loads(capsys.readouterr().out)
    assert found["fits"] == 2
    assert np.isfinite(found["scores"]).all()


def test_every_contestant_has_its_file():
    folder = Path(floor.__file__).parent
    assert all((folder / f"{c.module}.py").is_file() for c in CONTESTANTS.values())


def test_rows_on_disk_are_temporary(monkeypatch):
    """The file has the stated size and is deleted; without space for it, the case fails."""
    with out_of_core.on_disk(20_000) as stored:
        (X,) = stored.load()
        assert X.shape == (20_000, out_of_core.N_FEATURES)
        assert 0 <= X.min() < X.max() <= 1
        assert stored.path.stat().st_size == stored.n_bytes
        del X
    assert not stored.path.parent.exists()

    monkeypatch.setattr(out_of_core.shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
    with (
        pytest.raises(measure.Failed, match=r"no room for 1\.0 GB"),
        out_of_core.on_disk(1_000_000),
    ):
        pass


def test_cases_without_mnist_are_skipped(tmp_path, monkeypatch, capsys):
    """The report says so; a quick run keeps no figures."""
    monkeypatch.delenv("SKAE_DATA", raising=False)
    __main__.main(["--quick", "--only", "quality", "--output", str(tmp_path)])
    assert "set SKAE_DATA to a folder with mnist.npz" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["results.md"]


def test_full_runs_keep_their_figures(tmp_path, monkeypatch):
    monkeypatch.delenv("SKAE_DATA", raising=False)
    __main__.main(["--only", "quality", "--output", str(tmp_path)])
    (file,) = tmp_path.glob("*.json")
    (goal,) = json.loads(file.read_text())["cases"]["quality"]["goals"].values()
    assert goal["value"] is None
