"""MNIST, as rows for scikit-learn."""

import contextlib
import os
import threading
import urllib.request
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skae._archive import read_arrays
from skae._typing import Array

__all__ = ["load_mnist", "load_mnist_sample"]

KEYS = ("x_train", "y_train", "x_test", "y_test")
URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SECONDS_TO_ANSWER = 5
MAX_BYTES = 2**28  # MNIST has 55 million
DESCR = """\
MNIST: images of handwritten digits

60,000 training and 10,000 test images of 28 x 28 grey values in ten classes, the digits 0 to 9.
A row of X is an image, row by row, divided by 255: 0 is the background and 1 full ink.  The
sample that comes with skae has 6,000 and 1,000 of the images, each class with its share.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits".
Licence: Creative Commons Attribution-ShareAlike 3.0.
"""


def load_mnist(path: str | os.PathLike[str] | None = None) -> Bunch:
    """Load MNIST, or the sample of it that comes with skae.

    The first of these that there is:

    1. the file ``path``;
    2. the file that the environment variable ``SKAE_DATA`` names;
    3. Keras' copy, ``datasets/mnist.npz`` in ``$KERAS_HOME`` or ``~/.keras``;
    4. Keras' download, 11 MB, where its server answers;
    5. the sample: `load_mnist_sample`.

    Parameters
    ----------
    path : str or path-like, default=None
        ``mnist.npz`` as Keras distributes it, or the folder where it lies.

    Returns
    -------
    mnist : Bunch
        With ``X_train`` and ``X_test``, float32 arrays of shape (n_samples, 784) with values in
        [0, 1]; ``y_train`` and ``y_test``, int64 arrays of shape (n_samples,) with the digits;
        ``image_shape``, (28, 28); ``source``, which says where the images came from; and
        ``DESCR``.

    Raises
    ------
    FileNotFoundError
        If ``path`` or ``SKAE_DATA`` names a file that does not exist.
    ValueError
        If that file does not hold MNIST.

    See Also
    --------
    load_mnist_sample : Reads 7,000 images, without looking further.

    Examples
    --------
    >>> from skae.datasets import load_mnist
    >>> mnist = load_mnist()  # doctest: +SKIP
    >>> mnist.X_train.shape, mnist.image_shape  # doctest: +SKIP
    ((60000, 784), (28, 28))
    """
    if path is not None:
        return _load_given("path", path)
    if os.environ.get("SKAE_DATA"):
        return _load_given("SKAE_DATA", os.environ["SKAE_DATA"])
    return _load_cached() or _download() or load_mnist_sample()


def load_mnist_sample() -> Bunch:
    """Load the sample of MNIST that comes with skae.

    6,000 training and 1,000 test images, each class with its share: for tests and examples
    that must neither wait nor need a network.

    Returns
    -------
    mnist : Bunch
        As `load_mnist` returns it.

    See Also
    --------
    load_mnist : Loads all 70,000 images where it can.

    Examples
    --------
    >>> from skae.datasets import load_mnist_sample
    >>> mnist = load_mnist_sample()
    >>> mnist.X_train.shape, mnist.X_test.shape
    ((6000, 784), (1000, 784))
    """
    file = resources.files("skae.data").joinpath("mnist_sample.npz")
    return _bunch(_read(file), "the sample that comes with skae")


def _load_given(name: str, value: str | os.PathLike[str]) -> Bunch:
    """Load the file that the user asked for, and no other."""
    path = Path(value).expanduser()
    file = path / "mnist.npz" if path.is_dir() else path
    wanted = "the file mnist.npz as Keras distributes it, or the folder where it lies"
    if not file.is_file():
        raise FileNotFoundError(
            f"{name} must name {wanted}; got {str(value)!r}, but there is no file {file}. "
            f"Correct {name}, or leave it out to use Keras' copy or the bundled sample."
        )
    try:
        return _bunch(_read(file), str(file))
    except ValueError as error:
        raise ValueError(
            f"{name} must name {wanted}; got {str(value)!r}, but {error}. Correct {name}, or "
            f"download {URL} anew."
        ) from error


def _load_cached() -> Bunch | None:
    """Load the copy that Keras keeps; None where there is none, or only part of one."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    file = home / "datasets" / "mnist.npz"
    try:
        return _bunch(_read(file), f"Keras' copy, {file}")
    except (OSError, ValueError):
        return None


def _download() -> Bunch | None:
    """Have Keras download MNIST; None where that is not possible."""
    if not _answers(URL, SECONDS_TO_ANSWER):
        return None
    try:
        from skae._keras import keras

        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception:  # Keras raises bare Exceptions, for the network and for the disk
        return None
    return _bunch((x_train, y_train, x_test, y_test), f"Keras' download, {URL}")


def _answers(url: str, seconds: float) -> bool:
    """Whether a server answers in time.

    Keras waits without limit, and Python's own limit holds for each of a server's addresses and
    not for looking them up: behind a firewall that drops packets, minutes.  Hence the thread.
    """
    answers: list[bool] = []

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        with contextlib.suppress(Exception), urllib.request.urlopen(request, timeout=seconds):
            answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers)


def _read(path: Any) -> list[Array]:
    """Read the four arrays; raise ValueError, with the clause that says why, without them."""
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
            f"its images are {images.dtype} of shape {images.shape}, where uint8 of shape "
            "(n_images, 28, 28) was expected"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"its labels are {labels.dtype}, where integers were expected")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"it holds {len(images)} images and labels of shape {labels.shape}")


def _bunch(arrays: Sequence[Array], source: str) -> Bunch:
    x_train, y_train, x_test, y_test = arrays
    return Bunch(
        X_train=_rows(x_train),
        y_train=y_train.astype(np.int64),
        X_test=_rows(x_test),
        y_test=y_test.astype(np.int64),
        image_shape=x_train.shape[1:],
        source=f"{source} ({len(x_train):,} + {len(x_test):,} images)",
        DESCR=DESCR,
    )


def _rows(images: Array) -> Array:
    return images.reshape(len(images), -1) / np.float32(255)
