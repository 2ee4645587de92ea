"""The data that the contestants train on, and the errors they are judged by."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def mnist_file():
    """Path of the full MNIST, or None."""
    folder = os.environ.get("SKAE_DATA")
    file = Path(folder) / "mnist.npz" if folder else None
    return file if file and file.is_file() else None


@dataclass(frozen=True)
class Mnist:
    """The first rows of MNIST.  A process is told which, and loads them itself."""

    n_rows: int
    n_test: int

    def load(self):
        with np.load(mnist_file()) as data:
            return _pixels(data["x_train"][: self.n_rows]), _pixels(data["x_test"][: self.n_test])


def _pixels(images):
    """Rows of float32 in [0, 1], divided in place because this process' memory is measured."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows /= 255
    return rows


@dataclass(frozen=True)
class Digits:
    """scikit-learn's digits: four fifths of them, 1,437 x 64."""

    def load(self):
        from sklearn.datasets import load_digits

        return ((load_digits().data[:1437] / 16).astype(np.float32),)


def errors(clean, outputs):
    """Test loss as Keras' binary cross-entropy (clipped at 1e-7), and mean squared error.

    Contestants that train on squared error with a linear output are judged by both, too.
    """
    p = np.clip(outputs.astype(np.float64), 1e-7, 1 - 1e-7)
    bce = -np.mean(clean * np.log(p) + (1 - clean) * np.log1p(-p))
    mse = np.mean((clean - outputs.astype(np.float64)) ** 2)
    return {"bce": float(bce), "mse": float(mse)}
