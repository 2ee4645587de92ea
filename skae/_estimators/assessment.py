"""Assessment of a finished fit: columns that are worse than their means, and convergence.

Both look at a sample of the rows that were trained on.
"""

import dataclasses
import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import special
from sklearn.exceptions import ConvergenceWarning

from skae._network.activations import RANGES
from skae._network.inference import Network
from skae._objective.objective import Objective
from skae._rows.finite import means_of_known
from skae._rows.readers import make_reader
from skae._rows.rows import Rows
from skae._typing import Activation, Array, History

# So few rows that a BLAS starts no thread for a small network: its threads and TensorFlow's would
# wait for each other, 30 ms a fit.
SAMPLE = 128
# Rows and values to correct columns with.  Columns are compared in blocks of this many values: some
# ten arrays in float64 of their size are in memory at once.
LARGE_SAMPLE, LARGE_VALUES, BLOCK_VALUES = 20_000, 1 << 21, 1 << 17
# The input of an activation that gives a value.
INVERSES: dict[object, Callable[[Array], Array]] = {
    "relu": np.positive,
    "sigmoid": special.logit,
    "tanh": np.arctanh,
}
STEEP = 0.02  # share of the first epoch's loss that the last tenth of the epochs may gain


class Fit(NamedTuple):
    """Sums of squares of each column over a sample of rows.

    ``errors`` are those of the reconstructions and ``spread`` those of the column means, which are
    ``means``; ``slopes`` are the factors that fit the reconstructions, whose means are
    ``output_means``, best to the rows.  ``closer`` says whether these factors lower the absolute
    errors as well.  ``weights`` are those of the columns in the loss.
    """

    errors: Array
    spread: Array
    slopes: Array
    means: Array
    output_means: Array
    closer: Array
    weights: Array

    @property
    def worse(self) -> Array:
        """Which columns are reconstructed worse than by their means."""
        return self.errors > self.spread * (1 + 1e-9)

    @property
    def failed(self) -> bool:
        """Whether all columns together are reconstructed no better than by their means."""
        return bool(self.errors @ self.weights >= self.spread @ self.weights)


def measure(network: Network, rows: Rows, n_rows: int) -> Fit:
    """Compare the reconstructions of a sample of rows with the rows and their means."""
    inputs, targets, weight = _sample(rows, n_rows)
    outputs = network.reconstruct(inputs)
    width = max(1, BLOCK_VALUES // len(targets))
    blocks = [slice(start, start + width) for start in range(0, targets.shape[1], width)]
    parts = [_compare(targets[:, block], outputs[:, block], weight) for block in blocks]
    columns = map(np.concatenate, zip(*parts, strict=True))
    return Fit._make([*columns, _weights(network)])


def _compare(targets: Array, outputs: Array, weight: Array) -> tuple[Array, ...]:
    """Return the sums of `Fit` for some columns."""
    unknown = np.isnan(targets)
    means, output_means = (
        means_of_known(np.where(unknown, np.nan, x), weight)
        if unknown.any()
        else np.average(x, axis=0, weights=weight)
        for x in (targets, outputs)
    )
    targets = np.where(unknown, outputs, targets)
    errors = weight @ (targets - outputs) ** 2
    x, y = outputs - output_means, targets - means
    x[unknown] = y[unknown] = 0
    spread, variance = weight @ y**2, weight @ x**2
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.where(variance > 0, weight @ (x * y) / variance, 0)
    closer = weight @ np.abs(y - slopes * x) < weight @ np.abs(targets - outputs)
    return errors, spread, slopes, means, output_means, closer


def _weights(network: Network) -> Array:
    """Return the weight of each feature in the loss."""
    of_columns = network.column_weights
    return (
        np.ones(network.spec.n_features)
        if of_columns is None
        else network.spec.by_feature(of_columns)
    )


def calibrate(network: Network, objective: Objective, rows: Rows) -> Network:
    """Improve those outputs that are worse than their column's mean.

    Columns of small variance hardly count in a loss, and may end anywhere.  If such an output is
    linear, it gets the factor and the shift that minimise its squared error, unless the loss would
    rise.  The output of another activation becomes the mean, unless the whole fit failed: then a
    warning says so.  The last layer's weights hold the result.  Without a correction, the network
    itself is returned.  Tables with categories need none: their numbers have a common scale.
    """
    spec = network.spec
    if spec.table is not None:
        return network
    slopes, shifts = np.ones(1), np.zeros(1)
    large = min(LARGE_SAMPLE, max(SAMPLE, LARGE_VALUES // spec.n_features))
    for n_rows in (SAMPLE, large):
        slopes, shifts = _corrections(
            spec.activations[-1], objective, measure(network, rows, n_rows)
        )
        if (slopes == 1).all() and not shifts.any():
            return network
    *others, own = spec.by_layer(network.weights)
    last: Any = spec.layers[-1]
    with np.errstate(over="ignore"):
        improved = [x.astype(np.float32) for x in last.fold_outputs(own, shifts, slopes)]
    if not all(np.isfinite(array).all() for array in improved):
        return network
    weights = [*itertools.chain(*others), *improved]
    return Network(spec, weights, network.fallback, column_weights=network.column_weights)


def _corrections(output: Activation, objective: Objective, found: Fit) -> tuple[Array, Array]:
    """Return a factor and a shift for the input of each output's activation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if output == "linear":
            lowers_loss = objective.favours_means | objective.is_distance & found.closer
            improves = found.worse & lowers_loss
            slopes, shifts = found.slopes, found.means - found.slopes * found.output_means
        elif output in INVERSES and objective.favours_means:
            low, high = RANGES[str(output)]
            improves = found.worse & (low < found.means) & (found.means < high) & (not found.failed)
            slopes, shifts = np.zeros_like(found.slopes), INVERSES[output](found.means)
        else:
            return np.ones(1), np.zeros(1)
    return np.where(improves, slopes, 1), np.where(improves, shifts, 0)


def warn_unless_converged(network: Network, rows: Rows, history: History) -> None:
    """Warn if the network gives back no more than the means, or has not been trained to the end.

    If there is a validation loss, it tells whether more training would help.
    """
    found = measure(network, rows, SAMPLE)
    losses = history.get("val_loss", history["loss"])
    if found.failed and (found.spread @ found.weights) > 0:
        problem = "reconstructs the rows no better than the means of their columns"
    elif _falls(losses):
        problem = f"still improved steeply when it ended: the loss is {losses[-1]:.3g}"
    else:
        return
    warnings.warn(
        f"The network {problem}. Train for longer (raise epochs, or lower batch_size), or change "
        "learning_rate.",
        ConvergenceWarning,
        stacklevel=4,
    )


def _falls(losses: Sequence[float]) -> bool:
    """Return whether a loss falls steeply in the last tenth of the epochs."""
    before = len(losses) - 1 - max(1, len(losses) // 10)
    return before >= 0 and losses[before] - losses[-1] > STEEP * losses[0] > 0


def _sample(rows: Rows, n_rows: int) -> tuple[Array, Array, Array]:
    """Return inputs, targets and weights of some rows in float64.

    They are evenly spaced if the rows are in memory, else the first ones.
    """
    if rows.in_memory:
        step = -(-len(rows.index) // n_rows)
        rows = dataclasses.replace(rows, index=np.asarray(rows.index)[::step])
    n_rows = min(n_rows, len(rows.index))
    reader = make_reader(rows, n_rows)
    shape = n_rows, rows.inputs.shape[1]
    buffers: list[Any] = [np.empty(shape, np.float32) for _ in rows.matrices]
    buffers.append(np.empty(n_rows, np.float32))
    n_read = reader.take(next(iter(reader.in_order())), buffers)
    inputs, *others, weight = (buffer[:n_read].astype(np.float64) for buffer in buffers)
    return inputs, others[0] if others else inputs, weight
