"""Parameters: how they are set, routed and refused, and that a refusal changes nothing."""

from numbers import Integral

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise
from skae._parameters import check_clip, check_layer_sizes, check_number, did_you_mean, make_seed

each_kind = pytest.mark.parametrize("kind", [DeepAutoencoder, DenoisingAutoencoder])

# ---------------------------------------------------------------------- the checks themselves


@pytest.mark.parametrize("value", [True, "3", None, 3.0, [3]])
def test_a_number_of_another_type_is_a_type_error(value):
    with pytest.raises(TypeError, match=r"k must be an integer; got .* of type "):
        check_number("k", value, low=1, kind=Integral)


@pytest.mark.parametrize("value", [-1, -0.1, float("nan"), float("inf"), 1e300])
def test_a_number_out_of_range_is_a_value_error(value):
    with pytest.raises(
        ValueError, match="scale must be a number at least 0 and finite in float32; got "
    ):
        check_number("scale", value, low=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble, np.int8, np.uint64, float])
def test_a_number_may_be_of_any_kind(kind):
    check_number("scale", kind(1), low=0)
    with pytest.raises(ValueError, match="scale must be a number at least 2"):
        check_number("scale", kind(1), low=2)


def test_bounds_may_be_excluded():
    check_number("x", 0, low=0)
    check_number("x", 1, low=0, high=1, above=True)
    with pytest.raises(ValueError, match="above 0 and at most 1; got 0"):
        check_number("x", 0, low=0, high=1, above=True)


@pytest.mark.parametrize(
    ("sizes", "expected"), [(3, (3,)), ([3, 2], (3, 2)), ((), ()), (np.array([3, 2]), (3, 2))]
)
def test_layer_sizes_are_a_tuple_of_int(sizes, expected):
    assert check_layer_sizes(sizes) == expected
    assert all(type(size) is int for size in check_layer_sizes(sizes))


@pytest.mark.parametrize("sizes", [(128, 0), -1, (1.5,), "ab", (True,), None, 2.0])
def test_layer_sizes_must_be_positive_integers(sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes must be positive integers; got "):
        check_layer_sizes(sizes)


@pytest.mark.parametrize("clip", [(1, 0), (0, 0), "ab", (0, 1, 2), (np.nan, 1), 3, (0, None)])
def test_clip_must_be_an_ascending_pair(clip):
    with pytest.raises(ValueError, match=r"clip must be None or a pair \(low, high\)"):
        check_clip(clip)


@pytest.mark.parametrize("clip", [None, (0, 1), [-1.0, np.float32(2)], (-np.inf, 0)])
def test_clip_may_be_any_ascending_pair(clip):
    check_clip(clip)


def test_close_names_are_suggested():
    assert did_you_mean("beta1", ["beta_1", "beta_2", "epsilon"]).startswith(
        " Did you mean 'beta_1'"
    )
    assert did_you_mean("xyz", ["beta_1"]) == ""


def test_seeds_follow_random_state():
    assert make_seed(3) == make_seed(3) != make_seed(4)
    assert make_seed(np.random.RandomState(3)) == make_seed(3)
    assert make_seed(None) != make_seed(None)


# ---------------------------------------------------------------------- routed parameters


@each_kind
def test_routed_parameters_are_parameters_like_others(kind):
    estimator = kind(optimizer="adam", optimizer__beta_1=0.8)
    assert estimator.get_params()["optimizer__beta_1"] == 0.8
    assert estimator.optimizer__beta_1 == 0.8

    estimator.set_params(optimizer__beta_1=0.7, optimizer__epsilon=1e-3)
    assert clone(estimator).get_params() == estimator.get_params()
    assert "optimizer__beta_1=0.7" in repr(estimator)


def test_routed_parameters_may_come_with_what_they_belong_to():
    estimator = DeepAutoencoder(loss="huber", loss__delta=0.5)
    estimator.set_params(optimizer__momentum=0.9, optimizer="sgd", loss__delta=0.25)

    assert estimator.get_params()["optimizer__momentum"] == 0.9
    assert estimator.get_params()["loss__delta"] == 0.25


def test_routed_parameters_stand_in_grids():
    grid = ParameterGrid({"optimizer": ["adam", "nadam"], "optimizer__beta_1": [0.8, 0.9]})
    made = [clone(DeepAutoencoder()).set_params(**params).get_params() for params in grid]

    assert {(params["optimizer"], params["optimizer__beta_1"]) for params in made} == {
        ("adam", 0.8), ("adam", 0.9), ("nadam", 0.8), ("nadam", 0.9),
    }  # fmt: skip


def test_a_routed_parameter_has_its_effect(small, X):
    import keras

    routed = small(optimizer="sgd", optimizer__momentum=0.5, learning_rate=0.1)
    instance = small(optimizer=keras.optimizers.SGD(0.1, momentum=0.5))
    plain = small(optimizer="sgd", learning_rate=0.1).fit(X)

    # an instance holds its rate in float32
    assert_allclose(routed.fit(X).transform(X), instance.fit(X).transform(X), atol=1e-6)
    assert not np.allclose(routed.transform(X), plain.transform(X), atol=1e-3)


def test_a_routed_parameter_of_the_loss_has_its_effect(small, X):
    import keras

    params = {"loss": "binary_crossentropy", "output_activation": "sigmoid"}
    routed = small(**params, loss__label_smoothing=0.2).fit(X)
    params["loss"] = keras.losses.BinaryCrossentropy(label_smoothing=0.2)
    instance = small(**params).fit(X)

    assert_array_equal(routed.transform(X), instance.transform(X))
    assert not np.allclose(routed.transform(X), small().fit(X).transform(X), atol=1e-3)


def test_an_instance_that_a_copy_would_change_is_refused(small, X):
    import keras

    match = r"leaves out \['delta'\].*class Huber itself, and loss__delta"
    refused(small(loss=keras.losses.Huber(delta=0.1)), ValueError, match, X)
    one, other = (small(loss=keras.losses.Huber, loss__delta=delta).fit(X) for delta in (0.1, 1))
    assert not np.allclose(one.transform(X), other.transform(X), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("optimizer__beta1", "'beta_1'"),
        ("optimizer__learning_rate", "set learning_rate itself"),
        ("loss__label_smoothin", "'label_smoothing'"),
    ],
)
@each_kind
def test_unknown_routed_parameters_are_refused_when_set(kind, name, close):
    estimator = kind(optimizer="adam", loss="binary_crossentropy")
    before = vars(estimator).copy()

    with pytest.raises(ValueError, match=close) as error:
        estimator.set_params(epochs=7, **{name: 0.5})
    assert name in str(error.value)
    assert vars(estimator) == before
    with pytest.raises(ValueError, match=close):
        kind(optimizer="adam", loss="binary_crossentropy", **{name: 0.5})


@each_kind
def test_unknown_parameters_are_refused_when_set(kind):
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'n_component'.*components"):
        kind(n_component=3)
    with pytest.raises(ValueError, match=r"Invalid parameter 'epoch' .*Did you mean 'epochs'"):
        kind().set_params(epoch=3)
    with pytest.raises(TypeError, match="'metrics__x'"):
        kind(metrics__x=3)


def test_a_routed_parameter_needs_a_name_or_class_to_go_to():
    import keras

    with pytest.raises(ValueError, match="give them where it is made"):
        DeepAutoencoder(optimizer=keras.optimizers.Adam(), optimizer__beta_1=0.8)
    with pytest.raises(ValueError, match="loss by name; got loss='auto'"):
        DeepAutoencoder(loss__label_smoothing=0.1)


def test_a_routed_parameter_left_over_from_another_optimizer_is_refused_by_fit(small, X):
    estimator = small(optimizer__beta_1=0.8).set_params(optimizer="sgd")

    with pytest.raises(ValueError, match="optimizer__beta_1 is not a parameter of SGD"):
        estimator.fit(X)


# ---------------------------------------------------------------------- optimizers


def test_an_optimizer_is_a_name_a_class_or_an_instance(small, X):
    import keras

    rate = {"learning_rate": 0.01}
    named = small(optimizer="nadam", **rate).fit(X)
    for optimizer in ("Nadam", keras.optimizers.Nadam, keras.optimizers.Nadam(0.5)):
        other = small(optimizer=optimizer, **rate).fit(X)
        assert_array_equal(other.transform(X), named.transform(X))


@pytest.mark.parametrize("name", ["adam", "adadelta", "sgd", "rmsprop", "adamw", "lamb", "muon"])
def test_optimizers_train_by_name(name, small, X):
    loss = small(optimizer=name, epochs=2).fit(X).history_["loss"]

    assert loss[1] < loss[0]


def test_fit_leaves_an_optimizer_instance_as_it_was(small, X):
    import keras

    optimizer = keras.optimizers.Adam(0.01)
    estimator = small(optimizer=optimizer)
    first = estimator.fit(X).transform(X)

    assert estimator.optimizer is optimizer
    assert not optimizer.built
    assert_array_equal(estimator.fit(X).transform(X), first)


def test_learning_rate_auto_is_that_of_an_instance(small, X):
    import keras

    auto = small(optimizer=keras.optimizers.Adam(0.02)).fit(X)
    given = small(optimizer="adam", learning_rate=0.02).fit(X)

    assert_allclose(auto.transform(X), given.transform(X), rtol=1e-3)


def test_the_rates_are_those_of_the_schedule(small, X):
    history = small(learning_rate=0.01, learning_rate_schedule="constant").fit(X).history_
    assert_allclose(history["learning_rate"], 0.01)

    history = small(learning_rate=0.01, learning_rate_schedule="cosine", epochs=4).fit(X).history_
    rates = history["learning_rate"]  # of each epoch's last step
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.001


def test_a_keras_schedule_gives_the_rates(small, X):
    import keras

    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    steps = np.array([9, 19, 29])  # the last of each epoch of ten
    by_parameter = small(learning_rate_schedule=decay).fit(X)
    by_instance = small(optimizer=keras.optimizers.Adam(decay)).fit(X)

    assert_allclose(by_parameter.history_["learning_rate"], 0.1 * 0.5 ** (steps / 10), rtol=1e-5)
    assert_array_equal(by_instance.transform(X), by_parameter.transform(X))
    with pytest.raises(ValueError, match="learning_rate must be 'auto'"):
        small(learning_rate=0.1, learning_rate_schedule=decay).fit(X)


@pytest.mark.parametrize("kind", [np.float32, np.array])
def test_an_optimizer_takes_numbers_of_numpy(kind, small, X):
    import keras

    def codes(beta):
        by_name = small(optimizer__beta_1=beta).fit(X).transform(X)
        return by_name, small(optimizer=keras.optimizers.Adam(beta_1=beta)).fit(X).transform(X)

    for of_numpy, of_python in zip(codes(kind(0.5)), codes(0.5), strict=True):
        assert_array_equal(of_numpy, of_python)


# ---------------------------------------------------------------------- bad input

FITTED = pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])

BAD_PARAMETERS = [
    ({"n_components": 0}, ValueError, "n_components must be an integer at least 1.*got 0"),
    ({"n_components": -3}, ValueError, "got -3"),
    ({"n_components": 2.5}, TypeError, "n_components must be an integer; got 2.5 of type float"),
    ({"hidden_layer_sizes": (128, 0)}, ValueError, r"positive integers; got \(128, 0\)"),
    ({"hidden_layer_sizes": (-1,)}, ValueError, r"positive integers; got \(-1,\)"),
    ({"hidden_layer_sizes": "wide"}, ValueError, "positive integers; got 'wide'"),
    ({"batch_size": 0}, ValueError, "batch_size must be an integer at least 1.*got 0"),
    ({"epochs": 0}, ValueError, "epochs must be an integer at least 1.*got 0"),
    ({"epochs": "many"}, TypeError, "epochs must be an integer; got 'many' of type str"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change must be an integer at least 1"),
    ({"tol": -1e-3}, ValueError, "tol must be a number at least 0.*got -0.001"),
    ({"validation_fraction": 0.0}, ValueError, "validation_fraction must be a number above 0"),
    ({"validation_fraction": 1.0}, ValueError, "validation_fraction must be below 1; got 1"),
    ({"learning_rate": 0}, ValueError, "learning_rate must be a number above 0.*got 0"),
    (
        {"learning_rate": np.inf},
        ValueError,
        "learning_rate must be a number.*finite in float32; got inf",
    ),
    ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number; got 'fast'"),
    ({"learning_rate_schedule": "cosin"}, ValueError, "got 'cosin'. Did you mean 'cosine'"),
    ({"learning_rate_schedule": []}, ValueError, r"learning_rate_schedule must be .*got \[\]"),
    ({"verbose": "loud"}, TypeError, "verbose must be an integer; got 'loud'"),
    ({"activation": "reluu"}, ValueError, "activation must be .*got 'reluu'.*Did you mean 'relu'"),
    ({"code_activation": 3}, ValueError, "code_activation must be .*got 3"),
    ({"output_activation": "sigmoidd"}, ValueError, "got 'sigmoidd'. Did you mean 'sigmoid'"),
    ({"loss": "mean_squared"}, ValueError, "got 'mean_squared'.*'mean_squared_error'"),
    ({"loss": 3}, TypeError, "loss must be .*got 3"),
    ({"optimizer": "adamm"}, ValueError, "got 'adamm'. Did you mean 'adam'"),
    ({"optimizer": 3}, TypeError, "optimizer must be a name, .*got 3"),
    ({"optimizer": dict}, TypeError, "optimizer must be a name, .*got <class 'dict'>"),
    (
        {"optimizer": {"name": "adam"}},
        TypeError,
        "optimizer must be made of .*got {'name': 'adam'}",
    ),
    ({"optimizer__beta_1": {0.9}}, TypeError, "optimizer__beta_1 must be made of .*got {0.9}"),
    ({"metrics": "nonsense"}, ValueError, "metrics must hold names of Keras metrics; got 'nonse"),
    ({"metrics": [{"mae"}]}, TypeError, "metrics must be made of .*got {'mae'}"),
]


def refused(estimator, error, match, *args, method="fit", **kwargs):
    """Check that a call raises, and leaves every attribute the very object that it was."""
    before = vars(estimator).copy()
    with pytest.raises(error, match=match):
        getattr(estimator, method)(*args, **kwargs)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())


@pytest.fixture
def subject(fitted, small, X):
    def make(kind=DeepAutoencoder, **params):
        estimator = small(kind)
        return (estimator.fit(X) if fitted else estimator).set_params(**params)

    return make


@FITTED
@pytest.mark.parametrize(("params", "error", "match"), BAD_PARAMETERS)
def test_a_bad_parameter_is_refused_by_fit(params, error, match, subject, X):
    refused(subject(**params), error, match, X)
    refused(subject(**params), error, match, X, method="partial_fit")


@FITTED
@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"noise_scale": -1}, ValueError, "noise_scale must be a number at least 0.*got -1"),
        ({"noise_scale": np.inf}, ValueError, "noise_scale must be .*finite in float32; got inf"),
        ({"noise_scale": None}, TypeError, "noise_scale must be a number; got None"),
        ({"clip": (1, 0)}, ValueError, r"clip must be .*got \(1, 0\)"),
        ({"clip": "ab"}, ValueError, "clip must be .*got 'ab'"),
    ],
)
def test_a_bad_parameter_of_the_noise_is_refused_by_fit(params, error, match, subject, X):
    refused(subject(DenoisingAutoencoder, **params), error, match, X)


def put(X, value):
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
    (lambda X: X.reshape(-1, 8, 8), ValueError, "dim 3"),
    (lambda X: None, ValueError, "Expected 2D array"),
    (lambda X: "digits", ValueError, "Expected 2D array"),
    (lambda X: X.astype(str), ValueError, "numeric"),
    (lambda X: X + 1j, ValueError, "Complex data not supported"),
    (
        lambda X: np.zeros(X.shape, "M8[s]"),
        ValueError,
        r"X must hold numbers; got dtype datetime64",
    ),
    (lambda X: np.zeros(X.shape, "m8[s]"), ValueError, r"X must hold numbers; got dtype timedelta"),
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
def test_one_row_is_refused_by_fit(subject, X):
    refused(subject(), ValueError, r"1 sample\(s\).*minimum of 2", X[:1])


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score", "score_samples"])
def test_rows_of_another_width_are_refused(method, small, X):
    estimator = small().fit(X)

    refused(estimator, ValueError, "X has 5 features.*expecting 64", X[:, :5], method=method)
    refused(estimator, ValueError, "Input X contains NaN", put(X, np.nan), method=method)


def test_codes_of_another_width_are_refused(small, X):
    estimator = small().fit(X)

    refused(estimator, ValueError, "X has 64 .* codes .* have 4", X, method="inverse_transform")


@FITTED
@pytest.mark.parametrize(
    ("X_val", "match"),
    [
        (lambda X: X[:, :5], "X_val must have the 64 features of X; got 5"),
        (lambda X: put(X, np.nan), "Input X_val contains NaN"),
        (lambda X: X[:0], r"0 sample\(s\)"),
        (lambda X: np.ma.masked_greater(X, 0.5), "X_val has masked values"),
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
    ],
)
def test_bad_clean_rows_are_refused(kwargs, match, subject, X):
    refused(subject(DenoisingAutoencoder), ValueError, match, X, **kwargs(X))


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
def test_data_beyond_the_output_is_refused(params, match, kind, subject, X):
    import keras

    params = {
        name: eval(value, {"keras": keras}) if value.startswith("keras.") else value
        for name, value in params.items()
    }
    refused(
        subject(kind, **params), ValueError, f"{match}.*values from 0 to 3.*MinMaxScaler", 3 * X
    )


def test_cross_entropy_of_a_linear_output_is_refused(small, X):
    import keras

    params = {"loss": "binary_crossentropy", "output_activation": "linear"}
    refused(small(**params), ValueError, "needs outputs between 0 and 1", X)
    small(**params, loss__from_logits=True).fit(X)
    params["loss"] = keras.losses.BinaryCrossentropy(from_logits=True)
    small(**params).fit(X)


@FITTED
def test_a_loss_that_turns_nan_is_an_error_that_changes_nothing(subject, X):
    params = {"optimizer": "sgd", "learning_rate": 1e30, "learning_rate_schedule": "constant"}

    refused(
        subject(**params), ValueError, r"Training diverged: .*1e\+30. Lower learning_rate", 1e6 * X
    )


def test_a_refused_fit_does_not_spoil_the_next(small, X):
    estimator = small()
    with pytest.raises(ValueError, match="zero for every row"):
        estimator.fit(X, sample_weight=np.zeros(300))

    assert_array_equal(estimator.fit(X).transform(X), small().fit(X).transform(X))


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"scale": -1}, ValueError, "scale must be a number at least 0.*got -1"),
        ({"scale": "a"}, TypeError, "scale must be a number; got 'a'"),
        ({"clip": (1, 0)}, ValueError, "clip must be"),
    ],
)
def test_bad_parameters_of_the_noise_transformer_are_refused(params, error, match, X):
    refused(GaussianNoise(**params), error, match, X)
    refused(GaussianNoise(**params), error, match, X, method="transform")


def test_weights_that_overflow_in_the_last_step_are_no_result(small, X):
    one_step = small(
        optimizer="sgd", learning_rate=1e38, learning_rate_schedule="constant", epochs=1
    )
    with pytest.raises(ValueError, match="the weights became infinite or NaN in epoch 1"):
        one_step.fit(1e4 * X[:32])
    assert not hasattr(one_step, "history_")


def test_partial_fit_with_another_optimizer_starts_its_state_anew(small, X):
    switched = small(optimizer="adam").partial_fit(X).set_params(optimizer="adamax").partial_fit(X)
    fresh = small(optimizer="adam").partial_fit(X)
    fresh._state = None  # as after a fit: the weights without the optimizer's state
    fresh.set_params(optimizer="adamax").partial_fit(X)

    assert_array_equal(switched.transform(X), fresh.transform(X))
