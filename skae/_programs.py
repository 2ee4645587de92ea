"""Compiled training programs."""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skae._architecture import Architecture
from skae._interrupts import interrupts_afterwards
from skae._keras import (
    activation_function,
    build_metrics,
    compiled_autoencoder,
    current_device,
    is_elementwise,
    keras,
    lean_variables,
    nameless_variables,
    plain,
    row_losses,
    tf,
)
from skae._lease import Lease
from skae._step import Layout, logits
from skae._typing import Array, Tensor

CHUNK_BYTES = 1 << 25  # half as large, an epoch takes 2 % longer; twice as large, memory grows
MAX_CHUNK_STEPS = 256
EPOCHS_BYTES = 1 << 23
N_STEPS = tf.TensorSpec((), tf.int32)


def chunk_steps(architecture: Architecture) -> int:
    """How many mini-batches go to the program at once: 32 MiB of rows, at most 256 batches."""
    return int(np.clip(CHUNK_BYTES // architecture.batch_bytes, 1, MAX_CHUNK_STEPS))


def epochs_at_once(architecture: Architecture, n_rows: int) -> int:
    """How many epochs may go to a plain graph at once: as many as fit into 8 MiB and a chunk.

    A call takes as long as a small network's step or two, and what is made for it.
    """
    steps = min(EPOCHS_BYTES // architecture.batch_bytes, MAX_CHUNK_STEPS)
    return max(1, steps // architecture.n_steps(n_rows))


def pays_for_xla(architecture: Architecture, n_rows: int, epochs: int) -> bool:
    """Whether a fit is long enough to win back the time that XLA takes to compile.

    Against a plain graph XLA saves some 30 us a step, since it runs the step's small operations
    as a few, and 1.5 ps a floating-point operation; it takes about 0.6 s longer to compile.
    Products in bfloat16 it computes in float32 on a processor, where a graph is slower to begin
    with but saves 0.4 ps an operation.  The rule looks at the fit alone, not at what is compiled
    already: the same call must give the same bits whatever ran before it.
    """
    steps = epochs * architecture.n_steps(n_rows)
    flops = 6 * epochs * n_rows * architecture.n_parameters
    if architecture.compute_dtype == "float32":
        return steps * 3e-5 + flops * 1.5e-12 > 0.6
    return steps * 2e-4 - flops * 4e-13 > 0.8


class Program:
    """One architecture's variables and its compiled steps.

    The variables are scratch: every fit sets them, trains, and copies the weights out, all by its
    `Lease`.
    """

    def __init__(self, architecture: Architecture, jit: bool) -> None:
        self.lock = threading.RLock()
        self.tenant: Lease | None = None  # whose state is in the variables
        self.device = current_device()
        self.has_metrics = bool(architecture.metrics)
        with lean_variables(architecture):
            self.model = compiled_autoencoder(architecture)
            self.optimizer = self.model.optimizer
            flat = is_elementwise(self.optimizer)
            self.layout = Layout(architecture.layer_sizes, flat=flat)
            self.variables = self.model.trainable_variables
            if flat:
                n_parameters = sum(self.layout.sizes)
                self.variables = [keras.Variable("zeros", (n_parameters,), name="weights")]
            self._build_optimizer()
        if self.has_metrics:
            with nameless_variables():
                build_metrics(self.model)
        self.chunk_steps = chunk_steps(architecture)
        self.jit = jit
        self.n_traces = 0
        self._compute_dtype = architecture.compute_dtype
        self._activations = list(map(activation_function, architecture.activations))
        self._row_losses = row_losses(self.model, self._activations[-1])
        # XLA compiles one shape, to which a last, shorter chunk is padded; a graph takes any
        steps = self.chunk_steps if jit else None
        self._batches = tf.TensorSpec((steps, architecture.batch_size, architecture.n_features))
        self._weight = tf.TensorSpec((steps, architecture.batch_size))
        self._rates = tf.TensorSpec((steps,))

    def _build_optimizer(self) -> None:
        """Create the optimizer's variables, and keep what is in them.

        Some begin as a copy of the weights, such as those of ``ScheduleFreeAdamW``: at `reset`
        they have to become one of the weights to start from.  A mark in the weights shows which.
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

    @functools.cached_property
    def train(self) -> Callable[..., Tensor]:
        """The compiled `_train`.

        A concrete function, as TensorFlow takes the first traces of several ``tf.function`` of
        one method for retraces, and warns.
        """
        return self._trace(
            self._train, self._batches, self._batches, self._weight, self._rates, N_STEPS
        )

    @functools.cached_property
    def evaluate(self) -> Callable[..., Tensor]:
        """The compiled `_evaluate`."""
        return self._trace(self._evaluate, self._batches, self._batches, self._weight, N_STEPS)

    def _trace(self, function: Callable[..., Tensor], *specs: Any) -> Callable[..., Tensor]:
        try:
            with interrupts_afterwards():
                return self._compile(function).get_concrete_function(*specs)
        except (ValueError, TypeError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"The parameters give no program that can be compiled: {plain(error)}"
            ) from error

    def _compile(self, function: Callable[..., Tensor]) -> Any:
        # without AutoGraph the user's functions run as written, as in Keras
        return tf.function(function, jit_compile=self.jit, autograph=False)

    def reset(
        self, weights: Sequence[Array], optimizer_state: Sequence[Array] | None = None
    ) -> None:
        """Set every variable that training changes."""
        self.set_weights(weights)
        state = self._fresh_state(weights) if optimizer_state is None else optimizer_state
        for variable, value in zip(self.optimizer.variables, state, strict=True):
            variable.assign(value)
        self.model.reset_metrics()

    def _fresh_state(self, weights: Sequence[Array]) -> Sequence[Array]:
        """Return what the optimizer's variables hold before its first step."""
        if not self.copied:
            return self.initial_state
        packed = self.layout.pack(weights)
        return [
            packed[self.copied[place]] if place in self.copied else value
            for place, value in enumerate(self.initial_state)
        ]

    def set_weights(self, weights: Sequence[Array]) -> None:
        for variable, value in zip(self.variables, self.layout.pack(weights), strict=True):
            variable.assign(value)

    def finish(self) -> None:
        """End training, where an optimizer may put averaged weights in place."""
        self.optimizer.finalize_variable_values(self.variables)

    def weights(self) -> list[Array]:
        return self.layout.unpack([variable.numpy().copy() for variable in self.variables])

    def optimizer_state(self) -> list[Array]:
        return [variable.numpy().copy() for variable in self.optimizer.variables]

    def state(self) -> list[Array]:
        """Copy all that training changes."""
        return [variable.numpy().copy() for variable in self._changing()]

    def set_state(self, state: Sequence[Array]) -> None:
        """Undo what happened since `state` was called."""
        for variable, value in zip(self._changing(), state, strict=True):
            variable.assign(value)

    def _changing(self) -> list[Any]:
        return [*self.variables, *self.optimizer.variables, *self.model.metrics_variables]

    def metrics(self) -> dict[str, float]:
        """Return the metrics since the last call, and start them anew."""
        if not self.has_metrics:
            return {}
        results = self.model.get_metrics_result()
        self.model.reset_metrics()
        return {name: float(value) for name, value in results.items() if name != "loss"}

    def _train(
        self,
        inputs: Tensor,
        targets: Tensor,
        weight: Tensor,
        learning_rates: Tensor,
        n_steps: Tensor,
    ) -> Tensor:
        """Train on ``n_steps`` mini-batches; return the sum of each one's weighted losses."""
        self.n_traces += 1

        def step(i: Tensor) -> Tensor:
            loss, gradients = self._loss_and_gradients(
                inputs[i], targets[i], weight[i], tf.reduce_sum(weight[i])
            )
            # An update that waits for the loss is one that XLA makes in place: the loss reads the
            # last biases.  It would copy all weights in each step otherwise.
            rate = tf.where(tf.math.is_finite(loss), learning_rates[i], 0.0)
            self.optimizer.learning_rate.assign(rate)
            tf.distribute.get_replica_context().merge_call(self._apply, args=(gradients,))
            return loss

        return run_steps(step, n_steps, weight)

    def _apply(self, _: object, gradients: Sequence[Tensor]) -> None:
        """Apply gradients outside of the replica, where Keras does not sum them over replicas.

        That sum registers a gradient of its own with TensorFlow for good, and its closure
        would keep the program's whole graph, 5 MB, beyond the program.
        """
        self.optimizer.apply(gradients, self.variables)

    def _evaluate(self, inputs: Tensor, targets: Tensor, weight: Tensor, n_steps: Tensor) -> Tensor:
        """Sum of the weighted losses of each of ``n_steps`` mini-batches."""
        values = self._values()

        def step(i: Tensor) -> Tensor:
            z, _ = self._logits(values, inputs[i])
            return self._loss(z, inputs[i], targets[i], weight[i])[0]

        return run_steps(step, n_steps, weight)

    def _values(self) -> list[Tensor]:
        """Read the weights; in a strategy's scope, the replica's copies of them."""
        return [tf.convert_to_tensor(variable.value) for variable in self.variables]

    def _loss_and_gradients(
        self, inputs: Tensor, targets: Tensor, weight: Tensor, total_weight: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Sum of the rows' weighted losses, and the gradients of it over the total weight."""
        z, gradients_by = self._logits(self._values(), inputs)
        loss, slope = self._loss(z, inputs, targets, weight)
        return loss, self.layout.gradients(gradients_by(slope / total_weight))

    def _logits(
        self, values: Sequence[Tensor], inputs: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
        weights, activations = self.layout.tensors(values), self._activations[:-1]
        return logits(weights, activations, inputs, self._compute_dtype)

    def _loss(
        self, z: Tensor, inputs: Tensor, targets: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sum of a mini-batch's weighted losses, and its gradient by the logits."""
        if self.has_metrics:
            self.model.compute_metrics(inputs, targets, self._activations[-1](z), weight)
        losses, slopes = self._row_losses(targets, z)
        return tf.reduce_sum(losses * weight), slopes * weight[:, None]


def in_place(array: Array | Tensor) -> Tensor:
    """Show TensorFlow an array, whose memory it would copy otherwise.

    A copy of each chunk costs a sixth of an epoch.  The array has to be aligned, and to stay as
    it is until the program has run.  What is a tensor already remains what it is.
    """
    if not isinstance(array, np.ndarray):
        return array
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def run_steps(step: Callable[[Tensor], Tensor], n_steps: Tensor, weight: Tensor) -> Tensor:
    """Call ``step(i)`` for each of ``n_steps`` mini-batches; return the losses that it returns.

    They are as many as ``weight`` has mini-batches, and zero where there was no step.
    """
    losses = tf.TensorArray(tf.float32, tf.shape(weight)[0], element_shape=())

    def body(i: Tensor, losses: Any) -> tuple[Tensor, Any]:
        return i + 1, losses.write(i, step(i))

    return tf.while_loop(lambda i, _: i < n_steps, body, (0, losses))[1].stack()
