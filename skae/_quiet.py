"""Import TensorFlow without its banners, and without what it sets in the environment."""

import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

# A line of TensorFlow's log, what it says before the log is set up, and a line continued.
BANNER = re.compile(
    rb"[IWE]\d{4} |\d{4}-\d\d-\d\d .* [IWE] |WARNING: All log messages|To enable the "
)


@contextlib.contextmanager
def without_banners() -> Iterator[None]:
    """Keep TensorFlow's log lines and Keras' warnings off the screen while these are imported.

    Some of them come from static initialisers that heed no variable, so what is written
    to file descriptor 2 is held back, and everything but those lines written afterwards.
    The level of later messages is read at import as well: ``TF_CPP_MIN_LOG_LEVEL`` is set
    for that long.  A user who has set it, or has imported TensorFlow, is left alone.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules:
        yield
        return
    with contextlib.suppress(AttributeError, ValueError):
        sys.stderr.flush()
    try:
        screen = os.dup(2)
    except OSError:  # no standard error, as under a Windows service: nothing to keep quiet
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of Keras 3.13, by NumPy 1.26
                yield
        finally:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
            with contextlib.suppress(AttributeError, ValueError):
                sys.stderr.flush()
            os.dup2(screen, 2)
            os.close(screen)
            held.seek(0)
            for line in held:
                if not BANNER.match(line):
                    os.write(2, line)


@contextlib.contextmanager
def same_environment() -> Iterator[None]:
    """Take back what is set in the environment meanwhile.

    TensorFlow sets ``HDF5_PLUGIN_PATH`` at import, which the processes that a user starts
    would inherit.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name not in before]:
            del os.environ[name]
        os.environ.update(before)
