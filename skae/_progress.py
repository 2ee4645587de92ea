"""What ``verbose=1`` prints."""

import time


class EpochPrinter:
    """Print a line after each epoch: its number, its record, and how fast it went."""

    def __init__(self, n_rows):
        self.n_rows = n_rows
        self.started = time.perf_counter()

    def __call__(self, epoch, epochs, record):
        seconds = time.perf_counter() - self.started
        left = seconds / (epoch + 1) * (epochs - epoch - 1)
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in record.items())
        print(
            f"epoch {epoch + 1:{len(str(epochs))}}/{epochs}  {numbers}  "
            f"{(epoch + 1) * self.n_rows / seconds:,.0f} rows/s  {left:.0f} s left",
            flush=True,
        )
