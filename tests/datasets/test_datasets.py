import hashlib
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from skae.datasets import load_mnist, load_mnist_sample
from skae.datasets.mnist import _download

FULL = os.environ.get("SKAE_DATA")
DATA = resources.files("skae.datasets")


@pytest.fixture(autouse=True)
def no_copies(monkeypatch, tmp_path):
    """No SKAE_DATA, an empty data home of scikit-learn and an empty home of Keras."""
    monkeypatch.delenv("SKAE_DATA", raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "data home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


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


# ---------------------------------------------------------------------- the sample


def test_sample_is_stratified():
    """The sample has MNIST's class shares, scaled pixels and the documented types."""
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


def test_sample_is_small_and_licensed():
    assert len(DATA.joinpath("mnist_sample.npz").read_bytes()) < 1.5e6
    licence = DATA.joinpath("LICENSE").read_text()
    for words in ("LeCun", "Cortes", "Burges", "Attribution-ShareAlike 3.0", "stratify"):
        assert words in licence


@pytest.mark.skipif(not FULL, reason="needs the full MNIST: set SKAE_DATA to its folder")
def test_licence_recipe_draws_the_sample():
    """The program in the licence file, run on the full MNIST, gives the bundled arrays."""
    licence = DATA.joinpath("LICENSE").read_text()
    recipe = "\n".join(line[4:] for line in licence.splitlines() if line.startswith("    "))
    path = Path(FULL)
    with np.load(path / "mnist.npz" if path.is_dir() else path) as mnist:
        drawn = {"mnist": dict(mnist)}
    exec(recipe, drawn)
    with DATA.joinpath("mnist_sample.npz").open("rb") as file:
        for name, array in np.load(file).items():
            np.testing.assert_array_equal(array, drawn["sample"][name])


# ---------------------------------------------------------------------- a file of the user


@pytest.mark.skipif(not FULL, reason="needs the full MNIST: set SKAE_DATA to its folder")
def test_full_set_is_mnist():
    mnist = load_mnist(FULL)
    assert mnist.X_train.shape == (60_000, 784)
    assert mnist.X_test.shape == (10_000, 784)
    assert mnist.X_train.mean(dtype=np.float64) == pytest.approx(0.1306604762738429)


@pytest.mark.parametrize("as_folder", [True, False])
@pytest.mark.parametrize("given_as", ["path", "SKAE_DATA"])
def test_given_file_is_loaded(tmp_path, monkeypatch, as_folder, given_as):
    file = write(tmp_path)
    path = tmp_path if as_folder else file
    if given_as == "SKAE_DATA":
        monkeypatch.setenv("SKAE_DATA", str(path))
    mnist = load_mnist(path if given_as == "path" else None)
    expected = arrays()["x_train"].reshape(4, 784) / 255
    np.testing.assert_allclose(mnist.X_train, expected, rtol=1e-6)
    np.testing.assert_array_equal(mnist.y_test, [0, 1, 2])
    assert mnist.source == f"{file} (4 + 3 images)"


def test_path_goes_before_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", str(tmp_path / "wrong"))
    assert len(load_mnist(write(tmp_path)).X_train) == 4


@pytest.mark.parametrize("given_as", ["path", "SKAE_DATA"])
def test_missing_given_file_is_an_error(tmp_path, monkeypatch, given_as):
    """A wrong path never falls back to the sample."""
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
        ({"y_test": np.zeros(3, np.float32)}, "labels are float32 instead of integers"),
        ({"y_test": np.zeros(7, np.uint8)}, r"3 images and labels of shape \(7,\)"),
    ],
)
def test_wrong_file_says_why(tmp_path, content, message):
    file = tmp_path / "mnist.npz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        write(tmp_path, **content)
    with pytest.raises(ValueError, match=rf"path must name .*mnist\.npz.*{message}.*download"):
        load_mnist(file)


def test_file_without_keys_names_its_own(tmp_path):
    np.savez(tmp_path / "mnist.npz", images=np.zeros(3), x_train=np.zeros(3))
    with pytest.raises(ValueError, match=r"holds \['images', 'x_train'\] and not all of .*y_test"):
        load_mnist(tmp_path)


def test_truncated_file_is_an_error(tmp_path):
    file = write(tmp_path)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"not a complete \.npz"):
        load_mnist(file)


# ---------------------------------------------------------------------- copies and downloads


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("folder", ["data home", "keras/datasets"])
def test_copy_is_found_without_network(tmp_path, folder, download):
    file = write(tmp_path / folder)
    assert load_mnist(download=download).source == f"{file} (4 + 3 images)"


def test_data_home_goes_before_keras(tmp_path):
    write(tmp_path / "keras" / "datasets")
    file = write(tmp_path / "data home")
    assert load_mnist().source == f"{file} (4 + 3 images)"


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_sample_is_the_last_resort(tmp_path, damage, capfd):
    """Without a complete copy and without a download, the sample is loaded, silently."""
    if damage == "truncated":
        for folder in ("data home", "keras/datasets"):
            file = write(tmp_path / folder)
            file.write_bytes(file.read_bytes()[:-200])
    before = sorted(tmp_path.rglob("*"))
    mnist = load_mnist()
    assert mnist.source == "the sample that comes with skae (6,000 + 1,000 images)"
    assert capfd.readouterr() == ("", "")
    assert sorted(tmp_path.rglob("*")) == before  # no empty data home is left behind


def served(folder):
    """Return the URL and the checksum of a file, as a server would offer them."""
    file = write(folder)
    return f"file://localhost{file.as_posix()}", hashlib.sha256(file.read_bytes()).hexdigest()


def test_download_is_kept(tmp_path):
    """A download goes into scikit-learn's data home, and later calls load it from there."""
    file = _download(*served(tmp_path / "server"))
    assert file == tmp_path / "data home" / "mnist.npz"
    assert load_mnist().source == f"{file} (4 + 3 images)"


def test_download_replaces_damaged_copy(tmp_path):
    write(tmp_path / "data home").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="differs from expected"):
        _download(*served(tmp_path / "server"))
    assert len(load_mnist().X_train) == 4


def test_wrong_checksum_is_an_error(tmp_path):
    """A file with a wrong checksum is neither used nor kept."""
    url, _ = served(tmp_path / "server")
    with pytest.raises(OSError, match=r"could not be downloaded from file:.*checksum.*its path"):
        _download(url)
    assert not list((tmp_path / "data home").iterdir())


@pytest.mark.filterwarnings("ignore:Retry downloading")
def test_failed_download_is_an_error(monkeypatch):
    """If the user asked for a download, a failure never falls back to the sample."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # nothing listens there
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(OSError, match=r"could not be downloaded from https:.*its path"):
        load_mnist(download=True)


def test_datasets_import_no_tensorflow():
    """The loaders need neither TensorFlow nor matplotlib."""
    program = (
        "import sys, skae.datasets; skae.datasets.load_mnist_sample();"
        "print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
