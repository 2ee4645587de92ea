"""Rows, their codes and their reconstructions."""

import math
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._plot._figures import dense
from skae._plot._strips import (
    CHART_WIDTH,
    IMAGE_WIDTH,
    Strip,
    code_strip,
    image_strip,
    line_strip,
    line_styles,
    near_square,
    share_out,
)


class ReconstructionDisplay:
    """Rows, their codes and their reconstructions, one column of panels for each row.

    It is recommended to use `from_estimator` or `from_predictions`.  All parameters are stored
    as attributes.

    Parameters
    ----------
    originals : array-like of shape (n_samples, n_features)
        The rows.
    reconstructions : array-like of shape (n_samples, n_features)
        What became of them.
    codes : array-like of shape (n_samples, n_components), default=None
        Their codes; not drawn where None.
    corrupted : array-like of shape (n_samples, n_features), default=None
        The rows that were encoded, where these are not the originals.
    image_shape : tuple of int, default=None
        Height and width of the image that a row is, such as ``(28, 28)``; also with the number
        of colour channels, 1, 3 or 4.  None draws rows as lines over the features.
    code_shape : {"auto"}, tuple of (int, int) or None, default="auto"
        Height and width of the image that a code is drawn as; None draws bars.  "auto" takes the
        rectangle closest to a square, and bars where that is narrow or rows are not images.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes that the panels share out.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_kinds, n_samples)
        The panels.  Images have a row of panels for each of originals, corrupted (where there
        are any), codes and reconstructions; lines have one for the rows and one for the codes.

    See Also
    --------
    LossCurveDisplay : How training went.

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
            Noisy versions of the rows of X.  They are encoded in place of X.
        rows : int or array-like of int, default=10
            Which rows of X to draw: so many from the first on, or those of these numbers.
        image_shape : tuple of int, default=None
            Height and width of the image that a row is, such as ``(28, 28)``; also with the
            number of colour channels, 1, 3 or 4.  None draws rows as lines over the features.
        code_shape : {"auto"}, tuple of (int, int) or None, default="auto"
            Height and width of the image that a code is drawn as; None draws bars.
        ax : matplotlib.axes.Axes, default=None
            Axes for the panels to share out.  None makes a figure, with pyplot.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the shapes do not go together.
        """
        check_is_fitted(estimator)
        if X_corrupted is not None:
            _check_pairs("X_corrupted", X_corrupted, X)
        originals = _take(X, rows)
        encoded = originals if X_corrupted is None else _take(X_corrupted, rows)
        codes = estimator.transform(encoded)
        display = cls(
            dense(originals),
            dense(estimator.inverse_transform(codes)),
            codes=dense(codes),
            corrupted=None if X_corrupted is None else dense(encoded),
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
        """Draw rows beside reconstructions that were computed before, by whatever means.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The originals.
        X_reconstructed : {array-like, sparse matrix} of shape (n_samples, n_features)
            The reconstruction of each row of X.
        codes : array-like of shape (n_samples, n_components), default=None
            The code of each row.  None leaves them out.
        X_corrupted : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            What was reconstructed, where that is not X.
        rows, image_shape, code_shape, ax
            As in `from_estimator`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the shapes do not go together.
        """
        _check_pairs("X_reconstructed", X_reconstructed, X)
        if X_corrupted is not None:
            _check_pairs("X_corrupted", X_corrupted, X)
        display = cls(
            dense(_take(X, rows)),
            dense(_take(X_reconstructed, rows)),
            codes=None if codes is None else dense(_take(codes, rows)),
            corrupted=None if X_corrupted is None else dense(_take(X_corrupted, rows)),
            image_shape=image_shape,
            code_shape=code_shape,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes for the panels to share out.  None makes a figure, with pyplot.

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
            strips, width = self._charts(), CHART_WIDTH
        else:
            strips, width = self._images(tuple(self.image_shape)), IMAGE_WIDTH
        self.ax_, self.axes_ = share_out(ax, strips, len(self.originals), width)
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
            if shape is None or isinstance(shape, str) or rows is None:
                continue
            width = np.shape(rows)[1]
            if math.prod(shape) != width:
                raise ValueError(
                    f"{name} must multiply to the {width} values of a row; got {tuple(shape)}, "
                    f"which makes {math.prod(shape)}."
                )

    def _images(self, shape: tuple[int, ...]) -> list[Strip]:
        # one scale for all, so that what is paler is less
        limits = np.min(self.originals), np.max(self.originals)
        strips = [image_strip("original", self.originals, shape, limits)]
        if self.corrupted is not None:
            strips.append(image_strip("noisy", self.corrupted, shape, limits))
        if self.codes is not None:
            code_shape = self.code_shape
            if isinstance(code_shape, str):
                code_shape = near_square(np.shape(self.codes)[1])
            strips.append(code_strip(self.codes, code_shape, IMAGE_WIDTH))
        strips.append(image_strip(self._result, self.reconstructions, shape, limits))
        return strips

    def _charts(self) -> list[Strip]:
        noisy, original, result = line_styles(np.shape(self.originals)[1])
        lines = [
            ("original", self.originals, original),
            (self._result, self.reconstructions, result),
        ]
        if self.corrupted is not None:
            lines.insert(0, ("noisy", self.corrupted, noisy))
        strips = [line_strip(lines)]
        if self.codes is not None:
            code_shape = None if isinstance(self.code_shape, str) else self.code_shape
            strips.append(code_strip(self.codes, code_shape, CHART_WIDTH))
        return strips

    @property
    def _result(self) -> str:
        return "reconstruction" if self.corrupted is None else "denoised"


def _take(X: Any, rows: Any) -> Any:
    """Take rows of an array, a frame or a sparse matrix, as the same kind of thing."""
    n_samples = np.shape(X)[0]
    index = np.arange(min(rows, n_samples)) if np.ndim(rows) == 0 else np.asarray(rows)
    if hasattr(X, "iloc"):
        return X.iloc[index]
    return X[index] if hasattr(X, "shape") else np.asarray(X)[index]


def _check_pairs(name: str, paired: Any, X: Any) -> None:
    if np.shape(paired) != np.shape(X):
        raise ValueError(
            f"{name} must hold a version of each row of X, of shape {np.shape(X)}; got shape "
            f"{np.shape(paired)}."
        )
