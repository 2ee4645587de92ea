"""Loaders of data sets, and those that come with skae: a sample of MNIST, and the penguins.

May import _rows and the ground floor, the files skae/_*.py.
"""

from skae.datasets.mnist import load_mnist, load_mnist_sample
from skae.datasets.penguins import load_penguins

__all__ = ["load_mnist", "load_mnist_sample", "load_penguins"]
