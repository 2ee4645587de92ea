"""Ctrl-C, where it must not come between two lines."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupts_afterwards() -> Iterator[None]:
    """Let Ctrl-C wait while TensorFlow is imported or traces a program: some seconds.

    An import that is cut off cannot be taken up again, as TensorFlow's parts register themselves
    and do not bear to do so twice.  In a trace the interrupt may come out as another error.  A
    thread whose start is cut off is listed for ever.
    """
    handler = signal.getsignal(signal.SIGINT)
    # the main thread alone is interrupted; a handler that is not Python's cannot be put back
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield
        return
    came: list[bool] = []
    signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)
