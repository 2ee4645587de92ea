import os
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.utils import Bunch

from skae.__main__ import binary_crossentropy, default_epochs, main
from skae.datasets import load_mnist_sample


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A file of 400 + 100 real images."""
    mnist = load_mnist_sample()
    file = tmp_path_factory.mktemp("data") / "mnist.npz"
    arrays = {}
    for part, size in (("train", 400), ("test", 100)):
        images = mnist[f"X_{part}"][:size].reshape(-1, 28, 28)
        arrays[f"x_{part}"] = np.rint(images * 255).astype(np.uint8)
        arrays[f"y_{part}"] = mnist[f"y_{part}"][:size].astype(np.uint8)
    np.savez(file, **arrays)
    return file


@pytest.fixture(scope="module")
def run(few, tmp_path_factory):
    """Run the program as a user does; return its output and the folder with its files."""
    folder = tmp_path_factory.mktemp("run")
    # a test module that imports Keras before skae leaves the second variable behind
    dropped = "MPLBACKEND", "TF_CPP_MIN_LOG_LEVEL"
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    done = subprocess.run(
        [sys.executable, "-W", "ignore:The network", "-m", "skae", "--data", few, "--epochs", "3"],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment | {"COLUMNS": "80", "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
    )
    return Bunch(folder=folder, out=done.stdout, err=done.stderr, file=few)


def table(out):
    """Return the numbers of each line of the table, by the line's name."""
    (start,) = (m.end() for m in re.finditer(r"^32 components.*\n", out, re.M))
    lines = out[start:].split("\n\n")[0].splitlines()
    return {line[:22].strip(): [float(x.strip("%")) for x in line[22:].split()] for line in lines}


def test_table_compares_three_estimators(run):
    rows = table(run.out)
    assert list(rows) == ["PCA", "DeepAutoencoder", "DenoisingAutoencoder", "the noisy images"]
    for name in list(rows)[:3]:
        bce, mse, denoised, accuracy, seconds = rows[name]
        assert np.isfinite([bce, mse, denoised, seconds]).all()
        assert 0 < mse < 0.1 < bce < 0.7
        assert 0 < denoised < 0.12
        assert 20 < accuracy <= 100
    # noise of scale 0.5 clipped to [0, 1], on all of MNIST
    assert rows["the noisy images"] == [pytest.approx(0.1156, abs=0.002)]


def test_progress_and_summaries_are_printed(run):
    assert f"MNIST from {run.file} (400 + 100 images)" in run.out
    assert "set SKAE_DATA" in run.out  # the way to the full set
    assert len(re.findall(r"^epoch 3/3 .*loss", run.out, re.M)) == 2
    denoiser, with_linear_paths = 222_384, 222_384 + 2 * 784 * 32
    totals = [run.out.count(f"Total params: {n:,}") for n in (denoiser, with_linear_paths)]
    assert totals == [1, 1]
    assert "clipped to [0, 1]" in run.out


def test_stderr_is_empty(run):
    assert run.err == ""


def test_figures_are_in_named_folder(run):
    folder = run.folder / "skae-figures"
    assert run.out.rstrip().endswith(str(folder.resolve()))
    assert sorted(f.name for f in folder.iterdir()) == ["denoising.png", "reconstruction.png"]


@pytest.mark.parametrize(("name", "n_strips"), [("reconstruction.png", 3), ("denoising.png", 4)])
def test_figures_show_ten_columns(run, name, n_strips):
    """Each figure has its strips of panels, ten to a strip, and the panels are not blank."""
    grey = imread(run.folder / "skae-figures" / name)[..., :3].mean(axis=-1)
    dark = grey < 0.99
    edges = np.diff(dark.any(axis=1).astype(int))
    assert (edges == 1).sum() >= n_strips  # a label and a panel make one or two bands
    last = grey[-80:-20]  # middle of the last strip: black panels with white between
    assert (np.diff((last > 0.99).all(axis=0).astype(int)) == -1).sum() == 10
    assert last.std() > 0.3


def test_same_seed_gives_same_table(few, tmp_path, capsys):
    outs = []
    for seed in ("1", "1", "2"):
        main(["--data", str(few), "--epochs", "1", "--seed", seed, "--output", str(tmp_path / "a")])
        outs.append(capsys.readouterr().out)
    numbers = [{name: row[:4] for name, row in table(out).items()} for out in outs]
    assert numbers[0] == numbers[1]
    assert numbers[0]["DeepAutoencoder"] != numbers[2]["DeepAutoencoder"]
    assert (tmp_path / "a" / "denoising.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "must be a positive integer; got '0'"),
        (["--epochs", "many"], "must be a positive integer; got 'many'"),
        (["--seed", "-1"], "must be an integer from 0 to 4294967295; got '-1'"),
        (["--data", "/no/such/file"], "there is no file"),
        (["--output", __file__], "exists"),
    ],
)
def test_wrong_options_end_early(few, arguments, message, capsys):
    """A wrong option ends the program with one line on stderr, before any work."""
    options = ["--data", str(few), *arguments]
    with pytest.raises(SystemExit, match="2"):
        main(options)
    out, err = capsys.readouterr()
    assert not out
    assert message in err.splitlines()[-1]


def test_help_names_data_and_figures(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = " ".join(capsys.readouterr().out.split())
    for words in ("denoising autoencoder", "PCA", "SKAE_DATA", "./skae-figures", "--download"):
        assert words in out


def test_fewer_images_get_more_epochs():
    few, many = (Bunch(X_train=np.empty((n, 1))) for n in (6000, 60_000))
    assert default_epochs(few) > default_epochs(many)


def test_download_is_passed_on(capsys, monkeypatch, tmp_path):
    """``--download`` reports a failed download in one line, and does not use the sample."""
    monkeypatch.delenv("SKAE_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "file"))  # it should be a folder
    with pytest.raises(SystemExit, match="2"):
        main(["--download", "--output", str(tmp_path / "figures")])
    assert "MNIST could not be downloaded" in capsys.readouterr().err.splitlines()[-1]


def test_binary_crossentropy_equals_keras():
    from skae._engine.tensorflow import keras

    rng = np.random.default_rng(0)
    X, restored = rng.uniform(size=(2, 5, 20)).astype(np.float32)
    restored[:, :5] = np.repeat([[0], [1], [0], [1], [0]], 5, axis=1)
    expected = float(np.mean(keras.losses.binary_crossentropy(X, restored)))
    assert binary_crossentropy(X, restored) == pytest.approx(expected, rel=1e-5)
