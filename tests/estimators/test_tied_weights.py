"""`tied_weights`: the decoder's kernels are transposes, during a fit and after it."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.metrics import r2_score
from sklearn.preprocessing import scale

from skae import DeepAutoencoder
from skae._network.tying import transposes
from tests.estimators.comparisons import (
    FROZEN,
    UNCHANGED,
    assert_other_bits,
    assert_same_bits,
    each_kind,
    refused,
)
from tests.specs import make_spec

# Three components explain all columns, so that no output is corrected at the end of a fit.
RNG = np.random.default_rng(0)
PLANE = scale(RNG.normal(size=(300, 3)) @ RNG.normal(size=(3, 12)))
WHOLE = {"early_stopping": False, "epochs": 20, "batch_size": 32, "random_state": 0}
TIED = WHOLE | {"tied_weights": True, "hidden_layer_sizes": (16, 8)}


def factors(estimator):
    """Return the factor of each kernel of the decoder, and check that it is a transpose so."""
    network = estimator._network
    found = {}
    for place, source in transposes(network.spec).items():
        kernel, mirrored = network.weights[place], network.weights[source].T
        found[place] = np.vdot(kernel, mirrored) / np.vdot(mirrored, mirrored)
        assert_allclose(kernel, found[place] * mirrored, rtol=1e-4, atol=1e-5 * abs(kernel).max())
    return list(found.values())


@each_kind
@pytest.mark.parametrize("optimizer", ["adam", "muon", "adafactor"])
@pytest.mark.parametrize("init", ["random", "pca"])
def test_fitted_kernels_are_transposes(kind, optimizer, init):
    """Of rows with another variance, the last kernels are transposes times this variance."""
    params = {"optimizer": optimizer, "learning_rate": 0.01, "init": init, "dropout": 0.1, **TIED}
    estimator = kind(3, **params).fit(3 * PLANE)

    n_last = 1 if init == "random" else 2
    assert_allclose(factors(estimator)[:-n_last], 1, rtol=1e-5)
    assert_allclose(factors(estimator)[-n_last:], 9, rtol=1e-5)
    assert r2_score(PLANE, estimator.reconstruct(3 * PLANE) / 3) > 0.5


@pytest.mark.parametrize("params", [{"hidden_layer_sizes": ()}, {"alpha": 1e-3}, {"init": "pca"}])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_bounded_kernels_are_transposes(params, early_stopping, make_autoencoder, X):
    params = {"early_stopping": early_stopping, **UNCHANGED, **params}
    estimator = make_autoencoder(tied_weights=True, **params).fit(X)

    assert_allclose(factors(estimator), 1, rtol=1e-5)


@each_kind
def test_false_equals_the_default(kind, make_autoencoder, X):
    plain, same = (make_autoencoder(kind, **of).fit(X) for of in ({}, {"tied_weights": False}))
    tied, again = (make_autoencoder(kind, tied_weights=True).fit(X) for _ in range(2))

    assert_same_bits(plain, same, X)
    assert_same_bits(tied, again, X)
    assert_other_bits(tied, plain, X)


def test_corrected_columns_have_other_factors():
    """Columns of small variance are corrected as always, and have a multiple of their kernel."""
    X = load_wine().data
    estimator = DeepAutoencoder(3, init="random", **TIED).fit(X)
    *_, kernel, _ = estimator._network.weights
    mirrored = estimator._network.weights[0].T
    of_column = (kernel * mirrored).sum(axis=0) / np.square(mirrored).sum(axis=0)

    assert r2_score(X, estimator.reconstruct(X), multioutput="raw_values").min() > -1e-6
    assert_allclose(kernel, of_column * mirrored, rtol=1e-4, atol=1e-5 * abs(kernel).max())
    assert np.isclose(of_column, X.var(axis=0).mean(), rtol=1e-4).any()


@each_kind
@pytest.mark.parametrize("init", ["random", "pca"])
@pytest.mark.parametrize("bounded", [False, True])
def test_other_rows_continue_a_fit(kind, init, bounded):
    """The scale of the first rows is kept: with another one, kernels would not be transposes."""
    X = np.clip(PLANE / 8 + 0.5, 0, 1) if bounded else 2 * PLANE + 1
    output = UNCHANGED if bounded else {"output_activation": "linear"}
    estimator = kind(3, init=init, optimizer="adam", **output, **TIED).fit(X)
    before, fitted = estimator.reconstruct(X), factors(estimator)
    estimator.set_params(**FROZEN).partial_fit(X / 2 if bounded else 5 * X + 3)

    assert_allclose(estimator.reconstruct(X), before, atol=1e-4)
    assert_allclose(factors(estimator), fitted, rtol=1e-4)
    estimator.set_params(warm_start=True, epochs=1, learning_rate=1e-3)
    assert estimator.fit(X).n_iter_ == 22
    assert_allclose(factors(estimator), fitted, rtol=1e-4)


@each_kind
def test_partial_fits_equal_one_tied_fit(kind, make_autoencoder, X):
    params = {"tied_weights": True, "learning_rate_schedule": "constant", "early_stopping": False}
    params |= UNCHANGED
    in_steps, at_once = (make_autoencoder(kind, **params) for _ in range(2))
    for _ in range(3):
        in_steps.partial_fit(X)
    at_once.fit(X)

    assert_same_bits(in_steps, at_once, X)


def test_tied_network_may_continue_untied(make_autoencoder, X):
    """The optimizer then starts again, because it has other variables."""
    estimator = make_autoencoder(tied_weights=True).partial_fit(X)
    before = estimator.reconstruct(X)
    estimator.set_params(tied_weights=False, **FROZEN).partial_fit(X)

    assert_allclose(estimator.reconstruct(X), before, atol=1e-5)
    refused(estimator.set_params(tied_weights=True), ValueError, "was not trained with it", X,
            method="partial_fit")  # fmt: skip


def test_untied_network_is_not_continued(make_autoencoder, X):
    estimator = make_autoencoder(warm_start=True).fit(X)
    estimator.set_params(tied_weights=True)
    refused(estimator, ValueError, "continues from a network that was not trained with it", X)
    models = estimator.encoder_, estimator.decoder_
    read = DeepAutoencoder.from_keras(*models, tied_weights=True, epochs=1, random_state=0)
    assert_array_equal(read.transform(X), estimator.transform(X))
    refused(read, ValueError, "Set tied_weights=False", X, method="partial_fit")

    assert_allclose(factors(clone(read).partial_fit(X))[0], 1, rtol=1e-5)


def test_other_loss_needs_a_new_fit(make_autoencoder, X):
    """A Huber loss has units, so that training would not scale the rows."""
    params = {"output_activation": "linear", "warm_start": True, "tied_weights": True}
    estimator = make_autoencoder(loss="mse", **params).fit(X)
    estimator.set_params(loss="mae").fit(X)

    match = r"the last kernel of the network is 0\.07\d* times the transpose.*got loss='huber'"
    refused(estimator.set_params(loss="huber"), ValueError, match, X)
    refused(estimator, ValueError, match, X, method="partial_fit")


@pytest.mark.parametrize("sizes", [(), (16,), (16, 8), 8])
def test_decoder_must_mirror_encoder(sizes, make_autoencoder, X):
    params = {"hidden_layer_sizes": (16, 8), "decoder_layer_sizes": sizes}
    estimator = make_autoencoder(tied_weights=True, **params)
    refused(estimator, ValueError, "needs a decoder that mirrors the encoder; got", X)

    estimator.set_params(decoder_layer_sizes=[8, 16]).fit(X)


def test_shared_kernels_have_one_variable():
    """Biases aside, the optimizer of a tied network has half the values."""
    from skae._engine.limits import Limits
    from skae._engine.program import Program

    for optimizer in ("adam", "lamb"):
        tied, untied = (
            Program(make_spec(optimizer=optimizer, tied=tied), False, Limits())
            for tied in (True, False)
        )
        kernels = 6 * 5 + 5 * 2
        sizes = [sum(np.prod(v.shape) for v in p.variables) for p in (tied, untied)]
        assert sizes[1] - sizes[0] == kernels
        assert sum(array.size for array in tied.weights()) == sizes[1]


def test_callback_changes_both_kernels(make_autoencoder, X):
    """A callback that changes the encoder's kernels changes the decoder's."""

    class Halve(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            self.model.layers[1].kernel.assign(self.model.layers[1].kernel / 2)

    params = {"tied_weights": True, **UNCHANGED}
    plain, halved = (make_autoencoder(callbacks=of, **params).fit(X) for of in (None, [Halve()]))
    assert_array_equal(2 * halved._network.weights[0], plain._network.weights[0])
    assert_allclose(factors(halved), 1, rtol=1e-5)
