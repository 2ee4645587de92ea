"""Loaders of data sets, and the sample of MNIST that comes with skae.

May import _rows and the ground floor, the files skae/_*.py.
"""

from skae.datasets.mnist import load_mnist, load_mnist_sample

__all__ = ["load_mnist", "load_mnist_sample"]
