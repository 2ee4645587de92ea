"""Functions of the user that fail while they are compiled: the error names them."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import clone

from skae import DeepAutoencoder
from skae._engine.lookup.tracing import is_of_keras, traced_shape

ops = keras.ops


def make(**params):
    defaults = {"n_components": 2, "hidden_layer_sizes": (4,), "epochs": 1, "random_state": 0}
    return DeepAutoencoder(**(defaults | params))


def with_if(h):
    return h if ops.sum(h) > 0 else -h


def by_numpy(h):
    return tf.ensure_shape(tf.numpy_function(np.tanh, [h], "float32"), h.shape)


def absolute(y_true, y_pred):
    return np.abs(y_true - y_pred).mean(1)


def scaled(y_true, y_pred, factor):
    return factor * absolute(y_true, y_pred)


def for_32_rows(h):
    if h.shape[0] == 32:
        raise AttributeError("32 rows")
    return h


def first_three(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)[:3]


class NumpyLoss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return absolute(y_true, y_pred)


class NumpyMetric(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(absolute(y_true, y_pred), sample_weight)


class NumpyOptimizer(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        variable.assign(variable - np.asarray(gradient))


FAILING = {
    "NumPy": ({"activation": np.tanh}, "activation", "tanh, which raised NotImplementedError"),
    "NumPy code": ({"code_activation": np.sinh}, "code_activation", "sinh, which raised"),
    "NumPy output": ({"output_activation": np.exp}, "output_activation", "exp, which raised"),
    "if": ({"activation": with_if}, "activation", r"with_if, which raised .* as a Python `bool`"),
    "array": ({"activation": lambda h: np.zeros(h.shape, "f4")}, "activation", "a ndarray instead"),
    "None": ({"activation": lambda h: None}, "activation", "returned a NoneType instead"),
    "dtype": ({"activation": lambda h: tf.cast(h, "float64")}, "activation", "returned float64"),
    "no gradient": ({"code_activation": tf.round}, "code_activation", "without a gradient"),
    "NumPy inside": (
        {"activation": by_numpy}, "activation", "by_numpy, which returned a result without a grad",
    ),
    "few rows": ({"activation": for_32_rows}, "activation", "for_32_rows, which raised Attrib"),
    "loss": ({"loss": absolute}, "loss", "absolute, which raised NotImplementedError"),
    "lambda": ({"loss": lambda y, z: np.square(y - z).mean(1)}, "loss", "<lambda>, which raised"),
    "partial": ({"loss": functools.partial(scaled, factor=2)}, "loss", "which raised NotImpl"),
    "loss object": ({"loss": NumpyLoss()}, "loss", "NumpyLoss, which raised NotImplemented"),
    "loss class": ({"loss": NumpyLoss}, "loss", "NumpyLoss, which raised NotImplemented"),
    "constant": ({"loss": lambda y, z: ops.mean(y, axis=-1)}, "loss", "without a gradient"),
    "number": ({"loss": lambda y, z: 0.0}, "loss", "returned a float instead of a tensor"),
    "arguments": ({"loss": lambda y: y}, "loss", "takes 1 positional argument"),
    "metric": (
        {"metrics": ["mae", lambda y, z: y.nothing]}, "metrics", "mae or <lambda>, which raised",
    ),
    "scalar": ({"metrics": lambda y, z: ops.mean(y - z)}, "metrics", "return a value for each row"),
    "metric object": ({"metrics": NumpyMetric()}, "metrics", "NumpyMetric, which raised NotImpl"),
    "optimizer": ({"optimizer": NumpyOptimizer()}, "optimizer", "NumpyOptimizer, which raised"),
}  # fmt: skip


@pytest.mark.parametrize(("params", "name", "message"), FAILING.values(), ids=FAILING)
def test_failing_function_is_named(params, name, message, X):
    estimator = make(**params)
    before = vars(estimator).copy()
    with pytest.raises(ValueError, match=rf"^{name} must be .*{message}") as error:
        estimator.fit(X)

    assert "use keras.ops or tf" in str(error.value)
    assert "{{" not in str(error.value)
    assert "decorate" not in str(error.value)
    assert vars(estimator) == before


class OwnSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.01

    def get_config(self):
        return {}


def test_own_schedule_inside_optimizer_is_named(X):
    """Keras cannot copy it; the parameter for schedules takes it."""
    estimator = make(optimizer=keras.optimizers.Adam(OwnSchedule()))
    for each in (estimator, clone(estimator)):
        with pytest.raises(
            ValueError, match=r"^optimizer must .* Adam with a OwnSchedule, .*set lea"
        ):
            each.fit(X)
    estimator.set_params(optimizer="adam", learning_rate_schedule=OwnSchedule()).fit(X)

    assert estimator.history_["learning_rate"] == pytest.approx([0.01])


def test_loss_keeps_its_shape(X):
    """A loss that is right for two and three rows is checked for whole mini-batches, too."""
    with pytest.raises(ValueError, match=r"^loss must return one .* shape \(3,\) for 32 rows"):
        make(loss=first_three).fit(X)


def test_working_functions_are_kept(X):
    """A condition on shapes, a function with AutoGraph and a Keras function need no change."""

    @tf.function
    def by_autograph(h):
        if tf.reduce_sum(h) > 1e6:
            h = -h
        return h

    estimator = make(
        activation=lambda h: ops.relu(h) if h.shape[-1] > 1 else h,
        code_activation=by_autograph,
        loss=keras.losses.log_cosh,
        metrics=[lambda y, z: ops.max(abs(y - z), axis=-1), keras.losses.log_cosh],
    )
    assert np.isfinite(estimator.fit(X).history_["loss"]).all()


def test_traced_shape_equals_real_shape():
    assert traced_shape("activation", lambda h: h[:, :2], 1, (3, 5)) == (3, 2)
    assert traced_shape("loss", lambda y, z: tf.reduce_sum(z - y, axis=1), 2, (3, 5)) == (3,)


def test_keras_functions_are_known():
    assert is_of_keras(keras.losses.MeanSquaredError())
    assert is_of_keras(keras.losses.mean_squared_error)
    assert not any(map(is_of_keras, [NumpyLoss(), absolute, functools.partial(scaled, factor=1)]))
