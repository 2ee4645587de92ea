import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ReconstructionErrorDisplay


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_errors_are_minus_the_scores(make_autoencoder, X):
    pipeline = make_pipeline(StandardScaler(), make_autoencoder()).fit(X)
    display = ReconstructionErrorDisplay.from_estimator(pipeline, X)
    np.testing.assert_array_equal(display.errors, -pipeline.score_samples(X))
    scaled = pipeline[0].transform(X)
    expected = ((scaled - pipeline[1].reconstruct(scaled)) ** 2).mean(axis=1)
    np.testing.assert_allclose(display.errors, expected)


def test_bars_are_shares_of_classes():
    errors = np.array([0.0, 0.05, 0.05, 0.95, 1.0])
    display = ReconstructionErrorDisplay.from_predictions(errors, ["in", "in", "in", "out", "out"])
    assert len(display.bin_edges_) == 11  # ten bars over 0 to 1
    inliers, outliers = display.shares_
    np.testing.assert_allclose(inliers, [1, *[0] * 9])
    np.testing.assert_allclose(outliers, [*[0] * 9, 1])
    assert legend(display) == ["in", "out"]


def test_legend_names_shares_above_threshold():
    errors = np.array([0.1, 0.2, 0.3, 0.4])
    display = ReconstructionErrorDisplay.from_predictions(errors, [0, 0, 1, 1], threshold=0.15)
    assert legend(display) == ["0: 50.0% above", "1: 100.0% above", "threshold: 0.150"]
    (line,) = display.ax_.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), [0.15, 0.15])


def test_one_histogram_without_classes():
    display = ReconstructionErrorDisplay.from_predictions(np.linspace(0, 1, 200))
    (shares,) = display.shares_
    np.testing.assert_allclose(shares, np.full(10, 0.1), atol=0.01)
    assert display.ax_.get_legend() is None


def test_other_scores_are_refused(X):
    """Scores of other estimators, and negative numbers, are not reconstruction errors."""
    with pytest.raises(TypeError, match=r"must be an autoencoder.* got PCA"):
        ReconstructionErrorDisplay.from_estimator(PCA(2).fit(X), X)
    with pytest.raises(ValueError, match=r"at least 0; got -0\.5\. .* change their sign"):
        ReconstructionErrorDisplay.from_predictions([-0.5, 0.1])
