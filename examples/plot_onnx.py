"""
Serving with ONNX
=================

A pipeline with an autoencoder can be converted to an ONNX graph.  The graph
runs without Python: in a browser, on a phone, or in a server written in
another language.  This example needs ``skl2onnx`` and ``onnxruntime``.
"""

# %%
# A pipeline that recognises digits
# ---------------------------------
import time

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import skl2onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DenoisingAutoencoder, ReconstructionDisplay
from skae.datasets import load_mnist

mnist = load_mnist()
X, y = mnist.X_train[:2000], mnist.y_train[:2000]
pipeline = make_pipeline(
    DenoisingAutoencoder(16, random_state=0),
    StandardScaler(),
    LogisticRegression(max_iter=1000),
)
pipeline.fit(X, y)

# %%
# Convert the pipeline
# --------------------
# The first row gives the type and the width of the input.  The graph takes
# any number of rows.
model = skl2onnx.to_onnx(pipeline, X[:1])
served = onnxruntime.InferenceSession(model.SerializeToString())
print(f"{len(model.SerializeToString()) / 1e3:.0f} kB")

labels, probabilities = served.run(None, {"X": mnist.X_test})
agree = np.mean(labels == pipeline.predict(mnist.X_test))
accuracy = np.mean(labels == mnist.y_test)
print(f"accuracy {accuracy:.3f}, agrees with the pipeline on {agree:.1%}")


# %%
# Time for one row
# ----------------
def microseconds(call, n=200):
    start = time.perf_counter()
    for _ in range(n):
        call()
    return (time.perf_counter() - start) / n * 1e6


row = mnist.X_test[:1]
times = {
    "the pipeline": microseconds(lambda: pipeline.predict(row)),
    "onnxruntime": microseconds(lambda: served.run(None, {"X": row})),
}
for name, time_of_row in times.items():
    print(f"{name}: {time_of_row:.0f} us a row")
_, ax = plt.subplots(figsize=(6.4, 2), layout="constrained")
ax.barh(list(times), list(times.values()), color="#0072B2")
ax.set(xlabel="microseconds for one row")

# %%
# Convert the encoder only
# ------------------------
# The graph of an autoencoder outside a pipeline maps rows to codes.
autoencoder = pipeline[0]
encoder = onnxruntime.InferenceSession(
    skl2onnx.to_onnx(autoencoder, X[:1]).SerializeToString()
)
(codes,) = encoder.run(None, {"X": mnist.X_test})
difference = np.abs(codes - autoencoder.transform(mnist.X_test)).max()
largest = np.abs(codes).max()
print(f"largest difference {difference:.1e}, of codes up to {largest:.0f}")
ReconstructionDisplay.from_predictions(
    mnist.X_test,
    autoencoder.inverse_transform(codes),
    codes=codes,
    image_shape=mnist.image_shape,
)
