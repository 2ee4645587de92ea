"""The import of TensorFlow and Keras, their data types, devices and variables."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

from skae._process import defer_interrupts, preserve_environment, without_banners


def _check_backend(backend: str) -> None:
    if backend != "tensorflow":
        raise ImportError(
            f"skae trains with Keras' TensorFlow backend, but Keras runs on {backend!r}: set "
            "KERAS_BACKEND=tensorflow before Keras is imported."
        )


first_import = "tensorflow" not in sys.modules
if "keras" not in sys.modules:  # check first, because another backend may not be installed
    _check_backend(os.environ.get("KERAS_BACKEND", "tensorflow"))
try:
    with defer_interrupts(), preserve_environment(), without_banners():
        import keras
        import tensorflow as tf
except ImportError as error:
    raise ImportError(
        "skae trains with TensorFlow through Keras, and could not import them: "
        f"{error}. Install them with pip install keras tensorflow. If Keras is configured for "
        "another backend, set KERAS_BACKEND=tensorflow."
    ) from error
_check_backend(keras.backend.backend())

if first_import and os.environ.get("OMP_NUM_THREADS", "").isdecimal():
    # joblib tells each worker its share of the cores in this variable, which TensorFlow ignores.
    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ["OMP_NUM_THREADS"]))


def compute_dtype() -> str:
    """Return the dtype of a fit's matrix products: that of the user's Keras dtype policy.

    Two policies are allowed; weights, optimizer and loss are float32 under both.  float16 is
    refused: its smallest numbers are too large for gradients, so the loss would have to be scaled.
    """
    policy = keras.config.dtype_policy()
    if policy.name not in ("float32", "mixed_bfloat16"):
        raise ValueError(
            "fit needs Keras' dtype policy 'float32' or 'mixed_bfloat16'; got "
            f"{policy.name!r}: call keras.config.set_dtype_policy('float32') before fit."
        )
    return str(policy.compute_dtype)


def unnamed_variables() -> Any:
    """Return a scope that gives all variables the same name and the caller's device.

    TensorFlow has a cache with 60 kB for each name, device and shape that a variable ever had, and
    no public function empties it.  Variables that agree in all three share an entry.  Keras would
    choose another device than the caller's.
    """
    if tf.distribute.has_strategy():  # the strategy chooses the devices
        return contextlib.nullcontext()
    device = current_device()

    def create_unnamed(create: Callable[..., Any], **options: Any) -> Any:
        with tf.device(device), tf.name_scope("skae/"):  # the slash makes it the whole name
            return create(**options | {"name": "variable"})

    return tf.variable_creator_scope(create_unnamed)


def versions() -> dict[str, str]:
    """Return the versions of TensorFlow and Keras, and Keras' dtype policy, by name."""
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "Keras' dtype policy": keras.config.dtype_policy().name,
    }


def current_device() -> str:
    """Return the name of the caller's device: that of its scope, or a GPU if there is one."""
    return str(tf.zeros(()).device)


__all__ = ["compute_dtype", "current_device", "keras", "unnamed_variables", "tf", "versions"]
