"""Draws of categories and booleans from the probabilities that a network gives them.

A network that has learned its rows by heart is too sure.  Its probabilities are therefore raised to
a power, the inverse of a temperature, which makes those of hidden cells as likely as possible.  (C.
Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.)
"""

import numpy as np
from scipy import optimize, special

from skae._typing import Array, Rng

SMALLEST = 1e-7  # a probability whose logarithm says how sure a network may be
COLDEST, HOTTEST = 0.25, 16.0


def temperature(chances: Array, places: Array) -> float:
    """Return the temperature that makes the true values of hidden cells as likely as possible.

    Parameters
    ----------
    chances : ndarray of shape (n_cells, n_values)
        The probabilities of all values, from a network that does not see the cells.
    places : ndarray of int of shape (n_cells,)
        The places of the true values.
    """
    logits = _logits(chances)

    def loss(exponent: float) -> float:
        scaled = special.log_softmax(logits / np.exp(exponent), axis=1)
        return -float(scaled[np.arange(len(places)), places].mean())

    bounds = np.log([COLDEST, HOTTEST])
    return float(np.exp(optimize.minimize_scalar(loss, bounds=bounds, method="bounded").x))


def draw_places(chances: Array, heat: float, rng: Rng) -> Array:
    """Return the place of a value for each row, drawn from its probabilities."""
    limits = special.softmax(_logits(chances) / heat, axis=1).cumsum(axis=1)
    points = rng.random((len(chances), 1)) * limits[:, -1:]
    return np.asarray((points >= limits[:, :-1]).sum(axis=1))


def _logits(chances: Array) -> Array:
    return np.log(np.maximum(chances.astype(np.float64), SMALLEST))
