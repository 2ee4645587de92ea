"""Checks of the losses that users choose: their shape, and whether they are means over features."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skae._engine.lookup.tracing import TracingError, shorten_error
from skae._engine.tensorflow import keras, tf
from skae._network.frozen import name_of
from skae._typing import Tensor


def check_mean(
    loss: Any,
    function: Callable[[Tensor, Tensor], Tensor],
    n_features: int,
    needed_by: str,
) -> None:
    """Raise an error unless the loss of a row is the mean of the losses of its values."""
    rng = np.random.default_rng(0)
    rows = [rng.uniform(0.1, 0.9, (3, n_features)).astype(np.float32) for _ in range(2)]
    try:
        whole = np.asarray(function(*map(tf.constant, rows)))
        columns = np.asarray(function(*(tf.constant(x.reshape(-1, 1)) for x in rows)))
        is_mean = np.allclose(columns.reshape(3, -1).mean(axis=1), whole, rtol=1e-3, atol=1e-5)
    except Exception:  # of a user's function, which may be made for rows of this length
        is_mean = False
    if not is_mean:
        raise TracingError(
            f"{needed_by} needs a loss that is the mean over the features of a row, such "
            f"as 'mean_squared_error'; got {name_of(loss)}, which is not."
        )


def shape_of_keras_loss(
    loss: Any, function: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, int]
) -> tuple[int, ...]:
    """Return the shape of a loss of Keras for rows of this shape; raise ValueError if it fails."""
    example = keras.ops.full(shape, 0.5)
    try:
        return tuple(function(example, example).shape)
    except Exception as error:
        raise ValueError(
            "loss must compare rows of numbers with rows of numbers; got "
            f"{name_of(loss)}, which fails for {shape[0]} rows: {shorten_error(error)}"
        ) from error


def check_loss_shape(loss: Any, shape: tuple[int, ...], n_rows: int = 2) -> None:
    """Raise an error unless the loss of rows, which has this shape, is a value for each row."""
    if shape != (n_rows,):
        raise TracingError(
            "loss must return one value for each row, of shape (n_rows,); "
            f"got {name_of(loss)}, which returned shape {shape} for {n_rows} rows."
        )


def is_plain_cross_entropy(loss: Any) -> bool:
    """Return whether a loss is Keras' binary cross-entropy with its defaults."""
    if isinstance(loss, keras.losses.Loss):
        ignored = {"name": "", "reduction": ""}
        default = keras.losses.BinaryCrossentropy().get_config() | ignored
        is_default = loss.get_config() | ignored == default
        return type(loss) is keras.losses.BinaryCrossentropy and is_default
    return loss is keras.losses.binary_crossentropy
