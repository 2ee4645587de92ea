"""Colours, axes and checks that the displays share."""

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


def new_axes(
    size: tuple[float, float], rect: tuple[float, float, float, float] | None = None
) -> "Axes":
    """Make axes in a new figure of pyplot, so that notebooks and ``plt.show()`` display it."""
    import matplotlib.pyplot as plt

    if rect is None:
        return plt.figure(figsize=size, layout="constrained").add_subplot()
    return plt.figure(figsize=size).add_axes(rect)


def to_dense(rows: Any) -> Array:
    """Convert a table or a sparse matrix to an array."""
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


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
