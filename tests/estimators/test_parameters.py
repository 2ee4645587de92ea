"""How parameters are set, routed to the optimizer and the loss, and used."""

from numbers import Integral

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from skae import DeepAutoencoder, DenoisingAutoencoder, MaskingNoise
from skae._checks import (
    check_clip,
    check_decoder_layer_sizes,
    check_hidden_layer_sizes,
    check_number,
    make_seed,
)
from skae._hints import did_you_mean
from tests.estimators.comparisons import each_kind, refused

# ---------------------------------------------------------------------- checks of numbers


@pytest.mark.parametrize("value", [True, "3", None, 3.0, [3]])
def test_number_of_another_type(value):
    with pytest.raises(TypeError, match=r"k must be a positive integer; got .* of type "):
        check_number("k", value, low=1, kind=Integral)


@pytest.mark.parametrize("value", [-1, -0.1, float("-inf"), float("nan")])
def test_number_out_of_range(value):
    with pytest.raises(ValueError, match="scale must be a number of at least 0; got "):
        check_number("scale", value, low=0)


@pytest.mark.parametrize("value", [float("inf"), 1e300])
def test_number_beyond_float32(value):
    with pytest.raises(ValueError, match="scale must be finite in float32; got "):
        check_number("scale", value, low=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble, np.int8, np.uint64, float])
def test_number_of_any_kind(kind):
    check_number("scale", kind(1), low=0)
    with pytest.raises(ValueError, match="scale must be a number of at least 2"):
        check_number("scale", kind(1), low=2)


def test_bounds_may_be_excluded():
    check_number("x", 0, low=0)
    with pytest.raises(ValueError, match="at least 0 and below 1; got 1"):
        check_number("x", 1, low=0, high=1, below=True)
    check_number("x", 1, low=0, high=1, above=True)
    with pytest.raises(ValueError, match="above 0 and at most 1; got 0"):
        check_number("x", 0, low=0, high=1, above=True)


each_check = pytest.mark.parametrize("check", [check_hidden_layer_sizes, check_decoder_layer_sizes])


@each_check
@pytest.mark.parametrize(
    ("sizes", "expected"), [(3, (3,)), ([3, 2], (3, 2)), ((), ()), (np.array([3, 2]), (3, 2))]
)
def test_layer_sizes_become_a_tuple(check, sizes, expected):
    assert check(sizes) == expected
    assert all(type(size) is int for size in check(sizes))


@pytest.mark.parametrize(
    "sizes",
    [
        *[(128, 0), -1, (1.5,), "ab", (True,), (None,), 2.0, "", b"ab", {4: 1}, {4}, iter([4])],
        *[((64, 32),), np.array([[4]]), np.array([4.0]), [2**31], "64"],
    ],
)
def test_bad_layer_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes must be positive integers; got "):
        check_hidden_layer_sizes(sizes)
    with pytest.raises(ValueError, match="decoder_layer_sizes must be None or positive"):
        check_decoder_layer_sizes(sizes)


def test_only_decoder_sizes_default():
    assert check_decoder_layer_sizes(None) is None
    with pytest.raises(ValueError, match="got None"):
        check_hidden_layer_sizes(None)


@pytest.mark.parametrize(
    "clip",
    [
        *[(1, 0), (0, 0), "ab", (0, 1, 2), (np.nan, 1), 3, (0, None), (False, 5), {0, 1}],
        *[{0: 1, 1: 2}, (0, 1e300), (1e39, np.inf), [[0, 1], [2, 3]], np.array(1)],
    ],
)
def test_bad_clips_are_refused(clip):
    with pytest.raises(ValueError, match=r"clip must be None or a pair \(low, high\)"):
        check_clip(clip)


@pytest.mark.parametrize("clip", [None, (0, 1), [-1.0, np.float32(2)], (-np.inf, 0)])
def test_good_clips_are_accepted(clip):
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
def test_routed_parameters_are_ordinary_parameters(kind):
    estimator = kind(optimizer="adam", optimizer__beta_1=0.8)
    assert estimator.get_params()["optimizer__beta_1"] == 0.8
    assert estimator.optimizer__beta_1 == 0.8

    estimator.set_params(optimizer__beta_1=0.7, optimizer__epsilon=1e-3)
    assert clone(estimator).get_params() == estimator.get_params()
    assert "optimizer__beta_1=0.7" in repr(estimator)


def test_routed_parameters_with_their_owner():
    estimator = DeepAutoencoder(loss="huber", loss__delta=0.5)
    estimator.set_params(optimizer__momentum=0.9, optimizer="sgd", loss__delta=0.25)

    assert estimator.get_params()["optimizer__momentum"] == 0.9
    assert estimator.get_params()["loss__delta"] == 0.25


def test_routed_parameters_in_grids():
    grid = ParameterGrid({"optimizer": ["adam", "nadam"], "optimizer__beta_1": [0.8, 0.9]})
    made = [clone(DeepAutoencoder()).set_params(**params).get_params() for params in grid]

    assert {(params["optimizer"], params["optimizer__beta_1"]) for params in made} == {
        ("adam", 0.8), ("adam", 0.9), ("nadam", 0.8), ("nadam", 0.9),
    }  # fmt: skip


def test_optimizer_parameter_takes_effect(make_autoencoder, X):
    import keras

    routed = make_autoencoder(optimizer="sgd", optimizer__momentum=0.5, learning_rate=0.1)
    instance = make_autoencoder(optimizer=keras.optimizers.SGD(0.1, momentum=0.5))
    plain = make_autoencoder(optimizer="sgd", learning_rate=0.1).fit(X)

    # an instance holds its rate in float32
    assert_allclose(routed.fit(X).transform(X), instance.fit(X).transform(X), atol=1e-6)
    assert not np.allclose(routed.transform(X), plain.transform(X), atol=1e-3)


def test_loss_parameter_takes_effect(make_autoencoder, X):
    import keras

    params = {"loss": "binary_crossentropy", "output_activation": "sigmoid"}
    routed = make_autoencoder(**params, loss__label_smoothing=0.2).fit(X)
    params["loss"] = keras.losses.BinaryCrossentropy(label_smoothing=0.2)
    instance = make_autoencoder(**params).fit(X)

    assert_array_equal(routed.transform(X), instance.transform(X))
    assert not np.allclose(routed.transform(X), make_autoencoder().fit(X).transform(X), atol=1e-3)


def test_incomplete_config_is_refused(make_autoencoder, X):
    import keras

    match = r"omits \['delta'\].*class Huber itself, and set loss__delta"
    refused(make_autoencoder(loss=keras.losses.Huber(delta=0.1)), ValueError, match, X)
    one, other = (
        make_autoencoder(loss=keras.losses.Huber, loss__delta=delta).fit(X) for delta in (0.1, 1)
    )
    assert not np.allclose(one.transform(X), other.transform(X), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("optimizer__beta1", "'beta_1'"),
        ("optimizer__learning_rate", "set learning_rate instead"),
        ("loss__label_smoothin", "'label_smoothing'"),
    ],
)
@each_kind
def test_unknown_routed_parameters_are_refused(kind, name, close, X):
    """`fit` refuses them.  The constructor and `set_params` only store them."""
    params = {"optimizer": "adam", "loss": "binary_crossentropy"}

    for estimator in (kind(**params, **{name: 0.5}), kind(**params).set_params(**{name: 0.5})):
        assert estimator.get_params()[name] == 0.5
        refused(estimator, ValueError, f"{name}.*{close}", X)


@each_kind
def test_unknown_parameters_are_refused(kind):
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'n_component'.*components"):
        kind(n_component=3)
    with pytest.raises(ValueError, match=r"Invalid parameter 'epoch' .*Did you mean 'epochs'"):
        kind().set_params(epoch=3)
    with pytest.raises(TypeError, match="'metrics__x'"):
        kind(metrics__x=3)
    with pytest.raises(ValueError, match=r"'epochs__x' .*: epochs=20 has no parameters"):
        kind().set_params(epochs__x=3)


def test_unknown_parameters_set_nothing():
    masking = MaskingNoise()
    estimator = DenoisingAutoencoder(corruption=masking)
    before, fraction = vars(estimator).copy(), masking.fraction

    for bad in ({"epoch": 3}, {"corruption__fractions": 0.5}, {"epochs__x": 1}):
        with pytest.raises(ValueError, match="Invalid parameter"):
            estimator.set_params(batch_size=7, optimizer__beta_1=0.5, corruption__fraction=1, **bad)
    assert vars(estimator) == before
    assert masking.fraction == fraction


def test_routed_parameters_of_instances_are_refused(X):
    import keras

    estimator = DeepAutoencoder(optimizer=keras.optimizers.Adam(), optimizer__beta_1=0.8)
    refused(estimator, ValueError, "optimizer__beta_1 needs optimizer to be a name or a class", X)
    estimator = DeepAutoencoder(loss__label_smoothing=0.1)
    refused(
        estimator, ValueError, "loss__label_smoothing needs the name of a loss; got loss='auto'", X
    )


def test_leftover_routed_parameter_is_refused(make_autoencoder, X):
    estimator = make_autoencoder(optimizer__beta_1=0.8).set_params(optimizer="sgd")

    with pytest.raises(ValueError, match="optimizer__beta_1 is not a parameter of SGD"):
        estimator.fit(X)


# ---------------------------------------------------------------------- optimizers


def test_optimizer_by_name_class_or_instance(make_autoencoder, X):
    import keras

    rate = {"learning_rate": 0.01}
    named = make_autoencoder(optimizer="nadam", **rate).fit(X)
    for optimizer in ("Nadam", keras.optimizers.Nadam, keras.optimizers.Nadam(0.5)):
        other = make_autoencoder(optimizer=optimizer, **rate).fit(X)
        assert_array_equal(other.transform(X), named.transform(X))


@pytest.mark.parametrize("name", ["adam", "adadelta", "sgd", "rmsprop", "adamw", "lamb", "muon"])
def test_optimizers_train_by_name(name, make_autoencoder, X):
    loss = make_autoencoder(optimizer=name, epochs=2).fit(X).history_["loss"]

    assert loss[1] < loss[0]


def test_optimizer_instance_stays_unbuilt(make_autoencoder, X):
    import keras

    optimizer = keras.optimizers.Adam(0.01)
    estimator = make_autoencoder(optimizer=optimizer)
    first = estimator.fit(X).transform(X)

    assert estimator.optimizer is optimizer
    assert not optimizer.built
    assert_array_equal(estimator.fit(X).transform(X), first)


def test_auto_rate_of_an_instance(make_autoencoder, X):
    import keras

    auto = make_autoencoder(optimizer=keras.optimizers.Adam(0.02)).fit(X)
    given = make_autoencoder(optimizer="adam", learning_rate=0.02).fit(X)

    assert_allclose(auto.transform(X), given.transform(X), rtol=1e-3)


def test_schedule_determines_the_rates(make_autoencoder, X):
    history = (
        make_autoencoder(learning_rate=0.01, learning_rate_schedule="constant").fit(X).history_
    )
    assert_allclose(history["learning_rate"], 0.01)

    history = (
        make_autoencoder(learning_rate=0.01, learning_rate_schedule="cosine", epochs=4)
        .fit(X)
        .history_
    )
    rates = history["learning_rate"]  # of each epoch's last step
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.001


def test_keras_schedule_determines_the_rates(make_autoencoder, X):
    import keras

    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    steps = np.array([9, 19, 29])  # the last of each epoch of ten
    by_parameter = make_autoencoder(learning_rate_schedule=decay).fit(X)
    by_instance = make_autoencoder(optimizer=keras.optimizers.Adam(decay)).fit(X)

    assert_allclose(by_parameter.history_["learning_rate"], 0.1 * 0.5 ** (steps / 10), rtol=1e-5)
    assert_array_equal(by_instance.transform(X), by_parameter.transform(X))
    with pytest.raises(ValueError, match="learning_rate must be 'auto'"):
        make_autoencoder(learning_rate=0.1, learning_rate_schedule=decay).fit(X)


@pytest.mark.parametrize("kind", [np.float32, np.array])
def test_optimizer_takes_numpy_numbers(kind, make_autoencoder, X):
    import keras

    def codes(beta):
        by_name = make_autoencoder(optimizer__beta_1=beta).fit(X).transform(X)
        return by_name, make_autoencoder(optimizer=keras.optimizers.Adam(beta_1=beta)).fit(
            X
        ).transform(X)

    for of_numpy, of_python in zip(codes(kind(0.5)), codes(0.5), strict=True):
        assert_array_equal(of_numpy, of_python)
