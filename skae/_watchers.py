"""What looks on at a fit: progress bars and callbacks."""


class Watcher:
    """Is told how a fit goes on, and may end it; each kind overrides what it needs.

    ``fit`` is the running fit, whose ``history`` holds the records of the epochs so far and
    whose ``weights()`` are those of the moment.
    """

    def begin(self, fit):
        """Training begins."""

    def begin_epoch(self, epoch):
        """An epoch begins; the first has the number 0."""

    def see_rows(self, n_rows):
        """``n_rows`` more rows were trained on."""

    def end_epoch(self, epoch, record):
        """End an epoch with ``record``; return True to end training."""
        return False

    def end(self):
        """Training ended well, be it early."""

    def close(self):
        """The fit is over, be it by an exception."""
