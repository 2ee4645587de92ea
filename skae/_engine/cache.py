"""The cache of compiled programs, and how several fits share a program."""

import contextlib
import gc
import threading
from collections import OrderedDict
from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any

from skae._checks import check_bool, check_number, is_auto
from skae._engine.limits import Limits
from skae._engine.spec import ProgramSpec
from skae._process import defer_interrupts
from skae._typing import Array

if TYPE_CHECKING:
    from skae._engine.program import Program


DEFAULTS = Limits()


class ProgramCache:
    """The programs that were used last; a new one replaces the one that was unused for longest.

    TensorFlow's graphs are cycles, which only Python's garbage collector frees.  By itself it may
    wait until 60 MB of them are dead.  So the cache calls it whenever it drops programs, which
    takes a tenth of a second.
    """

    def __init__(self, max_size: int = 32) -> None:
        self.max_size = max_size
        self.jit_compile: bool | str = "auto"
        self._programs: OrderedDict[tuple[Any, ...], Program] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._programs)

    @contextlib.contextmanager
    def borrow(
        self, spec: ProgramSpec, jit: bool, strategy: Any = None, limits: Limits = DEFAULTS
    ) -> Iterator["Program"]:
        """Lend a program to a fit; make it if the cache does not have it.

        Several fits may borrow a program at once; each uses it through its own `Lease`.  If a fit
        ends in an exception, the program may be half traced, so the cache drops it.

        Parameters
        ----------
        spec : ProgramSpec
            The key of the program, with the other parameters and the caller's settings.
        jit : bool
            Whether XLA compiles the program.
        strategy : tf.distribute.Strategy, default=None
            The strategy that runs the program on its replicas; ``jit`` is then ignored.
        limits : Limits
            Limits of the size of a chunk.

        Yields
        ------
        program : Program
            The program.
        """
        from skae._engine.distributed.program import DistributedProgram
        from skae._engine.program import Program
        from skae._engine.tensorflow import traced_settings

        key = (spec, jit, strategy, limits, traced_settings())
        with self._lock:
            program = self._programs.get(key)
            if program is None:
                with defer_interrupts():
                    program = self._programs[key] = (
                        Program(spec, jit, limits)
                        if strategy is None
                        else DistributedProgram(spec, strategy, limits)
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

    def uses_xla(self, spec: ProgramSpec, n_rows: int, epochs: int, limits: Limits) -> bool:
        """Return whether XLA compiles the program of a fit: as the user chose, or if it pays."""
        if self.jit_compile == "auto":
            return limits.pays_for_xla(spec, n_rows, epochs)
        return bool(self.jit_compile)

    def resize(self, max_size: int) -> None:
        """Set how many programs are kept, and drop those that are too many."""
        with self._lock:
            self.max_size = max_size
            shrunk = self._shrink()
        if shrunk:
            gc.collect()

    def clear(self) -> None:
        """Drop all programs."""
        with self._lock:
            self._programs.clear()
        gc.collect()

    def _shrink(self) -> bool:
        """Drop the programs that are too many; return whether there were any."""
        n_dropped = max(len(self._programs) - self.max_size, 0)
        for _ in range(n_dropped):
            self._programs.popitem(last=False)
        return n_dropped > 0


programs = ProgramCache()


class Lease:
    """One fit's use of a program.

    The fit has the program to itself while it computes, but not while a user's code runs.  A
    callback, a schedule or a data source may itself fit, on any thread, and then must not wait for
    the fit that is waiting for it.  If another fit uses the program meanwhile, it saves this fit's
    state, which is restored when this fit continues.
    """

    def __init__(self, program: "Program") -> None:
        self.program = program
        self._saved: list[Array] | None = None

    @contextlib.contextmanager
    def acquire(self) -> Iterator["Program"]:
        """Lend the program, with this fit's state in its variables; calls may be nested."""
        with self.program.lock:
            self._restore()
            yield self.program

    @contextlib.contextmanager
    def session(self) -> Iterator["Lease"]:
        """Release the program on exit; this fit's state is then lost."""
        try:
            yield self
        finally:
            with self.program.lock:
                if self.program.owner is self:
                    self.program.owner = None

    def _restore(self) -> None:
        """Replace another fit's state by this fit's.

        An interrupt after any line leaves no state lost and none mixed up.
        """
        program = self.program
        if program.owner is self:
            return
        if program.owner is not None:
            program.owner._saved = program.state()
            program.owner = None
        if self._saved is not None:
            program.set_state(self._saved)
        program.owner = self


def clear_programs() -> None:
    """Drop all compiled programs, and free their memory.

    The next fit of each structure compiles its program again.  Fits that are running keep theirs.

    Examples
    --------
    >>> import skae
    >>> skae.clear_programs()
    """
    programs.clear()


def limit_programs(max_programs: int) -> None:
    """Set how many compiled programs are kept; the initial limit is 32.

    Fits of the same structure share a program.  The structure consists of the layers, the
    activations, the loss, which penalties there are, the optimizer with its constants, the metrics,
    the batch size, Keras' dtype policy and the device, and for sparse rows the number of values in
    a mini-batch, roughly.  If there are more structures than ``max_programs``, the program that was
    unused for longest is dropped.

    Parameters
    ----------
    max_programs : int
        Maximum number of programs.  At least 1.

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


def set_jit_compile(jit_compile: bool | str = "auto") -> None:
    """Choose how later fits in this process compile their programs: with XLA, or as plain graphs.

    It has the name and the values of the parameter of Keras' ``Model.compile``, but "auto" goes by
    the length of the fit.  Both ways compute the same up to rounding, except that dropout draws
    other masks; so the bits of a fit differ.  Processes that ``n_jobs`` starts do not inherit the
    choice: the scores of a search then differ from those with ``n_jobs=1``.

    Parameters
    ----------
    jit_compile : bool or "auto", default="auto"
        True compiles every program with XLA, and False none.  "auto" compiles with XLA if a fit is
        long enough that faster steps make up for the time of the compilation.  Fits in the scope of
        a ``tf.distribute`` strategy always run plain graphs.

    Raises
    ------
    TypeError
        If ``jit_compile`` is something else.

    Examples
    --------
    >>> import skae
    >>> skae.set_jit_compile(False)
    >>> skae.set_jit_compile("auto")
    """
    check_bool("jit_compile", jit_compile, auto=True)
    programs.jit_compile = "auto" if is_auto(jit_compile) else bool(jit_compile)
