"""A step's arithmetic against Keras'."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from skae import DeepAutoencoder
from skae._keras import is_elementwise, row_losses
from skae._step import Layout, logits, sigmoid_cross_entropy, with_gradient


@pytest.mark.parametrize("n_features", [1, 15, 16, 50, 784])
def test_cross_entropy_and_its_gradient_are_those_of_keras(n_features):
    rng = np.random.default_rng(0)
    z = tf.constant(rng.normal(scale=8, size=(7, n_features)).astype(np.float32))
    targets = rng.uniform(size=z.shape).astype(np.float32)
    keras_loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    for actual, expected in zip(
        sigmoid_cross_entropy(targets, z), with_gradient(keras_loss)(targets, z), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


def test_cross_entropy_stays_finite_for_extreme_logits():
    z = tf.constant([[-1e30, 1e30, -200, 200, 0, -0.0]], tf.float32)
    targets = tf.constant([[0.0, 1, 0, 1, 0.5, 0.5]])
    losses, slopes = sigmoid_cross_entropy(targets, z)
    np.testing.assert_allclose(losses, [np.log(2) / 3], rtol=1e-6)
    np.testing.assert_array_equal(slopes, np.zeros((1, 6)))


@pytest.mark.parametrize("flat", [False, True])
def test_a_layout_gives_back_the_weights_that_it_packed(flat):
    rng = np.random.default_rng(0)
    layout = Layout((5, 3, 2, 3, 5), flat=flat)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in layout.shapes]
    packed = layout.pack(weights)
    assert len(packed) == (1 if flat else 8)
    for unpacked in (layout.unpack(packed), layout.tensors(list(map(tf.constant, packed)))):
        for actual, expected in zip(unpacked, weights, strict=True):
            np.testing.assert_array_equal(actual, expected)
    for gradient, array in zip(layout.gradients(weights), packed, strict=True):
        np.testing.assert_array_equal(gradient, array)


def test_logits_and_gradients_are_those_of_the_keras_model():
    X = np.random.default_rng(0).uniform(size=(20, 6)).astype(np.float32)
    model = DeepAutoencoder(2, hidden_layer_sizes=(4,), epochs=1, random_state=0).fit(X)
    activations = [keras.activations.relu, keras.activations.linear, keras.activations.relu]
    z, gradients_by = logits(model.autoencoder_.get_weights(), activations, X)
    np.testing.assert_allclose(keras.ops.sigmoid(z), model.autoencoder_(X), rtol=1e-6)

    with tf.GradientTape() as tape:
        outputs = model.autoencoder_(X)
        loss = tf.reduce_sum(outputs**2)
    expected = tape.gradient(loss, model.autoencoder_.trainable_variables)
    slope = 2 * outputs * outputs * (1 - outputs)  # of the loss by the sigmoid's input
    for actual, array in zip(gradients_by(slope), expected, strict=True):
        np.testing.assert_allclose(actual, array, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (keras.optimizers.Adam(), True),
        (keras.optimizers.SGD(momentum=0.9, global_clipnorm=1.0), True),
        (keras.optimizers.Adam(clipnorm=1.0), False),  # of each array
        (keras.optimizers.Lamb(), False),
        (keras.optimizers.Muon(), False),
    ],
)
def test_only_optimizers_that_treat_each_number_by_itself_get_one_vector(optimizer, expected):
    assert is_elementwise(optimizer) is expected


@pytest.mark.parametrize(
    ("loss", "activation", "expected"),
    [
        ("binary_crossentropy", "sigmoid", True),
        (keras.losses.BinaryCrossentropy(name="mine"), "sigmoid", True),
        (keras.losses.BinaryCrossentropy(label_smoothing=0.1), "sigmoid", False),
        (keras.losses.BinaryCrossentropy(from_logits=True), "linear", False),
        ("binary_crossentropy", "hard_sigmoid", False),
        ("mean_squared_error", "sigmoid", False),
    ],
)
def test_only_plain_cross_entropy_of_a_sigmoid_is_computed_from_logits(loss, activation, expected):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation=activation)])
    model.compile(loss=loss)
    losses = row_losses(model, keras.activations.get(activation))
    assert (losses is sigmoid_cross_entropy) is expected
