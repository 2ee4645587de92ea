import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.decomposition import PCA

from skae import LossCurveDisplay


@pytest.fixture(scope="module")
def fitted(make_autoencoder, X):
    return make_autoencoder(epochs=4).fit(X[:200], X_val=X[200:])


def test_curves_show_the_history(fitted):
    """The curves are the losses of ``history_``, and the best epoch is marked."""
    display = LossCurveDisplay.from_estimator(fitted)
    training, validation, best = display.lines_
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(training.get_ydata(), fitted.history_["loss"])
    np.testing.assert_array_equal(validation.get_ydata(), fitted.history_["val_loss"])
    epoch = int(np.argmin(fitted.history_["val_loss"])) + 1
    np.testing.assert_array_equal(best.get_xdata(), [epoch])
    np.testing.assert_array_equal(best.get_ydata(), [min(fitted.history_["val_loss"])])
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[:2] == ["DeepAutoencoder, training", "DeepAutoencoder, validation"]
    assert texts[2].endswith(f"in epoch {epoch}")


def test_best_training_loss_without_validation():
    display = LossCurveDisplay([0.4, 0.2, 0.3]).plot()
    training, best = display.lines_
    assert training.get_label() == "training"
    assert best.get_label() == "best: 0.2000 in epoch 2"


def test_short_validation_ends_with_training():
    """Validation losses of the last epochs only are drawn at these epochs."""
    display = LossCurveDisplay([0.4, 0.3, 0.2], val_loss=[0.25, 0.35]).plot()
    _, validation, best = display.lines_
    np.testing.assert_array_equal(validation.get_xdata(), [2, 3])
    np.testing.assert_array_equal(best.get_xdata(), [2])


def test_estimators_on_one_axes_differ():
    """All curves of one estimator share a colour, which no other estimator has."""
    first = LossCurveDisplay([0.3, 0.2], val_loss=[0.4, 0.3], name="a").plot()
    second = LossCurveDisplay([0.5, 0.4], val_loss=[0.6, 0.5], name="b").plot(ax=first.ax_)
    colours = [{to_rgb(line.get_color()) for line in d.lines_} for d in (first, second)]
    assert [len(colour) for colour in colours] == [1, 1]
    assert colours[0] != colours[1]
    assert second.figure_ is first.figure_
    assert len(first.ax_.get_legend().get_texts()) == 6


def test_missing_history_is_refused(X):
    with pytest.raises(TypeError, match=r"with a history_; got PCA"):
        LossCurveDisplay.from_estimator(PCA(2).fit(X))


def test_empty_history_is_refused(fitted):
    from copy import copy

    interrupted = copy(fitted)
    interrupted.history_ = {}
    with pytest.raises(ValueError, match="holds no epoch"):
        LossCurveDisplay.from_estimator(interrupted)
