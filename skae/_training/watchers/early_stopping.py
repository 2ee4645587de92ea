"""`EarlyStopping`."""

import math

from skae._training.checkpoint import check_arrays
from skae._training.plan import WatcherState
from skae._training.watchers.base import Running, Watcher
from skae._typing import Floats


class EarlyStopping(Watcher):
    """End training when the validation loss no longer falls, and keep the best weights.

    The weights before the first epoch count, too: those of PCA, or those of the fit before.

    Parameters
    ----------
    patience : int
        Training ends after this many epochs without a gain.
    tol : float
        An epoch brings a gain if its loss is below the lowest loss by more than ``tol``.
    """

    def __init__(self, patience: int, tol: float) -> None:
        self.patience, self.tol = patience, tol
        self.best_loss, self.epochs_without_gain = math.inf, 0
        self.best_weights: list[Floats] = []

    def begin(self, fit: Running) -> None:
        self.fit = fit
        self.best_loss, self.best_weights = fit.validation_loss(), fit.weights()

    def end_epoch(self, epoch: int, record: dict[str, float]) -> bool:
        loss = record["val_loss"]
        self.epochs_without_gain += 1
        if loss < self.best_loss - self.tol:
            self.epochs_without_gain = 0
        if loss < self.best_loss:
            self.best_loss, self.best_weights = loss, self.fit.weights()
        return self.epochs_without_gain >= self.patience

    def chosen_weights(self) -> list[Floats]:
        return self.best_weights

    def end(self) -> None:
        """Set the best weights, which watchers after this one may still change."""
        if self.best_weights:
            self.fit.set_weights(self.best_weights)
            self.best_weights = []

    def state(self) -> WatcherState:
        values = {"best_loss": self.best_loss, "epochs_without_gain": self.epochs_without_gain}
        return WatcherState(values, self.best_weights)

    def restore(self, state: WatcherState) -> None:
        loss, n_epochs = state.values["best_loss"], state.values["epochs_without_gain"]
        if not (isinstance(loss, float) and isinstance(n_epochs, int)):
            raise TypeError(f"expected a float and an int; got {loss!r} and {n_epochs!r}")
        if state.arrays:
            check_arrays(state.arrays, self.fit.weights())
        self.best_loss, self.epochs_without_gain = loss, n_epochs
        self.best_weights = state.arrays
