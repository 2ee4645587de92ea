import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from skae.datasets import load_mnist_sample

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def two_thousand_images(monkeypatch, tmp_path):
    """Give the examples 2,000 images: enough for their claims, and done in seconds."""
    mnist = load_mnist_sample()
    arrays = {}
    for part, size in (("train", 2000), ("test", 500)):
        images = mnist[f"X_{part}"][:size].reshape(-1, 28, 28)
        arrays[f"x_{part}"] = np.rint(images * 255).astype(np.uint8)
        arrays[f"y_{part}"] = mnist[f"y_{part}"][:size]
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setenv("SKAE_DATA", str(tmp_path))
    plt.switch_backend("agg")
    yield
    plt.close("all")


def run(name, capsys):
    runpy.run_path(str(EXAMPLES / name))
    return capsys.readouterr().out


def test_defaults_beat_the_keras_recipe(capsys):
    out = run("plot_deep_autoencoder.py", capsys)
    recipe, ours = map(float, re.search(r"recipe: (-\S+), .*: (-\S+)", out).groups())
    assert recipe < ours < 0
    assert "skae's defaults: 0 of 32 units" in out
    assert len(plt.get_fignums()) == 2


def test_clean_targets_denoise(capsys):
    """Clean targets beat PCA; noisy targets end with more error than the noisy images have."""
    out = run("plot_denoising.py", capsys)
    errors = {name: float(error) for name, error in re.findall(r"^(\w.*?) +(0\.\d+)$", out, re.M)}
    assert (
        errors["DenoisingAutoencoder"]
        < errors["PCA"]
        < errors["noisy images"]
        < errors["Keras recipe"]
    )
    assert len(plt.get_fignums()) == 2


def numbers(out):
    """Return the last number of each line, by the first word of the line."""
    return {name: float(value) for name, value in re.findall(r"^(\w+)\b.* (\d\.\d+)$", out, re.M)}


def test_unusual_biopsies_are_found(capsys):
    out = run("plot_anomalies.py", capsys)
    areas = numbers(out)
    assert areas["AutoencoderOutlierDetector"] > max(areas.values()) - 0.01
    assert len(re.findall(r"% of the score: found", out)) == 3
    assert len(plt.get_fignums()) == 2


def test_faults_of_series_are_found(capsys):
    out = run("plot_time_series.py", capsys)
    areas = numbers(out)
    assert areas["AutoencoderOutlierDetector"] > 0.9
    assert areas["AutoencoderOutlierDetector"] > max(areas["PCA"], areas["IsolationForest"])
    false_alarms, found = (float(share) for share in re.findall(r"^(\S+)% of", out, re.M))
    assert false_alarms < 5
    assert found > 70
    assert len(plt.get_fignums()) == 1


def test_onnx_equals_the_pipeline(capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("skl2onnx")
    out = run("plot_onnx.py", capsys)
    assert "agrees with the pipeline on 100.0%" in out


def test_tables_are_restored(capsys):
    """The frame that comes back has the dtypes of X, and guesses are better than the mode."""
    out = run("plot_tables.py", capsys)
    assert "True" in out.splitlines()
    shares = re.findall(r"(\d+)% right; the most frequent: (\d+)%", out)
    assert len(shares) == 2
    assert all(int(right) > int(usual) for right, usual in shares)
    assert len(plt.get_fignums()) == 2
