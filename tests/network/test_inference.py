"""NumPy inference against Keras."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skae._interop.keras_models import eager_fallback
from skae._network.activations import ACTIVATIONS
from skae._network.inference import Network
from skae._network.layers import Dense, Dropout, Shortcut
from skae._network.spec import NetworkSpec, dense_autoencoder


def make(
    sizes=(10, 7, 3, 7, 10), activations=("relu", "linear", "relu", "sigmoid"), **kwargs
):  # fmt: skip
    """Make a dense network with random weights."""
    rng = np.random.default_rng(0)
    pairs = zip(itertools.pairwise(sizes), activations, strict=True)
    layers = [Dense(*widths, activation) for widths, activation in pairs]
    weights = [
        rng.normal(size=shape, scale=0.5).astype(np.float32)
        for layer in layers
        for shape in layer.shapes
    ]
    spec = NetworkSpec(tuple(layers), len(layers) // 2)
    return Network(spec, weights, eager_fallback, **kwargs)


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


def test_network_applies_its_layers(X):
    X = X.astype(np.float64)
    network = make()
    codes, outputs = by_hand(network, X)

    assert_allclose(network.encode(X), codes, rtol=1e-10, atol=1e-12)
    assert_allclose(network.decode(codes), outputs, rtol=1e-10, atol=1e-12)
    assert_allclose(network.reconstruct(X), outputs, rtol=1e-10, atol=1e-12)
    assert_allclose(network.scores(X), -((X - outputs) ** 2).mean(axis=1), rtol=1e-10)


def test_dropout_does_nothing_at_inference(X):
    plain = make()
    pairs = [(layer, Dropout(layer.n_outputs, 0.5)) for layer in plain.spec.layers]
    spec = NetworkSpec(tuple(itertools.chain(*pairs)), 4)
    network = Network(spec, plain.weights, eager_fallback)

    assert_array_equal(network.encode(X), plain.encode(X))
    assert_array_equal(network.decode(X[:, :3]), plain.decode(X[:, :3]))
    assert_array_equal(network.scores(X), plain.scores(X))


@pytest.mark.parametrize("activation", ["hard_swish", "log_sigmoid"])
def test_keras_computes_other_activations(activation, X):
    """Activations without a NumPy form are computed by Keras."""
    import keras

    network = make(activations=(activation, "linear", activation, "linear"))
    kernel, bias, *_ = network.weights
    hidden = np.asarray(keras.activations.get(activation)(X @ kernel + bias))

    assert activation not in ACTIVATIONS
    assert_allclose(
        network.encode(X), hidden @ network.weights[2] + network.weights[3], rtol=1e-4, atol=1e-5
    )


def test_activation_may_be_a_function(X):
    import keras

    network = make(activations=(lambda h: keras.ops.maximum(h, 0.0), "linear", "relu", "sigmoid"))

    assert_allclose(network.encode(X), make().encode(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 65, 200])
def test_blocks_change_no_result(n_rows, X):
    X = X.astype(np.float64)
    whole = make().encode(X)
    network = make(block_bytes=1)  # the smallest blocks

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


def test_weights_and_input_stay_unchanged(X):
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
def test_sparse_rows_match_dense_rows(container, dtype, X):
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


@pytest.mark.filterwarnings("error", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", [np.asarray, np.float32, sparse.csr_array])
def test_infinite_row_is_refused(bad, form, make_autoencoder, X):
    fitted = make_autoencoder().fit(X)
    spoilt = X.copy()
    spoilt[7, 3] = bad
    for use in (fitted.transform, fitted.reconstruct, fitted.score_samples, fitted.score):
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            use(form(spoilt))


# ---------------------------------------------------------------------- specs


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_decoder_mirrors_the_encoder(dropout):
    """The decoder mirrors the encoder, with dropout after each hidden layer."""
    spec = dense_autoencoder(
        9, (7, 5), 3, activation="relu", code_activation="tanh", output_activation="sigmoid",
        dropout=dropout,
    )  # fmt: skip
    assert (spec.n_features, spec.n_components) == (9, 3)
    assert spec.widths == (9, 7, 5, 3, 5, 7, 9)
    assert spec.activations == ("relu", "relu", "tanh", "relu", "relu", "sigmoid")
    encoder, decoder = spec.layers[: spec.n_encoder_layers], spec.layers[spec.n_encoder_layers :]
    places = [1, 3] if dropout else []
    for half in (encoder, decoder):
        found = [place for place, layer in enumerate(half) if isinstance(layer, Dropout)]
        assert found == places
    assert spec.is_random is bool(dropout)
    assert spec.trained_encoder == (Dense(9, 7, "relu"), Dense(7, 5, "relu"), Dense(5, 3, "tanh"))
    assert spec.shapes == [(9, 7), (7,), (7, 5), (5,), (5, 3), (3,), (3, 5), (5,), (5, 7), (7,),
                           (7, 9), (9,)]  # fmt: skip
    by_layer = spec.by_layer(spec.shapes)
    assert [len(items) for items in by_layer] == [len(layer.shapes) for layer in spec.layers]
    assert list(itertools.chain(*by_layer)) == spec.shapes


def test_shortcut_is_beside_hidden_layers():
    """The widths and activations are those of a chain; dropout is not in the linear path."""
    options = {"activation": "relu", "code_activation": "tanh", "output_activation": "sigmoid"}
    chain = dense_autoencoder(9, (7, 5), 3, **options, dropout=0.25)
    spec = dense_autoencoder(9, (7, 5), 3, **options, dropout=0.25, shortcut=True)
    assert (spec.widths, spec.activations) == (chain.widths, chain.activations)
    assert (spec.n_features, spec.n_components, spec.is_random) == (9, 3, True)
    assert sorted(spec.shapes) == sorted([*chain.shapes, (9, 3), (3, 9)])
    assert spec.flops == chain.flops + 2 * 2 * 9 * 3
    code = spec.layers[0]
    assert [type(layer) for layer in code.layers] == [Dense, Dropout, Dense, Dropout, Dense]
    assert code.layers[-1].activation == "linear"


@pytest.mark.parametrize(
    ("encoder", "decoder", "kinds"),
    [
        ((7, 5), (4,), [Shortcut, Shortcut]),
        ((7, 5), (), [Shortcut, Dense]),
        ((), (4, 8, 6), [Dense, Shortcut]),
        ((), (), [Dense, Dense]),
    ],
)
def test_decoder_has_own_sizes(encoder, decoder, kinds):
    """A half without hidden layers is one dense layer, with and without linear paths."""
    options = {"activation": "relu", "code_activation": "tanh", "output_activation": "sigmoid"}
    sizes = {"hidden_layer_sizes": encoder, "decoder_layer_sizes": decoder}
    chain = dense_autoencoder(9, n_components=3, **sizes, **options)
    spec = dense_autoencoder(9, n_components=3, **sizes, **options, shortcut=True)

    assert chain.widths == spec.widths == (9, *encoder, 3, *decoder, 9)
    assert chain.encoder_widths == spec.encoder_widths == (9, *encoder, 3)
    assert [layer.activation for layer in chain.layers] == [
        *["relu"] * len(encoder), "tanh", *["relu"] * len(decoder), "sigmoid",
    ]  # fmt: skip
    assert [type(layer) for layer in spec.layers] == kinds


def test_flops_count_products():
    """A product of width n to m takes 2 n m operations a row, and its bias and activation 2 m."""
    assert Dense(784, 128).flops == 2 * 784 * 128 + 2 * 128
