"""JAX: a whole epoch as one ``lax.scan``, with Adam written out and all state donated.

It returns the epoch's mean loss, as every contestant does.
"""

from functools import partial

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from benchmarks.contestants.network import BATCH, shapes
from benchmarks.data import errors

RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7  # Keras' Adam


def logits(weights, rows):
    for kernel, bias in weights[:-1]:
        rows = jax.nn.relu(rows @ kernel + bias)
    kernel, bias = weights[-1]
    return rows @ kernel + bias


def mean_loss(weights, rows, weight):
    z = logits(weights, rows)
    losses = jnp.mean(jnp.maximum(z, 0) - z * rows + jnp.log1p(jnp.exp(-jnp.abs(z))), axis=1)
    return jnp.sum(losses * weight) / jnp.sum(weight)


def adam(weights, means, squares, step, gradients):
    means = jax.tree.map(lambda m, g: m + (1 - BETA_1) * (g - m), means, gradients)
    squares = jax.tree.map(lambda s, g: s + (1 - BETA_2) * (g * g - s), squares, gradients)
    rate = RATE * jnp.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
    weights = jax.tree.map(
        lambda w, m, s: w - rate * m / (jnp.sqrt(s) + EPSILON), weights, means, squares
    )
    return weights, means, squares


@partial(jax.jit, donate_argnums=0)
def epoch(state, X, index, weight):
    def one_step(state, batch):
        weights, means, squares, step = state
        rows, weight = batch
        loss, gradients = jax.value_and_grad(mean_loss)(weights, X[rows], weight)
        step += 1
        return (*adam(weights, means, squares, step, gradients), step), loss * jnp.sum(weight)

    state, losses = lax.scan(one_step, state, (index, weight))
    return state, jnp.sum(losses) / jnp.sum(weight)


class Training:
    def __init__(self, X, X_test):
        self.rng = np.random.default_rng(0)
        self.X, self.X_test, self.history = jnp.asarray(X), X_test, []
        weights = [self._layer(*shape) for shape in shapes(X.shape[1])]
        zeros = jax.tree.map(jnp.zeros_like, weights)
        self.state = (weights, zeros, jax.tree.map(jnp.copy, zeros), jnp.float32(0))

    def _layer(self, rows, columns):
        limit = np.sqrt(6 / (rows + columns))
        kernel = self.rng.uniform(-limit, limit, (rows, columns))
        return jnp.asarray(kernel, jnp.float32), jnp.zeros(columns)

    def epochs(self, n):
        steps = -(-len(self.X) // BATCH)
        index = np.zeros(steps * BATCH, np.int32)
        weight = np.arange(steps * BATCH) < len(self.X)  # the last batch is filled up
        weight = weight.astype(np.float32).reshape(steps, BATCH)
        for _ in range(n):
            index[: len(self.X)] = self.rng.permutation(len(self.X))
            self.state, loss = epoch(self.state, self.X, index.reshape(steps, BATCH), weight)
            self.history.append(float(loss))
        jax.block_until_ready(self.state)

    def errors(self):
        return errors(self.X_test, np.asarray(jax.nn.sigmoid(logits(self.state[0], self.X_test))))
