"""`OutlierDisplay`."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderOutlierDetector, OutlierDisplay
from tests.outliers.test_detector import cheap, normal


@pytest.fixture(scope="module")
def fitted():
    return cheap().fit(normal(200))


@pytest.fixture(scope="module")
def rows():
    X = normal(50, seed=1)
    X[7, 2] += 20
    return X


def test_worst_row_and_column_come_first(fitted, rows):
    display = OutlierDisplay.from_estimator(fitted, rows, n_rows=1, n_columns=2)
    assert display.rows[0] == 7
    assert display.ax_.get_xticklabels()[0].get_text() == "x2"
    assert display.image_.get_array().shape == (1, 2)
    assert display.texts_[0].get_text().startswith(f"{rows[7, 2]:.3g}\n(")


def test_scores_show_threshold(fitted, rows):
    display = OutlierDisplay.from_estimator(fitted, rows, np.arange(50) == 7, kind="scores")
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert f"threshold: {-fitted.offset_:#.3g}" in labels
    assert "True: 100.0% outliers" in labels


def test_pipeline_and_frame_are_drawn(rows):
    import pandas as pd

    frame = pd.DataFrame(normal(100), columns=list("abcd"))
    pipeline = make_pipeline(MinMaxScaler(), cheap()).set_output(transform="pandas").fit(frame)
    display = OutlierDisplay.from_estimator(pipeline, pd.DataFrame(rows, columns=list("abcd")))
    assert set(display.feature_names) == set("abcd")


def test_given_axes_are_used_for_outliers(fitted, rows):
    ax = Figure().subplots()
    display = OutlierDisplay.from_estimator(fitted, rows, ax=ax)
    assert display.ax_ is ax
    assert display.plot(kind="scores", ax=Figure().subplots()).ax_ is not ax


@pytest.mark.parametrize(
    ("name", "value"),
    [("kind", "rows"), ("n_rows", 0), ("n_rows", 2.5), ("n_columns", True), ("ax", 3)],
)
def test_wrong_argument_of_outliers(name, value, fitted, rows):
    with pytest.raises((TypeError, ValueError), match=name):
        OutlierDisplay.from_estimator(fitted, rows, **{name: value})


def test_other_estimators_are_refused(rows):
    with pytest.raises(TypeError, match="must be an AutoencoderOutlierDetector"):
        OutlierDisplay.from_estimator(MinMaxScaler().fit(rows), rows)
    with pytest.raises(NotFittedError):
        OutlierDisplay.from_estimator(AutoencoderOutlierDetector(), rows)
    with pytest.raises(ValueError, match="needs feature_scores"):
        OutlierDisplay([-1, -2], threshold=-1.5).plot()
