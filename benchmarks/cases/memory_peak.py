"""Peak memory of a fit, as contestants for a `Worker`.  Linux only."""

import re
from pathlib import Path

from benchmarks.contestants import article, skae_fit

CLEAR_REFS = Path("/proc/self/clear_refs")  # Linux only
WARM_UP_ROWS, WARM_UP_EPOCHS = 2_000, 200  # long enough for skae to choose XLA, as for all rows


def kilobytes(name):
    """Read a line of the kernel's status of this process: VmRSS, or VmHWM, its highest so far."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1])


def added_at_peak(call):
    """Call a function, and return the bytes that this adds to the process at its peak."""
    CLEAR_REFS.write_text("5")  # sets VmHWM back to VmRSS
    before = kilobytes("VmRSS")
    call()
    return 1024 * (kilobytes("VmHWM") - before)


class Skae:
    contestant = skae_fit.Training
    warm_up_epochs = WARM_UP_EPOCHS

    def __init__(self, X, X_test):
        warm = self.contestant(X[:WARM_UP_ROWS], X_test[:WARM_UP_ROWS])
        warm.epochs(self.warm_up_epochs)
        self.training = self.contestant(X, X_test)

    def peak(self, epochs):
        """Bytes that a fit adds at its peak to the process, which holds the data already."""
        return added_at_peak(lambda: self.training.epochs(epochs))


class Article(Skae):
    contestant = article.Training
    warm_up_epochs = 2
