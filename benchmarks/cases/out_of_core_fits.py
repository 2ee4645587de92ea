"""Fits on a memory map and on an array, as contestants for a `Worker`.  Linux only."""

import os
import time

import keras  # noqa: F401  TensorFlow is there before a fit's memory is measured
import numpy as np

from benchmarks.cases.memory_peak import added_at_peak
from benchmarks.contestants.skae_fit import ARTICLES
from skae import DeepAutoencoder


class OutOfCore:
    def __init__(self, X):
        self.X = X

    def fit(self, n_rows, epochs):
        """Return the processor time in seconds, of all threads."""
        start = time.process_time()
        params = ARTICLES | {"warm_start": False, "epochs": epochs}
        DeepAutoencoder(**params).fit(self.X[:n_rows])
        return time.process_time() - start

    def peak(self):
        """Bytes that a first fit of one epoch adds at its peak, compilation included."""
        return added_at_peak(lambda: self.fit(len(self.X), 1))

    def evict(self):
        """Ask the kernel to drop the file's pages from its cache."""
        with open(self.X.filename, "rb") as file:
            os.fsync(file.fileno())  # pages that are not written yet cannot be dropped
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class InMemory(OutOfCore):
    def __init__(self, X):
        super().__init__(np.array(X))
