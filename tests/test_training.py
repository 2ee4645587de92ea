"""The engine against plain Keras: the same weights after the same batches."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skae import _programs, _training
from skae._architecture import Architecture
from skae._cache import ProgramCache
from skae._keras import initial_weights
from skae._muon import Muon
from skae._records import Plan, Rows
from skae._training import train

N_ROWS, N_FEATURES, BATCH, EPOCHS, RATE, SEED = 80, 12, 32, 2, 0.01, 7  # the last batch: 16 rows


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).uniform(size=(N_ROWS, N_FEATURES)).astype(np.float32)


@pytest.fixture(params=[False, True], ids=["graph", "xla"])
def jit(request, monkeypatch):
    monkeypatch.setattr(_training, "pays_for_xla", lambda *_: request.param)


def describe(output="sigmoid", loss="binary_crossentropy", optimizer="adam", metrics=()):
    return Architecture(
        n_features=N_FEATURES, hidden_layer_sizes=(8,), n_components=3, activation="tanh",
        code_activation="linear", output_activation=output, loss=loss, optimizer=optimizer,
        metrics=metrics, options=(), batch_size=BATCH,
    )  # fmt: skip


def plan(**kwargs):
    defaults = {
        "epochs": EPOCHS, "optimizer": "adam", "learning_rate": RATE, "schedule": "constant",
        "seed": SEED,
    }  # fmt: skip
    return Plan(**(defaults | kwargs))


def as_rows(X, weight=None, targets=None):
    return Rows(X, targets, weight, np.arange(X.shape[0]))


def keras_fit(architecture, X, optimizer, **compile_kwargs):
    """Train by ``Model.fit``, on the batches of skae: its order is drawn for each epoch."""
    model = keras.Sequential(
        [keras.Input((N_FEATURES,))]
        + [
            keras.layers.Dense(units, activation)
            for units, activation in zip(
                architecture.layer_sizes[1:], architecture.activations, strict=True
            )
        ]
    )
    model.set_weights(initial_weights(architecture, SEED))
    model.compile(optimizer, architecture.loss, run_eagerly=True, **compile_kwargs)
    history = {}
    for epoch in range(EPOCHS):
        order = np.random.default_rng([SEED, epoch]).permutation(len(X))
        record = model.fit(
            X[order], X[order], batch_size=BATCH, shuffle=False, verbose=0,
            validation_data=(X[:50] / 2, X[:50] / 2), validation_batch_size=BATCH,
        ).history  # fmt: skip
        for name, values in record.items():
            history.setdefault(name, []).extend(values)
    return model.get_weights(), history


K = keras.optimizers
XLA = [K.Adam, K.SGD, K.Adadelta, K.Lion, Muon]  # compiling takes a second each


# As plain graphs, all of Keras' optimizers and losses are in tests/test_truths.py
@pytest.mark.parametrize(("optimizer", "jit"), [(kind, True) for kind in XLA], indirect=["jit"])
def test_training_by_xla_is_that_of_model_fit(optimizer, jit, X):
    architecture = describe(optimizer=optimizer)
    result = train(architecture, as_rows(X), plan())
    weights, history = keras_fit(architecture, X, optimizer(RATE))

    for ours, theirs, start in zip(
        result.weights, weights, initial_weights(architecture, SEED), strict=True
    ):
        assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)
        assert not np.allclose(ours, start, rtol=1e-5, atol=1e-8)
    assert_allclose(result.history["loss"], history["loss"], rtol=1e-4)


@pytest.mark.parametrize(
    ("output", "loss", "jit"),
    [
        ("linear", "mean_squared_error", True),
        ("sigmoid", "binary_crossentropy", True),
        ("sigmoid", "binary_crossentropy", False),
        ("softmax", "kl_divergence", False),
    ],
    indirect=["jit"],
)
def test_training_and_validation_are_those_of_model_fit(output, loss, jit, X):
    architecture = describe(output, loss)
    result = train(architecture, as_rows(X), plan(), validation=as_rows(X[:50] / 2))
    weights, history = keras_fit(architecture, X, K.Adam(RATE))

    for ours, theirs in zip(result.weights, weights, strict=True):
        assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)
    assert_allclose(result.history["loss"], history["loss"], rtol=1e-4)
    assert_allclose(result.history["val_loss"], history["val_loss"], rtol=1e-4)


def test_every_step_has_the_rate_of_the_schedule_as_in_model_fit(X):
    decay = K.schedules.ExponentialDecay(1.0, 1, 0.5)
    architecture = describe(optimizer="sgd")
    result = train(architecture, as_rows(X), plan(learning_rate="auto", schedule=decay))
    weights, history = keras_fit(architecture, X, K.SGD(decay))

    for ours, theirs in zip(result.weights, weights, strict=True):
        assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)
    assert_allclose(result.history["loss"], history["loss"], rtol=1e-5)


def test_metrics_are_those_of_model_fit(X):
    names = ("mean_squared_error", "accuracy")
    architecture = describe(metrics=names)
    result = train(architecture, as_rows(X), plan(), validation=as_rows(X[:50] / 2))
    _, history = keras_fit(architecture, X, K.Adam(RATE), metrics=list(names))

    for name in (*names, *(f"val_{name}" for name in names)):
        assert_allclose(result.history[name], history[name], rtol=1e-4, err_msg=name)


def test_averaged_weights_are_put_in_place_at_the_end(X):
    options = {"use_ema": True, "ema_momentum": 0.5}
    architecture = describe(optimizer=K.SGD)
    averaged = Architecture(
        **{
            **vars(architecture),
            "options": tuple((f"optimizer__{k}", v) for k, v in options.items()),
        }
    )
    last = train(architecture, as_rows(X), plan(learning_rate=1.0, epochs=1)).weights
    mean = train(averaged, as_rows(X), plan(learning_rate=1.0, epochs=1)).weights

    assert not np.allclose(mean[0], last[0], atol=1e-5)


@pytest.mark.usefixtures("jit")
def test_the_graph_does_not_depend_on_how_the_rows_are_stored(X):
    architecture = describe()
    expected = train(architecture, as_rows(X), plan()).weights
    for stored in (X.astype(np.float64), np.asfortranarray(X), sparse.csr_array(X)):
        for ours, same in zip(
            train(architecture, as_rows(stored), plan()).weights, expected, strict=True
        ):
            assert_array_equal(ours, same)


@pytest.mark.usefixtures("jit")
def test_a_fit_of_several_chunks_is_that_of_one(X, monkeypatch):
    """Rows that do not fit into one chunk are trained on in the same order."""

    architecture = describe("linear", "mean_squared_error")
    rates = {"schedule": "cosine", "learning_rate": 0.1}
    whole = train(architecture, as_rows(X), plan(**rates)).weights
    monkeypatch.setattr(_programs, "MAX_CHUNK_STEPS", 2)
    monkeypatch.setattr(_training, "programs", ProgramCache())
    in_parts = train(architecture, as_rows(X), plan(**rates)).weights

    for ours, same in zip(in_parts, whole, strict=True):
        assert_allclose(ours, same, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("noise_scale", [None, 0.5])
def test_epochs_that_go_to_the_program_together_are_those_that_go_by_themselves(
    noise_scale, X, monkeypatch
):
    """The same bits.  Five epochs of three steps: three at once, then two."""
    weight = np.random.default_rng(1).uniform(0.5, 2, N_ROWS).astype(np.float32)
    rows, noisy = as_rows(X, weight), plan(epochs=5, schedule="cosine", noise_scale=noise_scale)
    calls = []

    def fit():
        cache = ProgramCache()
        monkeypatch.setattr(_training, "programs", cache)
        with cache.borrow(describe(), False) as program:
            train_chunk = program.train
            program.train = lambda *args: calls.append(args[-1]) or train_chunk(*args)
        return train(describe(), rows, noisy)

    together = fit()
    monkeypatch.setattr(_programs, "EPOCHS_BYTES", 0)
    alone = fit()
    assert calls == [15, 3, 3, 3, 3, 3]
    monkeypatch.setattr(_programs, "EPOCHS_BYTES", 4 * 9 * BATCH * N_FEATURES)
    in_two = fit()

    assert calls[6:] == [9, 6]
    for result in (alone, in_two):
        assert result.history == together.history
        for ours, same in zip(result.weights, together.weights, strict=True):
            assert_array_equal(ours, same)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_fit_that_diverges_names_the_epoch(at_once, X, monkeypatch):
    if not at_once:
        monkeypatch.setattr(_programs, "EPOCHS_BYTES", 0)

    def explode(step):
        return 1e30 if step == 3 else 0.01  # the first of the second epoch's three steps

    with pytest.raises(ValueError, match="in epoch 2, at"):
        train(
            describe("linear", "mean_squared_error", "sgd"),
            as_rows(X),
            plan(epochs=4, learning_rate="auto", schedule=explode),
        )


def test_initial_weights_follow_glorot():
    sizes = Architecture(**{**vars(describe()), "n_features": 300, "hidden_layer_sizes": (200,)})
    kernels, biases = initial_weights(sizes, 0)[::2], initial_weights(sizes, 0)[1::2]

    limit = np.sqrt(6 / 500)
    assert abs(kernels[0]).max() <= limit
    assert kernels[0].std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert abs(kernels[0].mean()) < 5 * limit / np.sqrt(3 * kernels[0].size)
    assert not any(bias.any() for bias in biases)


def test_the_result_owns_its_memory(X):
    architecture = describe()
    first = train(architecture, as_rows(X), plan())
    copies = [weight.copy() for weight in first.weights]
    train(architecture, as_rows(X), plan(seed=1))

    for weight, copy in zip(first.weights, copies, strict=True):
        assert_array_equal(weight, copy)


def test_a_loss_may_be_a_function(X):
    def squared(y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)

    result = train(describe("linear", squared), as_rows(X), plan())
    weights, _ = keras_fit(describe("linear", squared), X, K.Adam(RATE))

    for ours, theirs in zip(result.weights, weights, strict=True):
        assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)


def test_a_loss_that_is_not_per_row_is_refused(X):
    def overall(y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2)

    with pytest.raises(ValueError, match=r"^loss must return one value for each row.*shape \(\)"):
        train(describe("linear", overall), as_rows(X), plan())
