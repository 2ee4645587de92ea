"""The data that the contestants train on, and the errors they are judged by."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse


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


@dataclass(frozen=True)
class Texts:
    """Made-up texts as TF-IDF: words of Zipf's law, and words of one of 30 topics."""

    n_rows: int
    n_test: int
    n_words: int = 4_600
    length: int = 150  # words of a text, on average; 130 of them differ

    def load(self):
        from sklearn.feature_extraction.text import TfidfTransformer

        rng, n_texts = np.random.default_rng(0), self.n_rows + self.n_test
        common = 1 / np.arange(1, self.n_words + 1) ** 0.7
        topics = rng.dirichlet(np.full(self.n_words, 0.05), 30)
        mixed = 0.5 * common / common.sum() + 0.5 * topics
        lengths = np.maximum(20, self.length * rng.gamma(3, 1 / 3, n_texts)).astype(int)
        words = [
            rng.choice(self.n_words, length, p=mixed[rng.integers(len(mixed))])
            for length in lengths
        ]
        numbers = np.repeat(np.arange(n_texts), lengths)
        counts = sparse.csr_array(
            (np.ones(len(numbers), np.float32), (numbers, np.concatenate(words))),
            (n_texts, self.n_words),
        )
        X = sparse.csr_array(TfidfTransformer().fit_transform(counts))
        return X[: self.n_rows], X[self.n_rows :]
