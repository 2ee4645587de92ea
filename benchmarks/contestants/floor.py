"""The matrix products of an epoch, and nothing else: no contestant can leave these out.

For each layer, a batch takes one product forward, one for the gradient of the kernel, and one for
the gradient of the input.  The first layer needs no gradient of its input.
"""

import numpy as np

from benchmarks.contestants.network import BATCH, CODE, HIDDEN, shapes

BLOCK = 1024  # rows; the fastest of 128 to 4,096 and of all at once


class Training:
    def __init__(self, X, X_test):
        self.X = X
        rng = np.random.default_rng(0)
        sizes = shapes(X.shape[1])
        self.kernels = [rng.standard_normal(shape, np.float32) for shape in sizes]
        self.gradients = [np.empty_like(kernel) for kernel in self.kernels]
        self.forward = [np.empty((BATCH, columns), np.float32) for _, columns in sizes]
        # gradients of the layers' outputs; values do not matter, so the last is never written
        self.backward = [rng.standard_normal(h.shape, np.float32) for h in self.forward]

    def epochs(self, n):
        for _ in range(n):
            for start in range(0, len(self.X), BATCH):
                self._step(self.X[start : start + BATCH])

    def _step(self, rows):
        n_rows = len(rows)
        activations = [rows]
        for kernel, out in zip(self.kernels, self.forward, strict=True):
            activations.append(np.matmul(activations[-1], kernel, out=out[:n_rows]))
        for layer in reversed(range(len(self.kernels))):
            upper = self.backward[layer][:n_rows]
            np.matmul(activations[layer].T, upper, out=self.gradients[layer])
            if layer > 0:
                np.matmul(upper, self.kernels[layer].T, out=self.backward[layer - 1][:n_rows])

    def errors(self):
        return None

    def encode(self, block=BLOCK):
        """Encode in blocks of rows, which stay in the cache from layer to layer."""
        kernels = self.kernels[: len(HIDDEN) + 1]
        blocks = [np.empty((block, kernel.shape[1]), np.float32) for kernel in kernels]
        codes = np.empty((len(self.X), CODE), np.float32)
        for start in range(0, len(self.X), block):
            h = self.X[start : start + block]
            blocks[-1] = codes[start : start + block]
            for kernel, out in zip(kernels, blocks, strict=True):
                h = np.matmul(h, kernel, out=out[: len(h)])
        return codes
