"""Draws of plausible values: predictions plus errors that the networks made on hidden cells.

Known cells of rows that a network was not trained on are hidden from it, and its errors are kept.
A draw adds the error of a random one among the kept cells that are most like the cell to fill: of
the same column, with a similar prediction, in a row with a similar share of unknown cells.  Normal
noise makes up for the gaps between few errors, as in a kernel density estimate.  (T. P.
Morris, I. R. White and P. Royston, "Tuning multiple imputation by predictive mean matching and
local residual draws", BMC Medical Research Methodology 14, 2014.)  Categories and booleans are
drawn from their probabilities.
"""

from typing import Any

import numpy as np
from scipy.spatial import KDTree

from skae._imputation.cells import Cells
from skae._imputation.chances import draw_places, temperature
from skae._imputation.fitting import Folds
from skae._typing import Array, Rng

NEIGHBORS = 100  # cells that a draw chooses from: enough for the 5th and the 95th percentile
MOST_CELLS, MOST_VALUES = 2000, 1 << 24  # for a column; hidden at once, in all columns
FEWEST_CELLS, MOST_REPEATS = 100, 4  # few rows are used several times, with other hidden cells
FEWEST_NEIGHBORS = 30
MOST_HIDDEN = 0.8  # the share of cells of a row that calibrating hides at most
ROUNDS = 8
NUMBERS = Cells()


def hidden_errors(folds: Folds, Z: Array, rng: Rng, cells: Cells = NUMBERS) -> list[Array]:
    """Return the errors on hidden cells for each column.

    For a column of numbers, the array is of shape (n_cells, 3): predictions, shares of unknown
    cells in their rows, and known values less predictions.  For others, it has one number: the
    temperature of the probabilities.
    """
    return [_errors_of_column(folds, Z, column, rng, cells) for column in range(Z.shape[1])]


def _errors_of_column(folds: Folds, Z: Array, column: int, rng: Rng, cells: Cells) -> Array:
    known = ~np.isnan(Z[:, column])
    aside = known & (folds.numbers >= 0)
    # a rare column may have no known value in the rows set aside
    rows = rng.permutation(np.flatnonzero(aside if aside.any() else known))
    rows = np.tile(rows, MOST_REPEATS)[: _n_cells(Z, len(rows))]
    block = _hide(Z[rows], column, rng)
    outputs = _outputs_of_folds(folds, block, np.maximum(folds.numbers[rows], 0), cells)
    values = Z[rows, column]
    if not cells.is_number(column):
        return np.array([temperature(cells.chances(outputs, column), values.astype(int))])
    predictions = outputs[:, column]
    return np.column_stack([predictions, np.isnan(block).mean(axis=1), values - predictions])


def _outputs_of_folds(folds: Folds, block: Array, numbers: Array, cells: Cells) -> Array:
    """Return the outputs for rows from the networks with these numbers."""
    order = numbers.argsort(kind="stable")
    parts = [
        cells.outputs(folds.networks[number], block[numbers == number])
        for number in np.unique(numbers)
    ]
    return np.concatenate(parts)[order.argsort()]


def _n_cells(Z: Array, n_rows: int) -> int:
    """Return how many cells of a column to hide if it is known in this number of rows."""
    most = int(np.clip(MOST_VALUES // Z.shape[1] ** 2, FEWEST_CELLS, MOST_CELLS))
    return min(most, max(n_rows, min(MOST_REPEATS * n_rows, 4 * FEWEST_CELLS)))


def _hide(block: Array, column: int, rng: Rng) -> Array:
    """Return rows without their cells in a column; every second row loses others, too.

    New rows may have more gaps than those of the fit.
    """
    hidden = rng.random(block.shape) < MOST_HIDDEN * rng.random((len(block), 1))
    hidden[::2] = False
    hidden[:, column] = True
    return np.where(hidden, np.nan, block)


def draw(
    network: Any,
    errors: list[Array],
    limits: tuple[Array, Array],
    Z: Array,
    *,
    rng: Rng,
    cells: Cells = NUMBERS,
) -> Array:
    """Return a copy of rows with a draw in each unknown cell; numbers are between their limits.

    The cells of a row are drawn one after another, each given those before it, so that the values
    of a row suit each other.  Rows with many gaps draw several cells at a time.
    """
    Z, unknown = Z.copy(), np.isnan(Z)
    order = np.where(unknown, rng.random(Z.shape), np.inf).argsort(axis=1).argsort(axis=1)
    gaps = unknown.sum(axis=1, keepdims=True)
    turn = order * np.minimum(ROUNDS, gaps) // np.maximum(gaps, 1)
    for number in range(min(ROUNDS, int(gaps.max(initial=0)))):
        now = unknown & (turn == number)
        rows = np.flatnonzero(now.any(axis=1))
        block = Z[rows]
        outputs = cells.outputs(network, block)
        share = np.isnan(block).mean(axis=1)
        for column in np.flatnonzero(now.any(axis=0)).tolist():
            inside = now[rows, column]
            if cells.is_number(column):
                predictions = outputs[inside, column]
                drawn = _draw_column(predictions, share[inside], errors[column], rng)
                drawn = np.clip(drawn, limits[0][column], limits[1][column])
            else:
                chances = cells.chances(outputs[inside], column)
                drawn = draw_places(chances, errors[column][0], rng)
            Z[rows[inside], column] = drawn
    return Z


def _draw_column(predictions: Array, share: Array, errors: Array, rng: Rng) -> Array:
    points, spread = errors[:, :2], errors[:, :2].std(axis=0)
    spread[spread == 0] = 1
    n = min(max(len(errors) // 4, FEWEST_NEIGHBORS), NEIGHBORS, len(errors))
    near = KDTree(points / spread).query(np.column_stack([predictions, share]) / spread, n)[1]
    near = near.reshape(len(predictions), n)
    chosen = near[np.arange(len(near)), rng.integers(n, size=len(near))]
    width = 0.9 * errors[near, 2].std(axis=1) * n**-0.2  # Silverman's rule
    return predictions + errors[chosen, 2] + width * rng.standard_normal(len(near))
