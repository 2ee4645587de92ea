"""Rows that are mostly zero stay sparse up to the first product, and give the same results."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skae import DeepAutoencoder, GaussianNoise
from skae._engine import cache
from skae._engine.cache import ProgramCache
from skae._engine.limits import Limits
from skae._network.conditioning import Conditioning
from skae._objective.penalties import CodeL1, Contraction, KernelL2
from skae._rows.rows import Rows
from skae._training import passes
from skae._training.fit import train
from skae._training.plan import Plan
from tests.specs import make_spec

N_ROWS, N_FEATURES = 150, 200  # the last of five mini-batches has 22 rows
SPARSE = Limits(xla=True, sparse_values=0, max_chunk_steps=2)
DENSE = replace(SPARSE, sparse_values=N_ROWS * N_FEATURES)
NETWORK = {"n_features": N_FEATURES, "hidden_layer_sizes": (8,), "n_components": 3}
BOUNDED = {"output_activation": "sigmoid", "loss": "binary_crossentropy"}


@pytest.fixture(scope="module")
def X():
    """Rows with 0 to 11 values that are not zero."""
    rng = np.random.default_rng(0)
    share = rng.uniform(0, 0.04, (N_ROWS, 1))
    return np.where(rng.random((N_ROWS, N_FEATURES)) < share, rng.random((N_ROWS, 1)), 0)


def make_rows(X, **changes):
    return replace(Rows(X, None, None, np.arange(X.shape[0])), **changes)


def make_plan(**changes):
    values = {"epochs": 3, "optimizer": "adam", "learning_rate": 0.01, "schedule": "cosine"}
    return Plan(**(values | {"seed": 7} | changes))


def fit(rows, limits=SPARSE, *, plan=None, validation=None, **changes):
    """Train; return the result, and whether the program took sparse rows."""
    programs = ProgramCache()
    spec = make_spec(**(NETWORK | {"optimizer": "adam", "batch_size": 32} | changes))
    if plan is None:
        plan = make_plan()
    if plan.conditioning is not None:
        spec = replace(spec, conditioned=True)
    if plan.column_weights is not None:
        spec = replace(spec, objective=replace(spec.objective, weighted=True))
    result = train(spec, rows, plan, validation=validation, limits=limits, programs=programs)
    ((program_spec, *_),) = programs._programs
    return result, program_spec.n_entries > 0


def assert_same_results(result, expected):
    for ours, theirs in zip(result.weights, expected.weights, strict=True):
        assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)
    assert result.history.keys() == expected.history.keys()
    for name, values in result.history.items():
        assert_allclose(values, expected.history[name], rtol=1e-4, err_msg=name)


def conditioned(X):
    return make_plan(conditioning=Conditioning.of(make_rows(X), 2))


CASES = {
    "plain": {},
    "no hidden layers": {"hidden_layer_sizes": ()},
    "shortcut": {"shortcut": True},
    "tied": {"tied": True, "shortcut": True},
    "muon": {"optimizer": "muon"},
    "sgd": {"optimizer": "sgd"},
    "lamb": {"optimizer": "lamb"},
    "dropout": {"dropout": 0.3},
    "metrics": {"metrics": ("mean_absolute_error",)},
    "cross-entropy": BOUNDED,
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_sparse_products_match_dense(case, X):
    """Training, validation and metrics agree with those of dense rows, up to rounding."""
    rows, validation = make_rows(sparse.csr_array(X)), make_rows(sparse.csr_array(X[:40] / 2))
    ours, is_sparse = fit(rows, validation=validation, **case)
    theirs, other_is_sparse = fit(rows, DENSE, validation=validation, **case)

    assert is_sparse
    assert not other_is_sparse
    assert_same_results(ours, theirs)


def test_conditioned_penalised_and_weighted_rows(X):
    """Shift, scale, penalties, and weights of rows and columns are those of dense rows."""
    rng = np.random.default_rng(1)
    X = X + np.eye(1, N_FEATURES) * 5  # a column that is never zero
    plan = replace(
        conditioned(X),
        strengths=(1e-3, 1e-2),
        column_weights=rng.uniform(0.5, 1.5, N_FEATURES).astype(np.float32),
    )
    index = np.flatnonzero(rng.random(N_ROWS) < 0.8)
    weight = rng.uniform(0.5, 2, N_ROWS).astype(np.float32)
    rows = make_rows(sparse.csr_array(X), index=index, weight=weight)
    penalties = (KernelL2(), CodeL1())
    ours, is_sparse = fit(rows, plan=plan, penalties=penalties)
    theirs, _ = fit(rows, DENSE, plan=plan, penalties=penalties)

    assert is_sparse
    assert_same_results(ours, theirs)


def test_sparse_targets_match_dense(X):
    """Pairs of sparse rows, without a corruption of their own, are sparse on both sides."""
    rows = make_rows(sparse.csr_array(X), targets=sparse.csr_array(np.roll(X, 1, axis=1)))
    ours, is_sparse = fit(rows)
    theirs, _ = fit(rows, DENSE)

    assert is_sparse
    assert_same_results(ours, theirs)
    assert ours.history["loss"] != fit(make_rows(sparse.csr_array(X)))[0].history["loss"]


def unordered(X):
    """A CSR array whose columns are in reverse order, each value as two halves, beside zeros."""
    X = sparse.csr_array(X)
    indptr, indices, data = X.indptr, X.indices, X.data
    parts = [slice(indptr[i], indptr[i + 1]) for i in range(len(indptr) - 1)]
    columns = [np.concatenate([indices[p][::-1], indices[p], [7]]) for p in parts]
    values = [np.concatenate([data[p][::-1] / 2, data[p] / 2, [0]]) for p in parts]
    starts = np.cumsum([0, *map(len, columns)])
    return sparse.csr_array((np.concatenate(values), np.concatenate(columns), starts), X.shape)


CONTAINERS = {
    "float64": lambda X: X,
    "fortran": np.asfortranarray,
    "csr float32": lambda X: sparse.csr_array(X, dtype=np.float32),
    "csr matrix": sparse.csr_matrix,
    "not canonical": unordered,
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_containers_give_the_same_bits(container, X):
    """What counts is the number of values that are not zero, and not the type of the rows."""
    expected, _ = fit(make_rows(sparse.csr_array(X)), validation=make_rows(X[:30]))
    given = container(X)
    before = given.copy()
    result, is_sparse = fit(make_rows(given), validation=make_rows(container(X[:30])))

    assert is_sparse
    assert result.history == expected.history
    for ours, same in zip(result.weights, expected.weights, strict=True):
        assert_array_equal(ours, same)
    for name in ("data", "indices", "indptr") if sparse.issparse(given) else ():
        assert_array_equal(getattr(given, name), getattr(before, name))


def test_rows_are_never_made_dense(X, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a sparse matrix was made dense")

    rows = make_rows(sparse.csr_array(X))
    monkeypatch.setattr(sparse.csr_array, "toarray", refuse)
    monkeypatch.setattr(sparse.csr_array, "todense", refuse)
    fit(rows, validation=rows)

    with pytest.raises(AssertionError, match="made dense"):
        fit(rows, DENSE)


def traced_peak(rows, limits):
    """Return the bytes that Python and NumPy allocate in a fit."""
    tracemalloc.start()
    try:
        fit(rows, limits, n_features=rows.inputs.shape[1], hidden_layer_sizes=())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_chunks_hold_values_only():
    """A chunk of sparse rows takes a tenth of the memory of one of dense rows, 32 MB."""
    X = sparse.random(4_000, 3_000, density=0.002, format="csr", random_state=0)
    rows = make_rows(sparse.csr_array(X))

    assert traced_peak(rows, Limits(xla=True)) < 10e6
    assert traced_peak(rows, Limits(xla=True, sparse_values=1 << 30)) > 32e6


def test_denser_rows_become_dense(X):
    """A mini-batch with many values decides, also if it is one of validation."""
    full = make_rows(np.ones((32, N_FEATURES)))
    for rows, validation in ((full, None), (make_rows(X), full)):
        assert not fit(rows, validation=validation)[1]
    lone = X.copy()
    lone[3] = 1  # one row of texts is a whole book
    assert not fit(make_rows(lone))[1]


def test_dense_where_a_product_needs_dense_inputs(X):
    far = Conditioning(np.full(N_FEATURES, 1e4), 1.0, 2)
    cases = [
        {"plan": make_plan(corruption=GaussianNoise(0.1))},
        {"plan": make_plan(strengths=(1e-3,)), "penalties": (Contraction(),)},
        {"plan": make_plan(conditioning=far, learning_rate=1e-9)},
        {"compute_dtype": "bfloat16"},
        {"gaps": True},
        {"plan": make_plan(single_epoch=True)},
        {"limits": replace(SPARSE, xla=False)},
    ]
    for case in cases:
        assert not fit(make_rows(X), **case)[1], case


def test_many_epochs_are_not_drawn_beforehand(X, monkeypatch):
    """The room is then for the fullest mini-batch that is possible, and changes no bit."""
    rows, counts = make_rows(sparse.csr_array(X)), np.count_nonzero(X, axis=1)
    possible = np.sort(counts)[-32:].sum()
    assert passes._most_shuffled(counts, 32, 7, range(3)) < possible
    expected, _ = fit(rows)
    monkeypatch.setattr(passes, "MAX_SHUFFLED", 1)
    monkeypatch.setattr(passes, "SPARSE_SHARE", 0.1)

    assert passes._most_shuffled(counts, 32, 7, range(10**12)) == possible
    result, is_sparse = fit(rows)
    assert is_sparse
    assert result.history == expected.history


def test_searches_share_a_program(X):
    """Seeds shuffle rows into other mini-batches, whose fullest has about as many values."""
    programs, spec = ProgramCache(), make_spec(**NETWORK, batch_size=32)
    for seed in range(8):
        rows, plan = make_rows(sparse.csr_array(X)), make_plan(seed=seed)
        train(spec, rows, plan, limits=SPARSE, programs=programs)

    assert len(programs) <= 2


def test_estimators_give_the_same_bits(X, monkeypatch):
    """The start at PCA, early stopping, a warm start and `partial_fit` included."""
    monkeypatch.setattr(cache, "programs", ProgramCache())
    results = []
    for rows in (X, sparse.csr_array(X)):
        estimator = DeepAutoencoder(
            3, hidden_layer_sizes=(8,), batch_size=32, epochs=3, warm_start=True, random_state=0
        )
        estimator._limits = SPARSE
        results.append(estimator.fit(rows).fit(rows).partial_fit(rows).reconstruct(X))

    assert any(spec.n_entries for spec, *_ in cache.programs._programs)
    assert_array_equal(*results)
