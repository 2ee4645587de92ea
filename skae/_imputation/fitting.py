"""The networks of an imputer, each trained without the rows of one fold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from skae._corruption.masking import MaskingNoise
from skae._estimators.denoising import DenoisingAutoencoder
from skae._typing import Array, Rng

FEW_ROWS, FOLDS = 2000, 5  # below this number of rows, "auto" uses folds
SHARE_SET_ASIDE, FEW_SET_ASIDE, MOST_SET_ASIDE = 0.1, 200, 2000  # with one network
FEWEST_TRAINING = 2
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 12_800, 20, 400  # of the default network
WIDTH = 256


@dataclass(frozen=True)
class Ensemble:
    """Networks, and the number of the network that each row was set aside from, or -1."""

    networks: list[Any]
    folds: Array


def mean_reconstruction(networks: list[Any], Z: Array) -> Array:
    total = networks[0].reconstruct(Z)
    for network in networks[1:]:
        total = total + network.reconstruct(Z)
    return total / len(networks)


def default_autoencoder(n_rows: int) -> DenoisingAutoencoder:
    """Return the network for ``autoencoder=None``: a denoiser that restores hidden cells.

    Each row loses another share of its cells in each step, so that one network serves all patterns
    of gaps.  The absolute error makes it predict medians.
    """
    steps = max(n_rows // 256, min(32, -(-n_rows // 32)), 1)  # of an epoch
    return DenoisingAutoencoder(
        WIDTH,
        hidden_layer_sizes=(WIDTH,),
        activation="silu",
        code_activation="silu",
        output_activation="linear",
        missing_values="mask",
        corruption=MaskingNoise(0.8, fill_value=np.nan, vary=True),
        shown_weight=0.1,
        loss="mean_absolute_error",
        optimizer="adam",  # a step of Muon takes longer than one of Adam
        learning_rate=0.002,
        epochs=int(np.clip(STEPS // steps, FEWEST_EPOCHS, MOST_EPOCHS)),
        early_stopping=False,
    )


def fit_networks(autoencoder: Any, Z: Array, n_folds: int, rng: Rng) -> Ensemble:
    """Train a network for each fold on the rows outside of it.

    Rows without a known value are in no fold, and train no network.
    """
    used = np.flatnonzero(~np.isnan(Z).all(axis=1))
    folds = np.full(len(Z), -1, np.int16)
    folds[used] = _draw_folds(len(used), n_folds, rng)
    networks = []
    for fold in range(n_folds):
        rows = used[folds[used] != fold]
        if len(rows) < FEWEST_TRAINING:
            rows = used
        seed = int(rng.integers(2**31))
        network = clone(autoencoder).set_params(missing_values="mask", random_state=seed)
        networks.append(network.fit(Z[rows]))
    return Ensemble(networks, folds)


def _draw_folds(n_rows: int, n_folds: int, rng: Rng) -> Array:
    """Return the fold of each row; with one fold, -1 for the rows that train."""
    order = rng.permutation(n_rows)
    if n_folds > 1:
        return order % n_folds
    n_aside = max(int(SHARE_SET_ASIDE * n_rows), min(FEW_SET_ASIDE, -(-n_rows // 5)))
    n_aside = min(n_aside, MOST_SET_ASIDE)
    return np.where(order < n_aside, 0, -1)
