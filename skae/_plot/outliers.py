"""The scores of an outlier detector, and the columns to blame for the lowest."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._checks import check_number, check_option
from skae._plot.rows import take
from skae._plot.style import BLUE, CLASS_COLORS, GREY, axes_or_new, check_labels
from skae._plot.table import is_number
from skae._typing import Array

if TYPE_CHECKING:
    from matplotlib.text import Text

KINDS = ("columns", "scores")
DARK = 0.6  # of the largest share: the text of a cell with more is white


class OutlierDisplay:
    """The columns that make the worst rows outliers, or the distribution of scores.

    It is recommended to use `from_estimator`.  All parameters are stored as attributes.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Score of each row, at most 0; higher is more normal.
    threshold : float
        Score below which a row is an outlier.
    feature_scores : array-like of shape (n_rows, n_features), default=None
        What each column adds to minus the score, for the rows with the lowest scores.  Needed for
        ``kind="columns"``, as are the following.
    found, expected : array-like of shape (n_rows, n_features), default=None
        Values of these rows, and the values that would have been normal.
    rows : array-like of shape (n_rows,), default=None
        Numbers of these rows.
    feature_names : array-like of shape (n_features,), default=None
        Names of the columns.
    y : array-like of shape (n_samples,), default=None
        Class of each row, for ``kind="scores"``.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes.
    image_ : matplotlib.image.AxesImage
        The shares of the columns, for ``kind="columns"``.
    texts_ : list of matplotlib.text.Text
        The found and, in brackets, the expected values, for ``kind="columns"``.

    See Also
    --------
    ReconstructionErrorDisplay : The errors of an autoencoder without a threshold.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderOutlierDetector, OutlierDisplay
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> detector = AutoencoderOutlierDetector(n_folds=1, random_state=0).fit(X[y == 1])
    >>> display = OutlierDisplay.from_estimator(detector, X, n_rows=5, n_columns=4)
    >>> display.image_.get_array().shape
    (5, 4)
    """

    def __init__(
        self,
        scores: Any,
        *,
        threshold: float,
        feature_scores: Any = None,
        found: Any = None,
        expected: Any = None,
        rows: Any = None,
        feature_names: Any = None,
        y: Any = None,
    ) -> None:
        self.scores = scores
        self.threshold = threshold
        self.feature_scores = feature_scores
        self.found = found
        self.expected = expected
        self.rows = rows
        self.feature_names = feature_names
        self.y = y

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        kind: str = "columns",
        n_rows: int = 10,
        n_columns: int = 8,
        ax: Any = None,
    ) -> Self:
        """Score rows, and draw the result.

        Parameters
        ----------
        estimator : AutoencoderOutlierDetector or Pipeline that ends with one
            The fitted detector.  For a pipeline, columns are those that reach the detector.
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,), default=None
            Class of each row, for ``kind="scores"``.
        kind : {"columns", "scores"}, default="columns"
            "columns" draws the share of each column in the scores of the worst rows.  "scores"
            draws the distribution of the scores, with the threshold.
        n_rows : int, default=10
            Number of rows, those with the lowest scores.
        n_columns : int, default=8
            Number of columns, those with the largest shares in these rows.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on.  None makes a new figure.

        Returns
        -------
        display : OutlierDisplay
            The display, after drawing.

        Raises
        ------
        TypeError
            If the estimator does not have ``feature_scores``.
        ValueError
            If a parameter is not as described.
        """
        check_is_fitted(estimator)
        check_option("kind", kind, KINDS)
        check_number("n_rows", n_rows, low=1, kind=Integral)
        check_number("n_columns", n_columns, low=1, kind=Integral)
        detector, X = _last(estimator, X)
        scores = detector.score_samples(X)
        rows = np.argsort(scores, kind="stable")[:n_rows]
        worst = take(X, rows)
        shares = detector.feature_scores(worst)
        columns = np.argsort(-(shares / shares.sum(1, keepdims=True)).mean(0))[:n_columns]
        return cls(
            scores,
            threshold=detector.offset_,
            feature_scores=shares[:, columns],
            found=_cells(worst)[:, columns],
            expected=_cells(detector.expected_values(worst))[:, columns],
            rows=rows,
            feature_names=_names(detector)[columns],
            y=y,
        ).plot(kind=kind, ax=ax)

    def plot(self, *, kind: str = "columns", ax: Any = None) -> Self:
        """Draw the columns of the worst rows, or the distribution of the scores.

        Parameters
        ----------
        kind : {"columns", "scores"}, default="columns"
            As in `from_estimator`.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on.  None makes a new figure.

        Returns
        -------
        display : OutlierDisplay
            The display itself.
        """
        check_option("kind", kind, KINDS)
        y = check_labels(self.y, len(self.scores))
        if kind == "columns" and self.feature_scores is None:
            raise ValueError(
                "kind='columns' needs feature_scores: use OutlierDisplay.from_estimator, or "
                "kind='scores'."
            )
        self.ax_ = axes_or_new(ax, (8.0, 4.8) if kind == "columns" else (6.4, 4.2))
        self.figure_ = self.ax_.figure
        if kind == "columns":
            self._draw_columns()
        else:
            self._draw_scores(y)
        return self

    def _draw_columns(self) -> None:
        """Draw the share of each column in minus the row's score as a table of colours."""
        scores = np.asarray(self.scores)[self.rows]
        shares = np.asarray(self.feature_scores) / np.maximum(-scores, 1e-300)[:, np.newaxis]
        self.image_ = self.ax_.imshow(shares, cmap="Blues", vmin=0, aspect="auto")
        dark = DARK * shares.max()
        self.texts_: list[Text] = [
            self._write(row, column, "white" if share > dark else "black")
            for (row, column), share in np.ndenumerate(shares)
        ]
        pairs = zip(self.rows, scores, strict=True)
        labels = [f"row {row}\nscore {_number(score)}" for row, score in pairs]
        self.ax_.set_yticks(range(len(labels)), labels)
        names = [str(name) for name in self.feature_names]
        self.ax_.set_xticks(range(len(names)), names, rotation=30, ha="right")
        self.ax_.set(title="found values, and the expected values in brackets")
        self.figure_.colorbar(self.image_, ax=self.ax_, label="share of the score")

    def _write(self, row: int, column: int, color: str) -> "Text":
        found, expected = self.found[row, column], self.expected[row, column]
        return self.ax_.text(
            column,
            row,
            f"{_text(found)}\n({_text(expected)})",
            ha="center",
            va="center",
            fontsize=7,
            color=color,
        )

    def _draw_scores(self, y: Array | None) -> None:
        """Draw histograms of minus the scores on a logarithmic axis."""
        values = np.maximum(-np.asarray(self.scores, dtype=np.float64), 1e-12)
        ends = np.quantile(values, [0, 1])
        edges = np.geomspace(ends[0], max(ends[1], ends[0] * 1.01), 41)
        groups = {"rows": values}
        if y is not None:
            groups = {str(label): values[y == label] for label in np.unique(y)}
        for i, (name, group) in enumerate(groups.items()):
            color = BLUE if y is None else CLASS_COLORS[i % len(CLASS_COLORS)]
            share = np.mean(group > -self.threshold)
            weights = np.full(len(group), 1 / len(group))
            label = f"{name}: {share:.1%} outliers"
            self.ax_.hist(
                group, edges.tolist(), weights=weights, color=color, alpha=0.5, label=label
            )
        label = f"threshold: {-self.threshold:#.3g}"
        self.ax_.axvline(-self.threshold, color=GREY, linestyle="--", label=label)
        self.ax_.set(xscale="log", xlabel="minus the score", ylabel="share of the rows")
        self.ax_.legend(frameon=False)


def _number(value: float) -> str:
    """Return three digits of a number, but all digits before the point if they are up to six."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def _text(value: Any) -> str:
    """Return a number in a few digits, and a category as it is."""
    return _number(float(value)) if is_number(value) else str(value)


def _cells(rows: Any) -> Array:
    """Return the values of rows as an array, of objects if they are not all numbers."""
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


def _last(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the detector at the end of a pipeline, and the rows that reach it."""
    detector = estimator
    if hasattr(estimator, "steps"):
        detector = estimator[-1]
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
    if not hasattr(detector, "feature_scores"):
        raise TypeError(
            "estimator must be an AutoencoderOutlierDetector, or a pipeline that ends with one; "
            f"got {type(detector).__name__}."
        )
    return detector, X if hasattr(X, "columns") or hasattr(X, "toarray") else np.asarray(X)


def _names(detector: Any) -> Array:
    """Return the names of the columns, or ``x0``, ``x1`` and so on."""
    default = [f"x{number}" for number in range(detector.n_features_in_)]
    return np.asarray(getattr(detector, "feature_names_in_", default), dtype=object)
