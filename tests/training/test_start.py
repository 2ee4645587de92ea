"""A network that starts at PCA, against scikit-learn's PCA."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import scale
from specs import make_spec

from skae import DeepAutoencoder, DenoisingAutoencoder
from skae._network.conditioning import Conditioning
from skae._network.inference import Network
from skae._network.tying import transposes
from skae._rows.rows import Rows, all_rows
from skae._rows.sources import Source
from skae._training import start as training_start
from skae._training.components import draw_sample
from skae._training.plan import Plan
from skae._training.start import starting_weights

CANCER = scale(load_breast_cancer().data)
DIGITS = load_digits().data / 16


def start(X, n_components, *, targets=None, weight=None, plan=None, **network):
    """Return the untrained network for rows."""
    changes = {"hidden_layer_sizes": (7, 5), "shortcut": True, "n_features": X.shape[1]} | network
    spec = make_spec(n_components=n_components, **changes)
    plan = {"epochs": 1, "optimizer": "adam", "learning_rate": "auto", "schedule": "constant",
            "seed": 0, "init": "pca"} | (plan or {})  # fmt: skip
    rows = Rows(X, targets, weight, all_rows(X))
    return Network(spec.network, starting_weights(spec, rows, Plan(**plan)), fallback=None)


def pca_error(X, n_components, of=None):
    pca = PCA(n_components).fit(X if of is None else of)
    return np.mean((X - pca.inverse_transform(pca.transform(X))) ** 2)


def error(network, X):
    return -np.mean(network.scores(X))


@pytest.mark.parametrize("hidden", [(), (5,), (16, 8)])
@pytest.mark.parametrize("decoder", [None, (), (7, 9)])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_untrained_network_is_pca(hidden, decoder, dropout):
    sizes = {"hidden_layer_sizes": hidden, "decoder_layer_sizes": decoder}
    network = start(CANCER, 8, **sizes, dropout=dropout)

    assert_allclose(error(network, CANCER), pca_error(CANCER, 8), rtol=1e-6)
    codes = network.encode(CANCER)
    assert_allclose(codes.std(axis=0), 1, rtol=2e-3)
    assert_allclose(codes.mean(axis=0), 0, atol=1e-5)
    assert_allclose(
        abs(np.corrcoef(codes.T, PCA(8).fit_transform(CANCER).T)[:8, 8:]), np.eye(8), atol=1e-4
    )


@pytest.mark.parametrize("hidden", [(), (5,), (16, 8)])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
def test_tied_network_starts_at_pca(hidden, activation):
    """Codes are PCA's, although hidden layers such as sigmoids add a constant."""
    network = start(CANCER, 8, hidden_layer_sizes=hidden, activation=activation, tied=True)
    pca = PCA(8).fit(CANCER)

    assert_allclose(error(network, CANCER), pca_error(CANCER, 8), rtol=1e-6)
    assert_allclose(abs(network.encode(CANCER)), abs(pca.transform(CANCER)), atol=1e-4)
    for place, source in transposes(network.spec).items():
        assert_array_equal(network.weights[place], network.weights[source].T)


@pytest.mark.parametrize("form", [sparse.csr_array, lambda X: Source(np.asarray(X), "X")])
def test_other_containers_start_at_pca(form):
    X = np.maximum(CANCER, 0)

    assert_allclose(error(start(form(X), 4), X), pca_error(X, 4), rtol=1e-4)


def mostly_zeros(n_rows=2_900, n_columns=1_500):
    """Return rows with 2 % of values that are not zero, some of which depend on each other."""
    rng = np.random.default_rng(0)
    topics = sparse.random(6, n_columns, 0.1, random_state=1).toarray()
    X = topics[rng.integers(0, 6, n_rows)] * (rng.random((n_rows, n_columns)) < 0.2)
    return X.astype(np.float32)


@pytest.mark.parametrize("conditioned", [False, True])
@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csr_matrix])
def test_sparse_start_equals_dense(form, conditioned):
    """The start of many rows that are mostly zero has the same bits, and the error of PCA."""
    X = mostly_zeros()
    conditioning = Conditioning.of(Rows(X, None, None, all_rows(X)), 2) if conditioned else None
    plan = {"conditioning": conditioning}
    dense, other = start(X, 5, plan=plan), start(form(X), 5, plan=plan)

    for array, same in zip(dense.weights, other.weights, strict=True):
        assert_array_equal(array, same)
    shift, scale = conditioning.map if conditioned else (0, 1)
    seen = ((X - shift) / scale).astype(np.float32)
    assert_allclose(error(dense, seen), pca_error(seen, 5), rtol=1e-4)
    assert_allclose(dense.encode(seen).std(axis=0), 1, rtol=2e-3)


@pytest.mark.parametrize("tied", [False, True])
def test_sparse_start_makes_no_dense_copy(tied):
    X = sparse.csr_array(mostly_zeros(9_000))
    tracemalloc.start()
    try:
        start(X, 5, tied=tied)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < X.shape[0] * X.shape[1] * 4 / 2


@pytest.mark.parametrize("value", [0, 3])
def test_constant_sparse_rows_start_finite(value):
    X = sparse.lil_array((2_900, 1_500), dtype=np.float32)
    X[:, 7] = value

    assert all(np.isfinite(array).all() for array in start(X.tocsr(), 3).weights)


def test_units_do_not_change_the_start():
    X = 5 + 1e-2 * CANCER
    conditioning = Conditioning.of(Rows(X, None, None, all_rows(X)), degree=2)
    network = start(X, 4, plan={"conditioning": conditioning})
    Z = (X - conditioning.shift) / conditioning.scale

    assert_allclose(error(network, Z), pca_error(Z, 4), rtol=1e-5)


def test_weights_count_as_repeated_rows():
    weight = np.random.default_rng(0).integers(1, 5, len(CANCER))
    network = start(CANCER, 3, weight=weight.astype(np.float32))
    repeated = np.repeat(CANCER, weight, axis=0)

    assert_allclose(error(network, repeated), pca_error(repeated, 3), rtol=1e-6)


def test_pairs_start_at_clean_components():
    """The decoder has the components of the clean rows, whatever the inputs."""
    noisy = CANCER + np.random.default_rng(0).normal(0, 1e-3, CANCER.shape)
    for tied in (False, True):
        outputs = start(noisy, 4, targets=CANCER, tied=tied).reconstruct(noisy)

        assert_allclose(np.mean((outputs - CANCER) ** 2), pca_error(CANCER, 4), rtol=1e-3)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shape", [(50, 4), (5, 30)])
def test_code_may_exceed_pca(shape, tied):
    """Codes that PCA does not have start at random, and the reconstruction is exact.

    Tied weights of these codes are small, but change it.
    """
    X = np.random.default_rng(0).normal(size=shape)
    network = start(X, 9, tied=tied)

    assert_allclose(network.reconstruct(X), X, atol=1e-3 if tied else 1e-5)
    assert (network.encode(X).std(axis=0) > 0).all()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("X", [np.ones((30, 4)), np.ones((1, 4)), np.eye(2)])
def test_degenerate_rows_start_finite(X, tied):
    network = start(X, 3, tied=tied)

    assert_allclose(network.reconstruct(X), X, atol=1e-4 if tied else 1e-5)


@pytest.mark.parametrize("k", [2, 8])
def test_sigmoid_starts_below_clipped_pca(k):
    network = start(DIGITS, k, output_activation="sigmoid")
    pca = PCA(k).fit(DIGITS)
    clipped = np.clip(pca.inverse_transform(pca.transform(DIGITS)), 1e-7, 1 - 1e-7)

    assert error(network, DIGITS) < np.mean((clipped - DIGITS) ** 2)
    assert cross_entropy(network.reconstruct(DIGITS)) < cross_entropy(clipped)


@pytest.mark.parametrize(("k", "factor"), [(2, 1), (8, 0.95), (32, 1.5)])
def test_tied_sigmoid_starts_near_pca(k, factor):
    """The regression has one coefficient for each component, which is too few for many codes."""
    network = start(DIGITS, k, output_activation="sigmoid", tied=True)

    assert error(network, DIGITS) < factor * pca_error(DIGITS, k)
    for place, source in transposes(network.spec).items():
        assert_array_equal(network.weights[place], network.weights[source].T)


def cross_entropy(outputs):
    outputs = np.clip(outputs, 1e-7, 1 - 1e-7)
    return -np.mean(DIGITS * np.log(outputs) + (1 - DIGITS) * np.log(1 - outputs))


def test_code_activation_follows_linear_path():
    linear = start(CANCER, 3).encode(CANCER)
    tanh = start(CANCER, 3, code_activation="tanh").encode(CANCER)

    assert_allclose(tanh, np.tanh(linear), atol=1e-6)


def test_sample_of_rows_suffices():
    """PCA of a sample has an error within 1 % of PCA's of all rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 30)) * np.arange(1, 31) ** -0.5

    assert error(start(X, 5), X) < 1.01 * pca_error(X, 5)


@pytest.mark.parametrize(("init", "gaps", "n_samples"), [
    ("pca", True, 1), ("random", True, 1), ("pca", False, 1), ("random", False, 0),
])  # fmt: skip
def test_sample_is_drawn_once(init, gaps, n_samples, monkeypatch):
    drawn = []

    def draw(*args, **options):
        drawn.append(draw_sample(*args, **options))
        return drawn[-1]

    monkeypatch.setattr(training_start, "draw_sample", draw)
    start(CANCER, 4, gaps=gaps, shortcut=init == "pca", plan={"init": init})
    assert len(drawn) == n_samples


def test_rare_values_are_in_the_sample():
    """PCA reconstructs a column with a single extreme value, so the start must have seen it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8_000, 20))
    X[4321, 7] = 1000

    assert error(start(X, 2), X) < 1.001 * pca_error(X, 2)


@pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
def test_fit_starts_at_pca(kind):
    """After one tiny step, an estimator is still PCA, and so are its files and Keras models."""
    params = {"epochs": 1, "optimizer": "sgd", "learning_rate": 1e-30, "random_state": 0}
    estimator = kind(4, init="pca", early_stopping=False, **params).fit(CANCER)

    assert_allclose(-estimator.score(CANCER), pca_error(CANCER, 4), rtol=1e-6)
    assert_allclose(estimator.autoencoder_(CANCER), estimator.reconstruct(CANCER), atol=1e-5)
    again = kind.from_keras(estimator.encoder_, estimator.decoder_)
    assert again.init == "pca"
    assert_array_equal(again.transform(CANCER), estimator.transform(CANCER))


def test_early_stopping_never_ends_worse():
    """The weights before the first epoch count: a rate that is far too high leaves PCA."""
    X = np.random.default_rng(0).normal(size=(200, 20))
    estimator = DeepAutoencoder(
        3,
        init="pca",
        early_stopping=True,
        optimizer="adam",
        learning_rate=0.5,
        epochs=3,
        random_state=0,
    ).fit(X, X_val=X)

    assert -estimator.score(X) <= pca_error(X, 3) * (1 + 1e-5)
    assert min(estimator.history_["val_loss"]) > pca_error(X, 3)
