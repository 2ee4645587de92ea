"""Penalties against ``Model.fit`` of Keras models with regularizers."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose
from specs import make_spec, random_weights

from skae._engine.limits import Limits
from skae._estimators.describe import PENALTIES
from skae._rows.rows import Rows
from skae._training.fit import train
from skae._training.plan import Plan, State
from skae._training.seeds import Stream, generator

SEED, BATCH = 7, 16
CASES = {
    "alpha": {"alpha": 0.05},
    "code_penalty": {"code_penalty": 0.3},
    "both": {"alpha": 0.02, "code_penalty": 0.1},
    "contraction": {"contraction": 0.2},
}


@pytest.fixture(scope="module")
def X():
    """48 rows: three full batches.  The first 40 rows have a last batch of 8."""
    return np.random.default_rng(0).uniform(0.1, 0.9, (48, 6)).astype(np.float32)


def penalised_spec(names, **changes):
    penalties = tuple(penalty for name, penalty in PENALTIES.items() if name in names)
    return make_spec(penalties=penalties, **{"batch_size": BATCH, "dropout": 0.0} | changes)


def train_with_skae(spec, X, strengths, *, rate, epochs=3, weight=None, jit=False, **kwargs):
    plan = Plan(epochs, spec.optimizer, rate, "constant", SEED, strengths=tuple(strengths))
    rows = Rows(X, None, weight, np.arange(len(X)))
    start = State(random_weights(spec.network))
    return train(spec, rows, plan, start=start, limits=Limits(xla=jit), **kwargs)


def activity_factor(n_rows):
    """Return Keras' penalty of an activity, for each unit of the mean over the rows.

    Newer versions of Keras divide the penalty of a batch by its number of rows; 3.13 does not.
    """
    layer = keras.layers.Activation("linear", activity_regularizer=keras.regularizers.L1(1.0))
    layer(tf.ones((n_rows, 3)))
    return float(layer.losses[0]) / 3


class Contractive(keras.Sequential):
    """A Keras model whose loss has the contractive penalty, from TensorFlow's own Jacobian."""

    contraction, n_encoder_layers = 0.0, 0

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not self.contraction:
            return loss
        with tf.GradientTape() as tape:
            tape.watch(x)
            code = functools.reduce(lambda h, f: f(h), self.layers[: self.n_encoder_layers], x)
        squares = tf.reduce_sum(tf.square(tape.batch_jacobian(code, x)), axis=(1, 2))
        return loss + self.contraction * tf.reduce_mean(squares)


def keras_model(spec, n_rows, alpha=0.0, code_penalty=0.0, contraction=0.0):
    """Make the network from Keras' own layers and regularizers, for batches of ``n_rows``."""
    model = Contractive([keras.Input((spec.network.n_features,))])
    model.contraction, model.n_encoder_layers = contraction, spec.network.n_encoder_layers
    for place, layer in enumerate(spec.network.layers):
        activity = None
        if code_penalty and place == spec.network.n_encoder_layers - 1:
            activity = keras.regularizers.L1(code_penalty / activity_factor(n_rows))
        kernel = keras.regularizers.L2(alpha) if alpha else None
        options = {"kernel_regularizer": kernel, "activity_regularizer": activity}
        model.add(keras.layers.Dense(layer.n_outputs, layer.activation, **options))
    model.set_weights(random_weights(spec.network))
    return model


def train_with_keras(spec, X, *, rate, epochs=3, X_val=None, batch_size=BATCH, **penalties):
    """Train on the batches of skae, in the same order; return the weights and the history."""
    model = keras_model(spec, batch_size, **penalties)
    model.compile(keras.optimizers.get(spec.optimizer), spec.objective.loss)
    model.optimizer.learning_rate = rate
    history = {}
    for epoch in range(epochs):
        order = generator(SEED, Stream.ORDER, epoch).permutation(len(X))
        validation = None if X_val is None else (X_val, X_val)
        record = model.fit(
            X[order], X[order], batch_size, verbose=0, shuffle=False, validation_data=validation
        )
        for name, values in record.history.items():
            history.setdefault(name, []).extend(values)
    return model.get_weights(), history


def assert_same(result, theirs):
    weights, history = theirs
    for array, same in zip(result.weights, weights, strict=True):
        assert_allclose(array, same, rtol=1e-4, atol=1e-5)
    for name, values in history.items():
        assert_allclose(result.history[name], values, rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.3), ("adam", 0.02)])
@pytest.mark.parametrize("case", CASES)
def test_penalties_match_keras_regularizers(case, optimizer, rate, jit, X):
    """Weights, ``loss`` and ``val_loss`` are those of ``Model.fit``."""
    penalties = CASES[case]
    spec = penalised_spec(penalties, optimizer=optimizer)
    X_val, X = X[:32], X[:40] if case == "alpha" else X
    validation = Rows(X_val, None, None, np.arange(len(X_val)))
    params = {"rate": rate, "jit": jit}
    ours = train_with_skae(spec, X, penalties.values(), validation=validation, **params)
    assert_same(ours, train_with_keras(spec, X, rate=rate, X_val=X_val, **penalties))

    plain = train_with_skae(penalised_spec(()), X, (), rate=rate)
    assert abs(plain.weights[0] - ours.weights[0]).max() > 1e-3


@pytest.mark.parametrize("loss", ["binary_crossentropy", "log_cosh"])
@pytest.mark.parametrize("code_activation", ["relu", "tanh"])
@pytest.mark.parametrize("hidden", [(), (7, 5)])
def test_penalties_of_other_networks(hidden, code_activation, loss, X):
    """The penalty is that of the code after its activation, and of all kernels."""
    changes = {"code_activation": code_activation, "loss": loss, "hidden_layer_sizes": hidden}
    spec = penalised_spec(CASES["both"], output_activation="sigmoid", **changes)
    ours = train_with_skae(spec, X, CASES["both"].values(), rate=0.3)
    assert_same(ours, train_with_keras(spec, X, rate=0.3, **CASES["both"]))


@pytest.mark.parametrize("case", CASES)
def test_row_weights_count_rows(case, X):
    """A row of weight 2 is penalised like two equal rows."""
    penalties = CASES[case]
    weight = np.random.default_rng(1).integers(0, 4, len(X))
    used = np.flatnonzero(weight)
    repeated = np.repeat(X, weight, axis=0)
    spec = penalised_spec(penalties, batch_size=len(repeated))
    ours = train_with_skae(
        spec, X[used], penalties.values(), rate=0.3, weight=weight[used].astype(np.float32)
    )
    assert_same(
        ours, train_with_keras(spec, repeated, rate=0.3, batch_size=len(repeated), **penalties)
    )


def test_estimator_passes_its_penalties(make_autoencoder, X):
    """``alpha`` shrinks the kernels, and ``code_penalty`` the codes."""
    params = {"optimizer": "adam", "loss": "mean_squared_error", "learning_rate": 0.01}
    params |= {"epochs": 30, "batch_size": 8, "n_components": 3}
    plain = make_autoencoder(**params).fit(X)
    decayed = make_autoencoder(alpha=0.1, **params).fit(X)
    sparse = make_autoencoder(code_penalty=1.0, **params).fit(X)

    kernels = [np.square(fitted._network.weights[0]).sum() for fitted in (plain, decayed)]
    assert kernels[1] < 0.5 * kernels[0]
    codes = [np.abs(fitted.transform(X)).mean() for fitted in (plain, sparse)]
    assert codes[1] < 0.1 * codes[0]
