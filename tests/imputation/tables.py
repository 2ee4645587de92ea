"""Tables with gaps, and an imputer that is fitted in a moment."""

import numpy as np

from skae import AutoencoderImputer, DenoisingAutoencoder, MaskingNoise


def cheap(**params):
    """Return an imputer with networks of a few weights; tables of one width share a program."""
    network = _network(4, init="random", batch_size=32, epochs=2)
    return AutoencoderImputer(network, **({"n_folds": 2, "random_state": 0} | params))


def able(**params):
    """Return an imputer that learns in seconds."""
    network = _network(64, activation="silu", code_activation="silu", optimizer="adam", epochs=100)
    return AutoencoderImputer(network, **({"random_state": 0} | params))


def _network(width, **params):
    return DenoisingAutoencoder(
        width,
        hidden_layer_sizes=(width,),
        corruption=MaskingNoise(0.8, fill_value=np.nan, vary=True),
        shown_weight=0.1,
        output_activation="linear",
        loss="mean_absolute_error",
        early_stopping=False,
        **params,
    )


def related(n_rows, seed=0):
    """Return rows of four columns of different scales; two of them determine the others."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, 2))
    X = np.hstack([x, x @ [[1, 0.5], [-1, 2]]]) + rng.normal(scale=0.1, size=(n_rows, 4))
    return X * [1, 100, 1e-3, 1] + [0, 500, 0, -3]


def with_gaps(X, rate=0.3, seed=0):
    """Return a copy of rows with NaN in random cells, and the mask of these cells."""
    hidden = np.random.default_rng(seed).random(X.shape) < rate
    hidden[hidden.all(axis=1), 0] = False
    return np.where(hidden, X.dtype.type(np.nan), X), hidden
