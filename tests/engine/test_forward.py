"""The arithmetic of a step against Keras, and against finite differences in NumPy."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from specs import make_program, make_spec, random_weights

from skae._engine.forward.layers import Mode, apply, run_forward
from skae._engine.forward.packing import WeightPacking
from skae._engine.lookup.names import is_elementwise
from skae._engine.losses import Batch, row_losses, sigmoid_cross_entropy, with_gradient
from skae._engine.models import models_with_weights
from skae._engine.penalties.jacobian import squared_jacobian
from skae._network.activations import ACTIVATIONS, OTHERS
from skae._network.layers import Dense, Dropout, Shortcut
from skae._network.tying import tie, transposes
from skae._objective.penalties import CodeL1, Contraction, KernelL2

STRENGTHS = {KernelL2(): 0.05, CodeL1(): 0.3, Contraction(): 0.2}
SEED = tf.constant([3, 4])


@pytest.mark.parametrize("n_features", [1, 15, 16, 50, 784])
def test_cross_entropy_matches_keras(n_features):
    rng = np.random.default_rng(0)
    z = tf.constant(rng.normal(scale=8, size=(7, n_features)).astype(np.float32))
    targets = rng.uniform(size=z.shape).astype(np.float32)
    keras_loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    for actual, expected in zip(
        sigmoid_cross_entropy(targets, z), with_gradient(keras_loss)(targets, z), strict=True
    ):
        assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


def test_cross_entropy_of_extreme_logits():
    z = tf.constant([[-1e30, 1e30, -200, 200, 0, -0.0]], tf.float32)
    targets = tf.constant([[0.0, 1, 0, 1, 0.5, 0.5]])
    losses, slopes = sigmoid_cross_entropy(targets, z)
    assert_allclose(losses, [np.log(2) / 3], rtol=1e-6)
    assert_array_equal(slopes, np.zeros((1, 6)))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("flat", [False, True])
def test_packing_returns_its_weights(flat, tied):
    """Weights, and gradients with respect to the variables, keep their places."""
    spec = make_spec(hidden_layer_sizes=(3,), tied=tied)
    packing = WeightPacking(spec.network.shapes, spec.transposes, flat=flat)
    weights = random_weights(spec.network)
    if tied:
        weights = tie(spec.network, weights)
    packed = packing.pack(weights)
    assert len(packed) == (1 if flat else 6 if tied else 8)
    variables = list(map(tf.constant, packed))
    with tf.GradientTape() as tape:
        tape.watch(variables)
        tensors = packing.tensors(variables)
    for unpacked in (packing.unpack(packed), tensors):
        for actual, expected in zip(unpacked, weights, strict=True):
            assert_array_equal(actual, expected)
    gradients = tape.gradient(tensors, variables, output_gradients=list(map(tf.constant, weights)))
    twice = packing.pack([2 * array if tied and array.ndim > 1 else array for array in weights])
    for gradient, array in zip(gradients, twice, strict=True):
        assert_array_equal(gradient, array)


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("hidden", [(), (5,), (7, 5, 4)])
def test_tied_kernels_mirror_each_other(hidden, shortcut):
    """Each kernel of the decoder is the transpose of one of the encoder, and each of one only."""
    network = make_spec(hidden_layer_sizes=hidden, shortcut=shortcut, dropout=0.1).network
    shapes, found = network.shapes, transposes(network)
    kernels = [place for place, shape in enumerate(shapes) if len(shape) == 2]
    half = len(kernels) // 2

    assert sorted(found) == kernels[half:]
    assert sorted(found.values()) == kernels[:half]
    for place, source in found.items():
        assert shapes[place] == shapes[source][::-1]


# ---------------------------------------------------------------------- loss and gradients


def make_batch(spec, *, seed=None):
    """Draw a mini-batch with weights; its targets differ from its inputs."""
    rng = np.random.default_rng(5)
    shape = spec.batch_size, spec.network.n_features
    inputs, targets = rng.uniform(0.1, 0.9, (2, *shape)).astype(np.float32)
    weight = rng.choice([0, 0.5, 2], spec.batch_size)
    strengths = [STRENGTHS[penalty] for penalty in spec.objective.penalties]
    return Batch(
        *(tf.constant(array, tf.float32) for array in (inputs, targets, weight, weight.sum())),
        strengths=tf.constant(strengths, tf.float32) if strengths else None,
        seed=seed,
    )


def loss_and_gradients(program, batch):
    """Compute with a compiled function; return the mean loss, and a gradient for each weight."""
    loss, gradients = program._compile(program._loss_and_gradients)(batch)
    gradients = program.packing.unpack([array.numpy() for array in gradients])
    return float(loss / batch.total_weight), gradients


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize(
    "network",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (5,)},
        {"hidden_layer_sizes": (7, 5)},
        {"hidden_layer_sizes": (5,), "shortcut": True},
        {"hidden_layer_sizes": (7, 5), "shortcut": True, "code_activation": "tanh"},
        {"hidden_layer_sizes": (7, 5), "decoder_layer_sizes": (4,)},
        {"hidden_layer_sizes": (), "decoder_layer_sizes": (4, 7), "shortcut": True},
    ],
)
@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error", "log_cosh"])
def test_gradients_match_keras(loss, network, optimizer, jit):
    """The tape over Keras' own layers and loss gives the same loss and gradients."""
    spec = make_spec(**network, loss=loss, optimizer=optimizer, output_activation="sigmoid")
    batch = make_batch(spec)
    model = models_with_weights(spec.network, random_weights(spec.network))[2]
    keras_loss = keras.losses.get(loss)
    with tf.GradientTape() as tape:
        losses = keras_loss(batch.targets, model(batch.inputs))
        expected = tf.reduce_sum(losses * batch.weight) / batch.total_weight
    gradients = tape.gradient(expected, model.trainable_variables)

    actual, ours = loss_and_gradients(make_program(spec, jit=jit), batch)
    assert_allclose(actual, expected, rtol=1e-5)
    for array, same in zip(ours, gradients, strict=True):
        assert_allclose(array, same, rtol=1e-4, atol=1e-6)


def numpy_forward(spec, weights, rows, masks):
    """Compute codes and outputs in float64, with given dropout masks."""
    h, codes, rest, masks = rows, None, iter(weights), iter(masks)

    def run(layer, h):
        if isinstance(layer, Dropout):
            return h * next(masks)
        if isinstance(layer, Dense):
            z = h @ next(rest) + next(rest)
        else:
            *inner, last = layer.layers
            h_inner = functools.reduce(lambda h, layer: run(layer, h), inner, h)
            z = h @ next(rest) + run(last, h_inner)
        return np.tanh(z) if layer.activation == "tanh" else z

    for place, layer in enumerate(spec.network.layers):
        h = run(layer, h)
        codes = h if place == spec.network.n_encoder_layers - 1 else codes
    return codes, h


def numpy_jacobian(spec, weights, rows, masks):
    """Differentiate codes with respect to rows, by steps along the imaginary axis: no rounding."""
    steps = 1e-30j * np.eye(rows.shape[1])
    slopes = [numpy_forward(spec, weights, rows + step, masks)[0].imag for step in steps]
    return np.stack(slopes, axis=-1) / 1e-30


def numpy_loss(spec, weights, batch, masks):
    """Compute the mean loss in float64: squared error and penalties."""
    rows, targets = (tensor.numpy().astype(np.float64) for tensor in (batch.inputs, batch.targets))
    codes, outputs = numpy_forward(spec, weights, rows, masks)
    kernels = [array for array in weights if array.ndim > 1]
    if spec.tied:
        kernels = kernels[: len(kernels) // 2]
    penalties = {
        KernelL2(): sum(np.square(kernel).sum() for kernel in kernels),
        CodeL1(): np.abs(codes).sum(axis=1),
    }
    if Contraction() in spec.objective.penalties:
        jacobian = numpy_jacobian(spec, weights, rows, masks)
        penalties[Contraction()] = np.square(jacobian).sum(axis=(1, 2))
    losses = np.square(outputs - targets).mean(axis=1)
    for penalty in spec.objective.penalties:
        losses = losses + STRENGTHS[penalty] * penalties[penalty]
    return np.average(losses, weights=batch.weight)


def finite_differences(spec, batch, masks):
    """Differentiate `numpy_loss` with respect to each weight."""
    weights = double_weights(spec)
    gradients = [np.zeros_like(array) for array in weights]
    for array, gradient in zip(weights, gradients, strict=True):
        for i in np.ndindex(array.shape):
            value = array[i]
            array[i] = value + 1e-5
            above = numpy_loss(spec, weights, batch, masks)
            array[i] = value - 1e-5
            gradient[i] = (above - numpy_loss(spec, weights, batch, masks)) / 2e-5
            array[i] = value
    return gradients


def double_weights(spec):
    """Return the weights in float64; those that are tied share their memory."""
    weights = [array.astype(np.float64) for array in random_weights(spec.network)]
    for place, source in spec.transposes.items():
        weights[place] = weights[source].T
    return weights


def dropout_masks(network, n_rows, jit):
    """Return the factors of each dropout layer, for the seed of the tests."""
    mode = Mode(seed=SEED, algorithm="threefry" if jit else "philox")

    def masks(layers, mode):
        for place, layer in enumerate(layers):
            if isinstance(layer, Dropout):
                yield apply(layer, [], tf.ones((n_rows, layer.n_inputs)), mode.at(place))
            elif isinstance(layer, Shortcut):
                yield from masks(layer.layers, mode.at(place))

    def compute():
        return list(masks(network.layers, mode))

    return [mask.numpy().astype(np.float64) for mask in tf.function(compute, jit_compile=jit)()]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"penalties": (KernelL2(),)},
        {"penalties": (CodeL1(),)},
        {"dropout": 0.4},
        {"shortcut": True, "hidden_layer_sizes": (7, 5)},
        {"shortcut": True, "penalties": (KernelL2(), CodeL1())},
        {"penalties": (KernelL2(), CodeL1()), "dropout": 0.4, "hidden_layer_sizes": (7, 5)},
        {"penalties": (Contraction(),), "hidden_layer_sizes": (), "code_activation": "tanh"},
        {"penalties": tuple(STRENGTHS), "dropout": 0.4, "hidden_layer_sizes": (7, 5)},
        {"penalties": (Contraction(),), "hidden_layer_sizes": (3, 5), "n_features": 9},
        {"penalties": (Contraction(),), "dropout": 0.4, "hidden_layer_sizes": (7, 5)}
        | {"shortcut": True, "code_activation": "tanh"},
        {"penalties": (Contraction(),), "shortcut": True, "hidden_layer_sizes": (3,)},
        {"tied": True, "hidden_layer_sizes": ()},
        {"tied": True, "penalties": (KernelL2(), Contraction()), "hidden_layer_sizes": (7, 5)},
        {"tied": True, "penalties": (KernelL2(),), "shortcut": True, "hidden_layer_sizes": (7, 5)}
        | {"dropout": 0.4},
    ],
)
def test_gradients_match_finite_differences(changes, optimizer, jit):
    spec = make_spec(optimizer=optimizer, **changes)
    masks = dropout_masks(spec.network, spec.batch_size, jit)
    batch = make_batch(spec, seed=SEED if masks else None)
    loss, gradients = loss_and_gradients(make_program(spec, jit=jit), batch)

    assert_allclose(loss, numpy_loss(spec, double_weights(spec), batch, masks), rtol=1e-5)
    expected = finite_differences(spec, batch, masks)
    for array, same in zip(gradients, expected, strict=True):
        assert_allclose(array, same, rtol=1e-3, atol=5e-6)
    assert abs(expected[0]).max() > 1e-3


@pytest.mark.parametrize("shortcut", [False, True])
def test_forward_returns_the_code(shortcut):
    spec = make_spec(
        hidden_layer_sizes=(7, 5), dropout=0.5, code_activation="tanh", shortcut=shortcut
    )
    weights, rows = random_weights(spec.network), make_batch(spec).inputs
    encoder, _, autoencoder = models_with_weights(spec.network, weights)
    outputs = run_forward(spec.network, list(map(tf.constant, weights)), rows)
    assert_allclose(outputs.code, encoder(rows), rtol=1e-5, atol=1e-6)
    assert_allclose(outputs.logits, autoencoder(rows), rtol=1e-5, atol=1e-6)


def smooth_softsign(z):
    """Softsign, but with a second derivative in TensorFlow."""
    return z / (1 + tf.abs(z))


def squared_jacobian_of_keras(encoder, rows):
    with tf.GradientTape() as tape:
        tape.watch(rows)
        codes = encoder(rows)
    return tf.reduce_sum(tf.square(tape.batch_jacobian(codes, rows)), axis=(1, 2))


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("name", [*ACTIVATIONS, *OTHERS])
def test_jacobian_of_every_activation(name, shortcut):
    """The squared norm of the Jacobian and its gradient are those of Keras' encoder."""
    changes = {"hidden_layer_sizes": (5, 4), "n_components": 3, "shortcut": shortcut}
    spec = make_spec(activation=name, code_activation=name, **changes)
    same = smooth_softsign if name == "softsign" else name
    theirs = make_spec(activation=same, code_activation=same, **changes)
    weights = random_weights(spec.network)
    encoder = models_with_weights(theirs.network, weights)[0]
    rows, tensors = make_batch(spec).inputs - 0.5, list(map(tf.constant, weights))
    with tf.GradientTape() as tape:
        expected = squared_jacobian_of_keras(encoder, rows)
    variables = [variable.value for variable in encoder.trainable_variables]
    slopes = tape.gradient(expected, variables, unconnected_gradients="zero")
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        actual = squared_jacobian(run_forward(spec.network, tensors, rows).encoder)
    ours = tape.gradient(actual, tensors, unconnected_gradients="zero")

    assert_allclose(actual, expected, rtol=1e-5, atol=1e-9)
    for array, expected in zip(ours, slopes, strict=False):
        assert_allclose(array, expected, rtol=1e-4, atol=1e-5 * abs(expected).numpy().max())


# ---------------------------------------------------------------------- choices


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (keras.optimizers.Adam(), True),
        (keras.optimizers.SGD(momentum=0.9, global_clipnorm=1.0), True),
        (keras.optimizers.Adam(clipnorm=1.0), False),  # clips each array by its own norm
        (keras.optimizers.Lamb(), False),
        (keras.optimizers.Muon(), False),
    ],
)
def test_elementwise_optimizers_get_one_vector(optimizer, expected):
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
def test_only_plain_cross_entropy_takes_logits(loss, activation, expected):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation=activation)])
    model.compile(loss=loss)
    losses = row_losses(model, keras.activations.get(activation))
    assert (losses is sigmoid_cross_entropy) is expected
