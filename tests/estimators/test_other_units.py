"""Validation and clean rows in other units than X give a warning, and other rows give none."""

import warnings

import h5py
import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise, MaskingNoise
from skae._estimators.other_units import warn_of_other_units
from skae._rows.rows import Rows, all_rows
from skae._rows.sources import Source

WINE = load_wine().data
DIGITS = load_digits().data
CANCER = load_breast_cancer().data


def rng():
    return np.random.default_rng(0)


def compare(X, X_val=None, X_clean=None, X_val_clean=None):
    """Return the texts of all warnings."""
    validation = None
    if X_val is not None:
        validation = Rows(X_val, X_val_clean, None, all_rows(X_val))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_other_units(Rows(X, X_clean, None, all_rows(X)), validation)
    return [str(warning.message) for warning in caught]


def scaled(X, scaler=StandardScaler):
    return scaler().fit_transform(X)


RAW = {
    "wine": (scaled(WINE), WINE),
    "cancer": (scaled(CANCER), CANCER),
    "digits": (DIGITS / 16, DIGITS),
    "standardised digits": (scaled(DIGITS), DIGITS),
    "robust": (scaled(CANCER, RobustScaler), CANCER),
    "tiny": (scaled(DIGITS), DIGITS * 1e-4),
    "shifted": (scaled(WINE), scaled(WINE) + 50),
    "sparse": (sparse.csr_array(DIGITS / 16), sparse.csr_array(DIGITS)),
    "huge": (scaled(WINE), WINE * 1e300),
    "one column": (scaled(WINE[:, -1:]), WINE[:, -1:]),
}


@pytest.mark.parametrize(("X", "raw"), RAW.values(), ids=RAW)
def test_raw_validation_rows_warn(X, raw):
    (message,) = compare(X[::2], raw[1::2])

    assert message.startswith("X_val seems to be in other units than X: its values are from ")
    assert 'Pipeline(..., transform_input=["X_val"])' in message
    assert f"{raw[1::2].max():.4g}, and those of X from {X[::2].min():.4g}" in message


@pytest.mark.parametrize("name", ["wine", "cancer", "robust", "tiny", "shifted", "digits"])
def test_raw_clean_rows_warn(name):
    X, raw = RAW[name]
    noisy = X + rng().normal(0, 0.1, X.shape)
    (message,) = compare(noisy, noisy, raw, raw)
    assert message.startswith("X_clean seems to be in other units than X: ")
    (message,) = compare(noisy, noisy, X, raw)
    assert message.startswith("X_val_clean seems to be in other units than X_clean: ")


def heavy(shape):
    return rng().standard_cauchy(shape)


def counts(n_rows):
    """Rows of a bag of words: almost all values are zero."""
    return sparse.random(n_rows, 2000, 0.002, "csr", random_state=n_rows)


def outlying(X):
    X = X.copy()
    X[::10] *= 1e4
    return X


def each(rows, size):
    """Return the warnings for many small validation sets."""
    return [text for i in range(100) for text in compare(rows, rows[i : i + size])]


def beyond(X, n_rows):
    """Compare scaled rows with rows that their scaler did not see."""
    scaler = MinMaxScaler().fit(X[:n_rows])
    return compare(scaler.transform(X[:n_rows]), scaler.transform(X[n_rows:]))


def one_hot(n_rows):
    values = np.arange(n_rows)[:, np.newaxis] % 30
    return OneHotEncoder(categories=[range(30)]).fit_transform(values)


ZERO = load_digits().target == 0
COLUMN = np.ones((178, 1))
QUIET = {
    "halves": lambda: compare(scaled(WINE)[::2], scaled(WINE)[1::2]),
    "five rows": lambda: each(scaled(CANCER), 5),
    "one row": lambda: each(scaled(CANCER), 1),
    "unscaled": lambda: compare(CANCER[::2], CANCER[1::2]),
    "classes": lambda: compare(scaled(WINE)[:59], scaled(WINE)[59:]),
    "one digit to train on": lambda: compare(DIGITS[ZERO] / 16, DIGITS / 16),
    "one digit": lambda: compare(DIGITS / 16, DIGITS[ZERO] / 16),
    "beyond the scaler": lambda: beyond(WINE, 20),
    "heavy tails": lambda: compare(heavy((500, 5))[:250], heavy((500, 5))[250:]),
    "outliers": lambda: compare(scaled(WINE), outlying(scaled(WINE))),
    "outliers to train on": lambda: compare(outlying(scaled(WINE)), scaled(WINE)),
    "words": lambda: compare(counts(300), counts(40)) + compare(counts(300), counts(5)),
    "one-hot": lambda: compare(one_hot(300), one_hot(6)),
    "constant": lambda: compare(np.ones((40, 3)), np.full((20, 3), 900.0)),
    "constant column": lambda: compare(np.c_[WINE, 0 * COLUMN], np.c_[WINE, 1e6 * COLUMN]),
    "constant rows": lambda: compare(DIGITS / 16, np.zeros((8, 64))),
    "few rows": lambda: compare(WINE[:4], 1000 * WINE),
    "flags": lambda: compare(DIGITS > 8, DIGITS[:50] > 8),
}
PAIRS = {
    "noise 0.5": lambda X: GaussianNoise(0.5, random_state=0).fit_transform(X),
    "clipped": lambda X: GaussianNoise(0.5, clip=(0, 1), random_state=0).fit_transform(X),
    "noise 3": lambda X: GaussianNoise(3, random_state=0).fit_transform(X),
    "masked": lambda X: MaskingNoise(0.9, random_state=0).fit_transform(X),
    "dimmed": lambda X: 0.1 * X,
    "shifted": lambda X: X + 1,
    "equal": lambda X: X,
}


@pytest.mark.parametrize("texts", QUIET.values(), ids=QUIET)
def test_usual_rows_do_not_warn(texts):
    assert texts() == []


@pytest.mark.parametrize("corrupt", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("clean", [DIGITS / 16, scaled(WINE)], ids=["digits", "wine"])
def test_usual_pairs_do_not_warn(corrupt, clean):
    noisy = corrupt(clean)

    assert compare(noisy[::2], noisy[1::2], clean[::2], clean[1::2]) == []
    assert compare(noisy, noisy[:5], clean, clean[:5]) == []


def test_sources_are_compared(tmp_path):
    with h5py.File(tmp_path / "X.h5", "w") as file:
        X = Source(file.create_dataset("X", data=DIGITS / 16, chunks=(100, 64)), "X")
        X_val = Source(file.create_dataset("X_val", data=DIGITS, chunks=(100, 64)), "X_val")
        assert len(compare(X, X_val)) == 1
        assert compare(X, X) == []
        assert len(compare(DIGITS / 16, X_val)) == 1


def test_weight_zero_does_not_count():
    X = scaled(WINE)
    index = np.arange(0, 178, 2)
    X[1::2] *= 1e9
    rows = Rows(X, None, np.ones(178, np.float32), index)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_other_units(rows, Rows(scaled(WINE), None, None, np.arange(178)))


NAMES = "X_val", "X_clean", "X_val_clean"


def denoise(**options):
    """Fit a pipeline of a scaler and a denoiser to raw pairs."""
    noisy = 100 + 20 * scaled(WINE) + rng().normal(0, 5, WINE.shape)
    clean = 100 + 20 * scaled(WINE)
    asking = DenoisingAutoencoder(2, hidden_layer_sizes=(8,), epochs=3, random_state=0)
    asking = asking.set_fit_request(**dict.fromkeys(NAMES, True))
    pipeline = Pipeline([("scale", StandardScaler()), ("ae", asking)], **options)
    rows = dict(zip(NAMES, (noisy[120:], clean[:120], clean[120:]), strict=True))
    return pipeline.fit(noisy[:120], **rows)["ae"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_pipeline_transforms_named_rows():
    """scikit-learn's ``transform_input`` takes clean rows, too."""
    with config_context(enable_metadata_routing=True):
        with pytest.warns(UserWarning, match=r'X_clean seems .*transform_input=\["X_clean"\]'):
            denoise(transform_input=["X_val"])
        with pytest.warns(UserWarning, match="X_val seems to be in other units than X"):
            denoise(transform_input=["X_clean", "X_val_clean"])
        with pytest.warns(UserWarning, match="X_val_clean seems to be in other units than X_clean"):
            denoise(transform_input=["X_clean", "X_val"])
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.filterwarnings("ignore", message=".*network", category=UserWarning)
            fitted = denoise(transform_input=list(NAMES))
    assert fitted.history_["val_loss"][-1] < 10


@pytest.mark.parametrize("shift", [1e9, -1e8])
@pytest.mark.parametrize("make", [np.array, sparse.csr_array])
def test_lost_digits_are_named(shift, make):
    X = np.random.default_rng(3).random((40, 3))
    X[:, 1] += shift
    with pytest.warns(UserWarning, match="column 1 are about .* cannot tell them apart"):
        DeepAutoencoder(2, epochs=1, random_state=0).fit(make(X))


def test_tiny_values_are_named():
    X = np.random.default_rng(3).random((40, 3)) * 1e-200
    with pytest.warns(UserWarning, match="at most .*e-201: float32.*Multiply them"):
        DeepAutoencoder(2, epochs=1, random_state=0).fit(X)


@pytest.mark.parametrize("column", [0.1 + 0.2, np.linspace(1e4, 1e4 + 1, 40), 0])
def test_kept_digits_are_silent(column):
    X = np.random.default_rng(3).random((40, 3))
    X[:, 1] = column
    X[7, 1] += 1e-17
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        DeepAutoencoder(2, epochs=1, random_state=0).fit(X)
