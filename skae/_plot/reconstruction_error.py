"""The distribution of reconstruction errors."""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._checks import check_number
from skae._plot.style import BLUE, CLASS_COLORS, GREY, axes_or_new, check_labels
from skae._typing import Array

HATCHES = ("", "///", "...", "xxx", "\\\\\\")


class ReconstructionErrorDisplay:
    """Histogram of reconstruction errors, by class, with a threshold.

    An autoencoder reconstructs rows badly if they are unlike its training rows.  The histogram
    shows how well the errors separate normal rows from anomalous ones, and the legend names the
    share of each class above the threshold.

    It is recommended to use `from_estimator` or `from_predictions`.  All parameters are stored
    as attributes.

    Parameters
    ----------
    errors : array-like of shape (n_samples,)
        Error of each row, at least 0.
    y : array-like of shape (n_samples,), default=None
        Class of each row.
    threshold : float, default=None
        Error above which a row counts as anomalous.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes.
    shares_ : list of ndarray
        Heights of the bars of each class: shares of its rows, which sum to 1.
    bin_edges_ : ndarray
        Edges of the bars, the same for all classes.

    See Also
    --------
    ReconstructionDisplay : Rows, their codes and their reconstructions.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DeepAutoencoder, ReconstructionErrorDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> autoencoder = DeepAutoencoder(epochs=5, random_state=0).fit(X[y < 5])
    >>> display = ReconstructionErrorDisplay.from_estimator(autoencoder, X, y < 5, threshold=0.02)
    >>> bool(display.errors[y >= 5].mean() > display.errors[y < 5].mean())
    True
    """

    def __init__(self, errors: Any, *, y: Any = None, threshold: float | None = None) -> None:
        self.errors = errors
        self.y = y
        self.threshold = threshold

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        threshold: float | None = None,
        ax: Any = None,
    ) -> Self:
        """Compute the errors of rows with ``score_samples``, and draw their histogram.

        Parameters
        ----------
        estimator : DeepAutoencoder, DenoisingAutoencoder or Pipeline that ends with one
            The fitted estimator.  For a pipeline, the errors are those of the rows that reach
            its autoencoder.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,), default=None
            Class of each row, such as whether it is normal.
        threshold : float, default=None
            Error above which a row counts as anomalous.  An error is minus a value of
            ``score_samples``.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on.  None makes a new figure.

        Returns
        -------
        display : ReconstructionErrorDisplay
            The display, after drawing.

        Raises
        ------
        TypeError
            If the estimator is not an autoencoder.  Scores of other estimators, such as PCA,
            are not reconstruction errors.
        """
        check_is_fitted(estimator)
        last = estimator[-1] if hasattr(estimator, "steps") else estimator
        if not hasattr(last, "reconstruct"):
            raise TypeError(
                "estimator must be an autoencoder, or a pipeline that ends with one; got "
                f"{type(last).__name__}. Compute the errors yourself and use from_predictions."
            )
        return cls.from_predictions(-estimator.score_samples(X), y, threshold=threshold, ax=ax)

    @classmethod
    def from_predictions(
        cls, errors: Any, y: Any = None, *, threshold: float | None = None, ax: Any = None
    ) -> Self:
        """Draw the histogram of errors that were computed before.

        Parameters
        ----------
        errors : array-like of shape (n_samples,)
            Error of each row, at least 0, such as minus the result of ``score_samples``.
        y, threshold, ax
            As in `from_estimator`.

        Returns
        -------
        display : ReconstructionErrorDisplay
            The display, after drawing.

        Raises
        ------
        ValueError
            If an error is negative, NaN or infinite, if ``threshold`` is negative, or if ``y`` does
            not have one class for each error.
        """
        return cls(np.asarray(errors), y=y, threshold=threshold).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the histograms.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on.  None makes a new figure.

        Returns
        -------
        display : ReconstructionErrorDisplay
            The display itself.
        """
        errors, y = np.asarray(self.errors), check_labels(self.y, len(self.errors))
        if self.threshold is not None:
            check_number("threshold", self.threshold, low=0)
        if not np.isfinite(errors).all():
            raise ValueError("errors must be finite; they contain NaN or infinity.")
        if np.min(errors) < 0:
            raise ValueError(
                f"errors must be at least 0; got {np.min(errors):.4g}. If they come from "
                "score_samples, change their sign."
            )
        self.ax_ = axes_or_new(ax, (6.4, 4.2))
        self.figure_ = self.ax_.figure
        self.bin_edges_ = np.histogram_bin_edges(errors, bins=_n_bins(errors))
        if y is None:
            self.shares_ = [self._draw_histogram(errors, "rows", BLUE, "")]
        else:
            self.shares_ = self._draw_classes(errors, y)
        if self.threshold is not None:
            label = f"threshold: {self.threshold:#.3g}"
            self.ax_.axvline(self.threshold, color=GREY, linestyle="--", label=label)
        self.ax_.set(
            xlabel="reconstruction error (mean over the columns)", ylabel="share of the rows"
        )
        if y is not None or self.threshold is not None:
            self.ax_.legend(frameon=False)
        return self

    def _draw_classes(self, errors: Array, y: Array) -> list[Array]:
        return [
            self._draw_histogram(
                errors[y == label],
                str(label),
                CLASS_COLORS[i % len(CLASS_COLORS)],
                HATCHES[i % len(HATCHES)],
            )
            for i, label in enumerate(np.unique(y))
        ]

    def _draw_histogram(self, errors: Array, label: str, color: str, hatch: str) -> Array:
        """Draw the histogram of one class; its label names the share above the threshold."""
        from matplotlib.colors import to_rgba

        if self.threshold is not None:
            label += f": {np.mean(errors > self.threshold):.1%} above"
        counts, _ = np.histogram(errors, bins=self.bin_edges_)
        shares = counts / len(errors)
        self.ax_.stairs(
            shares,
            self.bin_edges_,
            fill=True,
            facecolor=to_rgba(color, 0.4),
            edgecolor=color,
            hatch=hatch,
            linewidth=1.2,
            label=label,
        )
        return shares


def _n_bins(errors: Array) -> int:
    """Return the number of bins: one for 20 rows, but at least 10 and at most 50."""
    return int(np.clip(len(errors) // 20, 10, 50))
