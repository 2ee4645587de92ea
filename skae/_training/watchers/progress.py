"""The progress that ``verbose=1`` shows."""

import importlib.util
import time
from typing import TYPE_CHECKING

from skae._training.watchers.base import Running, Watcher

if TYPE_CHECKING:
    from rich.console import Console


def progress(n_rows: int) -> Watcher:
    """Return a watcher that shows a bar in a terminal or a notebook, and prints lines elsewhere.

    ``n_rows`` is the number of rows in an epoch.
    """
    from rich.console import Console

    console = Console()
    # In a notebook, rich draws with ipywidgets; without ipywidgets it draws nothing.
    drawn = console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None
    shown = console.is_terminal and not console.is_dumb_terminal
    return Bar(n_rows, console) if drawn or shown else Lines(n_rows)


def describe_record(record: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in record.items())


class Lines(Watcher):
    """Print a line after each epoch: its number, its record, and the speed."""

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows

    def begin(self, fit: Running) -> None:
        self.first, self.epochs = fit.first_epoch, fit.epochs
        self.started = time.perf_counter()

    def end_epoch(self, epoch: int, record: dict[str, float]) -> None:
        seconds = time.perf_counter() - self.started
        done = epoch + 1 - self.first
        left = seconds / done * (self.epochs - epoch - 1)
        print(
            f"epoch {epoch + 1:{len(str(self.epochs))}}/{self.epochs}  {describe_record(record)}  "
            f"{done * self.n_rows / seconds:,.0f} rows/s  {left:.0f} s left",
            flush=True,
        )


class Bar(Watcher):
    """Draw a bar that fills during training.

    Other output, of callbacks for example, is printed above the bar.
    """

    def __init__(self, n_rows: int, console: "Console") -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.n_rows = n_rows
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[record]}"),
            TextColumn("{task.fields[speed]:,.0f} rows/s"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            expand=True,
        )

    def begin(self, fit: Running) -> None:
        self.first, self.epochs = fit.first_epoch, fit.epochs
        self.started = time.perf_counter()
        total = (self.epochs - self.first) * self.n_rows
        self.bar = self.progress.add_task(self._title(self.first), total=total, record="", speed=0)
        self.progress.start()

    def begin_epoch(self, epoch: int) -> None:
        self.progress.update(self.bar, description=self._title(epoch))

    def see_rows(self, n_rows: int) -> None:
        self.progress.advance(self.bar, n_rows)

    def end_epoch(self, epoch: int, record: dict[str, float]) -> None:
        done = (epoch + 1 - self.first) * self.n_rows
        losses = {name: value for name, value in record.items() if name in ("loss", "val_loss")}
        self.progress.update(
            self.bar,
            completed=done,
            record=describe_record(losses),
            speed=done / (time.perf_counter() - self.started),
        )

    def end(self) -> None:
        completed = self.progress.tasks[0].completed
        self.progress.update(self.bar, total=completed)  # the bar is full after an early stop too

    def close(self) -> None:
        self.progress.refresh()  # in a notebook, stop() does not draw
        self.progress.stop()

    def _title(self, epoch: int) -> str:
        return f"epoch {epoch + 1}/{self.epochs}"
