"""Colours, axes and checks that the displays share."""

import math
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from skae._typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers tell apart.
BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
GREY = "#767676"
LINE_COLORS = (BLUE, ORANGE, GREEN, PINK, SKY)

# P. Tol's "muted" scheme, with a dark grey: ten classes.
CLASS_COLORS = (
    *("#332288", "#CC6677", "#117733", "#DDCC77", "#88CCEE"),
    *("#882255", "#44AA99", "#999933", "#AA4499", "#555555"),
)


def axes_or_new(
    ax: Any, size: tuple[float, float], rect: tuple[float, float, float, float] | None = None
) -> "Axes":
    """Return the user's axes after checking them, or make new ones if they are None."""
    if ax is None:
        return new_axes(size, rect)
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be one matplotlib Axes or None; got {ax!r}.")
    return ax


def new_axes(
    size: tuple[float, float], rect: tuple[float, float, float, float] | None = None
) -> "Axes":
    """Make axes in a new figure of pyplot, so that notebooks and ``plt.show()`` display it."""
    import matplotlib.pyplot as plt

    if rect is None:
        return plt.figure(figsize=size, layout="constrained").add_subplot()
    return plt.figure(figsize=size).add_axes(rect)


def to_dense(rows: Any) -> Array:
    """Convert a table or a sparse matrix to an array of numbers."""
    dense = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
    if dense.dtype.kind in "OUS":
        raise ValueError(
            f"The display draws arrays of numbers; got dtype {dense.dtype}. Pass rows with "
            "categories as a frame, such as one of pandas."
        )
    return dense


def check_labels(y: Any, n_samples: int) -> Array | None:
    """Check that there is a label for each row; return the labels as an array, or None."""
    if y is None:
        return None
    y = np.asarray(y)
    if y.shape != (n_samples,):
        raise ValueError(
            f"y must hold a label for each of the {n_samples} rows; got shape {y.shape}."
        )
    return y


def check_name(name: str, value: Any) -> None:
    """Raise TypeError unless a parameter that is drawn is a string or None."""
    if not isinstance(value, str | None):
        raise TypeError(f"{name} must be a string or None; got {value!r}.")


def check_image_shape(name: str, shape: Any, width: int, n_dims: tuple[int, ...]) -> None:
    """Check that a shape describes an image that consists of the ``width`` values of a row.

    Raises
    ------
    ValueError
        If it is not a tuple of positive integers, if the number of colour channels is not 1, 3 or
        4, or if the product is not ``width``.
    """
    expected = "(height, width)" + " or (height, width, channels)" * (3 in n_dims)
    is_sequence = isinstance(shape, list | tuple | np.ndarray) and np.ndim(shape) == 1
    if not (is_sequence and len(shape) in n_dims and all(map(_is_size, shape))):
        raise ValueError(f"{name} must be {expected}, in pixels; got {shape!r}.")
    if math.prod(shape) != width:
        raise ValueError(
            f"The product of {name} must be {width}, the number of values in a row; got "
            f"{tuple(shape)}, with the product {math.prod(shape)}."
        )
    if len(shape) == 3 and shape[2] not in (1, 3, 4):
        raise ValueError(f"{name} must have 1, 3 or 4 channels; got {shape!r}.")


def _is_size(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0
