"""The loop over epochs agrees with Keras: the same weights after the same batches."""

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skae import GaussianNoise
from skae._engine.cache import ProgramCache
from skae._engine.limits import Limits
from skae._engine.muon import Muon
from skae._network.spec import dense_autoencoder
from skae._rows.rows import Rows
from skae._training.fit import train
from skae._training.plan import Plan, columns
from skae._training.seeds import Stream, generator
from skae._training.start import initial_weights
from skae._training.watchers.base import Watcher
from tests.specs import make_spec

N_ROWS, N_FEATURES, BATCH, EPOCHS, RATE, SEED = 80, 12, 32, 2, 0.01, 7  # the last batch: 16 rows


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).uniform(size=(N_ROWS, N_FEATURES)).astype(np.float32)


@pytest.fixture(params=[False, True], ids=["graph", "xla"])
def limits(request):
    return Limits(xla=request.param)


def describe(**changes):
    defaults = {
        "n_features": N_FEATURES, "hidden_layer_sizes": (8,), "n_components": 3,
        "optimizer": "adam", "loss": "binary_crossentropy", "output_activation": "sigmoid",
        "batch_size": BATCH,
    }  # fmt: skip
    return make_spec(**(defaults | changes))


MSE = {"output_activation": "linear", "loss": "mean_squared_error"}


def make_plan(**kwargs):
    defaults = {
        "epochs": EPOCHS, "optimizer": "adam", "learning_rate": RATE, "schedule": "constant",
        "seed": SEED,
    }  # fmt: skip
    return Plan(**(defaults | kwargs))


def make_rows(X, weight=None, targets=None):
    return Rows(X, targets, weight, np.arange(X.shape[0]))


def fit_with_keras(spec, X, optimizer, **compile_kwargs):
    """Train with ``Model.fit``, on the batches that skae draws for each epoch."""
    model = keras.Sequential(
        [keras.Input((N_FEATURES,))]
        + [keras.layers.Dense(layer.n_outputs, layer.activation) for layer in spec.network.trained]
    )
    model.set_weights(initial_weights(spec.network, SEED))
    model.compile(optimizer, spec.objective.loss, run_eagerly=True, **compile_kwargs)
    history = {}
    for epoch in range(EPOCHS):
        order = generator(SEED, Stream.ORDER, epoch).permutation(len(X))
        record = model.fit(
            X[order], X[order], batch_size=BATCH, shuffle=False, verbose=0,
            validation_data=(X[:50] / 2, X[:50] / 2), validation_batch_size=BATCH,
        ).history  # fmt: skip
        for name, values in record.items():
            history.setdefault(name, []).extend(values)
    return model.get_weights(), history


def assert_same_weights(result, weights):
    for ours, same in zip(result.weights, weights, strict=True):
        assert_array_equal(ours, same)


def assert_close_weights(result, weights):
    for ours, theirs in zip(result.weights, weights, strict=True):
        assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)


# ---------------------------------------------------------------------- agreement with Keras

K = keras.optimizers
OPTIMIZERS = [K.Adam, K.SGD, K.Adadelta, K.Lion, Muon]  # compiling takes a second each


# tests/promises/test_truths.py has all optimizers and losses of Keras as plain graphs.
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_xla_matches_model_fit(optimizer, X):
    spec = describe(optimizer=optimizer)
    result = train(spec, make_rows(X), make_plan(), limits=Limits(xla=True))
    weights, history = fit_with_keras(spec, X, optimizer(RATE))

    assert_close_weights(result, weights)
    for ours, start in zip(result.weights, initial_weights(spec.network, SEED), strict=True):
        assert not np.allclose(ours, start, rtol=1e-5, atol=1e-8)
    assert_allclose(result.history["loss"], history["loss"], rtol=1e-4)


@pytest.mark.parametrize(
    ("output", "loss", "xla"),
    [
        ("linear", "mean_squared_error", True),
        ("sigmoid", "binary_crossentropy", True),
        ("sigmoid", "binary_crossentropy", False),
        ("softmax", "kl_divergence", False),
    ],
)
def test_validation_matches_model_fit(output, loss, xla, X):
    spec = describe(output_activation=output, loss=loss)
    result = train(
        spec, make_rows(X), make_plan(), validation=make_rows(X[:50] / 2), limits=Limits(xla=xla)
    )
    weights, history = fit_with_keras(spec, X, K.Adam(RATE))

    assert_close_weights(result, weights)
    assert_allclose(result.history["loss"], history["loss"], rtol=1e-4)
    assert_allclose(result.history["val_loss"], history["val_loss"], rtol=1e-4)


def test_schedule_matches_model_fit(X):
    """Every step has the learning rate that a Keras schedule gives it."""
    decay = K.schedules.ExponentialDecay(1.0, 1, 0.5)
    spec = describe(optimizer="sgd")
    result = train(spec, make_rows(X), make_plan(learning_rate="auto", schedule=decay))
    weights, history = fit_with_keras(spec, X, K.SGD(decay))

    assert_close_weights(result, weights)
    assert_allclose(result.history["loss"], history["loss"], rtol=1e-5)


def test_metrics_match_model_fit(X):
    names = ("mean_squared_error", "accuracy")
    spec = describe(metrics=names)
    result = train(spec, make_rows(X), make_plan(), validation=make_rows(X[:50] / 2))
    _, history = fit_with_keras(spec, X, K.Adam(RATE), metrics=list(names))

    for name in (*names, *(f"val_{name}" for name in names)):
        assert_allclose(result.history[name], history[name], rtol=1e-4, err_msg=name)


def test_loss_may_be_a_function(X):
    def squared(y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)

    result = train(describe(output_activation="linear", loss=squared), make_rows(X), make_plan())
    weights, _ = fit_with_keras(describe(output_activation="linear", loss=squared), X, K.Adam(RATE))

    assert_close_weights(result, weights)


# ---------------------------------------------------------------------- chunks and epochs


def test_averaged_weights_are_the_result(X):
    """An optimizer that averages the weights leaves the average behind."""
    options = (("ema_momentum", 0.5), ("use_ema", True))
    plan = make_plan(learning_rate=1.0, epochs=1)
    last = train(describe(optimizer=K.SGD), make_rows(X), plan).weights
    mean = train(describe(optimizer=K.SGD, optimizer_options=options), make_rows(X), plan).weights

    assert not np.allclose(mean[0], last[0], atol=1e-5)


def test_storage_changes_no_bit(limits, X):
    spec = describe()
    expected = train(spec, make_rows(X), make_plan(), limits=limits).weights
    for stored in (X.astype(np.float64), np.asfortranarray(X), sparse.csr_array(X)):
        assert_same_weights(train(spec, make_rows(stored), make_plan(), limits=limits), expected)


def test_chunks_keep_the_order(limits, X):
    """Rows that need several chunks are trained on in the same order as in one chunk."""
    spec, plan = (
        describe(**MSE),
        make_plan(schedule="cosine", learning_rate=0.1),
    )
    whole = train(spec, make_rows(X), plan, limits=limits).weights
    in_parts = train(spec, make_rows(X), plan, limits=replace(limits, max_chunk_steps=2))

    for ours, same in zip(in_parts.weights, whole, strict=True):
        assert_allclose(ours, same, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("corruption", [None, GaussianNoise(0.5)])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_epochs_at_once_change_no_bit(corruption, dropout, X):
    """Five epochs of three steps have the same bits by one call, by two calls and by five."""
    weight = np.random.default_rng(1).uniform(0.5, 2, N_ROWS).astype(np.float32)
    rows, plan = make_rows(X, weight), make_plan(epochs=5, schedule="cosine", corruption=corruption)
    spec = describe(dropout=dropout)

    def fit(limits):
        calls, programs = [], ProgramCache()
        with programs.borrow(spec, False, None, limits) as program:
            train_chunk = program.train
            program.train = lambda *args, **kwargs: (
                calls.append(kwargs["n_steps"]) or train_chunk(*args, **kwargs)
            )
        return train(spec, rows, plan, limits=limits, programs=programs), calls

    together, calls = fit(Limits(xla=False))
    assert calls == [15]
    for n_bytes, expected in ((0, [3] * 5), (4 * 9 * BATCH * N_FEATURES, [9, 6])):
        result, calls = fit(Limits(xla=False, epochs_bytes=n_bytes))
        assert calls == expected
        assert result.history == together.history
        assert_same_weights(result, together.weights)


def test_watched_epochs_come_one_by_one(X):
    """A watcher is told of every epoch, though nothing else asks for single epochs."""

    class Record(Watcher):
        def __init__(self):
            self.epochs, self.n_rows = [], 0

        def begin_epoch(self, epoch):
            self.epochs.append(epoch)

        def see_rows(self, n_rows):
            self.n_rows += n_rows

    record = Record()
    result = train(describe(), make_rows(X), make_plan(epochs=4), watchers=[record])
    unwatched = train(describe(), make_rows(X), make_plan(epochs=4))

    assert record.epochs == [0, 1, 2, 3]
    assert record.n_rows == 4 * 3 * BATCH
    assert_same_weights(result, unwatched.weights)


# ---------------------------------------------------------------------- random networks


def test_dropout_depends_on_the_seed(limits, X):
    """Each seed, epoch and step drops other units, and a fit can be repeated."""
    spec, rows = describe(dropout=0.5), make_rows(X)
    first, again = (train(spec, rows, make_plan(), limits=limits) for _ in range(2))
    without = train(describe(), rows, make_plan(), limits=limits)

    assert_same_weights(again, first.weights)
    assert not np.allclose(first.weights[0], without.weights[0], atol=1e-4)


def test_dropout_seeds_differ(X):
    spec, seeds, programs = describe(dropout=0.5), [], ProgramCache()
    with programs.borrow(spec, False, None, Limits(xla=False)) as program:
        train_chunk = program.train
        program.train = lambda *args, **kwargs: (
            seeds.append(kwargs["seeds"]) or train_chunk(*args, **kwargs)
        )
    train(spec, make_rows(X), make_plan(), limits=Limits(xla=False), programs=programs)

    (drawn,) = seeds  # of two epochs with three steps each
    assert drawn.shape == (6, 2)
    assert drawn.dtype == np.int32
    assert len(np.unique(drawn)) == 12


# ---------------------------------------------------------------------- results and errors


@pytest.mark.parametrize("epochs_bytes", [0, 1 << 23])
def test_diverging_fit_names_the_epoch(epochs_bytes, X):
    def explode(step):
        return 1e30 if step == 3 else 0.01  # the first of three steps in the second epoch

    with pytest.raises(ValueError, match="in epoch 2, at"):
        train(
            describe(**MSE, optimizer="sgd"),
            make_rows(X),
            make_plan(epochs=4, learning_rate="auto", schedule=explode),
            limits=Limits(epochs_bytes=epochs_bytes),
        )


def test_initial_weights_follow_glorot():
    network = dense_autoencoder(
        300, (200,), 3, activation="tanh", code_activation="linear", output_activation="linear"
    )
    weights = initial_weights(network, 0)
    kernels, biases = weights[::2], weights[1::2]

    limit = np.sqrt(6 / 500)
    assert abs(kernels[0]).max() <= limit
    assert kernels[0].std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert abs(kernels[0].mean()) < 5 * limit / np.sqrt(3 * kernels[0].size)
    assert not any(bias.any() for bias in biases)


def test_results_own_their_memory(X):
    """A later fit by the same program leaves the weights of an earlier result unchanged."""
    first = train(describe(), make_rows(X), make_plan())
    copies = [weight.copy() for weight in first.weights]
    train(describe(), make_rows(X), make_plan(seed=1))

    assert_same_weights(first, copies)


def test_loss_must_be_per_row(X):
    def overall(y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2)

    with pytest.raises(ValueError, match=r"^loss must return one value for each row.*shape \(\)"):
        train(describe(output_activation="linear", loss=overall), make_rows(X), make_plan())


# ---------------------------------------------------------------------- history


def test_columns_fill_gaps():
    records = [{"loss": 2.0}, {"loss": 1.0, "extra": 5.0}]

    assert_array_equal(columns(records)["extra"], [np.nan, 5.0])
    assert list(columns(records)) == ["loss", "extra"]


def test_history_lines_up_after_warm_start(make_autoencoder, X):
    """Epochs without validation have NaN, so that the history makes a table."""
    estimator = make_autoencoder(epochs=2, warm_start=True).fit(X)
    estimator.fit(X, X_val=X[:40]).fit(X)
    table = pd.DataFrame(estimator.history_)

    assert len(table) == estimator.n_iter_ == 6
    assert table["val_loss"].isna().tolist() == [True, True, False, False, True, True]
    assert table["loss"].notna().all()
