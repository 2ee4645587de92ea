"""`Watcher`: the events of a fit, and `Running`: the fit as a watcher sees it."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from skae._training.plan import WatcherState
from skae._training.schedules import Rates
from skae._typing import Floats


class Running(Protocol):
    """A running fit, as its watchers see it."""

    @property
    def first_epoch(self) -> int:
        """Number of the first epoch; above 0 if the fit continues from a checkpoint."""

    @property
    def epochs(self) -> int:
        """Number of epochs after which training ends, unless it stops early."""

    @property
    def epochs_before(self) -> int:
        """Number of epochs that earlier calls of `partial_fit` trained."""

    @property
    def n_steps(self) -> int:
        """Number of steps in whole epochs so far, earlier fits included."""

    @property
    def history(self) -> Sequence[dict[str, float]]:
        """A record for each epoch so far."""

    @property
    def rates(self) -> Rates:
        """The learning rates, which a watcher may scale or let fall to zero."""

    def validation_loss(self) -> float:
        """Return the loss of the current weights on the validation rows."""

    def loss_of(self, weights: Sequence[Floats], *, trained: bool = False) -> float:
        """Return the loss of other weights on the validation rows, or on the training rows."""

    def weights(self) -> list[Floats]:
        """Copy the current weights."""

    def set_weights(self, weights: Sequence[Floats]) -> None:
        """Continue from other weights."""

    def result_weights(self) -> list[Floats]:
        """Return the weights that the fit would leave behind if it ended now."""


class Watcher:
    """Object that is told about each event of a fit, and may end the fit.

    Each kind of watcher overrides the events that it needs.  The number of the first epoch is 0.
    If no watcher follows each epoch, one call of the program may train several.
    """

    follows_epochs: ClassVar[bool] = True

    def begin(self, fit: Running) -> None:
        """Training begins."""

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins."""

    def see_rows(self, n_rows: int) -> None:
        """The fit has trained on ``n_rows`` more rows."""

    def begin_validation(self) -> None:
        """The evaluation on the validation rows begins."""

    def end_validation(self, record: dict[str, float]) -> None:
        """The evaluation has ended; ``record`` has the loss and the metrics."""

    def end_epoch(self, epoch: int, record: dict[str, float]) -> bool | None:
        """An epoch has ended; return True to end training."""
        return None

    def end(self) -> None:
        """Training has finished, possibly early."""

    def close(self) -> None:
        """The fit is over.  This is the last event, also after an exception."""

    def chosen_weights(self) -> list[Floats]:
        """Return the weights that the fit must leave behind, or [] for the current weights."""
        return []

    def state(self) -> WatcherState | None:
        """Return the state for a checkpoint, or None without any."""
        return None

    def restore(self, state: WatcherState) -> None:
        """Continue from the state in a checkpoint, which is empty if it has none.

        Raises
        ------
        DamageError, LookupError, TypeError, AttributeError
            If `state` cannot have returned it.
        """
