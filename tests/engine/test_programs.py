"""Compiled programs: which fits share one, which ones the cache keeps, and threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from specs import make_spec

import skae
from skae import DenoisingAutoencoder, MaskingNoise, SwapNoise
from skae._engine import cache as _cache
from skae._engine.cache import Lease, ProgramCache
from skae._engine.feeding import without_copy
from skae._engine.limits import Limits
from skae._rows.batches.dense import aligned_zeros

XLA, GRAPH = Limits(xla=True), Limits(xla=False)


@pytest.fixture
def cache(monkeypatch):
    """An empty cache instead of the cache of the process."""
    cache = ProgramCache(max_size=4)
    monkeypatch.setattr(_cache, "programs", cache)
    return cache


def kept(cache):
    return list(cache._programs.values())


def with_limits(estimator, limits):
    estimator._limits = limits
    return estimator


# ---------------------------------------------------------------------- one trace per structure


def test_values_share_one_trace(cache, make_autoencoder, X):
    """Rates, rows, weights, noise and seeds are values; only the structure needs a trace."""
    schedule = {"learning_rate_schedule": "constant", "learning_rate": 0.1}
    make_autoencoder().fit(X)
    make_autoencoder(random_state=1).fit(X[:77])
    make_autoencoder(learning_rate=0.03, epochs=5).fit(X[:33])
    make_autoencoder(**schedule).fit(X, sample_weight=np.linspace(1, 2, 300))
    make_autoencoder(DenoisingAutoencoder, noise_scale=0.1).fit(X, X_val=X[:9])
    make_autoencoder(DenoisingAutoencoder, noise_scale=0.2, clip=None).fit(X, X_clean=X)
    make_autoencoder(DenoisingAutoencoder, corruption=MaskingNoise(0.1)).fit(X)
    make_autoencoder(DenoisingAutoencoder, corruption=SwapNoise(np.linspace(0, 1, 64))).fit(X)
    make_autoencoder(DenoisingAutoencoder, corruption=SwapNoise(groups=[[0, 1]])).fit(X)
    make_autoencoder(early_stopping=True, validation_fraction=0.3, tol=1.0).fit(X)
    make_autoencoder().partial_fit(X).partial_fit(X[:5])
    make_autoencoder(warm_start=True).fit(X).fit(X)

    assert [program.n_traces for program in kept(cache)] == [1]


@pytest.mark.parametrize("limits", [XLA, GRAPH])
@pytest.mark.parametrize(
    "grid",
    [
        [{"alpha": alpha} for alpha in (1e-4, 1e-3, 0.1)],
        [{"code_penalty": penalty} for penalty in (1e-4, 0.1)],
        [{"alpha": 0.1, "code_penalty": 0.2}, {"alpha": 0.3, "code_penalty": 1}],
        [{"contraction": weight} for weight in (1e-3, 0.1)],
        [{"dropout": 0.2, "random_state": seed} for seed in (0, 1)],
    ],
)
def test_grid_of_values_compiles_once(grid, limits, cache, make_autoencoder, X):
    losses = set()
    for values in grid:
        estimator = with_limits(make_autoencoder(**values), limits).fit(X, X_val=X[:50])
        losses.add(estimator.history_["loss"][-1])

    assert [program.n_traces for program in kept(cache)] == [1]
    assert len(losses) == len(grid)


def test_row_counts_share_xla_trace(cache, make_autoencoder, X):
    for n_rows in (300, 31, 160):
        with_limits(make_autoencoder(), XLA).fit(X[:n_rows])

    assert [program.n_traces for program in kept(cache)] == [1]


@pytest.mark.parametrize("make", ["instance", "class", "name"])
def test_equal_keras_objects_share_a_program(make, cache, make_autoencoder, X):
    import keras

    made = {
        "instance": lambda rate: keras.optimizers.Adam(rate, beta_1=0.8),
        "class": lambda rate: keras.optimizers.Adam,
        "name": lambda rate: "adam",
    }[make]
    for rate in (0.1, 0.01):
        make_autoencoder(optimizer=made(rate), metrics=["mse"]).fit(X[:64])

    assert [program.n_traces for program in kept(cache)] == [1]


@pytest.mark.parametrize(
    "change",
    [
        {"n_components": 5}, {"batch_size": 16}, {"optimizer__beta_1": 0.8}, {"alpha": 0.1},
        {"code_penalty": 0.1}, {"contraction": 0.1}, {"dropout": 0.1},
    ],
)  # fmt: skip
def test_other_structure_has_other_program(change, cache, make_autoencoder, X):
    make_autoencoder().fit(X[:64])
    make_autoencoder(**change).fit(X[:64])

    assert len(cache) == 2


# ---------------------------------------------------------------------- the cache


def test_full_cache_drops_the_longest_unused():
    cache = ProgramCache(max_size=2)
    programs = {}
    for n_components in (1, 2, 1, 3):
        with cache.borrow(make_spec(n_components=n_components), False) as program:
            programs.setdefault(n_components, program)

    assert kept(cache) == [programs[1], programs[3]]


def test_cache_is_resized_and_cleared():
    cache = ProgramCache(max_size=3)
    for n_components in (1, 2, 3):
        with cache.borrow(make_spec(n_components=n_components), False) as program:
            pass
    cache.resize(1)
    assert kept(cache) == [program]
    cache.clear()
    assert len(cache) == 0


def test_users_limit_and_clear_programs(cache, make_autoencoder, X):
    for n_components in (2, 4):
        make_autoencoder(n_components=n_components).fit(X[:64])
    skae.limit_programs(1)
    assert len(cache) == 1
    skae.clear_programs()
    assert len(cache) == 0
    with pytest.raises(ValueError, match="max_programs must be a positive integer"):
        skae.limit_programs(0)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_user_chooses_the_compiler(jit_compile, cache, make_autoencoder, X):
    """The choice holds for short fits and for long ones, until it is taken back."""
    short, long = make_autoencoder(epochs=1), make_autoencoder(epochs=1000)
    skae.set_jit_compile(jit_compile)
    for estimator in (short, long):
        estimator.set_params(early_stopping=False).fit(X[:32])
    assert {program.jit for program in kept(cache)} == {jit_compile}

    skae.set_jit_compile("auto")
    short.fit(X[:32])
    assert [program.jit for program in kept(cache)][-1] is False


def test_equal_specs_borrow_one_program():
    cache = ProgramCache()
    with cache.borrow(make_spec(), False) as one:
        pass
    with cache.borrow(make_spec(), False) as other:
        assert other is one
    with cache.borrow(make_spec(), True) as compiled:
        assert compiled is not one


def test_failed_fit_drops_its_program():
    cache = ProgramCache()
    with pytest.raises(RuntimeError, match="in the fit"), cache.borrow(make_spec(), False):
        raise RuntimeError("in the fit")

    assert len(cache) == 0


def test_diverged_fit_leaves_no_trace(cache, make_autoencoder, X):
    """Its program is dropped, and the next fit has the bits that it would have had without it."""
    expected = make_autoencoder(optimizer="sgd").fit(X).transform(X)
    with pytest.raises(ValueError, match="diverged"):
        make_autoencoder(optimizer="sgd", learning_rate=1e38).fit(X)

    assert len(cache) == 0
    assert_array_equal(make_autoencoder(optimizer="sgd").fit(X).transform(X), expected)


def test_earlier_fits_change_no_bits(cache, make_autoencoder, X):
    first = make_autoencoder().fit(X).transform(X)
    make_autoencoder(DenoisingAutoencoder, random_state=3).fit(X[:50], X_val=X)
    make_autoencoder(random_state=3).partial_fit(X)
    again = make_autoencoder().fit(X).transform(X)
    cache.clear()

    assert_array_equal(again, first)
    assert_array_equal(make_autoencoder().fit(X).transform(X), first)


# ---------------------------------------------------------------------- threads


def test_threads_with_one_structure_keep_bits(cache, make_autoencoder, X):
    def fit(seed):
        return make_autoencoder(random_state=seed).fit(X[: 300 - seed]).transform(X)

    expected = [fit(seed) for seed in range(8)]
    cache.clear()
    with ThreadPoolExecutor(8) as pool:
        in_threads = list(pool.map(fit, range(8)))

    for one, other in zip(in_threads, expected, strict=True):
        assert_array_equal(one, other)
    assert [program.n_traces for program in kept(cache)] == [1]


def test_threads_with_many_structures_keep_bits(cache, make_autoencoder, X):
    cache.resize(1)  # every fit evicts the others' programs

    def fit(n_components):
        return make_autoencoder(n_components=n_components).fit(X).transform(X)

    with ThreadPoolExecutor(3) as pool:
        in_threads = list(pool.map(fit, (2, 3, 4, 2, 3, 4)))

    for one, n_components in zip(in_threads, (2, 3, 4, 2, 3, 4), strict=True):
        assert_array_equal(one, fit(n_components))
    assert len(cache) == 1


def test_program_serves_one_fit_at_once():
    lent, done = threading.Event(), []
    with ProgramCache().borrow(make_spec(), False) as program:

        def wait_for_it():
            lent.wait()
            with Lease(program).acquire():
                done.append("second")

        thread = threading.Thread(target=wait_for_it)
        thread.start()
        with Lease(program).acquire():
            lent.set()
            thread.join(0.2)
            done.append("first")
        thread.join()

    assert done == ["first", "second"]


def test_lease_restores_its_state():
    """Three fits that take turns find the variables as they left them."""
    with ProgramCache().borrow(make_spec(optimizer="adam"), False) as program:
        leases = [Lease(program) for _ in range(3)]
        rng = np.random.default_rng(0)
        left = {}
        for turn in range(9):
            lease = leases[turn % 3]
            with lease.acquire():
                if lease in left:
                    for a, b in zip(program.state(), left[lease], strict=True):
                        assert_array_equal(a, b)
                state = [rng.normal(size=a.shape).astype(a.dtype) for a in program.state()]
                program.set_state(state)
                left[lease] = state


# ---------------------------------------------------------------------- rules


def test_xla_is_for_long_fits():
    article = make_spec(
        n_features=784, hidden_layer_sizes=(128, 64), n_components=32, batch_size=256
    )
    assert Limits().pays_for_xla(article, 60_000, 10)
    assert not Limits().pays_for_xla(article, 500, 1)
    assert not Limits().pays_for_xla(make_spec(), 300, 20)
    assert XLA.pays_for_xla(make_spec(), 300, 20)
    assert not GRAPH.pays_for_xla(article, 60_000, 10)


def test_chunk_is_not_copied():
    array = aligned_zeros((2, 4, 3))
    tensor = without_copy(array)
    array[1, 2, 0] = 5

    assert float(tensor[1, 2, 0]) == 5


def test_chunks_are_limited():
    """Chunks are limited both in bytes and in steps."""
    assert Limits().chunk_steps(make_spec(n_features=4, batch_size=1)) == 256
    assert Limits(max_chunk_steps=7).chunk_steps(make_spec(n_features=4, batch_size=1)) == 7
    assert Limits().chunk_steps(make_spec(n_features=1 << 20, batch_size=64)) == 1
    steps = Limits().chunk_steps(make_spec(n_features=784, batch_size=256))
    assert 4 * steps * 784 * 256 <= 1 << 25 < 4 * (steps + 1) * 784 * 256


def test_epochs_at_once_are_limited():
    """Epochs of one call fit into the bytes and into a chunk."""
    small = make_spec(n_features=64, batch_size=32)
    assert Limits().epochs_at_once(small, 1797) == 256 // 57
    assert Limits(epochs_bytes=4 * 32 * 64 * 114).epochs_at_once(small, 1797) == 2
    assert Limits().epochs_at_once(make_spec(n_features=784, batch_size=256), 60_000) == 1
