"""The output of ``verbose=1`` in a terminal, in a notebook and in a file."""

import builtins
import contextlib
import importlib.util
import io
import os
import re
import sys
import threading

import pytest
from rich.console import Console

from skae._training.watchers import progress as _progress


@contextlib.contextmanager
def terminal(monkeypatch):
    """Make standard output a pseudo-terminal of 100 columns; fill a list with its lines."""
    master, slave = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    parts, shown = [], []

    def drain():  # writing to a pseudo-terminal blocks if nobody reads it
        with contextlib.suppress(OSError):  # the other end was closed
            while part := os.read(master, 1 << 16):
                parts.append(part)

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        with os.fdopen(slave, "w") as stream, contextlib.redirect_stdout(stream):
            yield shown
    finally:
        reader.join()
        os.close(master)
        shown += b"".join(parts).decode().rstrip().splitlines()


def test_file_gets_a_line_per_epoch(make_autoencoder, X, capsys):
    make_autoencoder(verbose=1).fit(X, X_val=X)

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for epoch, line in enumerate(lines, 1):
        assert re.match(
            rf"epoch {epoch}/3  loss [\d.]+  val_loss [\d.]+  .* rows/s  \d+ s left", line
        )


def last_line(shown):
    """Return the last line on the screen: without control sequences, and without older versions."""
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-ln-z]", "\r", re.sub(r"\x1b\[[\d;]*m", "", "\n".join(shown)))
    return [line for line in re.split(r"[\r\n]+", text) if "rows/s" in line][-1]


def test_terminal_gets_one_bar(make_autoencoder, X, monkeypatch):
    with terminal(monkeypatch) as shown:
        make_autoencoder(verbose=1).fit(X, X_val=X)

    last = last_line(shown)
    assert re.match(r"epoch 3/3 ━+ loss [\d.]+  val_loss [\d.]+ [\d,]+ rows/s \d:\d\d:\d\d", last)
    assert len(last) <= 100


def test_bar_is_full_after_early_stop(make_autoencoder, X, monkeypatch):
    with terminal(monkeypatch) as shown:
        make_autoencoder(
            verbose=1, epochs=50, early_stopping=True, n_iter_no_change=1, tol=10,
            learning_rate_schedule="constant",
        ).fit(X)  # fmt: skip

    last = last_line(shown)
    assert re.match(r"epoch 7/50 ━+ loss", last)
    assert "╸" not in last, "this character ends a bar that is not full"


def test_error_restores_the_terminal(make_autoencoder, X, monkeypatch):
    def fail(self, epoch, record):
        print("a callback's line")
        raise RuntimeError("from a callback")

    monkeypatch.setattr(_progress.Bar, "end_epoch", fail)
    with terminal(monkeypatch) as shown:
        stdout = sys.stdout
        with pytest.raises(RuntimeError, match="from a callback"):
            make_autoencoder(verbose=1).fit(X)
        assert sys.stdout is stdout

    text = "\n".join(shown)
    assert "a callback's line" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is hidden"


@pytest.mark.parametrize("has_widgets", [True, False])
def test_notebook_needs_widgets_for_a_bar(has_widgets, monkeypatch):
    class ZMQInteractiveShell:
        """The class of the object that get_ipython() returns in a notebook."""

    found = importlib.util.find_spec("io") if has_widgets else None
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    kind = _progress.Bar if has_widgets else _progress.Lines
    assert type(_progress.progress(100)) is kind


def test_notebook_ends_with_full_bar():
    class Fit:
        first_epoch, epochs = 0, 1

    bar = _progress.Bar(100, Console(force_jupyter=True))
    drawn = []  # a notebook shows only what refresh draws
    bar.progress.live.refresh = lambda: drawn.append(bar.progress.tasks[0].percentage)
    bar.begin(Fit)
    bar.begin_epoch(0)
    bar.see_rows(100)
    bar.end_epoch(0, {"loss": 0.1})
    bar.end()
    bar.close()

    assert drawn[-1] == 100
