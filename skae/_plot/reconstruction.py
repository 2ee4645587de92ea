"""Rows, their codes and their reconstructions."""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._checks import is_auto
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
from skae._plot.rows import (
    check_same_shape,
    refuse_given,
    row_labels,
    select_rows,
    shown,
    table_options,
)
from skae._plot.style import check_image_shape, to_dense
from skae._plot.table import draw_table, is_table, read_cells, spreads_of


class ReconstructionDisplay:
    """Rows, their codes and their reconstructions, with a column of panels for each row.

    Rows of a table with categories or booleans are drawn as text instead: each column of the table
    is a line, which has the value and the reconstruction of each row.  The darker the background of
    a reconstruction, the larger its error.  Another category is bold, and has its probability
    beside it; values for gaps are blue.  Codes are not drawn.

    It is recommended to use `from_estimator` or `from_predictions`.  All parameters are stored
    as attributes.

    Parameters
    ----------
    originals : {array-like, frame} of shape (n_samples, n_features)
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
    probabilities : dict of str to ndarray of shape (n_samples, n_categories), default=None
        Probabilities of the reconstructed categories, as `DeepAutoencoder.reconstruct_proba`
        returns them.  None draws none.  Only for tables.
    spreads : dict of str to float, default=None
        The error of each column of numbers that has the darkest background; None means the standard
        deviations of the originals.  Only for tables.
    row_labels : list of str, default=None
        A title for each row of a table.  None means the index of a pandas frame, or numbers.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes that contain the panels.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_kinds, n_samples)
        The panels.  If rows are images, the originals, the corrupted rows, the codes and the
        reconstructions have a row of panels each; corrupted rows and codes are optional.  If
        rows are lines, all rows share the first row of panels, and the codes have the second.  A
        table has one panel, which is ``ax_``.

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
        probabilities: Any = None,
        spreads: Any = None,
        row_labels: Any = None,
    ) -> None:
        self.originals = originals
        self.reconstructions = reconstructions
        self.codes = codes
        self.corrupted = corrupted
        self.image_shape = image_shape
        self.code_shape = code_shape
        self.probabilities = probabilities
        self.spreads = spreads
        self.row_labels = row_labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        X_corrupted: Any = None,
        rows: Any = "auto",
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
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            The originals.
        X_corrupted : {array-like, sparse matrix, frame} of shape (n_samples, n_features), \
                default=None
            Noisy versions of the rows of X.  They are encoded instead of X.
        rows : int, array-like of int or "auto", default="auto"
            Rows of X to draw: the number of rows, counted from the first, or their indices.  "auto"
            draws 10 rows, or 4 of a table with categories.
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
            check_same_shape("X_corrupted", X_corrupted, X)
        originals = select_rows(X, rows)
        encoded = originals if X_corrupted is None else select_rows(X_corrupted, rows)
        codes = estimator.transform(encoded)
        of_table = table_options(X, rows)
        if of_table and hasattr(estimator, "reconstruct_proba"):
            of_table["probabilities"] = estimator.reconstruct_proba(encoded)
        display = cls(
            shown(originals, X),
            shown(estimator.inverse_transform(codes), X),
            codes=None if of_table else to_dense(codes),
            corrupted=None if X_corrupted is None else shown(encoded, X),
            image_shape=image_shape,
            code_shape=code_shape,
            **of_table,
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
        rows: Any = "auto",
        image_shape: tuple[int, ...] | None = None,
        code_shape: Any = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw rows and reconstructions that were computed before, by any method.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            The originals.
        X_reconstructed : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
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
        check_same_shape("X_reconstructed", X_reconstructed, X)
        if X_corrupted is not None:
            check_same_shape("X_corrupted", X_corrupted, X)

        def chosen(part: Any) -> Any:
            return None if part is None else shown(select_rows(part, rows), X)

        display = cls(
            chosen(X),
            chosen(X_reconstructed),
            codes=chosen(codes),
            corrupted=chosen(X_corrupted),
            image_shape=image_shape,
            code_shape=code_shape,
            **table_options(X, rows),
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
        if is_table(self.originals):
            return self._plot_table(ax)
        of_tables = ("probabilities", "spreads", "row_labels")
        refuse_given({name: getattr(self, name) for name in of_tables}, "tables with categories")
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

    def _plot_table(self, ax: Any) -> Self:
        code_shape = None if is_auto(self.code_shape) else self.code_shape
        given = {"image_shape": self.image_shape, "codes": self.codes, "code_shape": code_shape}
        refuse_given(given, "rows of numbers, but X has categories or booleans")
        noisy = [] if self.corrupted is None else [("noisy", self.corrupted)]
        result = (self._result_label, self.reconstructions)
        versions = dict([("original", self.originals), *noisy, result])
        spreads = spreads_of(self.originals) if self.spreads is None else self.spreads
        cells = read_cells([*versions.values()], self.probabilities or {}, spreads)
        n_columns = np.shape(self.originals)[1]
        title = "darker: larger error; bold: another category"
        if any(column.has_gaps for column in cells):
            title += "; blue: instead of a missing value"
        if len(cells) < n_columns:
            title = f"{len(cells)} of {n_columns} columns, those with the largest errors; {title}"
        labels = self.row_labels or row_labels(self.originals, len(self.originals))
        self.ax_ = draw_table(ax, cells, [*versions], title, labels)
        self.figure_ = self.ax_.figure
        self.axes_ = np.array([[self.ax_]])
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
