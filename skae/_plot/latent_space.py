"""Codes as points of a plane, and images that points of the plane decode to."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from skae._checks import check_number
from skae._hints import did_you_mean
from skae._plot.style import (
    BLUE,
    CLASS_COLORS,
    axes_or_new,
    check_image_shape,
    check_labels,
    to_dense,
)
from skae._typing import Array

if TYPE_CHECKING:
    from matplotlib.collections import PathCollection

MARKERS = "os^Dv"
MAX_CLASSES = len(CLASS_COLORS) * len(MARKERS)


class LatentSpaceDisplay:
    """Codes as points of a plane, or a grid of images that points of the plane decode to.

    It is recommended to use `from_estimator` or `from_predictions`.  All parameters are stored
    as attributes.

    Parameters
    ----------
    points : array-like of shape (n_samples, 2)
        Code of each row, or a projection of its code.
    y : array-like of shape (n_samples,), default=None
        Label or number that colours each point.
    axis_labels : tuple of (str, str), default=("component 1", "component 2")
        Names of the two numbers, for the axes.
    manifold : ndarray of shape (n_rows, n_columns, height, width) or \
            (n_rows, n_columns, height, width, n_channels), default=None
        Images that the points of a grid decode to, row by row from the bottom left to the top
        right.  They are drawn instead of the points.
    extent : tuple of (float, float, float, float), default=None
        Left, right, bottom and top of that grid.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes.
    points_ : list of matplotlib.collections.PathCollection
        One collection of points for each class, or a single one for all points.
    image_ : matplotlib.image.AxesImage
        The images of the grid, if ``manifold`` is given.

    See Also
    --------
    ReconstructionDisplay : Rows, their codes and their reconstructions.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DeepAutoencoder, LatentSpaceDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> autoencoder = DeepAutoencoder(n_components=2, epochs=5, random_state=0).fit(X / 16)
    >>> display = LatentSpaceDisplay.from_estimator(autoencoder, X / 16, y)
    >>> len(display.points_)
    10
    >>> display = LatentSpaceDisplay.from_estimator(
    ...     autoencoder, X / 16, image_shape=(8, 8), grid_size=5
    ... )
    >>> display.manifold.shape
    (5, 5, 8, 8)
    """

    def __init__(
        self,
        points: Any,
        *,
        y: Any = None,
        axis_labels: tuple[str, str] = ("component 1", "component 2"),
        manifold: Any = None,
        extent: Any = None,
    ) -> None:
        self.points = points
        self.y = y
        self.axis_labels = axis_labels
        self.manifold = manifold
        self.extent = extent

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        projection: Any = "pca",
        image_shape: tuple[int, ...] | None = None,
        grid_size: int = 15,
        ax: Any = None,
    ) -> Self:
        """Encode rows and draw their codes, or decode a grid of codes and draw the images.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``transform``: an autoencoder, a pipeline that ends with one, or
            another transformer that reduces the number of features.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,), default=None
            Label or number that colours each point.
        projection : {"pca", "umap"} or transformer, default="pca"
            How to reduce codes of more than two components to two: by
            `sklearn.decomposition.PCA`, by UMAP (needs ``umap-learn``), or by any object with
            ``fit_transform``.
        image_shape : tuple of int, default=None
            Height and width of the image in a row, or height, width and number of colour
            channels.  If given, the display shows the images that a grid of codes decodes to,
            instead of points.  The codes must then have two components, and the estimator
            must have ``inverse_transform``.
        grid_size : int, default=15
            Rows and columns of that grid, which spans the middle 95 % of each component.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on.  None makes a new figure.

        Returns
        -------
        display : LatentSpaceDisplay
            The display, after drawing.

        Raises
        ------
        ImportError
            If ``projection="umap"`` and ``umap-learn`` is not installed.
        ValueError
            If the codes have one component, or if ``image_shape`` is given and they have more
            than two, or rows are not such images.
        TypeError
            If ``projection``, ``grid_size`` or ``ax`` is of another type.
        """
        check_is_fitted(estimator)
        check_number("grid_size", grid_size, low=1, kind=Integral)
        _check_projection(projection)
        codes = to_dense(estimator.transform(X))
        if image_shape is None:
            return cls.from_predictions(codes, y, projection=projection, ax=ax)
        if codes.shape[1] != 2:
            raise ValueError(
                "A grid of images needs codes of 2 components; got codes of "
                f"{codes.shape[1]}. Leave image_shape out to draw them as points."
            )
        grid, extent = _grid_codes(codes, grid_size)
        images = to_dense(estimator.inverse_transform(grid))
        check_image_shape("image_shape", image_shape, images.shape[1], (2, 3))
        images = images.reshape(grid_size, grid_size, *image_shape)
        return cls(codes, y=y, manifold=images, extent=extent).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls, codes: Any, y: Any = None, *, projection: Any = "pca", ax: Any = None
    ) -> Self:
        """Draw codes that were computed before.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_components)
            The codes, with at least two components.
        y : array-like of shape (n_samples,), default=None
            Label or number that colours each point.
        projection, ax
            As in `from_estimator`.

        Returns
        -------
        display : LatentSpaceDisplay
            The display, after drawing.

        Raises
        ------
        ImportError
            If ``projection="umap"`` and ``umap-learn`` is not installed.
        ValueError
            If the codes have one component, or if ``y`` does not have one label for each code.
        """
        _check_projection(projection)
        codes = to_dense(codes)
        if codes.ndim != 2 or codes.shape[1] < 2:
            raise ValueError(
                f"codes must have 2 or more components to make a plane; got shape {codes.shape}."
            )
        if codes.shape[1] == 2:
            return cls(codes, y=y).plot(ax=ax)
        points, labels = _project(codes, projection)
        return cls(points, y=y, axis_labels=labels).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the points, or the images of the grid.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on.  None makes a new figure.

        Returns
        -------
        display : LatentSpaceDisplay
            The display itself.
        """
        y = check_labels(self.y, len(self.points))
        self.ax_ = axes_or_new(ax, (6.4, 5.4))
        self.figure_ = self.ax_.figure
        self.points_: list[PathCollection] = []
        if self.manifold is not None:
            self._draw_manifold()
        elif y is None:
            self._scatter(slice(None), color=BLUE)
        elif type_of_target(y).startswith("continuous") or len(np.unique(y)) > MAX_CLASSES:
            points = self._scatter(slice(None), c=y, cmap="viridis")
            self.figure_.colorbar(points, ax=self.ax_, label="y")
        else:
            self._draw_classes(y)
        self.ax_.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        return self

    def _scatter(self, rows: slice | Array, **style: Any) -> "PathCollection":
        """Draw some of the points; they are smaller if there are more than 1,000 in all."""
        many = len(self.points) > 1000
        style = {"s": 9 if many else 22, "alpha": 0.7, "linewidths": 0} | style
        points = self.ax_.scatter(*np.asarray(self.points)[rows].T, **style)
        self.points_.append(points)
        return points

    def _draw_classes(self, y: Array) -> None:
        for i, label in enumerate(np.unique(y)):
            marker = MARKERS[i // len(CLASS_COLORS)]
            color = CLASS_COLORS[i % len(CLASS_COLORS)]
            self._scatter(y == label, color=color, marker=marker, label=str(label))
        legend = self.ax_.legend(
            loc="upper left",
            bbox_to_anchor=(1, 1),
            frameon=False,
            ncols=1 + (len(self.points_) - 1) // 20,
        )
        for handle in filter(None, legend.legend_handles):
            handle.set(alpha=1, sizes=[40])

    def _draw_manifold(self) -> None:
        images = np.asarray(self.manifold)
        n_rows, n_columns, height, width, *channels = images.shape
        # the grid's first row is the lowest, but an image's first row is the highest
        mosaic = images[::-1].swapaxes(1, 2)
        mosaic = mosaic.reshape(n_rows * height, n_columns * width, *channels)
        mosaic = mosaic[..., 0] if channels == [1] else mosaic
        self.image_ = self.ax_.imshow(mosaic, cmap="gray", extent=self.extent, aspect="auto")


def _grid_codes(codes: Array, size: int) -> tuple[Array, tuple[float, float, float, float]]:
    """Return the codes of a grid and its extent.

    The grid spans the middle 95 % of each component; its codes go row by row from the bottom.
    """
    (left, bottom), (right, top) = np.percentile(codes, [2.5, 97.5], axis=0)
    extent = float(left), float(right), float(bottom), float(top)
    # each image is decoded from the middle of its cell
    middles = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(
        bottom + middles * (top - bottom), left + middles * (right - left), indexing="ij"
    )
    return np.column_stack([x.ravel(), y.ravel()]).astype(codes.dtype), extent


def _project(codes: Array, projection: Any) -> tuple[Array, tuple[str, str]]:
    """Reduce codes to two numbers each; return these, and the names of the two axes."""
    if not isinstance(projection, str):
        name = type(projection).__name__
        points = to_dense(projection.fit_transform(codes))
        if points.ndim != 2 or points.shape[1] < 2:
            raise ValueError(
                f"projection must return two numbers for each code; {name} returned an array of "
                f"shape {points.shape}."
            )
        return points[:, :2], (f"{name} 1", f"{name} 2")
    if projection == "pca":
        return _project_by_pca(codes)
    return _project_by_umap(codes)


def _check_projection(projection: Any) -> None:
    if isinstance(projection, str):
        if projection not in ("pca", "umap"):
            hint = did_you_mean(projection, ("pca", "umap"))
            if projection.casefold() == "tsne":
                hint = " Use projection=sklearn.manifold.TSNE(2)."
            raise ValueError(
                f"projection must be 'pca', 'umap' or a transformer; got {projection!r}.{hint}"
            )
    elif isinstance(projection, type) or not hasattr(projection, "fit_transform"):
        raise TypeError(
            f"projection must be 'pca', 'umap' or an object with fit_transform; got {projection!r}."
        )


def _project_by_pca(codes: Array) -> tuple[Array, tuple[str, str]]:
    from sklearn.decomposition import PCA

    pca = PCA(2, svd_solver="full").fit(codes)
    first, second = (
        f"{share:.0%} of the codes' variance" for share in pca.explained_variance_ratio_
    )
    return pca.transform(codes), (f"PCA 1: {first}", f"PCA 2: {second}")


def _project_by_umap(codes: Array) -> tuple[Array, tuple[str, str]]:
    try:
        from umap import UMAP
    except ImportError as error:
        raise ImportError(
            "projection='umap' needs umap-learn: pip install umap-learn, or use 'pca'."
        ) from error
    return UMAP(random_state=0, n_jobs=1).fit_transform(codes), ("UMAP 1", "UMAP 2")
