"""The bounded cache of compiled programs."""

import contextlib
import gc
import threading
from collections import OrderedDict
from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any

from skae._architecture import Architecture
from skae._interrupts import interrupts_afterwards
from skae._parameters import check_number

if TYPE_CHECKING:  # it imports TensorFlow
    from skae._programs import Program


class ProgramCache:
    """The programs used last, by architecture; the oldest makes room for a new one.

    TensorFlow's graphs are cycles, to which Python's garbage collector comes when it likes: after
    60 MB of them, say.  It is called for every program that goes, which takes a tenth of a second.
    """

    def __init__(self, max_size: int = 32) -> None:
        self.max_size = max_size
        self._programs: OrderedDict[tuple[Architecture, bool, Any, str], Program] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._programs)

    @contextlib.contextmanager
    def borrow(
        self, architecture: Architecture, jit: bool, strategy: Any = None
    ) -> Iterator["Program"]:
        """Lend the program to a fit, on the replicas of ``strategy`` if that is not None.

        Several fits may have it at once, each by its `Lease`.  A program whose fit ended in an
        exception may have been left half traced: it is dropped.
        """
        from skae._distribution import DistributedProgram
        from skae._keras import current_device
        from skae._programs import Program

        key = (architecture, jit, strategy, current_device())
        with self._lock:
            program = self._programs.get(key)
            if program is None:
                with interrupts_afterwards():
                    program = self._programs[key] = (
                        Program(architecture, jit)
                        if strategy is None
                        else DistributedProgram(architecture, strategy)
                    )
            self._programs.move_to_end(key)
            shrunk = self._shrink()
        if shrunk:
            gc.collect()
        try:
            yield program
        except BaseException:
            with self._lock:
                if self._programs.get(key) is program:
                    del self._programs[key]
            raise

    def resize(self, max_size: int) -> None:
        with self._lock:
            self.max_size = max_size
            shrunk = self._shrink()
        if shrunk:
            gc.collect()

    def clear(self) -> None:
        with self._lock:
            self._programs.clear()
        gc.collect()

    def _shrink(self) -> bool:
        """Let go of the programs that are too many; say whether there were any."""
        n_dropped = max(len(self._programs) - self.max_size, 0)
        for _ in range(n_dropped):
            self._programs.popitem(last=False)
        return n_dropped > 0


programs = ProgramCache()


def clear_programs() -> None:
    """Forget every compiled program, and free what it holds.

    The next fit of each structure compiles anew.  Fits that are running keep theirs.

    Examples
    --------
    >>> import skae
    >>> skae.clear_programs()
    """
    programs.clear()


def limit_programs(max_programs: int) -> None:
    """Set how many compiled programs are kept; 32 at the start.

    A program is kept for each structure: the widths of the layers, the activations, the loss,
    the optimizer with its constants, the metrics, the batch size, Keras' dtype policy and the
    device.  Where there are more structures than programs, the one that was not used for longest
    makes room.

    Parameters
    ----------
    max_programs : int
        At least 1.

    Raises
    ------
    ValueError
        If ``max_programs`` is below 1.

    Examples
    --------
    >>> import skae
    >>> skae.limit_programs(32)
    """
    check_number("max_programs", max_programs, low=1, kind=Integral)
    programs.resize(max_programs)
