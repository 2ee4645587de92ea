"""`EarlyStopping`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skae._training.checkpoint import check_arrays
from skae._training.plan import WatcherState
from skae._training.watchers.base import Running, Watcher
from skae._typing import Floats

# An average reaches over this share of the epochs so far, but over no more than LONGEST_MEAN.
MEAN_SHARE, LONGEST_MEAN = 0.3, 8.0

# The rate falls to zero within as many epochs as there were before, but at least within these.
# On MNIST, a fall within a third of the epochs before ended 4 % worse.
FALL_EPOCHS = 5


class EarlyStopping(Watcher):
    """End training when the validation loss no longer falls, and keep the best weights.

    After each epoch, the current weights and their average over recent epochs are validated.  A
    high rate moves the weights around a point that is better than they are, and the average comes
    close to it.  The weights before the first epoch are candidates, too: those of PCA, or those of
    the fit before.

    At the end, the training rows must confirm the choice: if the weights before the first epoch
    have a lower loss on them, these are kept.  A few held-out rows seldom have an extreme value,
    and training may lose the extreme values that the components of PCA reconstruct.

    After ``patience`` epochs without a gain, the rate falls to zero within some more epochs, and
    training ends.  A fit that ended at a high rate would miss the gains of the fall.  While the
    rate rises, epochs are not counted, because the loss may rise with it.

    Parameters
    ----------
    patience : int
        The rate falls to zero after this many epochs without a gain.
    tol : float
        An epoch brings a gain if its loss is below that of the last gain by more than ``tol``.
    """

    def __init__(self, patience: int, tol: float) -> None:
        self.patience, self.tol = patience, tol
        self.best_loss, self.mark, self.epochs_without_gain = math.inf, math.inf, 0
        self.best_weights: list[Floats] = []
        self.average: list[Floats] = []
        self.first_weights: list[Floats] = []

    def begin(self, fit: Running) -> None:
        self.fit = fit
        self.best_loss, self.first_weights = fit.validation_loss(), fit.weights()
        self.best_weights = self.average = self.first_weights

    def end_epoch(self, epoch: int, record: dict[str, float]) -> bool:
        loss = self._keep_better(epoch, record["val_loss"])
        if self.fit.rates.fall is not None:
            return epoch + 1 == sum(self.fit.rates.fall)
        self.epochs_without_gain += 1
        if self._rises() or loss < self.mark - self.tol:
            self.mark, self.epochs_without_gain = loss, 0
        return self.epochs_without_gain >= self.patience and not self._begin_fall(epoch + 1)

    def _rises(self) -> bool:
        """Return whether the rate is above that of the epoch before.  It is in the first epoch."""
        rates = [record["learning_rate"] for record in self.fit.history[-2:]]
        return len(rates) == 1 or rates[1] > rates[0]

    def _keep_better(self, epoch: int, loss: float) -> float:
        """Keep the better candidate if it is the best so far, and return its loss."""
        weights = self.fit.weights()
        self.average = averaged(self.average, weights, epoch)
        average_loss = self.fit.loss_of(self.average)
        for candidate, its_loss in ((weights, loss), (self.average, average_loss)):
            if its_loss < self.best_loss:
                self.best_loss, self.best_weights = its_loss, candidate
        return min(loss, average_loss)

    def _begin_fall(self, epoch: int) -> bool:
        """Let the rate fall to zero from an epoch on; return False if no epochs are left."""
        n_epochs = min(max(FALL_EPOCHS, epoch), self.fit.epochs - epoch)
        if n_epochs:
            self.fit.rates.fall = epoch, n_epochs
        return n_epochs > 0

    def chosen_weights(self) -> list[Floats]:
        return self.best_weights

    def end(self) -> None:
        """Set the best weights, which watchers after this one may still change."""
        if self.best_weights:
            self.fit.set_weights(self._confirmed())
            self.best_weights = self.first_weights = []

    def _confirmed(self) -> list[Floats]:
        """Return the weights before the first epoch if they are better on the training rows."""
        if self.best_weights is self.first_weights:
            return self.first_weights
        losses = [
            self.fit.loss_of(weights, trained=True)
            for weights in (self.first_weights, self.best_weights)
        ]
        return self.first_weights if losses[0] < losses[1] else self.best_weights

    def close(self) -> None:
        """Forget the fit: a cycle of references would keep its buffers until it is collected."""
        vars(self).pop("fit", None)

    def state(self) -> WatcherState:
        fall = self.fit.rates.fall
        values = {
            "best_loss": self.best_loss,
            "mark": self.mark,
            "epochs_without_gain": self.epochs_without_gain,
            "fall": None if fall is None else list(fall),
        }
        return WatcherState(values, [*self.best_weights, *self.average])

    def restore(self, state: WatcherState) -> None:
        names = ("best_loss", "mark", "epochs_without_gain")
        best, mark, n_epochs = (state.values[name] for name in names)
        if not (isinstance(best, float) and isinstance(mark, float)):
            raise TypeError(f"expected two floats; got {best!r} and {mark!r}")
        if not isinstance(n_epochs, int):
            raise TypeError(f"expected a number of epochs; got {n_epochs!r}")
        self.fit.rates.fall = checked_fall(state.values["fall"], self.fit.epochs)
        self.best_loss, self.mark, self.epochs_without_gain = best, mark, n_epochs
        weights = self.fit.weights()
        check_arrays(state.arrays, [*weights, *weights])
        self.best_weights = state.arrays[: len(weights)]
        self.average = state.arrays[len(weights) :]


def averaged(average: Sequence[Floats], weights: Sequence[Floats], epoch: int) -> list[Floats]:
    """Move an average of weights towards those of an epoch; the first epoch has the number 0.

    The weights of an epoch count less and less as others follow.
    """
    n_epochs = max(1.0, min(LONGEST_MEAN, MEAN_SHARE * (epoch + 1)))
    share = np.float32(1 / n_epochs)
    return [old + share * (new - old) for old, new in zip(average, weights, strict=True)]


def checked_fall(fall: Any, epochs: int) -> tuple[int, int] | None:
    """Return the fall of the rate that a checkpoint holds; raise TypeError for other values."""
    if fall is None:
        return None
    first, n_epochs = fall
    if not (isinstance(first, int) and isinstance(n_epochs, int)):
        raise TypeError(f"expected the numbers of two epochs; got {fall!r}")
    if not (0 < first < first + n_epochs <= epochs):
        raise ValueError(f"expected a fall within {epochs} epochs; got {fall!r}")
    return first, n_epochs
