"""The learning rate of every step follows the formula of its schedule."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skae._training.schedules import (
    PEAKS,
    RISE,
    START,
    Rates,
    learning_rates,
    rate_and_schedule,
)


def own(optimizer):
    return 0.123


def test_one_cycle_rises_then_falls():
    rates = learning_rates("one_cycle", 2.0, 0, 1000, 1000)
    top = round(RISE * 1000)

    assert rates[0] == pytest.approx(START * 2.0)
    assert rates.max() == pytest.approx(2.0)
    assert rates.argmax() == top
    assert_allclose(np.diff(rates[:top]), np.diff(rates[:2])[0], rtol=1e-2)
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[top + (1000 - top) // 2] == pytest.approx(1.0, rel=1e-3)
    assert 0 < rates[-1] < 1e-4


def test_cosine_falls_to_zero():
    rates = learning_rates("cosine", 2.0, 0, 1000, 1000)

    assert_allclose(rates, 1 + np.cos(np.pi * np.arange(1000) / 1000), rtol=1e-5, atol=1e-6)


def test_constant_rate_stays():
    assert_array_equal(learning_rates("constant", 0.5, 7, 3, 100), np.full(3, 0.5, np.float32))


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_epochs_share_one_schedule(schedule):
    whole = learning_rates(schedule, 0.1, 0, 40, 40)
    rates = Rates(schedule, 0.1, steps_per_epoch=10, epochs=4, first_step=0)

    assert_array_equal(np.concatenate(list(map(rates.of_epoch, range(4)))), whole)
    assert whole.dtype == np.float32


def test_scaled_rates_keep_their_schedule():
    rates, plain = (Rates("cosine", 0.1, 10, 4, first_step=5) for _ in range(2))
    rates.scale(0.5)
    rates.scale(0.5)

    assert_array_equal(rates.of_epoch(2), plain.of_epoch(2) / 4)


def test_keras_schedule_gives_the_rates():
    import keras

    decay = keras.optimizers.schedules.InverseTimeDecay(0.1, 10, 0.5)
    expected = 0.1 / (1 + 0.5 * np.arange(5, 9) / 10)

    assert_allclose(learning_rates(decay, None, 5, 4, 100), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (lambda step: step.nothing, "<lambda>, which raised AttributeError for step 5"),
        (lambda step: None, "<lambda>, which raised TypeError for step 5"),
        (lambda: 0.1, "takes 0 positional arguments"),
        (lambda step: 6.5 - step, r"of at least 0; got <lambda>, which returned -0\.5 for step 7"),
        (lambda step: np.nan, "of at least 0; got <lambda>, which returned nan for step 5"),
    ],
)
def test_failing_schedule_is_named(schedule, message):
    with pytest.raises(ValueError, match=rf"^learning_rate_schedule must .*{message}"):
        learning_rates(schedule, None, 5, 4, 100)


@pytest.mark.parametrize("optimizer", ["adam", "Adam", type("Adam", (), {})])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_auto_is_a_tuned_peak(optimizer, schedule):
    assert rate_and_schedule(optimizer, "auto", schedule, own) == (PEAKS["adam"], schedule)


def test_auto_falls_back_to_own_rate():
    """If the rate is constant, or no peak is tuned, "auto" is the optimizer's own rate."""
    assert rate_and_schedule("adam", "auto", "constant", own) == (0.123, "constant")
    assert rate_and_schedule("ftrl", "auto", "one_cycle", own) == (0.123, "one_cycle")
    assert rate_and_schedule(object(), "auto", "one_cycle", own) == (0.123, "one_cycle")


def test_given_rate_is_used():
    assert rate_and_schedule("adam", 0.5, "cosine", own) == (0.5, "cosine")


def test_single_epoch_has_a_constant_rate():
    assert rate_and_schedule("adam", 0.5, "cosine", own, single_epoch=True) == (0.5, "constant")
    assert rate_and_schedule("adam", "auto", "cosine", own, single_epoch=True)[0] == 0.123


def test_keras_schedule_excludes_a_rate():
    def schedule(step):
        return 0.1

    assert rate_and_schedule("adam", "auto", schedule, own) == (None, schedule)
    with pytest.raises(ValueError, match="learning_rate must be 'auto'"):
        rate_and_schedule("adam", 0.5, schedule, own)
    assert rate_and_schedule("adam", "auto", "cosine", lambda _: schedule) == (None, schedule)
