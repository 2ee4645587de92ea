"""The loss over the epochs."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._plot.style import LINE_COLORS, axes_or_new, check_name

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


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
        Name of the curves in the legend.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes.
    lines_ : list of matplotlib.lines.Line2D
        The curves, and the mark of the epoch with the lowest ``val_loss``, or with the lowest
        ``loss`` if ``val_loss`` is None.

    See Also
    --------
    ReconstructionDisplay : Rows, their codes and their reconstructions.

    Examples
    --------
    To compare two estimators, draw the second on the axes of the first.

    >>> from sklearn.datasets import load_digits
    >>> from skae import DeepAutoencoder, LossCurveDisplay
    >>> X = load_digits().data / 16
    >>> wide = DeepAutoencoder(n_components=16, epochs=5, random_state=0).fit(X)
    >>> narrow = DeepAutoencoder(n_components=4, epochs=5, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(wide, name="16 components")
    >>> other = LossCurveDisplay.from_estimator(narrow, name="4 components", ax=display.ax_)
    >>> [line.get_label() for line in other.lines_[:2]]
    ['4 components, training', '4 components, validation']
    """

    def __init__(self, loss: Any, *, val_loss: Any = None, name: str | None = None) -> None:
        self.loss = loss
        self.val_loss = val_loss
        self.name = name

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Any = None) -> Self:
        """Draw the losses that an autoencoder recorded.

        Parameters
        ----------
        estimator : DeepAutoencoder or DenoisingAutoencoder
            The fitted autoencoder.
        name : str, default=None
            Name of the curves in the legend.  None uses the name of the class.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on, such as those of another display.  None makes a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, after drawing.

        Raises
        ------
        TypeError
            If the estimator has no ``history_``.
        ValueError
            If the history holds no epoch, as after an interruption in the first epoch.
        """
        check_is_fitted(estimator)
        kind = type(estimator).__name__
        if not hasattr(estimator, "history_"):
            raise TypeError(
                f"estimator must be an autoencoder with a history_; got {kind}. If it is a "
                "pipeline, give the autoencoder from its named_steps."
            )
        history = estimator.history_
        if not history.get("loss"):
            raise ValueError(f"The history_ of {kind} holds no epoch: fit it for at least one.")
        name = kind if name is None else name
        display = cls(history["loss"], val_loss=history.get("val_loss"), name=name)
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; they keep their own cycle of colours.  None makes a new figure,
            with colours that colour-blind readers tell apart.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.
        """
        check_name("name", self.name)
        is_new, ax = ax is None, axes_or_new(ax, (6.4, 4.2))
        if is_new:
            ax.set_prop_cycle(color=LINE_COLORS)
        self.ax_, self.figure_ = ax, ax.figure
        prefix = f"{self.name}, " if self.name else ""
        epochs = np.arange(1, len(self.loss) + 1)
        (line,) = ax.plot(epochs, self.loss, label=f"{prefix}training")
        self.lines_, monitored = [line], self.loss
        if self.val_loss is not None:
            monitored = self.val_loss
            # a warm start may have added epochs with validation to epochs without
            validated = epochs[len(epochs) - len(monitored) :]
            style = {"color": line.get_color(), "linestyle": "--"}
            self.lines_ += ax.plot(validated, monitored, label=f"{prefix}validation", **style)
        self.lines_ += self._mark_best(monitored, prefix, line.get_color())
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(frameon=False)
        return self

    def _mark_best(self, losses: Any, prefix: str, color: Any) -> list["Line2D"]:
        best = int(np.argmin(losses))
        epoch = len(self.loss) - len(losses) + best + 1
        label = f"{prefix}best: {losses[best]:#.4g} in epoch {epoch}"
        style = {"marker": "o", "color": color, "mec": "white", "ms": 9, "linestyle": "none"}
        return self.ax_.plot([epoch], [losses[best]], label=label, **style)
