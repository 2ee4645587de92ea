"""What `transform` and its like take for valid rows without asking scikit-learn."""

import numpy as np
import pytest
from sklearn.utils.validation import validate_data

from skae import DeepAutoencoder
from skae._validation import ROW_FORMAT, _is_valid

X = np.random.default_rng(0).uniform(size=(6, 4))


@pytest.fixture(scope="module")
def fitted():
    return DeepAutoencoder(2, hidden_layer_sizes=(), epochs=1, random_state=0).fit(X)


class Rows(np.ndarray):
    """An array of another library's."""


@pytest.mark.parametrize(
    "rows",
    [X, X.astype(np.float32), X[:1], X[2:4], np.full_like(X, np.nan)],
    ids=["float64", "float32", "one row", "a part", "NaN"],
)
def test_what_is_valid_is_what_scikit_learn_returns_as_it_is(rows, fitted):
    assert _is_valid(fitted, rows, 1)
    assert validate_data(fitted, rows, reset=False, ensure_all_finite=False, **ROW_FORMAT) is rows


@pytest.mark.parametrize(
    "rows",
    [
        X[:0],
        X[0],
        X[:, :3],
        X[None],
        X.tolist(),
        X.astype(int),
        X.astype(">f8"),
        X.astype(np.float16),
        X.astype(object),
        np.asfortranarray(X),
        X.view(Rows),
        np.ma.masked_array(X),
    ],
    ids=lambda rows: f"{type(rows).__name__} {getattr(rows, 'dtype', '')}",
)
def test_all_else_is_left_to_scikit_learn(rows, fitted):
    assert not _is_valid(fitted, rows, 1)


def test_rows_without_the_names_seen_in_fit_are_warned_of():
    pd = pytest.importorskip("pandas")
    estimator = DeepAutoencoder(2, hidden_layer_sizes=(), epochs=1, random_state=0)
    estimator.fit(pd.DataFrame(X, columns=list("abcd")))

    with pytest.warns(UserWarning, match="does not have valid feature names"):
        estimator.transform(X)
