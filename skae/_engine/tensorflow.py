"""The import of TensorFlow and Keras, their data types, devices and variables."""

import contextlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from skae._process import defer_interrupts, n_threads, preserve_environment, without_banners


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

        if first_import:  # here, because an interrupt is raised at the end of the block
            # If the user imported TensorFlow, its threads are the user's choice.
            tf.config.threading.set_intra_op_parallelism_threads(n_threads())
except ImportError as error:
    raise ImportError(
        "skae trains with TensorFlow through Keras, and could not import them: "
        f"{error}. Install them with pip install keras tensorflow. If Keras is configured for "
        "another backend, set KERAS_BACKEND=tensorflow."
    ) from error
_check_backend(keras.backend.backend())


def check_eager() -> None:
    """Raise an error if TensorFlow does not run eagerly here, and say which setting is the cause.

    Raises
    ------
    RuntimeError
        If TensorFlow builds a graph.
    """
    if tf.executing_eagerly():
        return
    if tf.inside_function():
        cause = "the call is inside a tf.function or a map of tf.data: move it outside"
    elif _is_eager_by_default():
        cause = "the call is in the scope of a tf.Graph: leave the scope first"
    else:
        cause = (
            "tf.compat.v1.disable_eager_execution() or tf.compat.v1.disable_v2_behavior() was "
            "called: remove this call and start Python again"
        )
    raise RuntimeError(f"skae needs TensorFlow's eager execution, but {cause}.")


def _is_eager_by_default() -> bool:
    """Return whether a new thread, which is in no scope, runs TensorFlow eagerly."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(tf.executing_eagerly).result()


def _records_gradients() -> bool:
    with tf.GradientTape() as tape:
        one = tf.ones(())
        tape.watch(one)
        square = one * one
    return tape.gradient(square, one) is not None


def check_settings() -> None:
    """Raise an error if a setting of TensorFlow or Keras makes a fit impossible.

    Raises
    ------
    RuntimeError
        If TensorFlow does not run eagerly, or records no gradients.
    ValueError
        If Keras' default dtype is not float32.
    """
    check_eager()
    if not _records_gradients():
        raise RuntimeError(
            "fit needs TensorFlow's gradients, but the call is in the scope of tf.init_scope(): "
            "leave the scope first."
        )
    if keras.config.floatx() != "float32":
        raise ValueError(
            "fit needs Keras' default dtype 'float32', because losses and optimizers use it; got "
            f"{keras.config.floatx()!r}: call keras.config.set_floatx('float32') before fit. The "
            "setting may come from the file keras.json in Keras' home folder."
        )


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


def traced_settings() -> tuple[str, float]:
    """Return the caller's device and Keras' epsilon, which become part of a compiled program."""
    return current_device(), keras.config.epsilon()


__all__ = [
    "check_eager", "check_settings", "compute_dtype", "current_device", "keras",
    "traced_settings", "unnamed_variables", "tf", "versions",
]  # fmt: skip
