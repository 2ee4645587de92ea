"""
More rows than memory
=====================

:meth:`~skae.DeepAutoencoder.fit` reads rows from a file, one block at a
time, and :meth:`~skae.DeepAutoencoder.transform` writes codes into another
file.  The file in this example has only 63 MB, so that the example takes
seconds.  The program is the same for any size.
"""

# %%
# A file of rows
# --------------
# The rows are digits that are shifted by up to three pixels.  They are
# written in blocks, so that memory holds at most 1,000 of them.
import tempfile
from pathlib import Path

import numpy as np

from skae import DeepAutoencoder, LossCurveDisplay, ReconstructionDisplay
from skae.datasets import load_mnist_sample

mnist = load_mnist_sample()
# sphinx_gallery_thumbnail_number = 2
images = mnist.X_train.reshape(-1, 28, 28)
rng = np.random.default_rng(0)
n_rows, block = 20_000, 1_000

folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "rows.npy")
rows = np.lib.format.open_memmap(
    path, mode="w+", dtype=np.float32, shape=(n_rows, 784)
)
for start in range(0, n_rows, block):
    chosen = rng.integers(len(images), size=block)
    shifted = [
        np.roll(images[i], rng.integers(-3, 4, size=2), axis=(0, 1))
        for i in chosen
    ]
    rows[start : start + block] = np.reshape(shifted, (block, -1))
rows.flush()
print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB")

# %%
# Training from the file
# ----------------------
# `numpy.load` opens the file as a memory map.  HDF5 data sets, Zarr arrays
# and Dask arrays work as well.  Each block is checked for NaN when it is
# read.  Four epochs are few for these rows, and ``fit`` says so.
X = np.load(path, mmap_mode="r")
autoencoder = DeepAutoencoder(n_components=16, epochs=4, random_state=0)
autoencoder.fit(X, X_val=mnist.X_test)
LossCurveDisplay.from_estimator(autoencoder)

# %%
# Codes into a file
# -----------------
# The argument ``out`` takes a memory map.  The decoder then turns the first
# codes into images.
codes = np.lib.format.open_memmap(
    Path(folder.name, "codes.npy"),
    mode="w+",
    dtype=np.float32,
    shape=(n_rows, 16),
)
autoencoder.transform(X, out=codes)
print(f"{len(codes):,} codes, {codes.nbytes / 1e6:.1f} MB")
ReconstructionDisplay.from_predictions(
    X,
    autoencoder.inverse_transform(codes),
    codes=codes,
    image_shape=mnist.image_shape,
)

# %%
# Rows that keep coming
# ---------------------
# If rows arrive in a stream and are seen only once, use
# :meth:`~skae.DeepAutoencoder.partial_fit`.  Each call trains for one epoch
# on the given rows and starts from the weights of the last call.  The
# learning rate is constant, because the end of the stream is unknown, and
# should be lower than the highest rate of a schedule.
error = -autoencoder.score(mnist.X_test)
print(f"fit, {autoencoder.n_iter_} epochs: error {error:.4f}")
stream = DeepAutoencoder(
    n_components=16, learning_rate=0.005, random_state=0
)
for start in range(0, n_rows, block):
    stream.partial_fit(X[start : start + block])
    if start % 5_000 == 0:
        seen = start + block
        print(
            f"after {seen:6,} rows: error {-stream.score(mnist.X_test):.4f}"
        )

# %%
# The files are no longer needed.
del X, rows, codes
folder.cleanup()
