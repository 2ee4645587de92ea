"""Random data in every form and random parameters give consistent results or a documented error.

A short run tries a few hundred cases, which are always the same.  ``pytest --long`` tries more than
ten thousand new ones.
"""

import contextlib
import pickle
import re
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from strategies import (
    PARAMETERS,
    STRUCTURES,
    WIDTHS,
    arrays,
    bad_tables,
    estimators,
    odd,
    tables,
)

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise
from skae._network.layers import Shortcut

REFUSALS = (ValueError, TypeError, OverflowError)  # OverflowError: integers beyond float64
INTERNALS = re.compile(r"tensorflow|\btf\.|keras\.src|node|Traceback", re.IGNORECASE)
ALL = ("around zero", "in the unit interval", "whole", "large", "of any size", "at the limits")


@contextlib.contextmanager
def no_warning():
    """Turn RuntimeWarning, NumPy's warning about arithmetic, into an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        # scikit-learn itself warns if a sum contains infinities of both signs
        warnings.filterwarnings("ignore", "invalid value encountered in reduce")
        yield


def attempt(estimator, method, *args, **kwargs):
    """Call a method; return its result, or None after a documented error that changed nothing."""
    before = vars(estimator).copy()
    try:
        with no_warning():
            return getattr(estimator, method)(*args, **kwargs)
    except REFUSALS as error:
        message = str(error)
        assert message
        assert not INTERNALS.search(message), message
        assert vars(estimator).keys() == before.keys()
        assert all(vars(estimator)[name] is value for name, value in before.items())
        return None


def fitted(estimator, X, **kwargs):
    """Fit; skip the case if training diverged, which is a permitted outcome."""
    assume(attempt(estimator, "fit", X, **kwargs) is not None)
    return estimator


def answer(estimator, method, X):
    """Call a method; skip the case if the result is too large for its dtype."""
    result = attempt(estimator, method, X)
    assume(result is not None)
    return result


def contents(X):
    """Return the data of a table as bytes, without the flags that SciPy caches in a matrix."""
    if sparse.issparse(X) and X.format not in ("dok", "lil"):
        return {name: part.tobytes() for name, part in vars(X).items() if hasattr(part, "tobytes")}
    return pickle.dumps(X.toarray() if sparse.issparse(X) else X)


def weights(estimator):
    return estimator._network.weights


def tolerance(estimator, X):
    """Return the bounds of rounding errors: 64 ulps of the largest sum of absolute values."""
    network, h = estimator._network, np.abs(X.astype(np.float64))
    with np.errstate(over="ignore"):
        sizes = [h, *sums(network.spec.layers, network.spec.by_layer(network.weights), h)]
    assume(all(np.isfinite(size).all() for size in sizes))
    largest = max(size.max() for size in sizes)
    return {"rtol": 0, "atol": 64 * float(np.finfo(X.dtype).eps * largest) + 1e-300}


def sums(layers, weights, h):
    """Yield the sums of absolute values that each layer computes for rows."""
    for layer, own in zip(layers, weights, strict=True):
        absolute = [np.abs(array.astype(np.float64)) for array in own]
        if isinstance(layer, Shortcut):
            path, inner = layer.split(absolute)
            inside = list(sums(layer.layers, inner, h))
            yield from inside
            h = h @ path + inside[-1]
        elif own:
            kernel, bias = absolute
            h = h @ kernel + bias
        yield h


# ---------------------------------------------------------------------- fitting


@given(estimators(), tables(regimes=ALL, min_rows=1))
def test_fit_is_finite_or_refused(estimator, table):
    """A fit ends with finite weights and a finite history, or with a documented error."""
    if attempt(estimator, "fit", table.X) is None:
        return
    n_features = table.plain.shape[1]
    assert estimator.n_features_in_ == n_features
    assert all(np.isfinite(array).all() for array in weights(estimator))
    assert all(array.dtype == np.float32 for array in weights(estimator))
    assert weights(estimator)[0].shape[0] == weights(estimator)[-1].shape[0] == n_features
    assert 1 <= estimator.n_iter_ <= estimator.epochs
    for record in estimator.history_.values():
        assert len(record) == estimator.n_iter_
        assert np.isfinite(record).all()


@given(estimators(), tables(regimes=ALL))
def test_results_have_documented_shapes_and_dtypes(estimator, table):
    X, plain = table
    fitted(estimator, X)
    n_rows, n_features = plain.shape
    shapes = {
        "transform": (n_rows, estimator.n_components), "reconstruct": (n_rows, n_features),
        "score_samples": (n_rows,),
    }  # fmt: skip
    for method, shape in shapes.items():
        result = attempt(estimator, method, X)
        if result is not None:  # None: the result is too large for its dtype
            assert type(result) is np.ndarray
            assert result.shape == shape
            assert result.dtype == plain.dtype
            assert np.isfinite(result).all()
            assert method != "score_samples" or (result <= 0).all()


@given(estimators(), tables())
def test_form_of_X_changes_nothing(estimator, table):
    """The container, dtype and memory layout of X change no bit of the fit."""
    other = clone(estimator)
    fitted(estimator, table.X)
    fitted(other, table.plain)
    assert estimator.history_ == other.history_
    for array, same in zip(weights(estimator), weights(other), strict=True):
        assert_array_equal(array, same)
    expected = answer(other, "reconstruct", table.plain)
    bounds = tolerance(estimator, table.plain)
    assert_allclose(estimator.reconstruct(table.X), expected, **bounds)


@given(estimators(), tables(regimes=ALL))
def test_fit_does_not_modify_X(estimator, table):
    before = contents(table.X)
    if attempt(estimator, "fit", table.X) is not None:
        attempt(estimator, "score", table.X)
    assert contents(table.X) == before


@given(estimators(), tables())
def test_clone_and_pickle_give_same_bits(estimator, table):
    copy = clone(estimator)
    codes = answer(fitted(estimator, table.X), "transform", table.X)
    fitted(copy, table.X)
    assert copy.history_ == estimator.history_
    assert_array_equal(copy.transform(table.X), codes)
    assert_array_equal(pickle.loads(pickle.dumps(estimator)).transform(table.X), codes)


@given(estimators(), tables(), st.lists(st.integers(1, 12), max_size=3))
def test_partial_fits_stay_finite(estimator, table, cuts):
    """Calls of `partial_fit` with pieces of any size end with finite weights."""
    for piece in np.split(table.plain, sorted(cut for cut in cuts if cut < len(table.plain))):
        if attempt(estimator, "partial_fit", piece) is None:
            return
    assert all(np.isfinite(array).all() for array in weights(estimator))
    assert estimator.n_iter_ == len(estimator.history_["loss"])


rows_of_3 = tables(width=3, min_rows=1)


@given(estimators(), arrays(width=3), rows_of_3, rows_of_3, st.data())
def test_optional_rows_in_any_form(estimator, X, other, validation, data):
    """Clean rows, validation rows and weights are used in training, or refused if invalid."""
    kwargs = {"X_val": validation.X} if data.draw(st.booleans()) else {}
    if isinstance(estimator, DenoisingAutoencoder) and data.draw(st.booleans()):
        kwargs["X_clean"] = other.X
    if data.draw(st.booleans()):
        numbers = st.sampled_from([0, 1, 2.5, 1e-300, 1e300, -1, np.inf])
        length = data.draw(st.sampled_from([len(X), len(X), len(X) + 1]))
        kwargs["sample_weight"] = data.draw(st.lists(numbers, min_size=length, max_size=length))
    if attempt(estimator, "fit", X, **kwargs) is None:
        return
    assert all(np.isfinite(array).all() for array in weights(estimator))
    assert np.isfinite(estimator.history_["loss"]).all()
    assert ("val_loss" in estimator.history_) == ("X_val" in kwargs or estimator.early_stopping)


# ---------------------------------------------------------------------- results


@given(estimators(), tables(), st.integers(1, 12))
def test_rows_are_transformed_independently(estimator, table, cut):
    """The code of a row does not depend on the other rows."""
    plain = table.plain
    fitted(estimator, table.X)
    whole = answer(estimator, "transform", table.X)
    pieces = np.split(plain, [cut]) if cut < len(plain) else [row[None] for row in plain]
    bounds = tolerance(estimator, plain)
    assert_allclose(np.concatenate([estimator.transform(p) for p in pieces]), whole, **bounds)


@given(estimators(), tables())
def test_reconstruct_is_transform_and_back(estimator, table):
    fitted(estimator, table.X)
    expected = answer(estimator, "reconstruct", table.X)
    back = estimator.inverse_transform(estimator.transform(table.X))
    assert back.dtype == expected.dtype
    assert_allclose(back, expected, **tolerance(estimator, table.plain))


@given(estimators(), tables(), st.integers(0, 2**32 - 1))
def test_score_is_mean_squared_error(estimator, table, seed):
    """`score` is the weighted mean of `score_samples`, the negative errors of `reconstruct`."""
    plain = table.plain.astype(np.float64)
    scores = answer(fitted(estimator, table.X), "score_samples", table.X)
    exact = estimator._network.scores(plain)
    assert estimator.score(table.X) == pytest.approx(exact.mean(), rel=1e-6)
    weight = np.random.default_rng(seed).integers(0, 3, len(plain))
    if weight.any():
        expected = np.average(exact, weights=weight)
        actual = estimator.score(table.X, sample_weight=weight)
        assert actual == pytest.approx(expected, rel=1e-6)
    errors = np.abs(plain - estimator.reconstruct(table.X))
    slack = tolerance(estimator, table.plain)["atol"]
    low, high = np.maximum(errors - slack, 0), errors + slack
    assert ((low**2).mean(axis=1) * (1 - 1e-5) <= -scores).all()
    assert (-scores <= (high**2).mean(axis=1) * (1 + 1e-5)).all()


@given(estimators(), tables(), st.sampled_from(["pandas", "polars"]))
def test_output_frames_hold_same_numbers(estimator, table, library):
    codes = answer(fitted(estimator, table.X), "transform", table.X)
    frame = estimator.set_output(transform=library).transform(table.X)
    assert type(frame).__module__.startswith(library)
    assert list(frame.columns) == list(estimator.get_feature_names_out())
    assert_array_equal(frame.to_numpy(), codes)
    assert_array_equal(estimator.set_output(transform="default").transform(table.X), codes)


@given(st.sampled_from(STRUCTURES), tables(regimes=ALL, min_rows=1), st.sampled_from(WIDTHS))
def test_codes_in_any_form(structure, table, n_features):
    """`inverse_transform` accepts codes in every dense form."""
    estimator = DeepAutoencoder(**structure, epochs=1, random_state=0)
    estimator.fit(np.eye(3)[:, :n_features] * 2)
    rows = attempt(estimator, "inverse_transform", table.X)
    is_sparse = sparse.issparse(table.X) or "Sparse" in str(getattr(table.X, "dtypes", ""))
    fits = table.plain.shape[1] == estimator.n_components and not is_sparse
    if rows is not None:
        assert fits
        assert rows.shape == (len(table.plain), n_features)
        assert rows.dtype == table.plain.dtype
        assert np.isfinite(rows).all()
    elif fits:  # only results that are too large are refused
        assert np.abs(table.plain).max() > 1e10


# ---------------------------------------------------------------------- refusals


@given(estimators(tame=True), bad_tables(), st.booleans())
def test_invalid_tables_are_refused(estimator, bad, fit_first):
    _, X = bad
    if fit_first:
        estimator.fit(np.eye(3))
        for method in ("transform", "inverse_transform", "reconstruct", "score_samples", "score"):
            assert attempt(estimator, method, X) is None
    assert attempt(estimator, "fit", X) is None
    assert attempt(estimator, "partial_fit", X) is None
    if isinstance(estimator, DenoisingAutoencoder) and X is not None:
        assert attempt(estimator, "fit", np.eye(3), X_clean=X) is None
    if X is not None:
        assert attempt(estimator, "fit", np.eye(3), X_val=X) is None


@given(estimators(tame=True), st.dictionaries(st.sampled_from(PARAMETERS), odd, max_size=2))
def test_odd_parameters_train_or_raise(estimator, params):
    """Odd values of parameters give a documented error or finite results."""
    if attempt(estimator, "set_params", **params) is None:
        return
    X = np.array([[0.0, 1, 2], [3, 1, 5], [7, 8, 2], [0, 0, 1]])
    if attempt(estimator, "fit", X) is not None:
        assert all(np.isfinite(array).all() for array in weights(estimator))
        codes = attempt(estimator, "transform", X)
        assert codes is None or np.isfinite(codes).all()


# ---------------------------------------------------------------------- the noise transformer


@given(
    tables(regimes=ALL, min_rows=1),
    st.sampled_from([0, 0.5, 3, 1e30]) | odd,
    st.sampled_from([None, (0, 1), (-np.inf, 2.5)]) | odd,
    st.integers(0, 2**32 - 1),
)
def test_noise_keeps_shape_dtype_and_clip(table, scale, clip, seed):
    noise = GaussianNoise(scale, clip=clip, random_state=seed)
    noisy = None if attempt(noise, "fit", table.X) is None else attempt(noise, "transform", table.X)
    if noisy is None:
        return
    plain = table.plain
    assert noisy.shape == plain.shape
    assert noisy.dtype == plain.dtype
    assert np.isfinite(noisy).all()
    assert_array_equal(noise.transform(table.X), noisy)
    if clip is not None:
        assert (noisy >= np.asarray(clip[0], noisy.dtype)).all()
        assert (noisy <= np.asarray(clip[1], noisy.dtype)).all()
    elif scale == 0:
        assert_array_equal(noisy, plain)
