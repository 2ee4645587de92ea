"""Objectives: which losses, last activations and data fit together."""

import re

import keras
import numpy as np
import pytest

from skae import DeepAutoencoder
from skae._network.activations import ACTIVATIONS, RANGES
from skae._network.frozen import freeze
from skae._objective.objective import Objective
from skae._rows.rows import ValueRange

LIMITED = sorted(name for name, form in ACTIVATIONS.items() if np.isfinite(form.low))
SIDES = [
    (name, side)
    for name in LIMITED
    for side in ("low", "high")
    if np.isfinite(getattr(ACTIVATIONS[name], side))
]
MSE = Objective("mean_squared_error")


def values(low, high):
    return ValueRange(np.array([[low, high]]))


@pytest.mark.parametrize("name", LIMITED)
def test_data_in_the_range_is_accepted(name):
    form = ACTIVATIONS[name]
    high = form.high if np.isfinite(form.high) else 1e6
    MSE.check(name, values(form.low, high))
    MSE.check(getattr(keras.activations, name), values(form.low, high))


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_data_outside_the_range_is_refused(name, side):
    limit = getattr(ACTIVATIONS[name], side)
    outside = (limit - 0.5, 0.5) if side == "low" else (0.5, limit + 0.5)
    with pytest.raises(ValueError, match=f"^output_activation='{name}' needs data") as error:
        MSE.check(name, values(*outside))
    assert f"got values from {outside[0]:.8g} to {outside[1]:.8g}" in str(error.value)


@pytest.mark.parametrize("name", ["linear", "leaky_relu", "glu", lambda h: h])
def test_other_activations_take_any_data(name):
    """Activations without limits, and those that the table does not know, are not checked."""
    MSE.check(name, values(-1e30, 1e30))


@pytest.mark.parametrize(
    ("name", "got", "wanted"),
    [
        ("relu", "values from -0.5 to 2", "data of at least 0; "),
        ("elu", "values from -2 to 2", "data of at least -1; "),
        ("tanh", "values from -0.5 to 2", "data between -1 and 1; "),
        ("relu6", "values from 1 to 7", "data between 0 and 6; "),
    ],
)
def test_message_gives_advice(name, got, wanted):
    """It names the expected range and the range of the data, and gives advice."""
    low, high = map(float, re.findall(r"-?[\d.]+", got))
    with pytest.raises(ValueError, match=re.escape(f"needs {wanted}got {got}. ")) as error:
        MSE.check(name, values(low, high))
    for advice in ("MinMaxScaler", "output_activation='linear'", "loss='mean_squared_error'"):
        assert advice in str(error.value)


@pytest.mark.parametrize(
    "loss",
    [
        "binary_crossentropy", "bce", keras.losses.BinaryCrossentropy,
        keras.losses.BinaryCrossentropy(label_smoothing=0.1), keras.losses.binary_crossentropy,
        "binary_focal_crossentropy",
    ],
)  # fmt: skip
def test_cross_entropy_needs_probabilities(loss):
    objective = Objective(freeze(loss))
    objective.check("sigmoid", values(0, 1))
    with pytest.raises(ValueError, match="needs data between 0 and 1; got values from 0 to 2"):
        objective.check("sigmoid", values(0, 2))
    with pytest.raises(ValueError, match="needs data between 0 and 1; got values from -1 to 1"):
        objective.check("tanh", values(-1, 1))
    with pytest.raises(ValueError, match="needs outputs between 0 and 1; got output_activation="):
        objective.check("linear", values(0, 1))


def test_cross_entropy_of_logits_is_accepted():
    """With ``from_logits`` the loss applies the sigmoid itself."""
    by_option = Objective("binary_crossentropy", (("from_logits", True),))
    by_instance = Objective(freeze(keras.losses.BinaryCrossentropy(from_logits=True)))
    for objective in (by_option, by_instance):
        objective.check("linear", values(0, 1))


@pytest.mark.parametrize("name", ["relu", "softplus", "selu"])
def test_fit_checks_the_range(name):
    X = np.random.default_rng(0).normal(size=(40, 4)) * 5
    params = {"output_activation": name, "hidden_layer_sizes": (), "epochs": 1, "random_state": 0}
    with pytest.raises(ValueError, match=f"output_activation='{name}' needs data of at least"):
        DeepAutoencoder(2, **params).fit(X)
    DeepAutoencoder(2, **params).fit(np.abs(X))


def tanh(h):
    """Return values from -3 to 3: an activation of the user's own, with a name of Keras'."""
    return 3 * keras.ops.tanh(h)


def test_own_functions_are_not_checked():
    """Neither an activation nor a class with the name of one in the table is taken for it."""
    MSE.check(tanh, values(-3, 3))
    MSE.check(type("relu", (), {"__call__": lambda self, h: h})(), values(-3, 3))
    with pytest.raises(ValueError, match="output_activation='tanh' needs data between"):
        MSE.check(keras.activations.tanh, values(-3, 3))


@pytest.mark.parametrize("name", sorted(set(RANGES) - set(ACTIVATIONS)))
def test_activations_without_forms_are_checked(name):
    low, high = RANGES[name]
    inside = max(low, -1e6), min(high, 1e6)
    MSE.check(name, values(*inside))
    MSE.check(getattr(keras.activations, name), values(*inside))
    for outside in (low - 0.5, high + 0.5):
        if np.isfinite(outside):
            with pytest.raises(ValueError, match=f"output_activation='{name}' needs data"):
                MSE.check(name, values(*sorted((outside, inside[0]))))


def test_highest_value_in_message():
    with pytest.raises(ValueError, match="'log_sigmoid' needs data of at most 0; got values from"):
        MSE.check("log_sigmoid", values(-1, 2))


def test_validation_rows_get_other_advice():
    """A scaler with ``clip`` keeps them in range, within a pipeline only if it transforms them."""
    with pytest.raises(ValueError, match=r'transform_input=\["X_val"\]\) and MinMaxScaler\(clip'):
        MSE.check("sigmoid", values(0, 16), "X_val")
