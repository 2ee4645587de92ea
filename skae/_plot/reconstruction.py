"""Rows, their codes and their reconstructions."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._checks import check_number, is_auto
from skae._plot.panels import (
    CHART_WIDTH,
    IMAGE_WIDTH,
    Strip,
    code_strip,
    image_strip,
    line_strip,
    line_styles,
    make_panels,
    near_square,
)
from skae._plot.style import check_image_shape, to_dense
from skae._typing import Array


class ReconstructionDisplay:
    """Rows, their codes and their reconstructions, with a column of panels for each row.

    It is recommended to use `from_estimator` or `from_predictions`.  All parameters are stored
    as attributes.

    Parameters
    ----------
    originals : array-like of shape (n_samples, n_features)
        The rows.
    reconstructions : array-like of shape (n_samples, n_features)
        The reconstruction of each row.
    codes : array-like of shape (n_samples, n_components), default=None
        The code of each row.  None draws no codes.
    corrupted : array-like of shape (n_samples, n_features), default=None
        The rows that were encoded.  None means that the originals were encoded.
    image_shape : tuple of int, default=None
        Height and width of the image in a row, such as ``(28, 28)``, or height, width and
        number of colour channels (1, 3 or 4).  None draws rows as lines over the features.
    code_shape : {"auto"}, tuple of (int, int) or None, default="auto"
        Height and width of the image of a code.  None draws bars.  "auto" draws the rectangle
        closest to a square; it draws bars if that rectangle is more than four times as wide as
        high, or if ``image_shape`` is None.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes that contain the panels.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_kinds, n_samples)
        The panels.  If rows are images, the originals, the corrupted rows, the codes and the
        reconstructions have a row of panels each; corrupted rows and codes are optional.  If
        rows are lines, all rows share the first row of panels, and the codes have the second.

    See Also
    --------
    LossCurveDisplay : Loss over the epochs of training.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DeepAutoencoder, ReconstructionDisplay
    >>> X = load_digits().data / 16
    >>> autoencoder = DeepAutoencoder(n_components=8, epochs=5, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(
    ...     autoencoder, X, rows=5, image_shape=(8, 8)
    ... )
    >>> display.axes_.shape
    (3, 5)
    """

    def __init__(
        self,
        originals: Any,
        reconstructions: Any,
        *,
        codes: Any = None,
        corrupted: Any = None,
        image_shape: tuple[int, ...] | None = None,
        code_shape: Any = "auto",
    ) -> None:
        self.originals = originals
        self.reconstructions = reconstructions
        self.codes = codes
        self.corrupted = corrupted
        self.image_shape = image_shape
        self.code_shape = code_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        X_corrupted: Any = None,
        rows: Any = 10,
        image_shape: tuple[int, ...] | None = None,
        code_shape: Any = "auto",
        ax: Any = None,
    ) -> Self:
        """Encode and decode rows, and draw them.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``transform`` and ``inverse_transform``: an autoencoder, a pipeline
            that ends with one, or `sklearn.decomposition.PCA`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The originals.
        X_corrupted : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Noisy versions of the rows of X.  They are encoded instead of X.
        rows : int or array-like of int, default=10
            Rows of X to draw: the number of rows, counted from the first, or their indices.
        image_shape : tuple of int, default=None
            Height and width of the image in a row, such as ``(28, 28)``, or height, width and
            number of colour channels (1, 3 or 4).  None draws rows as lines over the features.
        code_shape : {"auto"}, tuple of (int, int) or None, default="auto"
            Height and width of the image of a code.  None draws bars; "auto" chooses.
        ax : matplotlib.axes.Axes, default=None
            Axes that the panels fill.  None makes a new figure.

        Returns
        -------
        display : ReconstructionDisplay
            The display, after drawing.

        Raises
        ------
        ValueError
            If the arrays differ in their shapes, or if ``image_shape`` or ``code_shape`` does
            not fit the rows or the codes.
        """
        check_is_fitted(estimator)
        if X_corrupted is not None:
            _check_same_shape("X_corrupted", X_corrupted, X)
        originals = _select_rows(X, rows)
        encoded = originals if X_corrupted is None else _select_rows(X_corrupted, rows)
        codes = estimator.transform(encoded)
        display = cls(
            to_dense(originals),
            to_dense(estimator.inverse_transform(codes)),
            codes=to_dense(codes),
            corrupted=None if X_corrupted is None else to_dense(encoded),
            image_shape=image_shape,
            code_shape=code_shape,
        )
        return display.plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        X_reconstructed: Any,
        *,
        codes: Any = None,
        X_corrupted: Any = None,
        rows: Any = 10,
        image_shape: tuple[int, ...] | None = None,
        code_shape: Any = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw rows and reconstructions that were computed before, by any method.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The originals.
        X_reconstructed : {array-like, sparse matrix} of shape (n_samples, n_features)
            The reconstruction of each row of X.
        codes : array-like of shape (n_samples, n_components), default=None
            The code of each row.  None draws no codes.
        X_corrupted : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            The rows that were encoded.  None means that X was encoded.
        rows, image_shape, code_shape, ax
            As in `from_estimator`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, after drawing.

        Raises
        ------
        ValueError
            If the arrays differ in their shapes, or if ``image_shape`` or ``code_shape`` does
            not fit the rows or the codes.
        """
        _check_same_shape("X_reconstructed", X_reconstructed, X)
        if X_corrupted is not None:
            _check_same_shape("X_corrupted", X_corrupted, X)
        display = cls(
            to_dense(_select_rows(X, rows)),
            to_dense(_select_rows(X_reconstructed, rows)),
            codes=None if codes is None else to_dense(_select_rows(codes, rows)),
            corrupted=None if X_corrupted is None else to_dense(_select_rows(X_corrupted, rows)),
            image_shape=image_shape,
            code_shape=code_shape,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes that the panels fill.  None makes a new figure.

        Returns
        -------
        display : ReconstructionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If ``image_shape`` or ``code_shape`` does not fit the rows or the codes.
        """
        self._check_shapes()
        if self.image_shape is None:
            strips, width = self._chart_strips(), CHART_WIDTH
        else:
            strips, width = self._image_strips(tuple(self.image_shape)), IMAGE_WIDTH
        self.ax_, self.axes_ = make_panels(ax, strips, len(self.originals), width)
        self.figure_ = self.ax_.figure
        for panels, strip in zip(self.axes_, strips, strict=True):
            for i, panel in enumerate(panels):
                strip.draw(panel, i)
        if self.image_shape is None:
            handles = self.axes_[0, 0].get_lines()
            self.ax_.legend(
                handles=handles, loc="upper right", ncols=3, frameon=False, borderaxespad=0
            )
        return self

    def _check_shapes(self) -> None:
        for name, shape, rows in (
            ("image_shape", self.image_shape, self.originals),
            ("code_shape", self.code_shape, self.codes),
        ):
            if shape is None or (name == "code_shape" and is_auto(shape)) or rows is None:
                continue
            n_dims = (2, 3) if name == "image_shape" else (2,)
            check_image_shape(name, shape, np.shape(rows)[1], n_dims)

    def _image_strips(self, shape: tuple[int, ...]) -> list[Strip]:
        # all images share one scale, so that grey values can be compared
        limits = np.min(self.originals), np.max(self.originals)
        strips = [image_strip("original", self.originals, shape, limits)]
        if self.corrupted is not None:
            strips.append(image_strip("noisy", self.corrupted, shape, limits))
        if self.codes is not None:
            code_shape = self.code_shape
            if is_auto(code_shape):
                code_shape = near_square(np.shape(self.codes)[1])
            strips.append(code_strip(self.codes, code_shape, IMAGE_WIDTH))
        strips.append(image_strip(self._result_label, self.reconstructions, shape, limits))
        return strips

    def _chart_strips(self) -> list[Strip]:
        noisy, original, result = line_styles(np.shape(self.originals)[1])
        lines = [
            ("original", self.originals, original),
            (self._result_label, self.reconstructions, result),
        ]
        if self.corrupted is not None:
            lines.insert(0, ("noisy", self.corrupted, noisy))
        strips = [line_strip(lines)]
        if self.codes is not None:
            code_shape = None if is_auto(self.code_shape) else self.code_shape
            strips.append(code_strip(self.codes, code_shape, CHART_WIDTH))
        return strips

    @property
    def _result_label(self) -> str:
        return "reconstruction" if self.corrupted is None else "denoised"


def _select_rows(X: Any, rows: Any) -> Any:
    """Select rows of a table and keep its type; a list becomes an array."""
    index = _row_numbers(rows, np.shape(X)[0])
    if hasattr(X, "iloc"):
        return X.iloc[index]
    return X[index] if hasattr(X, "shape") else np.asarray(X)[index]


def _row_numbers(rows: Any, n_samples: int) -> Array:
    """Return the numbers of the rows to draw."""
    if np.ndim(rows) == 0:
        check_number("rows", rows, low=1, kind=Integral)
        return np.arange(min(rows, n_samples))
    index = np.asarray(rows)
    if index.dtype == bool and index.shape == (n_samples,):
        index = np.flatnonzero(index)
    if index.ndim != 1 or not len(index) or index.dtype.kind not in "iu":
        raise TypeError(
            f"rows must be a positive integer, or a list of the numbers of rows; got {rows!r}."
        )
    if index.min() < -n_samples or index.max() >= n_samples:
        raise ValueError(f"rows must be numbers of the {n_samples} rows of X; got {rows!r}.")
    return index


def _check_same_shape(name: str, rows: Any, X: Any) -> None:
    if np.shape(rows) != np.shape(X):
        raise ValueError(
            f"{name} must have a row for each row of X and the same shape, {np.shape(X)}; got "
            f"shape {np.shape(rows)}."
        )
