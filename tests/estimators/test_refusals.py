"""Invalid parameters and data are refused by name, and a refusal changes nothing."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline

from skae import (
    DeepAutoencoder,
    DenoisingAutoencoder,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
)
from tests.estimators.comparisons import each_kind, refused

FITTED = pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])

BAD_PARAMETERS = [
    ({"n_components": 0}, ValueError, "n_components must be a positive integer; got 0"),
    ({"n_components": -3}, ValueError, "got -3"),
    (
        {"n_components": 2.5},
        TypeError,
        "n_components must be a positive integer; got 2.5 of type float",
    ),
    ({"hidden_layer_sizes": (128, 0)}, ValueError, r"positive integers; got \(128, 0\)"),
    ({"hidden_layer_sizes": (-1,)}, ValueError, r"positive integers; got \(-1,\)"),
    ({"hidden_layer_sizes": "wide"}, ValueError, "positive integers; got 'wide'"),
    ({"batch_size": 0}, ValueError, "batch_size must be 'auto' or a positive integer; got 0"),
    ({"epochs": 0}, ValueError, "epochs must be a positive integer; got 0"),
    ({"epochs": "many"}, TypeError, "epochs must be a positive integer; got 'many' of type str"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change must be a positive integer"),
    ({"tol": -1e-3}, ValueError, "tol must be a number of at least 0; got -0.001"),
    ({"validation_fraction": 0.0}, ValueError, "validation_fraction must be a number above 0"),
    (
        {"validation_fraction": 1.0},
        ValueError,
        "validation_fraction must be a number above 0 and below 1; got 1",
    ),
    ({"dropout": -0.1}, ValueError, "dropout must be a number of at least 0 and below 1; got"),
    ({"dropout": 1}, ValueError, "dropout must be .* below 1; got 1"),
    ({"dropout": None}, TypeError, "dropout must be a number of at least 0 and below 1; got None"),
    ({"alpha": -1e-3}, ValueError, "alpha must be a number of at least 0; got -0.001"),
    ({"alpha": np.inf}, ValueError, "alpha must be finite in float32; got inf"),
    ({"alpha": "strong"}, TypeError, "alpha must be a number of at least 0; got 'strong'"),
    ({"code_penalty": -1}, ValueError, "code_penalty must be a number of at least 0; got -1"),
    ({"code_penalty": np.nan}, ValueError, "code_penalty must be .*got nan"),
    ({"code_penalty": True}, TypeError, "code_penalty must be a number of at least 0; got True"),
    ({"contraction": -0.5}, ValueError, "contraction must be a number of at least 0; got -0.5"),
    ({"learning_rate": 0}, ValueError, "learning_rate must be 'auto' or a number above 0; got 0"),
    (
        {"learning_rate": np.inf},
        ValueError,
        "learning_rate must be finite in float32; got inf",
    ),
    (
        {"learning_rate": "fast"},
        TypeError,
        "learning_rate must be 'auto' or a number above 0; got 'fast'",
    ),
    ({"learning_rate_schedule": "cosin"}, ValueError, "got 'cosin'. Did you mean 'cosine'"),
    ({"learning_rate_schedule": []}, ValueError, r"learning_rate_schedule must be .*got \[\]"),
    ({"verbose": "loud"}, TypeError, "verbose must be an integer of at least 0; got 'loud'"),
    ({"activation": "reluu"}, ValueError, "activation must be .*got 'reluu'.*Did you mean 'relu'"),
    ({"code_activation": 3}, TypeError, "code_activation must be .*got 3"),
    ({"output_activation": "sigmoidd"}, ValueError, "got 'sigmoidd'. Did you mean 'sigmoid'"),
    ({"loss": "mean_squared"}, ValueError, "got 'mean_squared'.*'mean_squared_error'"),
    ({"loss": 3}, TypeError, "loss must be .*got 3"),
    ({"optimizer": "adamm"}, ValueError, "got 'adamm'. Did you mean 'adam'"),
    ({"optimizer": 3}, TypeError, "optimizer must be a name, .*got 3"),
    ({"optimizer": dict}, TypeError, "optimizer must be a name, .*got <class 'dict'>"),
    ({"optimizer": {"name": "adam"}}, TypeError, "optimizer must be .*got {'name': 'adam'}"),
    ({"optimizer__beta_1": {0.9}}, TypeError, "optimizer__beta_1 must be made of .*got {0.9}"),
    ({"metrics": "nonsense"}, ValueError, "metrics must hold names of Keras metrics; got 'nonse"),
    ({"metrics": [{"mae"}]}, TypeError, r"metrics must be None, .*got \[{'mae'}\]"),
]


@pytest.fixture
def subject(fitted, make_autoencoder, X):
    def make(kind=DeepAutoencoder, **params):
        estimator = make_autoencoder(kind)
        return (estimator.fit(X) if fitted else estimator).set_params(**params)

    return make


@FITTED
@pytest.mark.parametrize(("params", "error", "match"), BAD_PARAMETERS)
def test_bad_parameters_are_refused(params, error, match, subject, X):
    refused(subject(**params), error, match, X)
    refused(subject(**params), error, match, X, method="partial_fit")


@FITTED
@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"noise_scale": -1}, ValueError, "noise_scale must be a number of at least 0; got -1"),
        ({"noise_scale": np.inf}, ValueError, "noise_scale must be finite in float32; got inf"),
        ({"noise_scale": None}, TypeError, "noise_scale must be a number of at least 0; got None"),
        ({"shown_weight": 1.1}, ValueError, "shown_weight must be .* at most 1; got 1.1"),
        (
            {"shown_weight": 0.1},
            ValueError,
            r"shown_weight=0\.1 has no effect without",
        ),
        ({"clip": (1, 0)}, ValueError, r"clip must be .*got \(1, 0\)"),
        ({"clip": "ab"}, ValueError, "clip must be .*got 'ab'"),
        ({"corruption": MaskingNoise}, TypeError, r"corruption must be None, .*got <class"),
        (
            {"corruption": "masking"},
            TypeError,
            r"corruption must be .*corrupt\(X, rng\); got 'mask",
        ),
        ({"corruption": MaskingNoise(2)}, ValueError, "fraction must be .* at most 1; got 2"),
        ({"corruption": SwapNoise([0.1] * 3)}, ValueError, "fraction must be .* 64 features of X"),
        (
            {"corruption": SwapNoise(groups=[[9, 64]])},
            ValueError,
            r"groups\[0\]\[1\] must be .* 63",
        ),
        (
            {"corruption": GaussianNoise([1])},
            ValueError,
            "scale must be .* 64 features of X; got 1",
        ),
        ({"corruption": GaussianNoise(-1)}, ValueError, "scale must be a number of at least 0"),
        (
            {"corruption": MaskingNoise(), "noise_scale": 0.3},
            ValueError,
            r"noise_scale=0\.3 has no effect with corruption=MaskingNoise\(\): leave it at 0\.5",
        ),
        (
            {"corruption": GaussianNoise(), "clip": None},
            ValueError,
            r"clip=None has no effect with corruption=GaussianNoise\(\): leave it at 'auto'",
        ),
    ],
)
def test_bad_noise_parameters_are_refused(params, error, match, subject, X):
    refused(subject(DenoisingAutoencoder, **params), error, match, X)


def put(X, value):
    """Return a copy of rows with another value in row 3, column 5."""
    X = X.copy()
    X[3, 5] = value
    return X


BAD_ROWS = [
    (lambda X: put(X, np.nan), ValueError, "Input X contains NaN"),
    (lambda X: put(X, np.inf), ValueError, "Input X contains infinity"),
    (lambda X: sparse.csr_array(put(X, np.nan)), ValueError, "Input X contains NaN"),
    (lambda X: X[:0], ValueError, r"0 sample\(s\).*minimum of"),
    (lambda X: X[:, :0], ValueError, r"0 feature\(s\)"),
    (lambda X: X[0], ValueError, "Expected 2D array, got 1D array"),
    (lambda X: X.reshape(-1, 8, 8), ValueError, r"shape \(300, 8, 8\), of dim 3.*X.reshape"),
    (lambda X: None, ValueError, "must be a table of shape .* got None"),
    (lambda X: "digits", ValueError, "got an object of type str. Read the file first"),
    (lambda X: X.astype(str), ValueError, "numeric"),
    (lambda X: X + 1j, ValueError, "Complex data not supported"),
    (
        lambda X: np.zeros(X.shape, "M8[s]"),
        ValueError,
        r"X must hold numbers; got dates or durations",
    ),
    (
        lambda X: np.zeros(X.shape, "m8[s]"),
        ValueError,
        r"X must hold numbers; got dates or durations",
    ),
    (lambda X: np.ma.masked_greater(X, 0.5), ValueError, r"X has masked values: fill them"),
    (lambda X: [[{}] * 64] * 2, TypeError, "must be a string or a real number"),
]


@FITTED
@each_kind
@pytest.mark.parametrize(("spoil", "error", "match"), BAD_ROWS)
def test_bad_rows_are_refused(spoil, error, match, kind, subject, X):
    refused(subject(kind), error, match, spoil(X))
    refused(subject(kind), error, match, spoil(X), method="partial_fit")


@FITTED
def test_fit_refuses_one_row(subject, X):
    refused(subject(), ValueError, r"1 sample\(s\).*minimum of 2", X[:1])


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score", "score_samples"])
def test_rows_of_another_width(method, make_autoencoder, X):
    estimator = make_autoencoder().fit(X)

    refused(estimator, ValueError, "X has 5 features.*expecting 64", X[:, :5], method=method)
    refused(estimator, ValueError, "Input X contains NaN", put(X, np.nan), method=method)


def test_codes_of_another_width(make_autoencoder, X):
    estimator = make_autoencoder().fit(X)

    refused(estimator, ValueError, "X has 64 .* codes .* have 4", X, method="inverse_transform")


@FITTED
@pytest.mark.parametrize(
    ("X_val", "match"),
    [
        (lambda X: X[:, :5], "X_val must have the 64 features of X; got 5"),
        (lambda X: put(X, np.nan), "Input X_val contains NaN"),
        (lambda X: X[:0], r"0 sample\(s\)"),
        (lambda X: np.ma.masked_greater(X, 0.5), "X_val has masked values"),
        (lambda X: 3 * X, "output_activation='sigmoid' needs X_val between 0 and 1; got .* 0 to 3"),
    ],
)
def test_bad_validation_rows_are_refused(X_val, match, subject, X):
    refused(subject(), ValueError, match, X, X_val=X_val(X))


@FITTED
@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        (lambda X: {"X_clean": X[:5]}, r"X_clean must .*shape \(300, 64\); got shape \(5, 64\)"),
        (lambda X: {"X_clean": X[:, :5]}, r"X_clean must .*got shape \(300, 5\)"),
        (lambda X: {"X_clean": put(X, np.nan)}, "Input X_clean contains NaN"),
        (lambda X: {"X_clean": X, "X_val": X}, "X_val_clean belongs to X_val"),
        (lambda X: {"X_val": X, "X_val_clean": X}, "X_val_clean belongs to X_val"),
        (
            lambda X: {"X_clean": X, "X_val": X, "X_val_clean": X[:5]},
            r"X_val_clean must .*got shape \(5, 64\)",
        ),
        (
            lambda X: {"X_clean": X, "X_val": 3 * X, "X_val_clean": -X},
            "'sigmoid' needs X_val_clean between 0 and 1; got values from -1 to",
        ),
    ],
)
def test_bad_clean_rows_are_refused(kwargs, match, subject, X):
    refused(subject(DenoisingAutoencoder), ValueError, match, X, **kwargs(X))


@FITTED
@each_kind
def test_clean_rows_as_y(kind, subject, X):
    """``fit(noisy, clean)`` would silently ignore the clean rows."""
    X = X[:40]
    frame = pl.DataFrame(X[:, :5])
    for clean in (
        X / 2, sparse.csr_array(X), X.tolist(), pd.DataFrame(X[:, :3]), X[:, :2] > 0.5, X[:7],
        frame, frame.to_arrow(), X.reshape(40, 8, 8), X.astype(str), np.ma.masked_less(X, 0.5),
    ):  # fmt: skip
        refused(subject(kind), ValueError, "y is ignored, and must be .*X_clean=y", X, clean)
        refused(subject(kind), ValueError, "X_clean=y", X, clean, method="partial_fit")
    refused(subject(kind), ValueError, r"y\.collect\(\)", X, frame.lazy())


@each_kind
def test_columns_of_labels_are_ignored(kind, make_autoencoder, X):
    X = X[:40]
    labels = np.arange(40) % 3
    first = make_autoencoder(kind).fit(X)
    for y in (
        labels,
        labels[:, np.newaxis],
        pd.DataFrame(labels),
        labels.tolist(),
        list("ab") * 20,
    ):
        assert_array_equal(make_autoencoder(kind).fit(X, y).transform(X), first.transform(X))


@each_kind
def test_steps_ignore_several_targets(kind, make_autoencoder, X):
    """Pipelines pass the targets of their last step to all steps.  Clean rows are refused."""
    X = X[:60]
    Y = X[:, 20:23] > 0.3
    codes = make_autoencoder(kind).fit(X).transform(X)
    for targets in (Y, sparse.csr_array(Y), pd.DataFrame(Y), Y.tolist()):
        assert_array_equal(make_autoencoder(kind).fit_transform(X, targets), codes)
        union = FeatureUnion([("ae", make_autoencoder(kind))])
        columns = ColumnTransformer([("ae", make_autoencoder(kind), slice(0, 64))])
        assert_array_equal(union.fit_transform(X, targets), codes)
        assert_array_equal(columns.fit_transform(X, targets), codes)
    for rows in (X, X.tolist(), pd.DataFrame(X)):
        refused(
            make_autoencoder(kind), ValueError, "X_clean=y", rows, X / 2, method="fit_transform"
        )


def test_pipeline_with_several_targets(make_autoencoder, X):
    pipeline = make_pipeline(make_autoencoder(), KNeighborsClassifier())
    scores = cross_val_score(pipeline, X, X[:, 20:23] > 0.3, cv=2, error_score="raise")
    regression = make_pipeline(make_autoencoder(), MultiOutputRegressor(Ridge())).fit(X, X[:, :2])

    assert scores.shape == (2,)
    assert regression.predict(X).shape == (300, 2)


def test_steps_get_arguments_of_fit(make_autoencoder, X):
    weight = np.linspace(0.1, 1, 300)
    with config_context(enable_metadata_routing=True):
        asking = make_autoencoder().set_fit_request(sample_weight=True)
        routed = make_pipeline(
            asking, LogisticRegression().set_fit_request(sample_weight=False)
        ).fit(X, X[:, 20] > 0.3, sample_weight=weight)
    expected = make_autoencoder().fit_transform(X, sample_weight=weight)

    assert_array_equal(routed[0].transform(X), expected)
    frame = make_autoencoder().set_output(transform="pandas").fit_transform(X, X[:, :3])
    assert isinstance(frame, pd.DataFrame)


def test_noise_ignores_any_y(X):
    for kind in (GaussianNoise, MaskingNoise, SwapNoise, SaltAndPepperNoise):
        transformer = kind(random_state=0)
        assert_array_equal(transformer.fit(X, X).transform(X), transformer.fit_transform(X, X / 2))


@FITTED
@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
@pytest.mark.parametrize("name", ["X_clean", "X_val", "X_val_clean"])
def test_columns_in_another_order(name, library, subject, X):
    frame = library.DataFrame({f"a{i}": column for i, column in enumerate(X.T)})
    reordered = frame[[*frame.columns[::-1]]]
    frames = dict.fromkeys(["X_clean", "X_val", "X_val_clean"], frame) | {name: reordered}
    match = f"{name} must have the feature names of X, in the same order; column 0 is 'a63'"

    refused(subject(DenoisingAutoencoder), ValueError, match, frame, **frames)


@FITTED
@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.zeros(300), "sample_weight must not be zero for every row"),
        (np.full(300, -0.5), "sample_weight must not be negative; got -0.5"),
        (np.full(300, np.nan), "Input sample_weight contains NaN"),
        (np.ones((300, 1)), r"sample_weight must be of shape \(n_samples,\); got 2 dim"),
        (np.ones(3), r"inconsistent numbers of samples: \[300, 3\]"),
        (["a"] * 300, "could not convert string to float"),
        (np.ma.masked_less(np.arange(300), 5), "sample_weight has masked values"),
    ],
)
def test_bad_weights_are_refused(weight, match, subject, X):
    refused(subject(), ValueError, match, X, sample_weight=weight)


@FITTED
@each_kind
@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"output_activation": "sigmoid"}, "output_activation='sigmoid'"),
        ({"output_activation": "tanh"}, "output_activation='tanh' needs data between -1 and 1"),
        ({"loss": "binary_crossentropy"}, "loss='binary_crossentropy'"),
        ({"loss": "bce"}, "loss='bce'"),
        ({"loss": "keras.losses.BinaryCrossentropy"}, "loss='BinaryCrossentropy'"),
        ({"loss": "keras.losses.BinaryCrossentropy()"}, "loss='BinaryCrossentropy'"),
        ({"loss": "keras.losses.binary_crossentropy"}, "loss='binary_crossentropy'"),
        ({"output_activation": "keras.activations.sigmoid"}, "output_activation='sigmoid'"),
    ],
)
def test_data_beyond_output_is_refused(params, match, kind, subject, X):
    import keras

    params = {
        name: eval(value, {"keras": keras}) if value.startswith("keras.") else value
        for name, value in params.items()
    }
    refused(
        subject(kind, **params), ValueError, f"{match}.*values from 0 to 3.*MinMaxScaler", 3 * X
    )


def test_linear_cross_entropy_is_refused(make_autoencoder, X):
    import keras

    params = {"loss": "binary_crossentropy", "output_activation": "linear"}
    refused(make_autoencoder(**params), ValueError, "needs outputs between 0 and 1", X)
    make_autoencoder(**params, loss__from_logits=True).fit(X)
    params["loss"] = keras.losses.BinaryCrossentropy(from_logits=True)
    make_autoencoder(**params).fit(X)


@FITTED
def test_divergence_changes_nothing(subject, X):
    params = {"optimizer": "sgd", "learning_rate": 1e30, "learning_rate_schedule": "constant"}

    refused(
        subject(**params), ValueError, r"Training diverged: .*1e\+30. Lower learning_rate", 1e6 * X
    )


def test_fit_works_after_refusal(make_autoencoder, X):
    estimator = make_autoencoder()
    with pytest.raises(ValueError, match="zero for every row"):
        estimator.fit(X, sample_weight=np.zeros(300))

    assert_array_equal(estimator.fit(X).transform(X), make_autoencoder().fit(X).transform(X))


def test_overflowing_last_step_is_refused(make_autoencoder, X):
    one_step = make_autoencoder(
        optimizer="sgd", learning_rate=1e38, learning_rate_schedule="constant", epochs=1
    )
    with pytest.raises(ValueError, match="the weights became infinite or NaN in epoch 1"):
        one_step.fit(1e4 * X[:32])
    assert not hasattr(one_step, "history_")


def test_other_optimizer_resets_its_state(make_autoencoder, X):
    switched = (
        make_autoencoder(optimizer="adam")
        .partial_fit(X)
        .set_params(optimizer="adamax")
        .partial_fit(X)
    )
    fresh = make_autoencoder(optimizer="adam").partial_fit(X)
    fresh._state = None  # as after a fit: the weights without the optimizer's state
    fresh.set_params(optimizer="adamax").partial_fit(X)

    assert_array_equal(switched.transform(X), fresh.transform(X))


@pytest.mark.parametrize("weight", [2.0, "balanced", ["a"] * 30, np.ones(30) * 1j])
def test_weights_are_named(weight):
    X = np.random.default_rng(4).random((30, 3))
    with pytest.raises(ValueError, match=r"sample_weight must be numbers of shape \(n_samples,\)"):
        DeepAutoencoder(2, epochs=1).fit(X, sample_weight=weight)


def test_codes_in_another_order():
    X = np.random.default_rng(4).random((30, 3))
    fitted = DeepAutoencoder(2, epochs=1).set_output(transform="pandas").fit(X)
    codes = fitted.transform(X)

    assert fitted.inverse_transform(codes).shape == X.shape
    with pytest.raises(ValueError, match="X must have the columns of transform, in the same order"):
        fitted.inverse_transform(codes[codes.columns[::-1]])
