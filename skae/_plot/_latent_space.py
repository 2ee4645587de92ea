"""Codes as points of a plane, and what the points of the plane decode to."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from skae._plot._figures import BLUE, CLASSES, check_labels, dense, new_axes
from skae._typing import Array

if TYPE_CHECKING:
    from matplotlib.collections import PathCollection

MARKERS = "os^Dv"
MAX_CLASSES = len(CLASSES) * len(MARKERS)


class LatentSpaceDisplay:
    """Codes as points of a plane, coloured by label, or the images that the plane decodes to.

    It is recommended to use `from_estimator` or `from_predictions`.  All parameters are stored
    as attributes.

    Parameters
    ----------
    points : array-like of shape (n_samples, 2)
        Two numbers for each row: its code, or a projection of it.
    y : array-like of shape (n_samples,), default=None
        Label or number that colours each point.
    axis_labels : tuple of (str, str), default=("component 1", "component 2")
        What the two numbers are.
    manifold : ndarray of shape (n_rows, n_columns, height, width) or \
            (n_rows, n_columns, height, width, n_channels), default=None
        Images that the points of a grid decode to, from the bottom left to the top right; drawn
        in place of the points.
    extent : tuple of (float, float, float, float), default=None
        Left, right, bottom and top of that grid.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes.
    points_ : list of matplotlib.collections.PathCollection
        The points: those of each class, or all.
    image_ : matplotlib.image.AxesImage
        The images of the grid, where there is a ``manifold``.

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
        """Encode rows and draw their codes, or what lies between the codes.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``transform``: an autoencoder, a pipeline that ends with one, or
            another reduction of the dimension.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,), default=None
            Label or number that colours each point.
        projection : {"pca", "umap"} or transformer, default="pca"
            What makes two numbers of codes that have more: `sklearn.decomposition.PCA`, UMAP
            where ``umap-learn`` is installed, or anything with ``fit_transform``.
        image_shape : tuple of int, default=None
            Height and width of the image that a row is, also with the number of colour
            channels.  Given, the display shows no points but the images that a grid of codes
            decodes to: the codes must have two components, and the estimator
            ``inverse_transform``.
        grid_size : int, default=15
            Rows and columns of that grid, which spans the middle 95 % of each component.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on.  None makes a figure, with pyplot.

        Returns
        -------
        display : LatentSpaceDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If ``projection="umap"`` and ``umap-learn`` is not installed.
        ValueError
            If the codes have one component, or more than two where a grid is asked for.
        """
        check_is_fitted(estimator)
        codes = dense(estimator.transform(X))
        if image_shape is None:
            return cls.from_predictions(codes, y, projection=projection, ax=ax)
        if codes.shape[1] != 2:
            raise ValueError(
                "A grid of images needs codes of 2 components; got codes of "
                f"{codes.shape[1]}: leave image_shape out to see them as points."
            )
        grid, extent = _grid(codes, grid_size)
        images = dense(estimator.inverse_transform(grid)).reshape(
            grid_size, grid_size, *image_shape
        )
        return cls(codes, y=y, manifold=images, extent=extent).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls, codes: Any, y: Any = None, *, projection: Any = "pca", ax: Any = None
    ) -> Self:
        """Draw codes that were computed before.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_components)
            The codes; at least two components.
        y : array-like of shape (n_samples,), default=None
            Label or number that colours each point.
        projection, ax
            As in `from_estimator`.

        Returns
        -------
        display : LatentSpaceDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If ``projection="umap"`` and ``umap-learn`` is not installed.
        ValueError
            If the codes have one component, or there is not a label for each.
        """
        codes = dense(codes)
        if codes.ndim != 2 or codes.shape[1] < 2:
            raise ValueError(
                f"codes must be of 2 or more components to make a plane; got shape {codes.shape}."
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
            Axes to draw on.  None makes a figure, with pyplot.

        Returns
        -------
        display : LatentSpaceDisplay
            The display itself.
        """
        y = check_labels(self.y, len(self.points))
        self.ax_ = new_axes((6.4, 5.4)) if ax is None else ax
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
        """Draw some of the points: smaller and paler ones where there are many."""
        many = len(self.points) > 1000
        style = {"s": 9 if many else 22, "alpha": 0.7, "linewidths": 0} | style
        points = self.ax_.scatter(*np.asarray(self.points)[rows].T, **style)
        self.points_.append(points)
        return points

    def _draw_classes(self, y: Array) -> None:
        for i, label in enumerate(np.unique(y)):
            marker = MARKERS[i // len(CLASSES)]
            color = CLASSES[i % len(CLASSES)]
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
        # the first row of the grid is the lowest, the first row of an image the highest
        mosaic = images[::-1].swapaxes(1, 2)
        mosaic = mosaic.reshape(n_rows * height, n_columns * width, *channels)
        mosaic = mosaic[..., 0] if channels == [1] else mosaic
        self.image_ = self.ax_.imshow(mosaic, cmap="gray", extent=self.extent, aspect="auto")


def _grid(codes: Array, size: int) -> tuple[Array, tuple[float, float, float, float]]:
    """Codes of a grid over the middle 95 % of each component, row by row from the bottom."""
    (left, bottom), (right, top) = np.percentile(codes, [2.5, 97.5], axis=0)
    extent = float(left), float(right), float(bottom), float(top)
    # each image stands for the middle of its cell
    at = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(bottom + at * (top - bottom), left + at * (right - left), indexing="ij")
    return np.column_stack([x.ravel(), y.ravel()]).astype(codes.dtype), extent


def _project(codes: Array, projection: Any) -> tuple[Array, tuple[str, str]]:
    """Make two numbers of each code; also return what these are."""
    if not isinstance(projection, str):
        name = type(projection).__name__
        return dense(projection.fit_transform(codes))[:, :2], (f"{name} 1", f"{name} 2")
    if projection == "pca":
        from sklearn.decomposition import PCA

        pca = PCA(2, svd_solver="full").fit(codes)
        first, second = (
            f"{share:.0%} of the codes' variance" for share in pca.explained_variance_ratio_
        )
        return pca.transform(codes), (f"PCA 1: {first}", f"PCA 2: {second}")
    if projection == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise ImportError(
                "projection='umap' needs umap-learn: pip install umap-learn, or use 'pca'."
            ) from error
        return UMAP(random_state=0, n_jobs=1).fit_transform(codes), ("UMAP 1", "UMAP 2")
    raise ValueError(f"projection must be 'pca', 'umap' or a transformer; got {projection!r}.")
