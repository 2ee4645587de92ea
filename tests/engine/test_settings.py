"""Settings of TensorFlow and Keras: a fit works, or names the setting, and changes none."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_array_equal

import skae

FLOATX = r"default dtype 'float32'.*got '{}': call keras.config.set_floatx\('float32'\)"


def fit(make_autoencoder, X, **params):
    return make_autoencoder(epochs=1, **params).fit(X)


def settings():
    """Return the settings that a fit could change."""
    return (
        keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format(),
        keras.config.dtype_policy().name, keras.config.is_traceback_filtering_enabled(),
        tf.config.functions_run_eagerly(), tf.executing_eagerly(), tf.config.optimizer.get_jit(),
        tf.config.get_soft_device_placement(), np.geterr(),
    )  # fmt: skip


@pytest.mark.parametrize("floatx", ["float64", "float16", "bfloat16"])
def test_other_float_types_are_refused(floatx, make_autoencoder, X):
    """The error comes before a first fit and after one, whose program is compiled."""
    fitted = fit(make_autoencoder, X)
    codes = fitted.transform(X)
    keras.config.set_floatx(floatx)
    try:
        for call in (fitted.fit, make_autoencoder(loss="mae").fit, fitted.partial_fit):
            with pytest.raises(ValueError, match=FLOATX.format(floatx)):
                call(X)
        assert_array_equal(fitted.transform(X), codes)
    finally:
        keras.config.set_floatx("float32")
    assert_array_equal(fit(make_autoencoder, X).transform(X), codes)


def test_graph_scope_is_named(make_autoencoder, X):
    with tf.Graph().as_default(), pytest.raises(RuntimeError, match=r"scope of a tf\.Graph: leave"):
        fit(make_autoencoder, X)


@pytest.mark.parametrize("autograph", [False, True])
def test_call_in_function_is_named(autograph, make_autoencoder, X):
    @tf.function(autograph=autograph)
    def train():
        make_autoencoder().fit(X)

    with pytest.raises(RuntimeError, match=r"inside a tf\.function .*: move it outside"):
        train()


def test_call_in_data_map_is_named(make_autoencoder, X):
    def load(number):
        make_autoencoder().fit(X)
        return number

    numbers = tf.data.Dataset.range(2)
    with pytest.raises(RuntimeError, match=r"a map of tf\.data: move it outside"):
        numbers.map(tf.autograph.experimental.do_not_convert(load))


def test_scope_without_gradients_is_named(make_autoencoder, X):
    with tf.init_scope(), pytest.raises(RuntimeError, match=r"scope of tf\.init_scope"):
        fit(make_autoencoder, X)


def test_other_methods_name_the_scope(make_autoencoder, X):
    """What needs TensorFlow after a fit names the scope; what needs NumPy only works in it."""
    own, plain = (fit(make_autoencoder, X, activation=a) for a in (tf.sin, "relu"))
    codes = plain.transform(X)
    with tf.Graph().as_default():
        assert_array_equal(plain.transform(X), codes)
        with pytest.raises(RuntimeError, match=r"scope of a tf\.Graph"):
            own.transform(X)
        with pytest.raises(RuntimeError, match=r"scope of a tf\.Graph"):
            plain.encoder_  # noqa: B018


WITHOUT_EAGER = """
import numpy as np, tensorflow as tf
from skae import DeepAutoencoder
{call}()
try:
    DeepAutoencoder(2, epochs=1).fit(np.random.default_rng(0).normal(size=(40, 6)))
except RuntimeError as error:
    print(error)
"""


@pytest.mark.parametrize("call", ["disable_eager_execution", "disable_v2_behavior"])
def test_disabled_eager_execution_is_named(call):
    program = WITHOUT_EAGER.format(call=f"tf.compat.v1.{call}")
    command = [sys.executable, "-W", "ignore", "-c", program]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert out.startswith("skae needs TensorFlow's eager execution, but tf.compat.v1.disable_eager")
    assert "remove this call" in out


HARMLESS = {
    "image format": (
        lambda: keras.config.set_image_data_format("channels_first"),
        lambda: keras.config.set_image_data_format("channels_last"),
    ),
    "eager functions": (
        lambda: tf.config.run_functions_eagerly(True),
        lambda: tf.config.run_functions_eagerly(False),
    ),
    "numerics": (tf.debugging.enable_check_numerics, tf.debugging.disable_check_numerics),
    "seed": (lambda: keras.utils.set_random_seed(3), lambda: None),
    "jit": (lambda: tf.config.optimizer.set_jit(True), lambda: tf.config.optimizer.set_jit(False)),
    "tracebacks": (
        keras.config.disable_traceback_filtering, keras.config.enable_traceback_filtering,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "undo"), HARMLESS.values(), ids=HARMLESS)
def test_harmless_settings_change_nothing(change, undo, make_autoencoder, X):
    """The fit has the same bits, and the settings stay as they are."""
    params = {"dropout": 0.1, "metrics": ["mae"], "activation": tf.sin}
    penalised = params | {"alpha": 1e-3}
    expected = fit(make_autoencoder, X, **params).transform(X)
    change()
    try:
        before = settings()
        assert_array_equal(fit(make_autoencoder, X, **params).transform(X), expected)
        compiled_now = fit(make_autoencoder, X, **penalised).transform(X)
        assert settings() == before
    finally:
        undo()
    skae.clear_programs()
    assert_array_equal(compiled_now, fit(make_autoencoder, X, **penalised).transform(X))


def test_gradient_tape_changes_nothing(make_autoencoder, X):
    expected = fit(make_autoencoder, X).transform(X)
    with tf.GradientTape():
        codes = fit(make_autoencoder, X).transform(X)

    assert_array_equal(codes, expected)


def test_epsilon_belongs_to_the_program(make_autoencoder, X):
    """A program that was compiled with another epsilon of Keras is not used again."""
    params = {"loss": "poisson", "output_activation": "sigmoid"}
    first = fit(make_autoencoder, X, **params)
    epsilon = keras.config.epsilon()
    keras.config.set_epsilon(0.1)
    try:
        other = fit(make_autoencoder, X, **params)
    finally:
        keras.config.set_epsilon(epsilon)

    assert other.history_["loss"] != first.history_["loss"]
    assert fit(make_autoencoder, X, **params).history_ == first.history_
