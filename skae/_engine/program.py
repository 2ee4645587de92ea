"""`Program`: the compiled steps of training."""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skae._engine.forward.layers import Mode, run_forward
from skae._engine.forward.packing import WeightPacking
from skae._engine.forward.sparse import describe_rows, to_dense
from skae._engine.limits import Limits
from skae._engine.lookup.names import activation_function, is_elementwise
from skae._engine.lookup.tracing import TracingError, is_of_keras, named, shorten_error
from skae._engine.losses import NO_VALUES, Batch, Values, batch_losses, run_steps
from skae._engine.models import (
    build_metrics,
    compiled_autoencoder,
    metric_updater,
    shape_free_variables,
)
from skae._engine.penalties.values import sum_penalties
from skae._engine.spec import ProgramSpec
from skae._engine.tensorflow import current_device, keras, tf, unnamed_variables
from skae._process import defer_interrupts
from skae._typing import Array, Floats, Tensor

N_STEPS = tf.TensorSpec((), tf.int32)


class Program:
    """The variables and the compiled steps of a `ProgramSpec`.

    A fit sets the variables, trains, and copies the weights.  The program keeps nothing for it, and
    the next fit may overwrite all variables; `skae._engine.cache.Lease` makes fits take turns.

    Parameters
    ----------
    spec : ProgramSpec
        What to compile.
    jit : bool
        Whether XLA compiles the steps; otherwise they are a plain graph.
    limits : Limits
        Limits of the size of a chunk.
    """

    def __init__(self, spec: ProgramSpec, jit: bool, limits: Limits) -> None:
        self.lock = threading.RLock()
        self.owner: Any = None  # the `Lease` that the variables' values belong to
        self.spec, self.jit, self.n_traces = spec, jit, 0
        self.device, self.chunk_steps = current_device(), limits.chunk_steps(spec)
        with shape_free_variables(spec):
            self.model = compiled_autoencoder(spec)
            self.optimizer = self.model.optimizer
            flat = is_elementwise(self.optimizer)
            self.packing = WeightPacking(spec.network.shapes, spec.transposes, flat=flat)
            self.variables = self.packing.trained(self.model.trainable_variables)
            if flat:
                self.variables = [keras.Variable("zeros", (self.packing.length,), name="weights")]
            self._build_optimizer()
        if spec.metrics:
            with unnamed_variables():
                build_metrics(self.model, spec)
        self._update_metrics = metric_updater(self.model, spec)
        self._output = activation_function(spec.network.activations[-1])
        self._losses = batch_losses(self.model, self._output, spec)

    def _build_optimizer(self) -> None:
        """Create the optimizer's variables, and keep their initial values.

        Some optimizers (``ScheduleFreeAdamW``) initialise a variable as a copy of a weight, and
        `reset` has to do the same.  To find these copies, each weight is filled with a number of
        its own, and the numbers are looked for in the optimizer's variables.
        """
        marks = -1e30 * np.arange(1, 1 + len(self.variables), dtype=np.float32)
        for variable, mark in zip(self.variables, marks, strict=True):
            variable.assign(np.full(variable.shape, mark, np.float32))
        self.optimizer.build(self.variables)
        self.initial_state = [variable.numpy().copy() for variable in self.optimizer.variables]
        self.copied = {
            place: int(number)
            for place, state in enumerate(self.initial_state)
            for number in np.flatnonzero(marks == state.flat[0])
        }

    def train(
        self,
        inputs: Tensor,
        targets: Tensor,
        weight: Tensor,
        rates: Floats,
        n_steps: int,
        values: Values = NO_VALUES,
        seeds: Array | None = None,
    ) -> Tensor:
        """Train on a chunk of mini-batches.

        Parameters
        ----------
        inputs, targets : float32 tensor of shape (n_batches, batch_size, n_features)
            The mini-batches, or `SparseRows`.  XLA needs ``chunk_steps`` of them in each chunk.
        weight : float32 tensor of shape (n_batches, batch_size)
            Weights of the rows.
        rates : ndarray of shape (n_batches,)
            A learning rate for each mini-batch.
        n_steps : int
            Number of mini-batches to train on, from the first one.
        values : Values, default=NO_VALUES
            Penalties and conditioning, if the spec has them.
        seeds : int32 array of shape (n_batches, 2), default=None
            A seed for each mini-batch.  Only networks that are random take seeds.

        Returns
        -------
        losses : tensor of shape (n_batches,)
            The sum of the weighted losses of each mini-batch, penalties included; zero for those
            that it was not trained on.
        """
        extra = self._extra(values, seeds)
        return self._compiled_train(inputs, targets, weight, rates, n_steps, *extra)

    def evaluate(
        self,
        inputs: Tensor,
        targets: Tensor,
        weight: Tensor,
        n_steps: int,
        values: Values = NO_VALUES,
    ) -> Tensor:
        """Compute the losses of a chunk of mini-batches; the arguments are those of `train`."""
        return self._compiled_evaluate(inputs, targets, weight, n_steps, *self._extra(values))

    def _extra(self, values: Values, seeds: Array | None = None) -> list[Array]:
        """Return the arguments in `_extra_specs`, in that order."""
        given = {**values._asdict(), "seeds": seeds}
        names = self._extra_specs(random=seeds is not None)
        return [np.asarray(given[n], np.int32 if n == "seeds" else np.float32) for n in names]

    def _extra_specs(self, *, random: bool) -> dict[str, Any]:
        """Describe the arguments that this program needs and other programs may not need."""
        specs = Values.describe(self.spec)
        if random:
            steps = self.chunk_steps if self.jit else None
            specs["seeds"] = tf.TensorSpec((steps, 2), tf.int32)
        return specs

    @functools.cached_property
    def _compiled_train(self) -> Callable[..., Tensor]:
        """The compiled `_train`."""
        # It is a concrete function, because TensorFlow mistakes the first traces of several
        # ``tf.function`` of one method for retraces, and warns.
        rates = tf.TensorSpec(self._specs()[-1].shape[:1])
        extra = self._extra_specs(random=self.spec.network.is_random).values()
        return self._trace(self._train, *self._specs(), rates, N_STEPS, *extra)

    @functools.cached_property
    def _compiled_evaluate(self) -> Callable[..., Tensor]:
        """The compiled `_evaluate`."""
        extra = self._extra_specs(random=False).values()
        return self._trace(self._evaluate, *self._specs(), N_STEPS, *extra)

    def _specs(self) -> tuple[Any, Any, Any]:
        """Describe inputs, targets and weights.

        XLA compiles for one shape, so the last, shorter chunk is padded to it.  A plain graph takes
        any number of mini-batches.
        """
        steps = self.chunk_steps if self.jit else None
        batches = describe_rows(self.spec, steps)
        return batches, batches, tf.TensorSpec((steps, self.spec.batch_size))

    def _batch(self, i: Tensor, chunk: Sequence[Tensor], extra: Sequence[Tensor]) -> Batch:
        """Return the ``i``-th mini-batch of a chunk; ``extra`` has no seeds in validation."""
        named = dict(zip(self._extra_specs(random=True), extra, strict=False))
        if "seeds" in named:
            named["seed"] = named.pop("seeds")[i]
        inputs, targets, weight = tf.nest.map_structure(lambda array: array[i], tuple(chunk))
        if self.spec.n_entries:
            named["entries"] = inputs
            inputs, targets = (to_dense(rows, self.spec) for rows in (inputs, targets))
        return Batch(inputs, targets, weight, tf.reduce_sum(weight), **named)

    def _trace(self, function: Callable[..., Tensor], *specs: Any) -> Callable[..., Tensor]:
        try:
            with defer_interrupts():
                return self._compile(function).get_concrete_function(*specs)
        except TracingError:
            raise
        except (ValueError, TypeError, LookupError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            text = f"The parameters give no program that can be compiled: {shorten_error(error)}"
            raise kind(text) from error

    def _compile(self, function: Callable[..., Tensor]) -> Any:
        # Without AutoGraph, the user's functions run as they are written, which is what Keras does.
        return tf.function(function, jit_compile=self.jit, autograph=False)

    def reset(
        self, weights: Sequence[Array], optimizer_state: Sequence[Array] | None = None
    ) -> None:
        """Set every variable that training changes.

        Parameters
        ----------
        weights : sequence of ndarray
            The weights of all layers.
        optimizer_state : sequence of ndarray, default=None
            Values of the optimizer's variables; None means those before its first step.
        """
        self.set_weights(weights)
        state = self._fresh_state(weights) if optimizer_state is None else optimizer_state
        for variable, value in zip(self.optimizer.variables, state, strict=True):
            variable.assign(value)
        self.model.reset_metrics()

    def _fresh_state(self, weights: Sequence[Array]) -> Sequence[Array]:
        """Return the values that the optimizer's variables have before its first step."""
        if not self.copied:
            return self.initial_state
        packed = self.packing.pack(weights)
        return [
            packed[self.copied[place]] if place in self.copied else value
            for place, value in enumerate(self.initial_state)
        ]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Set the weights only."""
        for variable, value in zip(self.variables, self.packing.pack(weights), strict=True):
            variable.assign(value)

    def finish(self) -> None:
        """End training; some optimizers then replace the weights by their averages."""
        self.optimizer.finalize_variable_values(self.variables)

    def weights(self) -> list[Array]:
        """Copy the weights of all layers."""
        return self.packing.unpack([variable.numpy().copy() for variable in self.variables])

    def optimizer_state(self) -> list[Array]:
        """Copy the optimizer's variables."""
        return [variable.numpy().copy() for variable in self.optimizer.variables]

    def state(self) -> list[Array]:
        """Copy all variables that training changes."""
        return [variable.numpy().copy() for variable in self._changing()]

    def set_state(self, state: Sequence[Array]) -> None:
        """Set all variables to the values that `state` returned."""
        for variable, value in zip(self._changing(), state, strict=True):
            variable.assign(value)

    def _changing(self) -> list[Any]:
        return [*self.variables, *self.optimizer.variables, *self.model.metrics_variables]

    def metrics(self) -> dict[str, float]:
        """Return the metrics of all mini-batches since the last call, and reset them."""
        if not self.spec.metrics:
            return {}
        results = self.model.get_metrics_result()
        self.model.reset_metrics()
        return {name: float(value) for name, value in results.items() if name != "loss"}

    def _train(
        self,
        inputs: Tensor,
        targets: Tensor,
        weight: Tensor,
        rates: Tensor,
        n_steps: Tensor,
        *extra: Tensor,
    ) -> Tensor:
        self.n_traces += 1

        def step(i: Tensor) -> Tensor:
            batch = self._batch(i, (inputs, targets, weight), extra)
            loss, gradients = self._loss_and_gradients(batch)
            # This makes the update depend on the loss.  Otherwise the loss may still read the last
            # bias, so that XLA cannot update in place and copies all weights in every step.
            rate = tf.where(tf.math.is_finite(loss), rates[i], 0.0)
            self.optimizer.learning_rate.assign(rate)
            tf.distribute.get_replica_context().merge_call(self._apply, args=(gradients,))
            return loss

        return run_steps(step, n_steps, weight)

    def _apply(self, _: object, gradients: Sequence[Tensor]) -> None:
        """Apply gradients; the call is outside of a replica, so that Keras does not sum over them.

        TensorFlow registers a gradient function for that sum and never removes it.  The function
        would keep the program's whole graph, 5 MB, after the program is dropped.
        """
        apply = self.optimizer.apply
        if not is_of_keras(self.optimizer):
            apply = named("optimizer", apply, type(self.optimizer).__name__)
        apply(gradients, self.variables)

    def _evaluate(
        self, inputs: Tensor, targets: Tensor, weight: Tensor, n_steps: Tensor, *extra: Tensor
    ) -> Tensor:
        values = self._values()

        def step(i: Tensor) -> Tensor:
            return self._loss(values, self._batch(i, (inputs, targets, weight), extra))

        return run_steps(step, n_steps, weight)

    def _values(self) -> list[Tensor]:
        """Read the variables, or the replica's copies of them in the scope of a strategy."""
        return [tf.convert_to_tensor(variable.value) for variable in self.variables]

    def _loss(self, values: Sequence[Tensor], batch: Batch) -> Tensor:
        """Return the sum of a mini-batch's weighted losses, penalties included."""
        logits, *penalty = self._forward(values, batch)
        return tf.add_n([self._compared(logits, batch)[0], *penalty])

    def _loss_and_gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Return the sum of the weighted losses, and the gradients of their mean.

        The loss itself returns its gradient with respect to the logits, which takes less time than
        the gradient that the tape would derive.
        """
        values = self._values()
        with tf.GradientTape() as tape:
            tape.watch(values)
            logits, *penalty = self._forward(values, batch)
        loss, slope = self._compared(logits, batch)
        slopes = [slope / batch.total_weight, *(1 / batch.total_weight for _ in penalty)]
        gradients = tape.gradient([logits, *penalty], values, output_gradients=slopes)
        # that of a kernel whose rows were gathered is no tensor, but `tf.IndexedSlices`
        return tf.add_n([loss, *penalty]), list(map(tf.convert_to_tensor, gradients))

    def _forward(self, values: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        """Return the logits of a mini-batch, and the sum of its penalties if there are any."""
        weights, spec = self.packing.tensors(values), self.spec
        mode = Mode(spec.compute_dtype, batch.seed, "threefry" if self.jit else "philox")
        outputs = run_forward(spec.network, weights, batch.network_inputs(), mode)
        if not spec.objective.penalties:
            return [outputs.logits]
        own = self.packing.trained(weights)
        return [outputs.logits, sum_penalties(spec.objective, batch, own, outputs)]

    def _compared(self, logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the sum of the rows' weighted losses, and its gradient with respect to logits."""
        if self.spec.metrics:
            outputs = batch.unconditioned(self._output(logits))
            self._update_metrics(batch.inputs, batch.targets, outputs, batch.weight)
        losses, slopes = self._losses(batch, logits)
        return tf.reduce_sum(losses * batch.weight), slopes * batch.weight[:, None]
