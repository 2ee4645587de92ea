"""NumPy inference against Keras."""

import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skae._network import inference as _forward
from skae._network.activations import ACTIVATIONS
from skae._network.inference import Network


def make(sizes=(10, 7, 3, 7, 10), activations=("relu", "linear", "relu", "sigmoid"), dtype="f4"):
    rng = np.random.default_rng(0)
    weights = []
    for rows, columns in itertools.pairwise(sizes):
        weights += [
            rng.normal(size=(rows, columns), scale=0.5).astype(dtype),
            rng.normal(size=columns, scale=0.5).astype(dtype),
        ]
    return Network(weights, activations, len(activations) // 2)


@pytest.fixture
def X():
    return np.random.default_rng(1).normal(size=(200, 10)).astype(np.float32)


def by_hand(network, X):
    """Relu, linear, relu, sigmoid in float64."""
    kernels = [kernel.astype(np.float64) for kernel in network.weights[::2]]
    biases = network.weights[1::2]
    codes = np.maximum(X @ kernels[0] + biases[0], 0) @ kernels[1] + biases[1]
    hidden = np.maximum(codes @ kernels[2] + biases[2], 0)
    return codes, 1 / (1 + np.exp(-(hidden @ kernels[3] + biases[3])))


def test_encode_decode_and_reconstruct_are_the_layers_in_turn(X):
    X = X.astype(np.float64)
    network = make()
    codes, outputs = by_hand(network, X)

    assert_allclose(network.encode(X), codes, rtol=1e-10, atol=1e-12)
    assert_allclose(network.decode(codes), outputs, rtol=1e-10, atol=1e-12)
    assert_allclose(network.reconstruct(X), outputs, rtol=1e-10, atol=1e-12)
    assert_allclose(network.scores(X), -((X - outputs) ** 2).mean(axis=1), rtol=1e-10)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_activation_is_that_of_keras(name, dtype):
    import keras

    h = np.concatenate([np.linspace(-8, 8, 1001), [0.0, -0.0, -60, 60, 1e-6, -1e-6]])
    h = h.astype(dtype).reshape(19, 53)
    with np.errstate(over="raise", invalid="raise"):
        ours = ACTIVATIONS[name](h.copy())
    theirs = np.asarray(keras.activations.get(name)(h))

    assert ours.dtype == dtype
    assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "silu", "gelu", "selu", "softmax"])
def test_activations_bear_extreme_inputs(name):
    h = np.array([[-1e30, -1e4, 0, 1e4, 1e30]], np.float32)
    with np.errstate(over="raise", invalid="raise"):
        ours = ACTIVATIONS[name](h.copy())

    assert np.isfinite(ours).all()


@pytest.mark.parametrize("activation", ["hard_swish", "log_sigmoid"])
def test_an_activation_without_a_numpy_form_runs_through_keras(activation, make_autoencoder, X):
    import keras

    network = make(activations=(activation, "linear", activation, "linear"))
    kernel, bias, *_ = network.weights
    hidden = np.asarray(keras.activations.get(activation)(X @ kernel + bias))

    assert activation not in ACTIVATIONS
    assert_allclose(
        network.encode(X), hidden @ network.weights[2] + network.weights[3], rtol=1e-4, atol=1e-5
    )


def test_an_activation_may_be_a_function(X):
    import keras

    network = make(activations=(lambda h: keras.ops.maximum(h, 0.0), "linear", "relu", "sigmoid"))

    assert_allclose(network.encode(X), make().encode(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 65, 200])
def test_blocks_of_rows_change_nothing(n_rows, X, monkeypatch):
    network, X = make(), X.astype(np.float64)
    whole = network.encode(X)
    monkeypatch.setattr(_forward, "BLOCK_BYTES", 1)  # the smallest blocks

    assert network.encode(X[:n_rows]).shape == (n_rows, 3)
    assert_allclose(network.encode(X[:n_rows]), whole[:n_rows], rtol=1e-12, atol=1e-14)
    assert network.scores(X[:n_rows]).shape == (n_rows,)


def test_results_do_not_share_memory(X):
    network = make()
    first = network.encode(X)
    before = first.copy()
    network.encode(-X)

    assert_array_equal(network.encode(X), before)
    assert_array_equal(first, before)


def test_weights_and_input_are_left_alone(X):
    network = make(activations=("tanh", "softplus", "selu", "softmax"))
    weights, rows = [weight.copy() for weight in network.weights], X.copy()
    network.reconstruct(X)
    network.scores(X)
    network.decode(network.encode(X))

    assert_array_equal(X, rows)
    for weight, before in zip(network.weights, weights, strict=True):
        assert_array_equal(weight, before)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_rows_are_encoded_as_dense_ones(container, dtype, X):
    network = make()
    dense = np.where(X > 0.5, X, 0).astype(dtype)
    rtol = 1e-4 if dtype == np.float32 else 1e-10
    for method in (network.encode, network.reconstruct, network.scores):
        result = method(container(dense))
        assert type(result) is np.ndarray
        assert result.dtype == dtype
        assert_allclose(result, method(dense), rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.uint8, bool, np.longdouble])
def test_other_dtypes_are_computed_in_float64(dtype, X):
    network, X = make(), np.abs(X).astype(dtype)
    codes, _ = by_hand(network, X.astype(np.float64))

    assert network.encode(X).dtype == np.float64
    assert_allclose(network.encode(X), codes, rtol=1e-10, atol=1e-12)


def test_a_pickle_holds_the_weights_once(X):
    network = make(sizes=(10, 500, 3, 500, 10))
    network.encode(X.astype(np.float64))  # casts every weight to float64
    size = sum(weight.nbytes for weight in network.weights)

    assert len(pickle.dumps(network)) < 1.1 * size + 2000
    assert_array_equal(pickle.loads(pickle.dumps(network)).encode(X), network.encode(X))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", [np.asarray, np.float32, sparse.csr_array])
def test_a_row_that_is_not_finite_is_an_error_and_no_warning(bad, form, make_autoencoder, X):
    fitted = make_autoencoder().fit(X)
    spoilt = X.copy()
    spoilt[7, 3] = bad
    for use in (fitted.transform, fitted.reconstruct, fitted.score_samples, fitted.score):
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            use(form(spoilt))
