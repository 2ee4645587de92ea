"""Mini-batches, and the losses of their rows with gradients."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from skae._engine.forward.sparse import SparseInputs
from skae._engine.lookup.loss_checks import (
    check_loss_shape,
    check_mean,
    is_plain_cross_entropy,
    shape_of_keras_loss,
)
from skae._engine.lookup.tracing import is_of_keras, named, traced_shape
from skae._engine.spec import ProgramSpec
from skae._engine.tensorflow import keras, tf
from skae._network.frozen import name_of
from skae._network.tables import Probabilities
from skae._rows.batches.sparse import SparseRows
from skae._typing import Array, Tensor


class Batch(NamedTuple):
    """A mini-batch, or a replica's share of one.

    ``total_weight`` is the weight of all rows of the mini-batch.  ``strengths`` are the weights of
    the penalties, or None without penalties.  ``seed`` is None at validation, and in networks that
    are not random.  ``shift`` and ``scale`` are those of a `Conditioning`, or None without one.
    ``column_weights`` are None if all columns count the same.  ``entries`` are the inputs again if
    they are sparse.
    """

    inputs: Tensor
    targets: Tensor
    weight: Tensor
    total_weight: Tensor
    strengths: Tensor = None
    shift: Tensor = None
    scale: Tensor = None
    column_weights: Tensor = None
    seed: Tensor = None
    entries: SparseRows | None = None

    def network_inputs(self) -> Tensor | SparseInputs:
        """Return the inputs as the network takes them: sparse if they are, shifted and scaled."""
        if self.entries is None:
            return self.conditioned(self.inputs)
        n_rows = self.inputs.shape[0]
        if self.shift is None:
            return SparseInputs(self.entries, n_rows)
        scaled = self.entries._replace(value=self.entries.value * (1 / self.scale))
        return SparseInputs(scaled, n_rows, self.shift * (1 / self.scale))

    def conditioned(self, rows: Tensor) -> Tensor:
        """Return rows shifted and scaled for the network."""
        return rows if self.shift is None else (rows - self.shift) * (1 / self.scale)

    def unconditioned(self, outputs: Tensor) -> Tensor:
        """Return the network's outputs in the units of the rows."""
        return outputs if self.shift is None else outputs * self.scale + self.shift

    def counts(self, known: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return how often each value of some columns counts; ``known`` says which are known."""
        counts = tf.cast(known, tf.float32)
        return counts if self.column_weights is None else counts * self.column_weights[columns]


class Values(NamedTuple):
    """Arguments that some programs need; other programs ignore them.

    Parameters
    ----------
    strengths : sequence of float, default=()
        Weights of the objective's penalties.
    shift : ndarray of shape (n_features,), default=None
        Shift of a `Conditioning`.
    scale : float, default=1
        Scale of a `Conditioning`.
    column_weights : ndarray of shape (n_columns,), default=None
        Weights of the columns in the loss.
    """

    strengths: Sequence[float] = ()
    shift: Array | None = None
    scale: float = 1.0
    column_weights: Array | None = None

    @staticmethod
    def describe(spec: ProgramSpec) -> dict[str, Any]:
        """Describe the values that a program needs as arguments, by name."""
        network, specs = spec.network, {}
        if spec.objective.penalties:
            specs["strengths"] = tf.TensorSpec((len(spec.objective.penalties),))
        if spec.conditioned:
            specs["shift"] = tf.TensorSpec((network.n_features,))
            specs["scale"] = tf.TensorSpec(())
        if spec.objective.weighted:
            specs["column_weights"] = tf.TensorSpec((network.n_columns,))
        return specs


NO_VALUES = Values()


def run_steps(step: Callable[[Tensor], Tensor], n_steps: Tensor, weight: Tensor) -> Tensor:
    """Call ``step(i)`` for each of ``n_steps`` mini-batches, and return the losses.

    ``weight`` gives the number of losses; they are zero for mini-batches without a step.
    """
    losses = tf.TensorArray(tf.float32, tf.shape(weight)[0], element_shape=())

    def body(i: Tensor, losses: Any) -> tuple[Tensor, Any]:
        return i + 1, losses.write(i, step(i))

    return tf.while_loop(lambda i, _: i < n_steps, body, (0, losses))[1].stack()


GROUP = 16  # factors for each logarithm


def sigmoid_cross_entropy(targets: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Compare targets with the sigmoid of logits by their binary cross-entropy.

    With e = exp(-abs(z)), the loss is max(z, 0) - z * target + log(1 + e).  Its gradient,
    sigmoid(z) - target, needs the same e.  One logarithm for each value would cost a sixth of an
    epoch of MNIST.  So the sum of 16 logarithms is computed as the logarithm of a product, which is
    at most 2**16.

    Parameters
    ----------
    targets, z : tensor of shape (n_rows, n_features)
        Values from 0 to 1, and the logits.

    Returns
    -------
    losses : tensor of shape (n_rows,)
        The mean loss of each row.
    slopes : tensor of shape (n_rows, n_features)
        The gradient of each row's loss with respect to its logits.
    """
    e = tf.exp(tf.minimum(z, -z))  # TensorFlow's graphs turn -abs(z) into one slow operation
    linear, factors = tf.nn.relu(z) - z * targets, 1 + e
    n_groups = z.shape[1] // GROUP
    total = tf.zeros(z.shape[0])
    if n_groups:
        terms, grouped = (
            tf.reshape(x[:, : GROUP * n_groups], (-1, GROUP, n_groups)) for x in (linear, factors)
        )
        # both are summed in the same way, so that XLA reads them in one loop
        logs = tf.math.log(tf.reduce_prod(grouped, axis=1))
        total += tf.reduce_sum(tf.reduce_sum(terms, axis=1) + logs, axis=1)
    if z.shape[1] % GROUP:
        rest = linear + tf.math.log(factors)
        total += tf.reduce_sum(rest[:, GROUP * n_groups :], axis=1)
    sigmoid = tf.where(z >= 0, 1.0, e) / factors
    return total / z.shape[1], (sigmoid - targets) / z.shape[1]


def with_gradient(
    losses: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Add the gradient with respect to the logits to the results of a function.

    ``losses`` takes targets and logits, and returns a loss for each row.
    """

    def both(targets: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(z)
            values = losses(targets, z)
        return values, tape.gradient(values, z)

    return both


def row_losses(
    model: Any, activation: Callable[[Tensor], Tensor]
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the loss of a compiled model as a function of targets and logits.

    The function returns a loss for each row, and the gradient with respect to the logits.

    Parameters
    ----------
    model : keras.Model
        A compiled model.
    activation : callable
        The last activation, which turns logits into the outputs that Keras' losses take.

    Raises
    ------
    ValueError
        If the loss fails, or does not return one value for each row.
    """
    loss = keras.losses.get(model.loss)
    if activation is keras.activations.sigmoid and is_plain_cross_entropy(loss):
        return sigmoid_cross_entropy
    function = loss
    if isinstance(loss, keras.losses.Loss):
        function = loss.call  # before the reduction: the rows are weighted and summed here
    n_features = model.output_shape[-1]
    if is_of_keras(loss):
        check_loss_shape(loss, shape_of_keras_loss(loss, function, (2, n_features)))
    else:
        for n_rows in (2, 3):  # a user's function may work for one number of rows only
            shape = traced_shape("loss", function, 2, (n_rows, n_features), name_of(loss))
            check_loss_shape(loss, shape, n_rows)
        function = named("loss", function, name_of(loss))

    def losses(targets: Tensor, z: Tensor) -> Tensor:
        values = function(targets, activation(z))
        if values.shape.is_fully_defined():
            check_loss_shape(loss, tuple(values.shape), z.shape[0])
        return values

    return with_gradient(losses)


def batch_losses(
    model: Any, activation: Callable[[Tensor], Tensor], spec: ProgramSpec
) -> Callable[[Batch, Tensor], tuple[Tensor, Tensor]]:
    """Return the loss of a compiled model as a function of a mini-batch and logits."""
    if spec.network.table is not None:
        return table_losses(model, spec.network.table, spec.objective.shown_weight)
    of_rows = row_losses(model, activation)
    if spec.network.has_gaps or spec.objective.weighted:
        needed_by = "missing_values='mask'" if spec.network.has_gaps else "feature_weights"
        return known_losses(model, activation, spec.objective.shown_weight, needed_by)
    return lambda batch, z: of_rows(batch.conditioned(batch.targets), z)


def known_losses(
    model: Any, activation: Callable[[Tensor], Tensor], shown_weight: float, needed_by: str
) -> Callable[[Batch, Tensor], tuple[Tensor, Tensor]]:
    """Do the same as `row_losses` for weighted columns and for unknown values, which are NaN.

    The loss of a row is the mean over its known targets, or zero without any.  Those that the
    network is shown are multiplied by ``shown_weight``; the others are hidden by a corruption.

    Raises
    ------
    ValueError
        If the loss of a row is not the mean of the losses of its values.
    """
    loss, cells = _cell_loss(model, model.output_shape[-1], needed_by)
    if activation is keras.activations.sigmoid and is_plain_cross_entropy(loss):
        cells, activation = tf.nn.sigmoid_cross_entropy_with_logits, tf.identity

    def both(batch: Batch, z: Tensor) -> tuple[Tensor, Tensor]:
        shown = tf.where(tf.math.is_nan(batch.inputs), 1.0, shown_weight)

        def losses(targets: Tensor, z: Tensor) -> Tensor:
            counts = batch.counts(tf.math.logical_not(tf.math.is_nan(targets)))
            # Both arguments are replaced, so that neither NaN nor infinity reaches the gradient.
            pair = (tf.where(counts > 0, values, 0.5) for values in (targets, activation(z)))
            values = _of_cells(cells, *pair) * shown * counts
            return _mean(tf.reduce_sum(values, axis=1), tf.reduce_sum(counts, axis=1))

        return with_gradient(losses)(batch.conditioned(batch.targets), z)

    return both


def table_losses(
    model: Any, table: Probabilities, shown_weight: float
) -> Callable[[Batch, Tensor], tuple[Tensor, Tensor]]:
    """Return the loss of tables with categories as a function of a mini-batch and logits.

    The loss of a row is the mean over its known columns: the model's loss of each number, and the
    cross-entropy of each boolean and each category.  A column that the network is shown counts
    ``shown_weight`` times.
    """
    _, cells = _cell_loss(model, 3, "a table with categories")

    def columns(inputs: Tensor, targets: Tensor, z: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield losses, and whether the columns are known and shown, by kinds of columns."""
        known, shown = (tf.math.logical_not(tf.math.is_nan(x)) for x in (targets, inputs))
        targets = tf.where(known, targets, 0.5)
        for part, losses_of in (
            (slice(table.n_numbers), lambda *pair: _of_cells(cells, *pair)),
            (table.booleans, tf.nn.sigmoid_cross_entropy_with_logits),
        ):
            if part.stop - (part.start or 0):
                yield losses_of(targets[:, part], z[:, part]), known[:, part], shown[:, part]
        for run in table.runs():
            one_hot, given, own = (
                tf.reshape(x[:, run.start : run.stop], run.shape) for x in (targets, inputs, z)
            )
            values = -tf.reduce_sum(one_hot * tf.nn.log_softmax(own), axis=2)
            yield values, tf.reduce_sum(one_hot, axis=2) > 0, tf.reduce_sum(given, axis=2) > 0

    def both(batch: Batch, z: Tensor) -> tuple[Tensor, Tensor]:
        def losses(targets: Tensor, z: Tensor) -> Tensor:
            total, n_known, place = tf.zeros(z.shape[0]), tf.zeros(z.shape[0]), 0
            for values, known, shown in columns(batch.inputs, targets, z):
                counts = batch.counts(known, slice(place, place := place + known.shape[1]))
                weighted = values * tf.where(shown, shown_weight, 1.0) * counts
                total += tf.reduce_sum(tf.where(counts > 0, weighted, 0.0), axis=1)
                n_known += tf.reduce_sum(counts, axis=1)
            return _mean(total, n_known)

        return with_gradient(losses)(batch.targets, z)

    return both


def _mean(total: Tensor, count: Tensor) -> Tensor:
    """Divide sums by counts; without any count, the sum is zero, and so is the mean."""
    return total / tf.where(count > 0, count, 1.0)


def _cell_loss(
    model: Any, n_features: int, needed_by: str
) -> tuple[Any, Callable[[Tensor, Tensor], Tensor]]:
    """Return a compiled model's loss, and a function that has its values for rows of one column.

    Raises
    ------
    ValueError
        If the loss of a row is not the mean of the losses of its values.
    """
    loss = keras.losses.get(model.loss)
    function = loss.call if isinstance(loss, keras.losses.Loss) else loss
    check_mean(loss, function, n_features, needed_by)
    return loss, function


def _of_cells(cells: Callable[[Tensor, Tensor], Tensor], targets: Tensor, z: Tensor) -> Tensor:
    """Return the loss of each value, for a loss that is a mean over the values of a row."""
    flat = (tf.reshape(x, (-1, 1)) for x in (targets, z))
    return tf.reshape(cells(*flat), tf.shape(z))
