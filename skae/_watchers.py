"""What looks on at a fit: progress bars and callbacks."""

from typing import Any


class Watcher:
    """Is told how a fit goes on, and may end it; each kind overrides what it needs.

    ``fit`` is the running fit, whose ``history`` holds the records of the epochs so far and
    whose ``weights()`` are those of the moment.
    """

    def begin(self, fit: Any) -> object:
        """Training begins."""

    def begin_epoch(self, epoch: int) -> object:
        """An epoch begins; the first has the number 0."""

    def see_rows(self, n_rows: int) -> object:
        """``n_rows`` more rows were trained on."""

    def begin_validation(self) -> object:
        """The weights are evaluated on the validation rows."""

    def end_validation(self, record: dict[str, float]) -> object:
        """They have been, with this record."""

    def end_epoch(self, epoch: int, record: dict[str, float]) -> object:
        """End an epoch with ``record``; return True to end training."""
        return False

    def end(self) -> object:
        """Training ended well, be it early."""

    def close(self) -> object:
        """The fit is over, be it by an exception."""
