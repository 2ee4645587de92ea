import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD

from skae import LatentSpaceDisplay


@pytest.fixture(scope="module")
def plane(X):
    return PCA(2).fit(X)


@pytest.fixture(scope="module")
def y():
    return load_digits().target[:300]


def drawn(points):
    return np.asarray(points.get_offsets())


def test_classes_have_colours_and_names(plane, X, y):
    """Each class has its codes as points, a colour of its own and a name in the legend."""
    display = LatentSpaceDisplay.from_estimator(plane, X, y)
    codes = plane.transform(X)
    for digit, points in enumerate(display.points_):
        np.testing.assert_allclose(drawn(points), codes[y == digit])
    colours = {tuple(points.get_facecolor()[0]) for points in display.points_}
    assert len(colours) == 10
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == [str(digit) for digit in range(10)]


def test_many_classes_differ_in_markers(X):
    codes = np.random.default_rng(0).normal(size=(60, 2))
    display = LatentSpaceDisplay.from_predictions(codes, [f"class {i % 20}" for i in range(60)])
    looks = {
        (tuple(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes())
        for points in display.points_
    }
    assert len(looks) == 20


def test_numbers_use_a_colour_scale(plane, X):
    brightness = X.mean(axis=1)
    display = LatentSpaceDisplay.from_estimator(plane, X, brightness)
    (points,) = display.points_
    np.testing.assert_array_equal(points.get_array(), brightness)
    assert display.figure_.axes[1].get_ylabel() == "y"  # the colour bar


def test_points_without_labels(plane, X):
    (points,) = LatentSpaceDisplay.from_estimator(plane, X).points_
    np.testing.assert_allclose(drawn(points), plane.transform(X))


def test_wide_codes_are_projected_by_pca(X):
    """The axes name the share of the variance that PCA shows."""
    codes = PCA(6).fit_transform(X)
    display = LatentSpaceDisplay.from_predictions(codes)
    expected = PCA(2).fit(codes)
    np.testing.assert_allclose(
        np.abs(drawn(*display.points_)), np.abs(expected.transform(codes)), atol=1e-9
    )
    share = f"{expected.explained_variance_ratio_[0]:.0%}"
    assert display.ax_.get_xlabel() == f"PCA 1: {share} of the codes' variance"


def test_wide_codes_take_any_transformer(X):
    svd = TruncatedSVD(2, random_state=0)
    display = LatentSpaceDisplay.from_predictions(X, projection=svd)
    np.testing.assert_allclose(drawn(*display.points_), svd.transform(X), atol=1e-9)
    assert display.ax_.get_ylabel() == "TruncatedSVD 2"


def test_umap_is_used_if_installed(X, monkeypatch):
    class UMAP:
        def __init__(self, **params):
            assert params["random_state"] is not None  # so that every run draws the same picture

        def fit_transform(self, codes):
            return codes[:, 20:22]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    display = LatentSpaceDisplay.from_predictions(X, projection="umap")
    np.testing.assert_array_equal(drawn(*display.points_), X[:, 20:22])
    assert display.ax_.get_xlabel() == "UMAP 1"


def test_missing_umap_is_named(X, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="pip install umap-learn"):
        LatentSpaceDisplay.from_predictions(X, projection="umap")


def test_grid_decodes_cell_middles(plane, X):
    display = LatentSpaceDisplay.from_estimator(plane, X, image_shape=(8, 8), grid_size=3)
    left, right, bottom, top = display.extent
    codes = plane.transform(X)
    np.testing.assert_allclose([left, bottom], np.percentile(codes, 2.5, axis=0))
    np.testing.assert_allclose([right, top], np.percentile(codes, 97.5, axis=0))
    lower_right = [[right - (right - left) / 6, bottom + (top - bottom) / 6]]
    expected = plane.inverse_transform(lower_right).reshape(8, 8)
    np.testing.assert_allclose(display.manifold[0, 2], expected)
    # the first row of the picture is at the top, but that of the grid is at the bottom
    picture = np.asarray(display.image_.get_array())
    assert picture.shape == (24, 24)
    np.testing.assert_allclose(picture[16:, 16:], expected)
    assert tuple(display.image_.get_extent()) == display.extent


def test_colour_grid_keeps_colours():
    rows = np.random.default_rng(0).uniform(size=(50, 12))
    display = LatentSpaceDisplay.from_estimator(
        PCA(2).fit(rows), rows, image_shape=(2, 2, 3), grid_size=4
    )
    assert np.asarray(display.image_.get_array()).shape == (8, 8, 3)


def test_wrong_codes_and_projections_are_refused(X):
    with pytest.raises(ValueError, match=r"2 or more components .* got shape \(300, 1\)"):
        LatentSpaceDisplay.from_predictions(X[:, :1])
    with pytest.raises(ValueError, match="codes of 2 components; got codes of 3"):
        LatentSpaceDisplay.from_estimator(PCA(3).fit(X), X, image_shape=(8, 8))
    with pytest.raises(ValueError, match=r"projection must be .* got 'tsne'"):
        LatentSpaceDisplay.from_predictions(X, projection="tsne")
