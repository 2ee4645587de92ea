"""The cache of compiled programs: what shares one, what it keeps, and threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import skae
from skae import DenoisingAutoencoder, _cache, _training
from skae._architecture import Architecture
from skae._batches import aligned_zeros
from skae._cache import ProgramCache
from skae._lease import Lease
from skae._programs import chunk_steps, in_place, pays_for_xla


@pytest.fixture
def cache(monkeypatch):
    """An empty cache in place of the one of the process."""
    cache = ProgramCache(max_size=4)
    monkeypatch.setattr(_training, "programs", cache)
    monkeypatch.setattr(_cache, "programs", cache)
    return cache


def architecture(**changes):
    params = {
        "n_features": 6, "hidden_layer_sizes": (), "n_components": 2, "activation": "relu",
        "code_activation": "linear", "output_activation": "linear", "loss": "mean_squared_error",
        "optimizer": "sgd", "metrics": (), "options": (), "batch_size": 8,
    }  # fmt: skip
    return Architecture(**(params | changes))


def kept(cache):
    return list(cache._programs.values())


# ---------------------------------------------------------------------- one trace per structure


def test_one_trace_serves_everything_that_is_no_structure(cache, small, X):
    schedule = {"learning_rate_schedule": "constant", "learning_rate": 0.1}
    small().fit(X)
    small(random_state=1).fit(X[:77])
    small(learning_rate=0.03, epochs=5).fit(X[:33])
    small(**schedule).fit(X, sample_weight=np.linspace(1, 2, 300))
    small(DenoisingAutoencoder, noise_scale=0.1).fit(X, X_val=X[:9])
    small(DenoisingAutoencoder, noise_scale=0.2, clip=None).fit(X, X_clean=X)
    small(early_stopping=True, validation_fraction=0.3, tol=1.0).fit(X)
    small().partial_fit(X).partial_fit(X[:5])
    small(warm_start=True).fit(X).fit(X)

    assert [program.n_traces for program in kept(cache)] == [1]


def test_one_trace_serves_every_number_of_rows_in_xla(cache, small, X, monkeypatch):
    monkeypatch.setattr(_training, "pays_for_xla", lambda *_: True)
    for n_rows in (300, 31, 160):
        small().fit(X[:n_rows])

    assert [program.n_traces for program in kept(cache)] == [1]


@pytest.mark.parametrize("make", ["instance", "class", "name"])
def test_clones_of_keras_objects_share_a_program(make, cache, small, X):
    import keras

    made = {
        "instance": lambda rate: keras.optimizers.Adam(rate, beta_1=0.8),
        "class": lambda rate: keras.optimizers.Adam,
        "name": lambda rate: "adam",
    }[make]
    for rate in (0.1, 0.01):
        small(optimizer=made(rate), metrics=["mse"]).fit(X[:64])

    assert [program.n_traces for program in kept(cache)] == [1]


@pytest.mark.parametrize(
    "change", [{"n_components": 5}, {"batch_size": 16}, {"optimizer__beta_1": 0.8}]
)
def test_another_structure_is_another_program(change, cache, small, X):
    small().fit(X[:64])
    small(**change).fit(X[:64])

    assert len(cache) == 2


# ---------------------------------------------------------------------- the cache


def test_the_cache_is_bounded_and_drops_what_was_used_longest_ago():
    cache = ProgramCache(max_size=2)
    programs = {}
    for n_components in (1, 2, 1, 3):
        with cache.borrow(architecture(n_components=n_components), False) as program:
            programs.setdefault(n_components, program)

    assert kept(cache) == [programs[1], programs[3]]


def test_the_cache_can_be_resized_and_cleared():
    cache = ProgramCache(max_size=3)
    for n_components in (1, 2, 3):
        with cache.borrow(architecture(n_components=n_components), False) as program:
            pass
    cache.resize(1)
    assert kept(cache) == [program]
    cache.clear()
    assert len(cache) == 0


def test_users_can_bound_and_clear_the_programs(cache, small, X):
    for n_components in (2, 4):
        small(n_components=n_components).fit(X[:64])
    skae.limit_programs(1)
    assert len(cache) == 1
    skae.clear_programs()
    assert len(cache) == 0
    with pytest.raises(ValueError, match="max_programs must be an integer at least 1"):
        skae.limit_programs(0)


def test_an_equal_architecture_borrows_the_same_program():
    cache = ProgramCache()
    with cache.borrow(architecture(), False) as one:
        pass
    with cache.borrow(architecture(), False) as other:
        assert other is one
    with cache.borrow(architecture(), True) as compiled:
        assert compiled is not one


def test_a_program_whose_fit_raised_is_dropped():
    cache = ProgramCache()
    with pytest.raises(RuntimeError, match="in the fit"), cache.borrow(architecture(), False):
        raise RuntimeError("in the fit")

    assert len(cache) == 0


def test_a_fit_that_diverged_leaves_no_program_and_no_trace_in_the_next(cache, small, X):
    expected = small(optimizer="sgd").fit(X).transform(X)
    with pytest.raises(ValueError, match="diverged"):
        small(optimizer="sgd", learning_rate=1e38).fit(X)

    assert len(cache) == 0
    assert_array_equal(small(optimizer="sgd").fit(X).transform(X), expected)


def test_what_was_fitted_before_does_not_change_the_bits(cache, small, X):
    first = small().fit(X).transform(X)
    small(DenoisingAutoencoder, random_state=3).fit(X[:50], X_val=X)
    small(random_state=3).partial_fit(X)
    again = small().fit(X).transform(X)
    cache.clear()

    assert_array_equal(again, first)
    assert_array_equal(small().fit(X).transform(X), first)


# ---------------------------------------------------------------------- threads


def test_threads_that_fit_one_structure_get_the_bits_of_a_single_one(cache, small, X):
    def fit(seed):
        return small(random_state=seed).fit(X[: 300 - seed]).transform(X)

    expected = [fit(seed) for seed in range(8)]
    cache.clear()
    with ThreadPoolExecutor(8) as pool:
        in_threads = list(pool.map(fit, range(8)))

    for one, other in zip(in_threads, expected, strict=True):
        assert_array_equal(one, other)
    assert [program.n_traces for program in kept(cache)] == [1]


def test_threads_that_fit_many_structures_get_the_bits_of_a_single_one(cache, small, X):
    cache.resize(1)  # every fit evicts the others' programs

    def fit(n_components):
        return small(n_components=n_components).fit(X).transform(X)

    with ThreadPoolExecutor(3) as pool:
        in_threads = list(pool.map(fit, (2, 3, 4, 2, 3, 4)))

    for one, n_components in zip(in_threads, (2, 3, 4, 2, 3, 4), strict=True):
        assert_array_equal(one, fit(n_components))
    assert len(cache) == 1


def test_a_program_computes_for_one_fit_at_a_time():
    lent, done = threading.Event(), []
    with ProgramCache().borrow(architecture(), False) as program:

        def wait_for_it():
            lent.wait()
            with Lease(program).held():
                done.append("second")

        thread = threading.Thread(target=wait_for_it)
        thread.start()
        with Lease(program).held():
            lent.set()
            thread.join(0.2)
            done.append("first")
        thread.join()

    assert done == ["first", "second"]


def test_a_program_that_changed_hands_has_the_state_it_was_left_with():
    with ProgramCache().borrow(architecture(optimizer="adam"), False) as program:
        leases = [Lease(program) for _ in range(3)]
        rng = np.random.default_rng(0)
        left = {}
        for turn in range(9):
            lease = leases[turn % 3]
            with lease.held():
                if lease in left:
                    for a, b in zip(program.state(), left[lease], strict=True):
                        assert_array_equal(a, b)
                state = [rng.normal(size=a.shape).astype(a.dtype) for a in program.state()]
                program.set_state(state)
                left[lease] = state


# ---------------------------------------------------------------------- rules


def test_xla_serves_long_fits_and_a_plain_graph_short_ones():
    article = architecture(
        n_features=784, hidden_layer_sizes=(128, 64), n_components=32, batch_size=256
    )
    assert pays_for_xla(article, 60_000, 10)
    assert not pays_for_xla(article, 500, 1)
    assert not pays_for_xla(architecture(), 300, 20)


def test_a_chunk_is_read_where_it_lies():
    array = aligned_zeros((2, 4, 3))
    tensor = in_place(array)
    array[1, 2, 0] = 5

    assert float(tensor[1, 2, 0]) == 5


def test_chunks_are_bounded_in_bytes_and_in_steps():
    assert chunk_steps(architecture(n_features=4, batch_size=1)) == 256
    assert chunk_steps(architecture(n_features=1 << 20, batch_size=64)) == 1
    steps = chunk_steps(architecture(n_features=784, batch_size=256))
    assert 4 * steps * 784 * 256 <= 1 << 25 < 4 * (steps + 1) * 784 * 256
