"""Protection of the user's process: Ctrl-C, forks, threads, and the import of TensorFlow.

TensorFlow cannot be interrupted while it is imported, hangs in a forked process, starts more
threads than help, and writes to the screen and to the environment when it is imported.  The
functions here keep all that from the user.  They do not import TensorFlow.
"""

import contextlib
import io
import os
import re
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from joblib.externals import loky

# The start of a line in TensorFlow's log, of a message before the log is set up, or of a
# continuation line.
BANNER = re.compile(
    rb"[IWE]\d{4} |\d{4}-\d\d-\d\d .* [IWE] |WARNING: All log messages|To enable the "
)

# --------------------------------------------------------------------------- Ctrl-C


@contextlib.contextmanager
def defer_interrupts() -> Iterator[None]:
    """Delay Ctrl-C until the code inside has finished.

    Three things must not be interrupted.  An interrupted ``import tensorflow`` cannot be repeated,
    because its modules fail if they are registered twice.  An interrupt while TensorFlow traces a
    program may become another error.  A thread that is interrupted while it starts stays in the
    list of threads forever.  Importing and tracing take some seconds.
    """
    handler = signal.getsignal(signal.SIGINT)
    # Only the main thread is interrupted.  None is a handler of C code, which cannot be restored.
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield
        return
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if interrupts:
            signal.raise_signal(signal.SIGINT)


# --------------------------------------------------------------------------- forks

_lost_threads = threading.Event()


def check_not_forked() -> None:
    """Raise an error if TensorFlow would hang in this process.

    Raises
    ------
    RuntimeError
        If this process was forked after TensorFlow had run.
    """
    if _lost_threads.is_set():
        raise RuntimeError(
            "TensorFlow cannot compute in this process: it was forked from a process in which "
            "TensorFlow had already run, and a fork does not copy TensorFlow's threads. Start "
            "processes with multiprocessing.get_context('spawn') or 'forkserver', or with joblib, "
            "as n_jobs does. transform, reconstruct and score work here, because they do not need "
            "TensorFlow."
        )


def tensorflow_is_loaded() -> bool:
    """Return whether something has imported TensorFlow, and may have changed its settings."""
    return "tensorflow" in sys.modules


def _after_fork() -> None:
    tf: Any = sys.modules.get("tensorflow")
    if hasattr(tf, "config") and _has_run(tf.config.threading):
        _lost_threads.set()


def _has_run(threading_config: Any) -> bool:
    """Return whether TensorFlow has started its threads; their number is then fixed."""
    n_threads = threading_config.get_inter_op_parallelism_threads()
    try:
        threading_config.set_inter_op_parallelism_threads(n_threads + 1)
    except RuntimeError:
        return True
    threading_config.set_inter_op_parallelism_threads(n_threads)
    return False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

# --------------------------------------------------------------------------- threads


def n_threads() -> int:
    """Return the number of threads that help TensorFlow in this process; 0 leaves it the choice.

    By itself, TensorFlow starts a thread for each processor that the system shows.  Two of them may
    be hyper-threads of one core, which share its units for arithmetic: on such a machine, a step
    took 1.1 to 1.5 times as long on two threads as on one.  So joblib counts the cores.  If an
    affinity or a container's quota leaves fewer processors to the process, it counts these, with
    their hyper-threads.  ``OMP_NUM_THREADS`` overrules the count: in a worker of joblib, it is the
    worker's share of the processors.
    """
    if os.environ.get("TF_NUM_INTRAOP_THREADS"):  # TensorFlow reads it if nothing else is set
        return 0
    share = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2" nests two loops
    if share.isdecimal() and int(share) > 0:
        return int(share)
    if sys.platform == "win32":  # some versions of joblib start PowerShell, which takes a second
        return 0
    # If the number of cores is unknown, joblib warns and prints a traceback.
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore", UserWarning)
        try:  # joblib's own cpu_count returns 1 where it cannot start processes
            return int(loky.cpu_count(only_physical_cores=True))
        except (OSError, ValueError):  # LOKY_MAX_CPU_COUNT may be anything
            return 0


# --------------------------------------------------------------------------- import


@contextlib.contextmanager
def without_banners() -> Iterator[None]:
    """Hide the log lines and warnings of ``import tensorflow`` and ``import keras``.

    Static initialisers write some of the lines, and they ignore every variable.  Therefore a file
    receives everything that is written to file descriptor 2, and afterwards all other lines are
    written to the screen.  TensorFlow also reads the level of later messages when it is imported:
    ``TF_CPP_MIN_LOG_LEVEL`` is set until then.  Nothing is hidden if the user has set that
    variable, or has imported TensorFlow.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules:
        yield
        return
    _flush_stderr()
    try:
        screen = os.dup(2)
    except OSError:  # without standard error, as in a Windows service, there is nothing to hide
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # Keras 3.13 with NumPy 1.26
                yield
        finally:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
            _flush_stderr()
            os.dup2(screen, 2)
            os.close(screen)
            _write_without_banners(held)


def _flush_stderr() -> None:
    with contextlib.suppress(AttributeError, ValueError):  # sys.stderr may be None or closed
        sys.stderr.flush()


def _write_without_banners(held: Any) -> None:
    held.seek(0)
    for line in held:
        if not BANNER.match(line):
            os.write(2, line)


@contextlib.contextmanager
def preserve_environment() -> Iterator[None]:
    """Restore the environment variables afterwards.

    TensorFlow sets ``HDF5_PLUGIN_PATH`` when it is imported.  Processes that the user starts later
    would inherit it.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name not in before]:
            del os.environ[name]
        os.environ.update(before)
