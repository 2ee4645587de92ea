"""Shift and scale become part of the weights."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skae._network.conditioning import Conditioning
from skae._network.inference import Network
from skae._network.spec import dense_autoencoder
from skae._rows.rows import Rows, all_rows


@pytest.fixture(
    params=[
        {"shortcut": False},
        {"shortcut": True},
        {"shortcut": True, "decoder_layer_sizes": ()},
        {"shortcut": False, "decoder_layer_sizes": (7,)},
    ],
    ids=["chain", "shortcut", "shortcut in encoder", "other decoder"],
)
def network(request):
    options = {"activation": "tanh", "code_activation": "linear", "output_activation": "linear"}
    spec = dense_autoencoder(3, (5, 4), 2, **options, **request.param)
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.5, shape).astype(np.float32) for shape in spec.shapes]
    return Network(spec, weights, fallback=None)


def test_folding_moves_units_into_weights(network):
    X = np.random.default_rng(1).normal([5, -2, 0.1], 0.01, (20, 3))
    conditioning = Conditioning(X.mean(axis=0), 0.01, degree=2)
    folded = Network(network.spec, conditioning.fold(network.spec, network.weights), fallback=None)
    Z = (X - X.mean(axis=0)) / 0.01

    assert_allclose(folded.encode(X), network.encode(Z), atol=1e-3)
    assert_allclose(
        folded.reconstruct(X), 0.01 * network.reconstruct(Z) + X.mean(axis=0), atol=1e-5
    )


def test_unfold_reverses_fold(network):
    conditioning = Conditioning(np.array([5, -2, 0.1]), 0.01, degree=2)

    folded = conditioning.fold(network.spec, network.weights)
    unfolded = conditioning.unfold(network.spec, folded)
    for weight, same in zip(network.weights, unfolded, strict=True):
        assert_allclose(same, weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("degree", "factor"), [(1, 3.0), (2, 9.0)])
def test_loss_factor_follows_degree(degree, factor):
    assert Conditioning(np.zeros(2), 3.0, degree).loss_factor == factor


def test_constant_rows_have_scale_one():
    X = np.full((4, 2), 7.0)
    conditioning = Conditioning.of(Rows(X, None, None, all_rows(X)), degree=2)

    assert conditioning.scale == 1
    assert_allclose(conditioning.shift, 7)
