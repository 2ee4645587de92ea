"""Processes forked from one in which TensorFlow has run.

TensorFlow's threads do not come along into them: a first step would wait for ever.
"""

import os
import sys
import threading
from typing import Any

_threads_lost = threading.Event()


def check_not_severed() -> None:
    """Raise where TensorFlow would hang.

    Raises
    ------
    RuntimeError
        If this process was forked after TensorFlow had run.
    """
    if _threads_lost.is_set():
        raise RuntimeError(
            "TensorFlow cannot compute in this process: it was forked from one in which "
            "TensorFlow had run, whose threads stayed behind. Start processes with "
            "multiprocessing.get_context('spawn') or 'forkserver', or through joblib, as n_jobs "
            "does. transform and its kin need no TensorFlow, and work here."
        )


def _after_fork() -> None:
    tf: Any = sys.modules.get("tensorflow")
    if hasattr(tf, "config") and _has_run(tf.config.threading):
        _threads_lost.set()


def _has_run(threading_config: Any) -> bool:
    """Whether TensorFlow has started its threads, the number of which is then settled."""
    n_threads = threading_config.get_inter_op_parallelism_threads()
    try:
        threading_config.set_inter_op_parallelism_threads(n_threads + 1)
    except RuntimeError:
        return True
    threading_config.set_inter_op_parallelism_threads(n_threads)
    return False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
