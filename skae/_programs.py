"""Compiled training programs."""

import functools
import threading

import numpy as np

from skae._keras import build_metrics, compiled_autoencoder, row_losses, tf

CHUNK_BYTES = 1 << 24
MAX_CHUNK_STEPS = 256
N_STEPS = tf.TensorSpec((), tf.int32)


def chunk_steps(architecture):
    """How many mini-batches go to the program at once: 16 MiB of rows, at most 256 batches."""
    batch_bytes = 4 * architecture.batch_size * architecture.n_features
    return int(np.clip(CHUNK_BYTES // batch_bytes, 1, MAX_CHUNK_STEPS))


def pays_for_xla(architecture, n_rows, epochs):
    """Whether a fit is long enough to win back the time that XLA takes to compile.

    Against a plain graph XLA saves some 0.2 ms a step, since it runs the step's hundreds of
    small operations as one, and 2 ps a floating-point operation; it costs about 0.8 s.
    The rule looks at the fit alone, not at what is compiled already: the same call must
    give the same bits whatever ran before it.
    """
    steps = epochs * -(-n_rows // architecture.batch_size)
    flops = 6 * epochs * n_rows * architecture.n_parameters
    return steps * 2e-4 + flops * 2e-12 > 0.8


class Program:
    """One architecture's variables and its compiled steps.

    The variables are scratch: every fit sets them under the lock, trains, and copies the
    weights out.
    """

    def __init__(self, architecture, jit):
        self.lock = threading.Lock()
        self.model = compiled_autoencoder(architecture)
        self.optimizer = self.model.optimizer
        self.optimizer.build(self.model.trainable_variables)
        self.has_metrics = bool(architecture.metrics)
        if self.has_metrics:
            build_metrics(self.model)
        self.initial_state = [variable.numpy().copy() for variable in self.optimizer.variables]
        self.chunk_steps = chunk_steps(architecture)
        self.jit = jit
        self.n_traces = 0
        self._row_losses = row_losses(self.model)
        # XLA compiles one shape, to which a last, shorter chunk is padded; a graph takes any
        steps = self.chunk_steps if jit else None
        self._batches = tf.TensorSpec((steps, architecture.batch_size, architecture.n_features))
        self._weight = tf.TensorSpec((steps, architecture.batch_size))
        self._rates = tf.TensorSpec((steps,))

    @functools.cached_property
    def train(self):
        """The compiled `_train`.

        A concrete function, as TensorFlow takes the first traces of several ``tf.function`` of
        one method for retraces, and warns.
        """
        return tf.function(self._train, jit_compile=self.jit).get_concrete_function(
            self._batches, self._batches, self._weight, self._rates, N_STEPS
        )

    @functools.cached_property
    def evaluate(self):
        """The compiled `_evaluate`."""
        return tf.function(self._evaluate, jit_compile=self.jit).get_concrete_function(
            self._batches, self._batches, self._weight, N_STEPS
        )

    def reset(self, weights, optimizer_state=None):
        """Set every variable that training changes."""
        for variable, value in zip(self.model.trainable_variables, weights, strict=True):
            variable.assign(value)
        state = self.initial_state if optimizer_state is None else optimizer_state
        for variable, value in zip(self.optimizer.variables, state, strict=True):
            variable.assign(value)
        self.model.reset_metrics()

    def finish(self):
        """End training, where an optimizer may put averaged weights in place."""
        self.optimizer.finalize_variable_values(self.model.trainable_variables)

    def weights(self):
        return [variable.numpy().copy() for variable in self.model.trainable_variables]

    def optimizer_state(self):
        return [variable.numpy().copy() for variable in self.optimizer.variables]

    def metrics(self):
        """Return the metrics since the last call, and start them anew."""
        if not self.has_metrics:
            return {}
        results = self.model.get_metrics_result()
        self.model.reset_metrics()
        return {name: float(value) for name, value in results.items() if name != "loss"}

    def _train(self, inputs, targets, weight, learning_rates, n_steps):
        """Train on ``n_steps`` mini-batches; return the sum of the rows' weighted losses."""
        self.n_traces += 1
        variables = self.model.trainable_variables
        total = tf.constant(0.0)
        for step in tf.range(n_steps):
            self.optimizer.learning_rate.assign(learning_rates[step])
            with tf.GradientTape() as tape:
                loss = self._loss(inputs[step], targets[step], weight[step], training=True)
                mean = loss / tf.reduce_sum(weight[step])
            self.optimizer.apply(tape.gradient(mean, variables), variables)
            total += loss
        return total

    def _evaluate(self, inputs, targets, weight, n_steps):
        """Sum of the rows' weighted losses over ``n_steps`` mini-batches."""
        total = tf.constant(0.0)
        for step in tf.range(n_steps):
            total += self._loss(inputs[step], targets[step], weight[step], training=False)
        return total

    @tf.autograph.experimental.do_not_convert  # the user's functions run as written, as in Keras
    def _loss(self, inputs, targets, weight, training):
        outputs = self.model(inputs, training=training)
        losses = self._row_losses(targets, outputs)
        if self.has_metrics:
            self.model.compute_metrics(inputs, targets, outputs, weight)
        return tf.reduce_sum(losses * weight)
