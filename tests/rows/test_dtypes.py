"""`_is_valid`: rows that `transform` and similar methods accept without scikit-learn's check."""

import numpy as np
import pytest
from sklearn.utils.validation import validate_data

from skae import DeepAutoencoder
from skae._estimators.inputs import _is_valid
from skae._rows.dtypes import ROW_FORMAT

X = np.random.default_rng(0).uniform(size=(6, 4))


@pytest.fixture(scope="module")
def fitted():
    return DeepAutoencoder(2, hidden_layer_sizes=(), epochs=1, random_state=0).fit(X)


class Subclass(np.ndarray):
    """An array class of another library."""


@pytest.mark.parametrize(
    "rows",
    [X, X.astype(np.float32), X[:1], X[2:4], np.full_like(X, np.nan)],
    ids=["float64", "float32", "one row", "slice", "NaN"],
)
def test_valid_rows_need_no_check(rows, fitted):
    """scikit-learn's check returns the same object."""
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
        X.view(Subclass),
        np.ma.masked_array(X),
    ],
    ids=lambda rows: f"{type(rows).__name__} {getattr(rows, 'dtype', '')}",
)
def test_other_rows_need_a_check(rows, fitted):
    assert not _is_valid(fitted, rows, 1)


def test_missing_feature_names_warn():
    pd = pytest.importorskip("pandas")
    estimator = DeepAutoencoder(2, hidden_layer_sizes=(), epochs=1, random_state=0)
    estimator.fit(pd.DataFrame(X, columns=list("abcd")))

    with pytest.warns(UserWarning, match="does not have valid feature names"):
        estimator.transform(X)
