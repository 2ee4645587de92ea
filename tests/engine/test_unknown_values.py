"""The masked loss and its gradients, against Keras' layers and formulas for single values."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from specs import make_program, make_spec, random_weights

from skae._engine.losses import Batch
from skae._engine.models import models_with_weights

# The losses of a single value.
CELLS = {
    "binary_crossentropy": lambda t, o: -(t * tf.math.log(o) + (1 - t) * tf.math.log(1 - o)),
    "mean_squared_error": lambda t, o: tf.square(t - o),
    "mean_absolute_error": lambda t, o: tf.abs(t - o),
    "log_cosh": lambda t, o: tf.math.log(tf.math.cosh(t - o)),
    "mean_absolute_percentage_error": lambda t, o: 100 * tf.abs((t - o) / t),
}


def make_batch(spec):
    """Draw a mini-batch with unknown inputs and unknown targets, and a row without any value."""
    rng = np.random.default_rng(5)
    shape = spec.batch_size, spec.network.n_features
    inputs, targets = rng.uniform(0.1, 0.9, (2, *shape)).astype(np.float32)
    inputs[rng.random(shape) < 0.4] = np.nan
    targets[rng.random(shape) < 0.4] = np.nan
    inputs[0] = targets[0] = inputs[1] = targets[2] = np.nan
    weight = rng.choice([0.5, 2], spec.batch_size)
    return Batch(*(tf.constant(array, tf.float32) for array in (inputs, targets, weight, 3)))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("shown_weight", [1.0, 0.1])
@pytest.mark.parametrize("loss", CELLS)
def test_gradients_match_formulas(loss, shown_weight, shortcut, jit):
    """Unknown targets count nothing, and a row's loss is the mean over the others."""
    spec = make_spec(
        hidden_layer_sizes=(7,),
        shortcut=shortcut,
        gaps=True,
        loss=loss,
        shown_weight=shown_weight,
        output_activation="sigmoid",
    )
    batch = make_batch(spec)
    known = ~np.isnan(batch.targets.numpy())
    targets = tf.constant(np.where(known, batch.targets, 0.5))
    shares = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    shares *= np.where(np.isnan(batch.inputs.numpy()), 1, shown_weight)
    model = models_with_weights(spec.network, random_weights(spec.network))[2]
    with tf.GradientTape() as tape:
        cells = CELLS[loss](targets, model(batch.inputs)) * shares.astype(np.float32)
        expected = tf.reduce_sum(tf.reduce_sum(cells, axis=1) * batch.weight)
    gradients = tape.gradient(expected, model.trainable_variables)

    program = make_program(spec, jit=jit)
    actual, ours = program._compile(program._loss_and_gradients)(batch)
    ours = program.packing.unpack([array.numpy() for array in ours])
    assert_allclose(actual, expected, rtol=1e-4)
    for array, same in zip(ours, gradients, strict=True):
        assert_allclose(array, same / batch.total_weight, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("loss", ["mean_squared_error", "binary_crossentropy"])
def test_rows_without_gaps_train_as_before(loss, shortcut):
    """The weights of the indicators have no slopes, and all others have those of before."""
    options = {"loss": loss, "shortcut": shortcut, "output_activation": "sigmoid"}
    program, plain = (make_program(make_spec(gaps=gaps, **options)) for gaps in (True, False))
    batch = make_batch(program.spec)
    rows = tf.constant(np.random.default_rng(0).uniform(size=batch.inputs.shape), tf.float32)
    batch = batch._replace(inputs=rows, targets=rows)
    pairs = zip(program.weights(), plain.spec.network.shapes, strict=True)
    plain.reset([array[: shape[0]] for array, shape in pairs])
    (actual, slopes), (expected, wanted) = (
        each._compile(each._loss_and_gradients)(batch) for each in (program, plain)
    )

    assert_allclose(actual, expected, rtol=1e-6)
    slopes = program.packing.unpack([array.numpy() for array in slopes])
    wanted = plain.packing.unpack([array.numpy() for array in wanted])
    for array, same in zip(slopes, wanted, strict=True):
        assert_allclose(array[: len(same)], same, rtol=1e-4, atol=1e-7)
        assert not array[len(same) :].any()


@pytest.mark.parametrize("loss", ["mean_squared_error", "binary_crossentropy"])
def test_kind_of_nan_changes_no_bits(loss):
    """NaN has a sign and a payload."""
    spec = make_spec(gaps=True, loss=loss, output_activation="sigmoid")
    batch = make_batch(spec)
    other = batch._replace(inputs=-batch.inputs * -1, targets=tf.constant(flipped(batch.targets)))
    program = make_program(spec)

    one, same = (program._compile(program._loss_and_gradients)(each) for each in (batch, other))
    assert_array_equal(one[0], same[0])
    for array, again in zip(one[1], same[1], strict=True):
        assert_array_equal(array, again)


def flipped(targets):
    """Give each NaN another sign and another payload."""
    values = targets.numpy()
    bits = values.view(np.uint32)
    bits[np.isnan(values)] ^= 0x80000123
    assert np.isnan(values).sum() == np.isnan(targets.numpy()).sum()
    return values


def sum_of_squares(targets, outputs):
    return keras.ops.sum((targets - outputs) ** 2, axis=-1)


def mean_of_squares(targets, outputs):
    return keras.ops.mean((targets - outputs) ** 2, axis=-1)


@pytest.mark.parametrize(
    "loss",
    ["cosine_similarity", "categorical_crossentropy", "kl_divergence", sum_of_squares],
)
def test_other_losses_are_refused(loss):
    with pytest.raises(ValueError, match=r"missing_values='mask' needs a loss that is the mean"):
        make_program(make_spec(gaps=True, loss=loss, output_activation="softmax"))


@pytest.mark.parametrize("loss", [mean_of_squares, "mean_squared_error"])
def test_own_mean_is_taken(loss):
    spec = make_spec(gaps=True, loss=loss)
    program = make_program(spec)
    losses, slopes = program._losses(make_batch(spec), tf.ones((8, 6)))
    known = ~np.isnan(make_batch(spec).targets.numpy())
    squares = np.where(known, (np.nan_to_num(make_batch(spec).targets.numpy()) - 1) ** 2, 0)

    assert_allclose(losses, squares.sum(axis=1) / np.maximum(known.sum(axis=1), 1), rtol=1e-5)
    assert (slopes.numpy()[~known] == 0).all()
