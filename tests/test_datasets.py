import os
import socket
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from skae import datasets
from skae.datasets import load_mnist, load_mnist_sample

FULL = os.environ.get("SKAE_DATA")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    """No SKAE_DATA, an empty Keras home, and no network."""
    monkeypatch.delenv("SKAE_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(datasets, "_answers", lambda url, seconds: False)


def arrays(n_train=4, n_test=3):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (n_train, 28, 28), np.uint8),
        "y_train": np.arange(n_train, dtype=np.uint8),
        "x_test": rng.integers(0, 256, (n_test, 28, 28), np.uint8),
        "y_test": np.arange(n_test, dtype=np.uint8),
    }


def write(folder, **replaced):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "mnist.npz", **(arrays() | replaced))
    return folder / "mnist.npz"


def test_sample_is_stratified_scaled_and_typed():
    mnist = load_mnist_sample()
    assert mnist.X_train.shape == (6000, 784)
    assert mnist.X_test.shape == (1000, 784)
    assert mnist.image_shape == (28, 28)
    for X in (mnist.X_train, mnist.X_test):
        assert X.dtype == np.float32
        assert (X.min(), X.max()) == (0, 1)
    # MNIST's class shares: 9.04 % fives to 11.24 % ones in training, 8.92 % to 11.35 % in test
    for y, low, high in ((mnist.y_train, 0.0904, 0.1124), (mnist.y_test, 0.0892, 0.1135)):
        assert y.dtype == np.int64
        shares = np.bincount(y, minlength=10) / len(y)
        assert (shares.argmin(), shares.argmax()) == (5, 1)
        assert shares.min() == pytest.approx(low, abs=0.001)
        assert shares.max() == pytest.approx(high, abs=0.001)


def test_sample_is_small_and_says_its_licence():
    data = resources.files("skae.data")
    assert len(data.joinpath("mnist_sample.npz").read_bytes()) < 1.5e6
    licence = data.joinpath("LICENSE").read_text()
    for words in ("LeCun", "Cortes", "Burges", "Attribution-ShareAlike 3.0", "stratify"):
        assert words in licence


@pytest.mark.skipif(not FULL, reason="needs the full MNIST: set SKAE_DATA to its folder")
def test_sample_is_drawn_from_mnist_by_the_recipe_in_its_licence():
    licence = resources.files("skae.data").joinpath("LICENSE").read_text()
    recipe = "\n".join(line[4:] for line in licence.splitlines() if line.startswith("    "))
    path = Path(FULL)
    with np.load(path / "mnist.npz" if path.is_dir() else path) as mnist:
        drawn = {"mnist": dict(mnist)}
    exec(recipe, drawn)
    with resources.files("skae.data").joinpath("mnist_sample.npz").open("rb") as file:
        for name, array in np.load(file).items():
            np.testing.assert_array_equal(array, drawn["sample"][name])


@pytest.mark.skipif(not FULL, reason="needs the full MNIST: set SKAE_DATA to its folder")
def test_full_set_is_mnist():
    mnist = load_mnist(FULL)
    assert mnist.X_train.shape == (60_000, 784)
    assert mnist.X_test.shape == (10_000, 784)
    assert mnist.X_train.mean(dtype=np.float64) == pytest.approx(0.1306604762738429)


@pytest.mark.parametrize("as_folder", [True, False])
@pytest.mark.parametrize("given_as", ["path", "SKAE_DATA"])
def test_a_given_file_or_folder_is_what_is_loaded(tmp_path, monkeypatch, as_folder, given_as):
    file = write(tmp_path)
    path = tmp_path if as_folder else file
    if given_as == "SKAE_DATA":
        monkeypatch.setenv("SKAE_DATA", str(path))
    mnist = load_mnist(path if given_as == "path" else None)
    expected = arrays()["x_train"].reshape(4, 784) / 255
    np.testing.assert_allclose(mnist.X_train, expected, rtol=1e-6)
    np.testing.assert_array_equal(mnist.y_test, [0, 1, 2])
    assert mnist.source == f"{file} (4 + 3 images)"


def test_path_goes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", str(tmp_path / "wrong"))
    assert len(load_mnist(write(tmp_path)).X_train) == 4


@pytest.mark.parametrize("given_as", ["path", "SKAE_DATA"])
def test_a_given_path_without_a_file_is_an_error_and_not_the_sample(
    tmp_path, monkeypatch, given_as
):
    wrong = tmp_path / "nowhere"
    if given_as == "SKAE_DATA":
        monkeypatch.setenv("SKAE_DATA", str(wrong))
    with pytest.raises(FileNotFoundError, match=rf"{given_as} must name .*mnist\.npz.*nowhere"):
        load_mnist(wrong if given_as == "path" else None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a zip", "not a complete .npz"),
        (b"", "not a complete .npz"),
        ({"x_train": np.array([{}], dtype=object)}, "not a complete .npz file of numbers"),
        ({"x_train": np.zeros((4, 784), np.uint8)}, r"uint8 of shape \(4, 784\)"),
        ({"x_test": np.zeros((3, 8, 8), np.uint8)}, r"uint8 of shape \(3, 8, 8\)"),
        ({"x_train": np.zeros((4, 28, 28), np.float32)}, "images are float32"),
        ({"y_test": np.zeros(7, np.uint8)}, r"3 images and labels of shape \(7,\)"),
    ],
)
def test_a_file_that_is_not_mnist_says_why(tmp_path, content, message):
    file = tmp_path / "mnist.npz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        write(tmp_path, **content)
    with pytest.raises(ValueError, match=rf"path must name .*mnist\.npz.*{message}.*download"):
        load_mnist(file)


def test_a_file_without_the_keys_names_those_it_has(tmp_path):
    np.savez(tmp_path / "mnist.npz", images=np.zeros(3), x_train=np.zeros(3))
    with pytest.raises(ValueError, match=r"holds \['images', 'x_train'\] and not all of .*y_test"):
        load_mnist(tmp_path)


def test_a_truncated_file_is_an_error(tmp_path):
    file = write(tmp_path)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"not a complete \.npz"):
        load_mnist(file)


def test_keras_copy_is_found_without_a_network(tmp_path):
    file = write(tmp_path / "keras" / "datasets")
    assert load_mnist().source == f"Keras' copy, {file} (4 + 3 images)"


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_without_a_network_and_a_whole_copy_the_sample_serves(tmp_path, damage, capfd):
    if damage == "truncated":
        file = write(tmp_path / "keras" / "datasets")
        file.write_bytes(file.read_bytes()[:-200])
    mnist = load_mnist()
    assert mnist.source == "the sample that comes with skae (6,000 + 1,000 images)"
    assert capfd.readouterr() == ("", "")


def test_keras_download_is_used_where_its_server_answers(monkeypatch):
    from skae._keras import keras

    x_train, y_train, x_test, y_test = arrays().values()
    monkeypatch.setattr(datasets, "_answers", lambda url, seconds: True)
    monkeypatch.setattr(
        keras.datasets.mnist, "load_data", lambda: ((x_train, y_train), (x_test, y_test))
    )
    assert load_mnist().source.startswith("Keras' download, https://")


def test_a_failed_download_falls_through_to_the_sample(monkeypatch):
    from skae._keras import keras

    def fail():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(datasets, "_answers", lambda url, seconds: True)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    assert load_mnist().source.startswith("the sample")


def test_a_server_that_accepts_and_stays_silent_does_not_hold_anyone_up(monkeypatch):
    monkeypatch.undo()  # the real _answers
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        start = time.perf_counter()
        assert not datasets._answers(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.3)
        assert time.perf_counter() - start < 3


def test_a_server_that_answers_is_heard(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        assert datasets._answers(f"http://127.0.0.1:{server.server_port}/", 10)


def test_datasets_load_neither_tensorflow_nor_matplotlib():
    program = (
        "import sys, skae.datasets; skae.datasets.load_mnist_sample();"
        "print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
