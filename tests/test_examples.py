import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from skae.datasets import load_mnist_sample

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def two_thousand_images(monkeypatch, tmp_path):
    """Enough of MNIST for the examples to show what they say, in seconds."""
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


def test_the_defaults_beat_the_usual_program(capsys):
    out = run("plot_deep_autoencoder.py", capsys)
    usual, ours = map(float, re.search(r"program: (-\S+), .*: (-\S+)", out).groups())
    assert usual < ours < 0
    assert "skae's defaults: 0 of 32 units" in out
    assert len(plt.get_fignums()) == 2


def test_denoising_with_clean_targets_beats_pca_and_noisy_targets_do_not_denoise(capsys):
    out = run("plot_denoising.py", capsys)
    errors = {name: float(error) for name, error in re.findall(r"^(\w.*?) +(0\.\d+)$", out, re.M)}
    assert (
        errors["DenoisingAutoencoder"]
        < errors["PCA"]
        < errors["noisy images"]
        < errors["usual program"]
    )
    assert len(plt.get_fignums()) == 2


def numbers(out):
    """The last number of each line, by the line's first word."""
    return {name: float(value) for name, value in re.findall(r"^(\w+)\b.* (\d\.\d+)$", out, re.M)}


def test_reconstruction_errors_tell_one_digit_from_the_others(capsys):
    areas = numbers(run("plot_anomalies.py", capsys))
    assert areas["DeepAutoencoder"] > 0.9
    assert areas["DeepAutoencoder"] > areas["IsolationForest"]


def test_onnx_gives_what_the_pipeline_gives(capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("skl2onnx")
    out = run("plot_onnx.py", capsys)
    assert "agrees with the pipeline on 100.0%" in out
