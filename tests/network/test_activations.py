"""The table of activations against Keras, and the ranges in it."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skae._network.activations import ACTIVATIONS, RANGES

SLOW = {"softsign": 1e6}  # comes close to its limits for such values only


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_form_matches_keras(name, dtype):
    h = np.concatenate([np.linspace(-8, 8, 1001), [0.0, -0.0, -60, 60, 1e-6, -1e-6]])
    h = h.astype(dtype).reshape(19, 53)
    with np.errstate(over="raise", invalid="raise"):
        ours = ACTIVATIONS[name].numpy(h.copy())
    theirs = np.asarray(keras.activations.get(name)(h))

    assert ours.dtype == dtype
    assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "silu", "gelu", "selu", "softmax"])
def test_extreme_inputs_stay_finite(name):
    h = np.array([[-1e30, -1e4, 0, 1e4, 1e30]], np.float32)
    with np.errstate(over="raise", invalid="raise"):
        ours = ACTIVATIONS[name].numpy(h.copy())

    assert np.isfinite(ours).all()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_ranges_match_the_values(name):
    """The limits hold on a dense grid, and the values come close to them."""
    form = ACTIVATIONS[name]
    end = SLOW.get(name, 50.0)
    grid = np.concatenate([np.linspace(-50, 50, 2_000_001), [-end, end]])
    if name == "softmax":
        grid = np.stack([grid, np.zeros_like(grid)], axis=1)
    values = form.numpy(grid.copy())

    assert form.low <= values.min()
    assert values.max() <= form.high
    for limit, found in ((form.low, values.min()), (form.high, values.max())):
        if np.isfinite(limit):
            assert abs(found - limit) < 2e-5
        else:
            assert abs(found) > 9  # leaky_relu(-50) is -10


@pytest.mark.parametrize("name", sorted(RANGES))
def test_ranges_hold_in_keras(name):
    low, high = RANGES[name]
    grid = np.linspace(-80, 80, 100_000, dtype=np.float32).reshape(-1, 2)
    values = np.asarray(keras.activations.get(name)(grid))
    rounding = 1e-6 * max(1, abs(low) if np.isfinite(low) else 1)
    assert low - rounding <= values.min()
    assert values.max() <= high + rounding
