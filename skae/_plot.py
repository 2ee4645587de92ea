"""Displays: what a network makes of its rows, and how its training went."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.utils.validation import check_is_fitted

# Okabe and Ito's colours, which colour-blind readers tell apart.
BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
GREY = "#767676"

# Inches, where the display makes its own figure.
IMAGE_WIDTH, CHART_WIDTH, CHART_HEIGHT = 0.95, 2.1, 1.2
LABEL_ROOM, TICK_ROOM, MARGIN = 0.3, 0.4, 0.1


@dataclass(frozen=True)
class _Strip:
    """Panels side by side: their label, how to draw the i-th, and their height in inches."""

    label: str
    draw: Callable
    height: float
    chart: bool

    @property
    def total_height(self):
        return LABEL_ROOM + self.height + (TICK_ROOM if self.chart else MARGIN)


class ReconstructionDisplay:
    """Rows, their codes and their reconstructions, one column of panels for each row.

    It is recommended to use `from_estimator`.  All parameters are stored as attributes.

    Parameters
    ----------
    originals : array-like of shape (n_samples, n_features)
        The rows.
    codes : array-like of shape (n_samples, n_components)
        Their codes.
    reconstructions : array-like of shape (n_samples, n_features)
        What the codes decode to.
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
        originals,
        codes,
        reconstructions,
        *,
        corrupted=None,
        image_shape=None,
        code_shape="auto",
    ):
        self.originals = originals
        self.codes = codes
        self.reconstructions = reconstructions
        self.corrupted = corrupted
        self.image_shape = image_shape
        self.code_shape = code_shape

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        X_corrupted=None,
        rows=10,
        image_shape=None,
        code_shape="auto",
        ax=None,
    ):
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
        if X_corrupted is not None and np.shape(X_corrupted) != np.shape(X):
            raise ValueError(
                "X_corrupted must hold a noisy version of each row of X, of shape "
                f"{np.shape(X)}; got shape {np.shape(X_corrupted)}."
            )
        originals = _take(X, rows)
        encoded = originals if X_corrupted is None else _take(X_corrupted, rows)
        codes = estimator.transform(encoded)
        display = cls(
            _dense(originals),
            _dense(codes),
            _dense(estimator.inverse_transform(codes)),
            corrupted=None if X_corrupted is None else _dense(encoded),
            image_shape=image_shape,
            code_shape=code_shape,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None):
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
        strips = self._charts() if self.image_shape is None else self._images()
        self._share_out(ax, strips)
        for panels, strip in zip(self.axes_, strips, strict=True):
            for i, panel in enumerate(panels):
                strip.draw(panel, i)
        if self.image_shape is None:
            handles = self.axes_[0, 0].get_lines()
            self.ax_.legend(
                handles=handles, loc="upper right", ncols=3, frameon=False, borderaxespad=0
            )
        return self

    def _check_shapes(self):
        for name, shape, rows in (
            ("image_shape", self.image_shape, self.originals),
            ("code_shape", self.code_shape, self.codes),
        ):
            width = np.shape(rows)[1]
            if shape is not None and shape != "auto" and math.prod(shape) != width:
                raise ValueError(
                    f"{name} must multiply to the {width} values of a row; got {tuple(shape)}, "
                    f"which makes {math.prod(shape)}."
                )

    # ------------------------------------------------------------------ what is drawn

    def _images(self):
        result = "reconstruction" if self.corrupted is None else "denoised"
        strips = [self._image_strip("original", self.originals)]
        if self.corrupted is not None:
            strips.append(self._image_strip("noisy", self.corrupted))
        strips.append(self._code_strip(IMAGE_WIDTH))
        strips.append(self._image_strip(result, self.reconstructions))
        return strips

    def _charts(self):
        lines = _Strip("rows: value of each feature", self._draw_lines, CHART_HEIGHT, True)
        return [lines, self._code_strip(CHART_WIDTH)]

    def _image_strip(self, label, rows):
        # one scale for all, so that what is paler is less
        low, high = np.min(self.originals), np.max(self.originals)
        shape = tuple(self.image_shape)
        images = np.reshape(rows, (-1, *(shape[:2] if shape[2:] == (1,) else shape)))
        if images.ndim == 4:  # colours, which have a scale of their own
            images = np.clip(images, 0, 255 if images.dtype.kind in "iu" else 1)

        def draw(panel, i):
            panel.imshow(images[i], cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            panel.set_axis_off()

        return _Strip(label, draw, IMAGE_WIDTH * shape[0] / shape[1], False)

    def _code_strip(self, width):
        size = np.shape(self.codes)[1]
        shape = self.code_shape
        if isinstance(shape, str):
            shape = None if self.image_shape is None else _near_square(size)
        if shape is None:
            height = min(width, CHART_HEIGHT)
            return _Strip("codes: value of each component", self._draw_bars, height, True)
        label = f"code: {size} numbers, orange below 0 and purple above"
        draw = functools.partial(self._draw_code_image, shape)
        return _Strip(label, draw, width * shape[0] / shape[1], False)

    def _draw_code_image(self, shape, panel, i):
        image, largest = np.reshape(self.codes[i], shape), self._largest_code()
        panel.imshow(image, cmap="PuOr", vmin=-largest, vmax=largest, interpolation="nearest")
        panel.set_axis_off()

    def _draw_bars(self, panel, i):
        limit = 1.05 * self._largest_code()
        panel.bar(np.arange(len(self.codes[i])), self.codes[i], color=BLUE)
        panel.axhline(0, color=GREY, linewidth=0.8)
        panel.set_ylim(-limit, limit)
        self._tidy(panel, i)

    def _largest_code(self):
        return float(np.max(np.abs(self.codes))) or 1.0

    def _draw_lines(self, panel, i):
        at = np.arange(np.shape(self.originals)[1])
        marker = "o" if len(at) <= 40 else None
        if self.corrupted is not None:
            panel.plot(at, self.corrupted[i], ".", color=GREY, label="noisy")
        panel.plot(at, self.originals[i], color=BLUE, marker=marker, ms=4, label="original")
        panel.plot(at, self.reconstructions[i], "--", color=ORANGE, marker=marker, ms=3)
        panel.get_lines()[-1].set_label("reconstruction" if self.corrupted is None else "denoised")
        drawn = (self.originals, self.reconstructions, self.corrupted)
        drawn = [rows for rows in drawn if rows is not None]
        low, high = np.min(drawn), np.max(drawn)
        room = 0.05 * (high - low)
        panel.set_ylim(low - room, high + room)
        self._tidy(panel, i)

    @staticmethod
    def _tidy(panel, i):
        """Leave the numbers to the first panel of a strip, whose scale the others share."""
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize="small", labelleft=i == 0)
        panel.locator_params(axis="x", nbins=3, integer=True)

    # ------------------------------------------------------------------ where it is drawn

    def _share_out(self, ax, strips):
        """Make the panels of each strip, and its label above them."""
        charts = any(strip.chart for strip in strips)
        width = IMAGE_WIDTH if self.image_shape is not None else CHART_WIDTH
        left, step = MARGIN + charts * TICK_ROOM, width + MARGIN
        # labels and legend need the width of three panels
        size = left + max(len(self.originals), 3) * step, sum(s.total_height for s in strips)
        self.ax_ = _new_axes(size) if ax is None else ax
        self.figure_ = self.ax_.figure
        self.ax_.set_axis_off()
        self.axes_ = np.empty((len(strips), len(self.originals)), dtype=object)
        y = size[1]
        for row, strip in enumerate(strips):
            at = left / size[0], (y - 0.8 * MARGIN) / size[1]
            self.ax_.text(*at, strip.label, va="top", transform=self.ax_.transAxes)
            bottom = (y - LABEL_ROOM - strip.height) / size[1]
            for i in range(len(self.originals)):
                box = ((left + i * step) / size[0], bottom, width / size[0], strip.height / size[1])
                self.axes_[row, i] = self.ax_.inset_axes(box)
            y -= strip.total_height


class LossCurveDisplay:
    """Loss over the epochs, with the best epoch marked.

    It is recommended to use `from_estimator`.  All parameters are stored as attributes.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Training loss of each epoch.
    val_loss : array-like of shape (n_epochs,), default=None
        Validation loss of each epoch.
    name : str, default=None
        What to call the curves in the legend.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes.
    lines_ : list of matplotlib.lines.Line2D
        The curves, and the mark of the epoch with the lowest ``val_loss``; of the lowest
        ``loss`` where there is no ``val_loss``.

    See Also
    --------
    ReconstructionDisplay : What a network makes of its rows.

    Examples
    --------
    To compare estimators, draw one on the axes of the other.

    >>> from sklearn.datasets import load_digits
    >>> from skae import DeepAutoencoder, LossCurveDisplay
    >>> X = load_digits().data / 16
    >>> wide = DeepAutoencoder(n_components=16, epochs=5, random_state=0).fit(X)
    >>> narrow = DeepAutoencoder(n_components=4, epochs=5, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(wide, name="16 components")
    >>> other = LossCurveDisplay.from_estimator(narrow, name="4 components", ax=display.ax_)
    >>> len(display.ax_.get_lines())
    4
    """

    def __init__(self, loss, *, val_loss=None, name=None):
        self.loss = loss
        self.val_loss = val_loss
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None):
        """Draw the losses that an autoencoder recorded.

        Parameters
        ----------
        estimator : DeepAutoencoder or DenoisingAutoencoder
            Fitted.
        name : str, default=None
            What to call the curves in the legend; None takes the name of the class.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on, such as those of another display.  None makes a figure, with pyplot.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator records no history.
        ValueError
            If the history holds no epoch, as after an interruption in the first.
        """
        check_is_fitted(estimator)
        kind = type(estimator).__name__
        if not hasattr(estimator, "history_"):
            raise TypeError(
                f"estimator must be an autoencoder with a history_; got {kind}. The steps of a "
                "pipeline are in its named_steps."
            )
        history = estimator.history_
        if not history.get("loss"):
            raise ValueError(f"The history_ of {kind} holds no epoch: fit for at least one.")
        display = cls(history["loss"], val_loss=history.get("val_loss"), name=name or kind)
        return display.plot(ax=ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on.  None makes a figure, with pyplot, and gives it colours that
            colour-blind readers tell apart; given axes keep their own cycle of colours.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.
        """
        if ax is None:
            ax = _new_axes((6.4, 4.2), rect=(0.12, 0.13, 0.85, 0.83))
            ax.set_prop_cycle(color=[BLUE, ORANGE, GREEN, PINK, SKY])
        self.ax_, self.figure_ = ax, ax.figure
        prefix = f"{self.name}, " if self.name else ""
        epochs = np.arange(1, len(self.loss) + 1)
        (line,) = ax.plot(epochs, self.loss, label=f"{prefix}training")
        self.lines_, judged = [line], self.loss
        if self.val_loss is not None:
            judged = self.val_loss
            # a warm start may have added epochs with validation to others without
            at = epochs[len(epochs) - len(judged) :]
            color = line.get_color()
            self.lines_ += ax.plot(at, judged, "--", color=color, label=f"{prefix}validation")
        self.lines_ += self._mark_best(judged, prefix, line.get_color())
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(frameon=False)
        return self

    def _mark_best(self, losses, prefix, color):
        best = int(np.argmin(losses))
        epoch = len(self.loss) - len(losses) + best + 1
        label = f"{prefix}best: {losses[best]:#.4g} in epoch {epoch}"
        style = {"marker": "o", "color": color, "mec": "white", "ms": 9, "linestyle": "none"}
        return self.ax_.plot([epoch], [losses[best]], label=label, **style)


def _new_axes(size, rect=(0, 0, 1, 1)):
    """Make a figure as scikit-learn's displays do: pyplot's, which notebooks and show() know."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=size).add_axes(rect)


def _take(X, rows):
    """Take rows of an array, a frame or a sparse matrix, as the same kind of thing."""
    n_samples = np.shape(X)[0]
    index = np.arange(min(rows, n_samples)) if np.ndim(rows) == 0 else np.asarray(rows)
    if hasattr(X, "iloc"):
        return X.iloc[index]
    return X[index] if hasattr(X, "shape") else np.asarray(X)[index]


def _dense(rows):
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


def _near_square(size):
    """Height and width of the least narrow rectangle of so many cells; None for a mere strip."""
    height = next(n for n in range(math.isqrt(size), 0, -1) if size % n == 0)
    return (height, size // height) if size <= 4 * height**2 else None
