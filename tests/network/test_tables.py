"""`Gaps` tells a network which values are unknown, and shift and scale are folded around it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skae._network.conditioning import Conditioning
from skae._network.inference import Network
from skae._network.spec import dense_autoencoder
from skae._network.tables import Gaps

NaN = np.nan
ROWS = np.array([[1.0, NaN, 3.0, -2.0], [NaN, NaN, NaN, NaN], [0.5, 2.0, -1.0, 4.0]])
each_network = pytest.mark.parametrize(
    ("hidden", "shortcut"), [((), False), ((5,), False), ((5, 3), True)]
)


def make_network(hidden, shortcut, **options):
    spec = dense_autoencoder(
        4,
        hidden,
        2,
        activation="tanh",
        code_activation="linear",
        output_activation="linear",
        shortcut=shortcut,
        gaps=True,
        **options,
    )
    rng = np.random.default_rng(0)
    return spec, [rng.normal(size=shape).astype(np.float32) for shape in spec.shapes]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [np.array, sparse.csr_array])
def test_values_and_indicators(form, dtype):
    rows = form(ROWS.astype(dtype))
    out = Gaps(4).numpy_form([], None)(rows, np.empty((3, 8), dtype))

    assert out.dtype == dtype
    assert_array_equal(out[:, :4], np.nan_to_num(ROWS))
    assert_array_equal(out[:, 4:], np.isnan(ROWS))


@each_network
def test_folding_changes_units_only(hidden, shortcut):
    spec, weights = make_network(hidden, shortcut)
    conditioning = Conditioning(np.array([30.0, -20.0, 0.5, 100.0]), 7.0, 2)
    shift, scale = conditioning.map
    within = Network(spec, weights, None).reconstruct((ROWS - shift) / scale) * scale + shift
    folded = conditioning.fold(spec, weights)

    assert_allclose(Network(spec, folded, None).reconstruct(ROWS), within, rtol=1e-4, atol=1e-3)
    for array, again in zip(weights, conditioning.unfold(spec, folded), strict=True):
        assert_allclose(again, array, rtol=1e-3, atol=1e-4)


@each_network
def test_rows_without_gaps_need_no_indicators(hidden, shortcut):
    """The network is the ordinary one, without the weights of the indicators."""
    spec, weights = make_network(hidden, shortcut)
    plain = dense_autoencoder(
        4,
        hidden,
        2,
        activation="tanh",
        code_activation="linear",
        output_activation="linear",
        shortcut=shortcut,
    )
    fewer = [array[: shape[0]] for array, shape in zip(weights, plain.shapes, strict=True)]
    rows = ROWS[2:]

    assert spec.widths == plain.widths
    assert_allclose(
        Network(spec, weights, None).reconstruct(rows),
        Network(plain, fewer, None).reconstruct(rows),
        rtol=1e-6,
    )


def test_scores_leave_out_unknown_values():
    network = Network(*make_network((5,), True), None)
    errors = (network.reconstruct(ROWS) - ROWS) ** 2

    scores = network.scores(ROWS)
    assert_allclose(scores[[0, 2]], -np.nanmean(errors[[0, 2]], axis=1), rtol=1e-12)
    assert scores[1] == 0
    assert not np.isnan(network.encode(ROWS, features="all")).any()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_located(value):
    network = Network(*make_network((5,), False), None)
    rows = ROWS.copy()
    rows[2, 1] = value
    with pytest.raises(ValueError, match="X contains infinity: first in row 2, column 1"):
        network.encode(rows)
