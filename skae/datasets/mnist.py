"""MNIST, as rows for scikit-learn."""

import os
from collections.abc import Sequence
from http.client import HTTPException
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skae._checks import check_bool, check_path
from skae._rows.npz import read_arrays
from skae._typing import Array

__all__ = ["load_mnist", "load_mnist_sample"]

FILE_NAME = "mnist.npz"
KEYS = ("x_train", "y_train", "x_test", "y_test")
URL = f"https://storage.googleapis.com/tensorflow/tf-keras-datasets/{FILE_NAME}"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
MAX_BYTES = 2**28  # MNIST has 55 million
DESCR = """\
MNIST: images of handwritten digits

60,000 training and 10,000 test images of 28 x 28 grey values in ten classes, the digits 0 to 9.
A row of X is an image, row by row, divided by 255: 0 is the background and 1 is full ink.  The
sample that comes with skae has 6,000 and 1,000 of the images, with the class shares of MNIST.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits".
Licence: Creative Commons Attribution-ShareAlike 3.0.
"""


def load_mnist(path: str | os.PathLike[str] | None = None, *, download: bool = False) -> Bunch:
    """Load MNIST, or the sample of it that comes with skae.

    The images come from the first of these sources that exists:

    1. the file ``path``;
    2. the file that the environment variable ``SKAE_DATA`` names;
    3. ``mnist.npz`` in scikit-learn's data home (see `sklearn.datasets.get_data_home`), which
       keeps earlier downloads;
    4. Keras' copy, ``datasets/mnist.npz`` in ``$KERAS_HOME`` or ``~/.keras``;
    5. with ``download=True``, a download into scikit-learn's data home;
    6. the sample of `load_mnist_sample`.

    Parameters
    ----------
    path : str or path-like, default=None
        The file ``mnist.npz`` as Keras distributes it, or the folder that holds it.
    download : bool, default=False
        Whether to download MNIST, 11 MB, if no copy is found on this machine.  False opens no
        connection.

    Returns
    -------
    mnist : Bunch
        With ``X_train`` and ``X_test``, float32 arrays of shape (n_samples, 784) with values in
        [0, 1]; ``y_train`` and ``y_test``, int64 arrays of shape (n_samples,) with the digits;
        ``image_shape``, (28, 28); ``source``, which says where the images came from; and
        ``DESCR``.

    Raises
    ------
    TypeError
        If ``path`` or ``download`` is of another type.
    FileNotFoundError
        If ``path`` or ``SKAE_DATA`` names a file that does not exist.
    ValueError
        If that file does not hold MNIST.
    OSError
        If the download fails, or its checksum is wrong.

    See Also
    --------
    load_mnist_sample : Loads the bundled 7,000 images and looks nowhere else.

    Examples
    --------
    >>> from skae.datasets import load_mnist
    >>> mnist = load_mnist(download=True)  # doctest: +SKIP
    >>> mnist.X_train.shape, mnist.image_shape  # doctest: +SKIP
    ((60000, 784), (28, 28))
    """
    check_path("path", path)
    check_bool("download", download)
    if path is not None:
        return _load_given("path", path)
    if os.environ.get("SKAE_DATA"):
        return _load_given("SKAE_DATA", os.environ["SKAE_DATA"])
    if mnist := _load_copy():
        return mnist
    if download:
        return _load_file(_download())
    return load_mnist_sample()


def load_mnist_sample() -> Bunch:
    """Load the sample of MNIST that comes with skae.

    The sample has 6,000 training and 1,000 test images, with the class shares of MNIST.  It is
    for tests and examples, which should neither wait nor need a network.

    Returns
    -------
    mnist : Bunch
        With the same contents as that of `load_mnist`.

    See Also
    --------
    load_mnist : Loads all 70,000 images if they are on this machine or may be downloaded.

    Examples
    --------
    >>> from skae.datasets import load_mnist_sample
    >>> mnist = load_mnist_sample()
    >>> mnist.X_train.shape, mnist.X_test.shape
    ((6000, 784), (1000, 784))
    """
    file = resources.files("skae.datasets").joinpath("mnist_sample.npz")
    return _to_bunch(_read(file), "the sample that comes with skae")


def _load_given(name: str, value: str | os.PathLike[str]) -> Bunch:
    """Load the file that the user asked for, and never another one."""
    path = Path(value).expanduser()
    file = path / FILE_NAME if path.is_dir() else path
    expected = f"the file {FILE_NAME} as Keras distributes it, or the folder that holds it"
    if not file.is_file():
        raise FileNotFoundError(
            f"{name} must name {expected}; got {str(value)!r}, but there is no file {file}. "
            f"Correct {name}, or leave it out to use a copy on this machine or the bundled sample."
        )
    try:
        return _load_file(file)
    except ValueError as error:
        raise ValueError(
            f"{name} must name {expected}; got {str(value)!r}, but {error}. Correct {name}, or "
            f"download {URL} again."
        ) from error


def _load_file(file: Path) -> Bunch:
    return _to_bunch(_read(file), str(file))


def _load_copy() -> Bunch | None:
    """Load the first complete copy that scikit-learn or Keras keeps; return None without one."""
    for file in _copies():
        try:
            return _load_file(file)
        except (OSError, ValueError):  # it is missing, unreadable or damaged
            continue
    return None


def _copies() -> list[Path]:
    """Files that hold MNIST if it was downloaded before."""
    # get_data_home() would make the folder
    data_home = Path(os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data"))
    keras_home = Path(os.environ.get("KERAS_HOME", "~/.keras"))
    folders = data_home, keras_home / "datasets"
    return [folder.expanduser() / FILE_NAME for folder in folders]


def _download(url: str = URL, sha256: str = SHA256) -> Path:
    """Download MNIST into scikit-learn's data home and return the file."""
    from sklearn.datasets import fetch_file, get_data_home  # not at import: 30 ms

    try:
        folder = get_data_home()
        return Path(fetch_file(url, folder=folder, local_filename=FILE_NAME, sha256=sha256))
    except (OSError, HTTPException) as error:
        reason = str(error).rstrip(".")
        raise OSError(
            f"MNIST could not be downloaded from {url}: {reason}. Connect to the internet and try "
            "again, or copy the file to this machine by other means and give its path to "
            "load_mnist. Without download=True, load_mnist uses the bundled sample."
        ) from error


def _read(path: Any) -> list[Array]:
    """Read the four arrays; a ValueError holds only the clause that names the defect."""
    with path.open("rb") as file:
        archive = read_arrays(file.read(MAX_BYTES), MAX_BYTES)
    if not archive.keys() >= set(KEYS):
        raise ValueError(f"it holds {sorted(archive)} and not all of {sorted(KEYS)}")
    arrays = [archive[key] for key in KEYS]
    for images, labels in (arrays[:2], arrays[2:]):
        _check(images, labels, arrays[0].shape[1:])
    return arrays


def _check(images: Array, labels: Array, image_shape: tuple[int, ...]) -> None:
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != image_shape:
        raise ValueError(
            f"its images are {images.dtype} of shape {images.shape} instead of uint8 of shape "
            "(n_images, 28, 28)"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"its labels are {labels.dtype} instead of integers")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"it holds {len(images)} images and labels of shape {labels.shape}")


def _to_bunch(arrays: Sequence[Array], source: str) -> Bunch:
    x_train, y_train, x_test, y_test = arrays
    return Bunch(
        X_train=_to_rows(x_train),
        y_train=y_train.astype(np.int64),
        X_test=_to_rows(x_test),
        y_test=y_test.astype(np.int64),
        image_shape=x_train.shape[1:],
        source=f"{source} ({len(x_train):,} + {len(x_test):,} images)",
        DESCR=DESCR,
    )


def _to_rows(images: Array) -> Array:
    return images.reshape(len(images), -1) / np.float32(255)
