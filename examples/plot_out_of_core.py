"""
More rows than memory
=====================

`fit` reads rows that lie in a file a block at a time, and `transform` writes codes into another
file.  The file here is small, 63 MB, so that the example takes seconds; the program is the same for
any size.
"""

# %%
# A file of rows
# --------------
# Digits shifted by up to three pixels, written a block at a time: no step holds more than 1,000
# of the rows.
import tempfile
from pathlib import Path

import numpy as np

from skae import DeepAutoencoder, LossCurveDisplay, ReconstructionDisplay
from skae.datasets import load_mnist_sample

mnist = load_mnist_sample()
images = mnist.X_train.reshape(-1, 28, 28)
rng = np.random.default_rng(0)
n_rows, block = 20_000, 1_000

folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "rows.npy")
rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_rows, 784))
for start in range(0, n_rows, block):
    chosen = rng.integers(len(images), size=block)
    shifted = [np.roll(images[i], rng.integers(-3, 4, size=2), axis=(0, 1)) for i in chosen]
    rows[start : start + block] = np.reshape(shifted, (block, -1))
rows.flush()
print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB")

# %%
# Training from the file
# ----------------------
# A memory map is what `numpy.load` makes of a file; HDF5 data sets, Zarr and Dask arrays will do as
# well.  Each block is checked for NaN as it comes.
X = np.load(path, mmap_mode="r")
autoencoder = DeepAutoencoder(n_components=16, epochs=4, random_state=0)
autoencoder.fit(X, X_val=mnist.X_test)
LossCurveDisplay.from_estimator(autoencoder)

# %%
# Codes into a file
# -----------------
codes = np.lib.format.open_memmap(
    Path(folder.name, "codes.npy"), mode="w+", dtype=np.float32, shape=(n_rows, 16)
)
autoencoder.transform(X, out=codes)
ReconstructionDisplay.from_predictions(
    X, autoencoder.inverse_transform(codes), codes=codes, image_shape=mnist.image_shape
)

# %%
# Rows that keep coming
# ---------------------
# `partial_fit` trains for one epoch on what it is given, from where the last call ended: for a
# stream, whose rows are seen once.  Its learning rate is constant, as the end is not known, and
# wants to be lower than the highest of a schedule that falls.
print(
    f"fit, {len(autoencoder.history_['loss'])} epochs: error {-autoencoder.score(mnist.X_test):.4f}"
)
stream = DeepAutoencoder(n_components=16, learning_rate=0.005, random_state=0)
for start in range(0, n_rows, block):
    stream.partial_fit(X[start : start + block])
    if start % 5_000 == 0:
        seen = start + block
        print(f"after {seen:6,} rows: error {-stream.score(mnist.X_test):.4f}")

# %%
# The files are no longer needed.
del X, rows, codes
folder.cleanup()
