import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ReconstructionDisplay


@pytest.fixture(scope="module")
def pca(X):
    return PCA(6).fit(X)


@pytest.fixture(scope="module")
def noisy(X):
    return X + np.random.default_rng(0).normal(scale=0.3, size=X.shape)


def image(panel):
    (drawn,) = panel.get_images()
    return np.asarray(drawn.get_array())


def labels(ax):
    return [text.get_text() for text in ax.texts]


def test_images_codes_and_reconstructions(pca, X):
    display = ReconstructionDisplay.from_estimator(pca, X, rows=4, image_shape=(8, 8))
    codes = pca.transform(X)
    restored = pca.inverse_transform(codes)
    assert display.axes_.shape == (3, 4)
    for i, (original, code, reconstruction) in enumerate(display.axes_.T):
        np.testing.assert_array_equal(image(original), X[i].reshape(8, 8))
        np.testing.assert_allclose(image(code).ravel(), codes[i])
        np.testing.assert_allclose(image(reconstruction).ravel(), restored[i])
    assert [label.split(":")[0] for label in labels(display.ax_)] == [
        "original",
        "code",
        "reconstruction",
    ]


def test_corrupted_rows_are_encoded(pca, X, noisy):
    display = ReconstructionDisplay.from_estimator(
        pca, X, X_corrupted=noisy, rows=3, image_shape=(8, 8)
    )
    assert display.axes_.shape == (4, 3)
    np.testing.assert_array_equal(image(display.axes_[0, 2]).ravel(), X[2])
    np.testing.assert_array_equal(image(display.axes_[1, 2]).ravel(), noisy[2])
    expected = pca.inverse_transform(pca.transform(noisy[:3]))
    np.testing.assert_allclose(image(display.axes_[3, 2]).ravel(), expected[2])


def test_panels_share_scales(pca, X, noisy):
    """Images have the scale of the originals; codes have a scale that is symmetric about 0."""
    display = ReconstructionDisplay.from_estimator(
        pca, X, X_corrupted=noisy, rows=3, image_shape=(8, 8)
    )
    for row in (0, 1, 3):
        limits = {panel.get_images()[0].get_clim() for panel in display.axes_[row]}
        assert limits == {(X[:3].min(), X[:3].max())}
    largest = np.abs(pca.transform(noisy[:3])).max()
    assert {panel.get_images()[0].get_clim() for panel in display.axes_[2]} == {(-largest, largest)}


def test_rows_are_chosen_by_index(pca, X):
    display = ReconstructionDisplay.from_estimator(pca, X, rows=[7, 2], image_shape=(8, 8))
    np.testing.assert_array_equal(display.originals, X[[7, 2]])


def test_fewer_rows_are_all_drawn(pca, X):
    display = ReconstructionDisplay.from_estimator(pca, X[:2], rows=10, image_shape=(8, 8))
    assert display.axes_.shape == (3, 2)


@pytest.mark.parametrize("container", [csr_array, pd.DataFrame, pl.DataFrame, np.ndarray.tolist])
def test_every_kind_of_table_is_drawn(X, container, make_autoencoder):
    rows = container(X)
    estimator = make_autoencoder().fit(rows if container is not np.ndarray.tolist else X)
    display = ReconstructionDisplay.from_estimator(estimator, rows, rows=3, image_shape=(8, 8))
    np.testing.assert_array_equal(image(display.axes_[0, 2]).ravel(), X[2])
    np.testing.assert_allclose(
        image(display.axes_[2, 1]).ravel(), estimator.reconstruct(rows)[1], rtol=1e-5, atol=1e-6
    )


def test_pandas_codes_and_pipelines_are_drawn(X):
    pipeline = make_pipeline(StandardScaler(), PCA(6)).set_output(transform="pandas").fit(X)
    display = ReconstructionDisplay.from_estimator(pipeline, X, rows=2)
    np.testing.assert_allclose(display.codes, np.asarray(pipeline.transform(X))[:2])


@pytest.mark.parametrize("shape", [(4, 4), (2, 8), (4, 4, 1)])
def test_grey_images_of_any_shape(shape):
    rows = np.random.default_rng(0).uniform(size=(3, 16))
    display = ReconstructionDisplay(rows, rows, codes=rows[:, :4], image_shape=shape).plot()
    assert image(display.axes_[0, 0]).shape == shape[:2]


def test_colour_images_keep_colours():
    rows = np.random.default_rng(0).uniform(-0.2, 1.2, size=(2, 12))
    display = ReconstructionDisplay(rows, rows, codes=rows[:, :4], image_shape=(2, 2, 3)).plot()
    np.testing.assert_array_equal(image(display.axes_[0, 1]).ravel(), np.clip(rows[1], 0, 1))


@pytest.mark.parametrize(
    ("n_components", "code_shape", "expected"),
    [
        (32, "auto", (4, 8)),
        (6, "auto", (2, 3)),
        (1, "auto", (1, 1)),
        (7, "auto", None),
        (6, (6, 1), (6, 1)),
        (6, None, None),
    ],
)
def test_codes_are_images_or_bars(n_components, code_shape, expected):
    """Codes are images if a rectangle close to a square fits them, and bars otherwise."""
    rng = np.random.default_rng(0)
    rows, codes = rng.uniform(size=(2, 16)), rng.normal(size=(2, n_components))
    display = ReconstructionDisplay(
        rows, rows, codes=codes, image_shape=(4, 4), code_shape=code_shape
    )
    panel = display.plot().axes_[1, 0]
    if expected:
        assert image(panel).shape == expected
    else:
        assert not panel.get_images()
        np.testing.assert_allclose([bar.get_height() for bar in panel.patches], codes[0])


def test_tabular_rows_are_lines(pca, X, noisy):
    display = ReconstructionDisplay.from_estimator(pca, X, X_corrupted=noisy, rows=3)
    codes = pca.transform(noisy[:3])
    assert display.axes_.shape == (2, 3)
    for i, (lines, bars) in enumerate(display.axes_.T):
        drawn = {line.get_label(): line.get_ydata() for line in lines.get_lines()}
        np.testing.assert_array_equal(drawn["noisy"], noisy[i])
        np.testing.assert_array_equal(drawn["original"], X[i])
        np.testing.assert_allclose(drawn["denoised"], pca.inverse_transform(codes)[i])
        np.testing.assert_allclose([bar.get_height() for bar in bars.patches], codes[i])
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["noisy", "original", "denoised"]


@pytest.mark.parametrize("image_shape", [None, (8, 8)])
@pytest.mark.parametrize("code_shape", [None, "auto"])
def test_labels_and_panels_do_not_overlap(pca, X, noisy, image_shape, code_shape):
    display = ReconstructionDisplay.from_estimator(
        pca, X, X_corrupted=noisy, rows=1, image_shape=image_shape, code_shape=code_shape
    )
    display.figure_.canvas.draw()
    artists = [*display.axes_.ravel(), *display.ax_.texts, display.ax_.get_legend()]
    boxes = [artist.get_tightbbox() for artist in artists if artist is not None]
    for i, box in enumerate(boxes):
        overlaps = [other for other in boxes[:i] if box.overlaps(other)]
        assert not overlaps, artists[i]
        assert display.figure_.bbox.padded(1).containsx(box.x0)
        assert display.figure_.bbox.padded(1).containsy(box.y0)


def test_panels_stay_inside_given_axes(pca, X):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    display = ReconstructionDisplay.from_estimator(pca, X, rows=3, image_shape=(8, 8), ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    for panel in display.axes_.ravel():
        assert right.bbox.padded(1).containsx(panel.bbox.x0)
        assert not left.bbox.overlaps(panel.bbox)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": (8, 9)}, r"image_shape must be 64, .* got \(8, 9\), with the product 72"),
        ({"code_shape": (2, 2)}, r"code_shape must be 6, .* got \(2, 2\), with the product 4"),
        ({"X_corrupted": np.zeros((2, 64))}, r"X_corrupted .* \(300, 64\); got shape \(2, 64\)"),
    ],
)
def test_wrong_shapes_are_refused(pca, X, options, message):
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay.from_estimator(pca, X, **options)
    assert not plt.get_fignums()


def test_given_reconstructions_with_and_without_codes(X):
    display = ReconstructionDisplay.from_predictions(X, X / 2, rows=[5, 3], image_shape=(8, 8))
    assert display.axes_.shape == (2, 2)
    np.testing.assert_array_equal(image(display.axes_[1, 1]).ravel(), X[3] / 2)
    codes = X[:, 20:24]
    display = ReconstructionDisplay.from_predictions(X, X / 2, codes=codes, rows=[5, 3])
    np.testing.assert_array_equal([b.get_height() for b in display.axes_[1, 1].patches], codes[3])


def test_wrong_reconstructions_are_refused(X):
    with pytest.raises(ValueError, match=r"X_reconstructed .* \(300, 64\); got shape \(2, 64\)"):
        ReconstructionDisplay.from_predictions(X, X[:2])
