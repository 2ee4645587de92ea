"""Matrix products in bfloat16, under Keras' policy of mixed precision."""

import contextlib

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from specs import make_program, make_spec, random_weights

from skae import DenoisingAutoencoder
from skae._engine.cache import programs
from skae._engine.forward.layers import Mode, run_forward
from skae._engine.limits import Limits
from skae._engine.losses import Batch
from skae._engine.models import models_with_weights
from skae._objective.penalties import CodeL1, KernelL2

ROUNDING = 2**-8  # bfloat16 has 8 significant bits


@contextlib.contextmanager
def policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def precise_spec(**changes):
    """Describe a network for the digits."""
    digits = {
        "n_features": 64, "hidden_layer_sizes": (32,), "n_components": 8, "activation": "relu",
        "optimizer": "adam", "batch_size": 32,
    }  # fmt: skip
    return make_spec(**(digits | changes))


@pytest.fixture(scope="module")
def rows(X):
    return X[:32].astype(np.float32)


@pytest.fixture(scope="module")
def weights():
    return random_weights(precise_spec().network)


def assert_close(actual, expected, tolerance):
    """Compare arrays by the norm of their difference."""
    for one, other in zip(actual, expected, strict=True):
        assert np.linalg.norm(one - other) <= tolerance * np.linalg.norm(other)


@pytest.mark.parametrize("jit", [False, True])
def test_only_factors_are_rounded(rows, weights, jit):
    """The factors of each product are rounded to bfloat16, and nothing else."""
    network = precise_spec().network
    compiled = tf.function(
        lambda *arrays: run_forward(network, arrays[:-1], arrays[-1], Mode("bfloat16")).logits,
        jit_compile=jit,
    )
    z = compiled(*weights, rows).numpy()

    # Eigen cuts the results off if a processor has no instructions for bfloat16
    references = [in_bfloat16(weights, rows, result) for result in (rounded, cut_off)]
    h = min(references, key=lambda h: np.median(np.abs(z - h)))
    assert z.dtype == np.float32
    assert np.median(np.abs(z - h)) < 1e-6
    # the others are numbers that the two ways round differently
    assert_allclose(z, h, atol=2 * ROUNDING * np.abs(h).max())


def rounded(array):
    return array.astype(ml_dtypes.bfloat16).astype(np.float64)


def cut_off(array):
    return (array.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)


def products_are_cut_off():
    a = np.random.default_rng(0).normal(size=(32, 32)).astype(ml_dtypes.bfloat16)
    product, exact = tf.matmul(a, a).numpy().astype(np.float64), a.astype(np.float64)
    exact = exact @ exact
    distances = [np.abs(product - result(exact)).mean() for result in (rounded, cut_off)]
    return distances[1] < distances[0]


def in_bfloat16(weights, rows, result):
    """Run rows through the layers; factors are rounded, and a product's values by ``result``."""
    h, names = rows, precise_spec().network.activations
    for kernel, bias, name in zip(weights[::2], weights[1::2], names, strict=True):
        h = result(rounded(h) @ rounded(kernel)) + bias
        h = np.maximum(h, 0) if name == "relu" else h
    return h


def gradients(model, rows):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((tf.cast(model(rows), tf.float32) - rows) ** 2)
    return [np.float32(loss), *(g.numpy() for g in tape.gradient(loss, model.trainable_variables))]


def our_gradients(rows, jit):
    program = make_program(precise_spec(compute_dtype="bfloat16"), jit=jit)
    weight = tf.ones(len(rows))
    batch = Batch(tf.constant(rows), tf.constant(rows), weight, tf.reduce_sum(weight))
    loss, packed = program._compile(program._loss_and_gradients)(batch)
    return [loss.numpy() / len(rows), *program.packing.unpack([array.numpy() for array in packed])]


@pytest.mark.parametrize("jit", [False, True])
def test_gradients_match_keras_policy(rows, weights, jit):
    """Loss and gradients are those of Keras' model under the same policy."""
    models = []
    for name in ("mixed_bfloat16", "float32"):
        with policy(name):
            models.append(models_with_weights(precise_spec().network, weights)[2])
    theirs, exact = (gradients(model, rows) for model in models)
    ours = our_gradients(rows, jit)

    assert {array.dtype.name for array in ours} == {"float32"}
    # a number that is cut off is wrong by twice as much as one that is rounded
    tolerance = (8 if products_are_cut_off() else 4) * ROUNDING
    assert_close(ours, theirs, tolerance)
    assert_close(ours, exact, tolerance)
    distance = [np.linalg.norm(a - b) for a, b in zip(ours[1:], exact[1:], strict=True)]
    assert min(distance) > 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("penalties", [(), (KernelL2(), CodeL1())])
def test_gradient_products_have_the_dtype(dtype, penalties):
    """The tape's products of gradients have the compute dtype, like those of the forward pass."""
    spec = precise_spec(compute_dtype=dtype, penalties=penalties)
    graph = make_program(spec)._compiled_train.graph.as_graph_def()
    nodes = [*graph.node, *(node for body in graph.library.function for node in body.node_def)]
    products = [node.attr["T"].type for node in nodes if node.op == "MatMul"]

    # each of four layers needs its outputs and two gradients; the first one's inputs need none
    assert products == [tf.as_dtype(dtype).as_datatype_enum] * (4 + 2 * 4 - 1)


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
@pytest.mark.parametrize("jit", [False, True])
def test_fit_takes_the_current_policy(make_autoencoder, X, optimizer, jit):
    """A fit under one policy does not change the bits of a fit under another."""

    def fit():
        estimator = make_autoencoder(optimizer=optimizer, metrics=["mse"])
        estimator._limits = Limits(xla=jit)
        return estimator.fit(X)

    n_programs = len(programs)
    plain = fit()
    with policy("mixed_bfloat16"):
        mixed, again = fit(), fit()
    after = fit()

    for array, same, other in zip(
        plain._network.weights, after._network.weights, mixed._network.weights, strict=True
    ):
        assert_array_equal(array, same)
        assert np.abs(array - other).max() > 0
    for array, same in zip(mixed._network.weights, again._network.weights, strict=True):
        assert_array_equal(array, same)
    assert_allclose(mixed.history_["loss"], plain.history_["loss"], rtol=0.01)
    assert len(programs) <= n_programs + 2


def test_weights_and_state_are_float32(make_autoencoder, X):
    with policy("mixed_bfloat16"):
        model = make_autoencoder(optimizer="muon").partial_fit(X)
    arrays = [*model._network.weights, *model._state.optimizer_state]
    assert {array.dtype.name for array in arrays if array.dtype.kind != "i"} == {"float32"}


@pytest.mark.parametrize("kind", [None, DenoisingAutoencoder])
def test_unseen_digits_keep_their_loss(make_autoencoder, X, kind):
    """docs/performance.md has ten seeds: the mean is 0.9 % above float32's, the worst is 3 %."""
    scores = {}
    for name in ("float32", "mixed_bfloat16"):
        with policy(name):
            make = make_autoencoder(*([kind] if kind else []), optimizer="muon", epochs=20)
            scores[name] = make.fit(X[:200]).score(X[200:])
    assert_allclose(scores["mixed_bfloat16"], scores["float32"], rtol=0.05)


def test_policy_from_callback_comes_later(make_autoencoder, X):
    class Change(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            keras.config.set_dtype_policy("float32")

    with policy("mixed_bfloat16"):
        plain = make_autoencoder().fit(X)
        programs.clear()
        changed = make_autoencoder(callbacks=[Change()]).fit(X)
    for one, other in zip(plain._network.weights, changed._network.weights, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize(
    "name", ["float64", "float16", "bfloat16", "mixed_float16", "int8_from_float32"]
)
def test_other_policies_are_refused(make_autoencoder, X, name):
    model = make_autoencoder()
    with policy(name), pytest.raises(ValueError, match=f"mixed_bfloat16'; got '{name}'"):
        model.fit(X)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)


def test_checkpoint_belongs_to_one_policy(make_autoencoder, X, tmp_path):
    model = make_autoencoder(checkpoint=tmp_path / "fit.ckpt")
    model.fit(X)
    with policy("mixed_bfloat16"), pytest.raises(ValueError, match="dtype policy"):
        model.fit(X)


def test_wide_bfloat16_networks_use_a_graph():
    wide = {"n_features": 784, "hidden_layer_sizes": (1024, 512), "batch_size": 256}
    pays_for_xla = Limits().pays_for_xla
    assert pays_for_xla(precise_spec(**wide), 60_000, 20)
    assert not pays_for_xla(precise_spec(**wide, compute_dtype="bfloat16"), 60_000, 20)
    assert pays_for_xla(precise_spec(compute_dtype="bfloat16"), 60_000, 20)
