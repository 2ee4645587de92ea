"""Numbers that overflow: training and inference return finite numbers or raise a clear error."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sources import limit_reads

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise
from skae._engine.limits import Limits
from skae._network.inference import Network

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
each_kind = pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])
other_units = pytest.mark.filterwarnings("ignore:.* seems to be in other units:UserWarning")
TOO_LARGE = r"overflows float32, .* its largest number is 3\.4e\+38\. Scale the data"


def rows(n_rows=40, n_features=4):
    return np.random.default_rng(0).normal(size=(n_rows, n_features))


def make(kind=DeepAutoencoder, **params):
    defaults = {
        "n_components": 2, "hidden_layer_sizes": (5,), "optimizer": "adam", "batch_size": 16,
        "epochs": 3, "random_state": 0,
    }  # fmt: skip
    return kind(**(defaults | params))


def assert_finite(estimator, X):
    """Check all results that a user can see."""
    codes = estimator.transform(X)
    for array in (
        *estimator.autoencoder_.get_weights(), codes, estimator.inverse_transform(codes),
        estimator.reconstruct(X), estimator.score_samples(X), estimator.score(X),
        *estimator.history_.values(),
    ):  # fmt: skip
        assert np.isfinite(array).all()


def trains_or_explains(estimator, X, **kwargs):
    """Fit; return True if all results are finite, and False if the fit raised a clear error."""
    before = vars(estimator).copy()
    try:
        estimator.fit(X, **kwargs)
    except ValueError as error:
        message = str(error)
        assert "Training diverged: the " in message or "overflows float32" in message
        assert "scale the data" in message.lower()
        assert vars(estimator) == before
        return False
    assert_finite(estimator, X)
    return True


DATA = {
    "a constant": np.full((40, 4), 7.0),
    "a constant column": rows() * [1, 0, 1, 1] + [0, 3, 0, 0],
    "zeros": np.zeros((40, 4)),
    "denormals of float32": rows() * 1e-41,
    "denormals of float64": np.abs(rows()) * 1e-312,
    "one column": rows(n_features=1),
    "two rows": rows(n_rows=2),
    "duplicated rows": np.repeat(rows(n_rows=2), 20, axis=0),
    "a single kind of row": np.repeat(rows(n_rows=1), 40, axis=0),
    "heavy tails": np.random.default_rng(0).standard_cauchy((40, 4)),
}
OPTIMIZERS = ["adam", "sgd", "muon", "rmsprop"]


@each_kind
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", DATA)
def test_odd_data_is_trained(name, optimizer, kind):
    trained = trains_or_explains(make(kind, optimizer=optimizer), DATA[name])
    assert trained or optimizer == "sgd"  # the steps of SGD grow with the error


@each_kind
@pytest.mark.parametrize("name", DATA)
def test_partial_fit_of_one_row(name, kind):
    estimator = make(kind).partial_fit(DATA[name][:1])
    assert_finite(estimator, DATA[name][:1])


@each_kind
@pytest.mark.parametrize("output", ["linear", "sigmoid"])
@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [("adam", 1e-3), ("adamax", 1e-3), ("sgd", 1e-2), ("muon", 0.02), ("rmsprop", 1e-3),
     ("adadelta", 1e-3), ("lion", 1e-3)],
)  # fmt: skip
def test_high_rate_diverges_clearly(optimizer, rate, output, kind):
    """A rate that is a thousand times too high gives finite numbers or a clear error."""
    X = rows() if output == "linear" else 1 / (1 + np.exp(-rows()))
    for epochs in (3, 30):
        estimator = make(kind, optimizer=optimizer, learning_rate=1000 * rate, epochs=epochs)
        trains_or_explains(estimator, X)


@pytest.mark.parametrize(
    ("rate", "match"),
    [
        (1e300, r"diverged: .* that learning_rate_schedule gives"),
        (np.inf, r"diverged: .* that learning_rate_schedule gives"),
        (np.nan, r"learning_rate_schedule must return rates .* returned nan for step 0"),
    ],
)
def test_impossible_rates_are_refused(rate, match):
    estimator = make(learning_rate_schedule=lambda step: rate)
    with pytest.raises(ValueError, match=match):
        estimator.fit(rows())


@each_kind
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("n_huge", [1, 40])
@pytest.mark.parametrize("size", [1e20, 1e30, 1e37])
def test_huge_data_is_trained(size, n_huge, optimizer, kind):
    """With a linear output, the units of rows do not matter if float32 holds them."""
    X = rows()
    X[:n_huge] *= size
    trained = trains_or_explains(make(kind, optimizer=optimizer), X)
    assert trained or optimizer == "sgd"  # the steps of SGD grow with the error


@each_kind
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("size", [1e20, 1e30, 1e38, 1e300])
def test_huge_data_is_refused(size, optimizer, kind):
    """Other outputs are in the units of the rows; the error says to scale the data."""
    X = rows()
    X[3] *= size  # one row is enough
    estimator = make(kind, optimizer=optimizer, output_activation="leaky_relu")
    with np.errstate(over="ignore"):
        assert not trains_or_explains(estimator, X)


@each_kind
def test_xla_detects_divergence(kind):
    """The compiler may rewrite arithmetic, but it must not hide NaN and infinity."""

    def make_xla(**params):
        estimator = make(kind, **params)
        estimator._limits = Limits(xla=True)
        return estimator

    for size in (1e20, 1e30, 1e38):
        for X in (rows() * size, np.abs(rows()) * size):
            estimator = make_xla(output_activation="leaky_relu")
            assert not trains_or_explains(estimator, X)
            trains_or_explains(make_xla(), X)
    for rate in (1, 1e3, 1e6, 1e30):
        trains_or_explains(make_xla(learning_rate=rate, epochs=20), rows())


@pytest.mark.parametrize("params", [{"alpha": 1e38}, {"code_penalty": 1e38}])
def test_penalties_that_overflow_are_refused(params):
    assert not trains_or_explains(make(**params), rows())


@other_units
@pytest.mark.parametrize("size", [1e30, 1e300])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_huge_targets_are_refused(optimizer, size):
    params = {"optimizer": optimizer, "output_activation": "leaky_relu"}
    estimator = make(DenoisingAutoencoder, **params)
    assert not trains_or_explains(estimator, rows(), X_clean=rows() * size)


@pytest.mark.parametrize("form", [np.array, np.asfortranarray, sparse.csr_array, np.longdouble])
def test_values_beyond_float32_are_refused(form):
    """Nothing warns, and tanh does not hide the values, although it makes infinity finite."""
    X = rows()
    X[3, 1] = -1e39
    for kwargs in ({"X": form(X)}, {"X": rows(), "X_clean": form(X)}):
        with pytest.raises(ValueError, match=TOO_LARGE):
            make(DenoisingAutoencoder, activation="tanh").fit(**kwargs)
    with pytest.raises(ValueError, match=TOO_LARGE):
        make().fit(rows(), X_val=form(X))


def test_file_beyond_float32_is_refused(tmp_path, monkeypatch):
    limit_reads(monkeypatch, buffer_values=16)
    X = np.memmap(tmp_path / "X", np.float64, "w+", shape=(40, 4))
    X[:] = rows()
    make(batch_size=4).fit(X)
    X[30, 2] = 1e39
    with pytest.raises(ValueError, match=TOO_LARGE):
        make(batch_size=4).fit(X)


def test_noise_beyond_float32_is_refused():
    X = np.full((40, 4), 3e38, np.float32)
    with pytest.raises(ValueError, match="or the noise added to it, overflows float32"):
        make(DenoisingAutoencoder, noise_scale=1e38, activation="tanh").fit(X)
    with pytest.raises(ValueError, match=r"noise_scale must be .*finite in float32; got 1e"):
        make(DenoisingAutoencoder, noise_scale=1e39).fit(rows())


@other_units
def test_infinite_validation_loss_is_refused():
    for early_stopping in (False, True):
        estimator = make(early_stopping=early_stopping)
        before = vars(estimator).copy()
        with pytest.raises(ValueError, match=r"the loss on the validation rows became (inf|nan)"):
            estimator.fit(rows(), X_val=rows() * 1e30)
        assert vars(estimator) == before


# ---------------------------------------------------------------------- weights of rows


@pytest.mark.parametrize("size", [2.0**-1000, 2.0**-140, 0.25, 2.0**100, 2.0**1000])
def test_size_of_weights_changes_nothing(size):
    """Only the ratios of the weights change a fit."""
    weight = np.random.default_rng(1).integers(0, 5, 40)
    expected = make(optimizer="muon").fit(rows(), sample_weight=weight)
    scaled = make(optimizer="muon").fit(rows(), sample_weight=size * weight)

    assert_array_equal(scaled.transform(rows()), expected.transform(rows()))
    assert scaled.history_ == expected.history_
    assert scaled.score(rows(), sample_weight=size * weight) == expected.score(
        rows(), sample_weight=weight
    )


def test_tiny_weights_are_zero():
    """They are weights that float32 cannot tell from zero, beside the others."""
    weight = np.array([1.0] * 20 + [1e-40] * 20)
    estimator = make(batch_size=1).fit(rows(), sample_weight=weight)
    assert_finite(estimator, rows())
    expected = make(batch_size=1).fit(rows(), sample_weight=np.where(weight < 1, 0, weight))
    assert_array_equal(estimator.transform(rows()), expected.transform(rows()))


# ---------------------------------------------------------------------- results


@pytest.fixture(scope="module")
def fitted():
    return make().fit(rows())


METHODS = ["transform", "inverse_transform", "reconstruct", "score_samples", "score"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_overflowing_result_names_the_row(dtype, method, fitted):
    X = rows()[:, :2] if method == "inverse_transform" else rows()
    X[7] = np.finfo(dtype).max * np.resize([-1, 1], X.shape[1])
    advice = "Pass float64, or scale X" if dtype == np.float32 else "Scale X"
    if dtype == np.float32 and method == "score":  # score computes in float64
        assert np.isfinite(fitted.score(X.astype(dtype)))
        return
    with pytest.raises(ValueError, match=f"result for row 7 overflows .*{advice}"):
        getattr(fitted, method)(X.astype(dtype))


@pytest.mark.parametrize("size", [1e15, 1e18, 1e25, 1e36])
def test_float32_results_are_finite_or_refused(size, fitted):
    """In float64 all results are finite; in float32 squares of values above 1e19 overflow."""
    X = (rows() * size).astype(np.float32)
    for method in METHODS[:1] + METHODS[2:]:
        call = getattr(fitted, method)
        expected = call(X.astype(np.float64))
        assert np.isfinite(expected).all()
        if method == "score_samples" and size > 1e19:
            with pytest.raises(ValueError, match=r"overflows float32\. Pass float64"):
                call(X)
        else:
            scale = np.abs(expected).max()
            assert_allclose(call(X) / scale, expected / scale, rtol=1e-4, atol=1e-6)


def test_later_blocks_name_their_row(fitted):
    network = fitted._network
    network = Network(network.spec, network.weights, network.fallback, block_bytes=1)
    X = rows(n_rows=200).astype(np.float32)
    X[150] = 3e38
    for method in (network.encode, network.reconstruct, network.scores):
        with pytest.raises(ValueError, match="result for row 150 "):
            method(X)
    with pytest.raises(ValueError, match="result for row 150 "):
        network.scores(X.astype(np.float64) ** 5)


def test_overflowing_sum_of_scores_is_refused(fitted):
    X = rows()
    X[:, 0] = 1e150
    X[:, 0] *= np.sqrt(2e307 / np.abs(fitted.score_samples(X)).max())
    assert np.isfinite(fitted.score_samples(X)).all()
    for weight in (None, np.ones(40)):
        with pytest.raises(ValueError, match="The sum of the scores overflows float64: scale X"):
            fitted.score(X, sample_weight=weight)


def test_overflowing_activation_is_refused():
    exponential = make(activation="exponential", code_activation="linear").fit(rows())
    assert_finite(exponential, rows())
    with pytest.raises(ValueError, match="result for row 0 overflows float64"):
        exponential.reconstruct(rows() * 1e6)


# ---------------------------------------------------------------------- the noise transformer


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_overflowing_noise_is_refused(dtype):
    """Noise that is clipped cannot overflow."""
    X = np.full((40, 4), np.finfo(dtype).max)
    noise = GaussianNoise(np.finfo(np.float32).max, random_state=0)
    if dtype == np.float32:
        with pytest.raises(ValueError, match=r"corrupted X overflows float32: scale X"):
            noise.fit_transform(X)
    clipped = noise.set_params(clip=(-1, 1)).fit_transform(X)
    assert np.isfinite(clipped).all()
