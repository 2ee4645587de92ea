"""Rows that are encoded already: an autoencoder learns from them as from their frame."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import DeepAutoencoder, DenoisingAutoencoder, MaskingNoise
from skae._tables.encoded import Encoded
from skae._tables.inputs import find_table
from skae.datasets import load_penguins


def networks():
    params = {"missing_values": "mask", "epochs": 2, "random_state": 0, "min_frequency": 0.3}
    noise = MaskingNoise(0.5, fill_value=np.nan)
    return [
        DeepAutoencoder(2, early_stopping=True, **params),
        DenoisingAutoencoder(2, corruption=noise, shown_weight=0.5, **params),
    ]


def encoded(estimator, X):
    table = find_table(estimator, X)
    return Encoded(table, table.encode(X, "ignore"))


@pytest.mark.parametrize("network", networks(), ids=lambda network: type(network).__name__)
def test_fit_gives_same_bits(network):
    X = load_penguins().X
    rows = encoded(network, X)
    of_frame = network.fit(X).reconstruct_proba(X)
    codes = network.transform(X)
    scores = network.score_samples(X)
    of_rows = network.fit(rows).reconstruct_proba(X)
    assert network.feature_names_in_.tolist() == X.columns.tolist()
    for name, expected in of_frame.items():
        assert_array_equal(of_rows[name], expected)
    assert_array_equal(network.transform(rows), codes)
    assert_array_equal(network.score_samples(rows), scores)
    assert network.reconstruct(X).equals(rows.table.decode(network.reconstruct(rows), X.index))


def test_folds_share_categories():
    """Categories are known that the rows of the fit do not have."""
    network, X = networks()[0], load_penguins().X
    rows = encoded(network, X)
    first = np.flatnonzero(X["island"] == X["island"][0])
    part = rows[first]
    assert len(part) == part.shape[0] == len(first)
    assert part.shape[1] == rows.shape[1] == X.shape[1]
    network.fit(part)
    assert network.categories_["island"] == rows.table.categories["island"]
    assert network.reconstruct(rows).shape == rows.matrix.shape
    assert network.n_features_in_ == X.shape[1]


def test_outputs_are_probabilities():
    network, X = networks()[1], load_penguins().X
    rows = encoded(network, X)
    outputs = network.fit(rows).reconstruct(rows)
    for probabilities in rows.table.probabilities(outputs).values():
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    for name, expected in network.reconstruct_proba(X).items():
        assert_array_equal(rows.table.probabilities(outputs)[name], expected)
