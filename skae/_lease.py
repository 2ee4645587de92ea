"""What a fit holds of a program that other fits may use in between."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from skae._typing import Array

if TYPE_CHECKING:  # it imports TensorFlow
    from skae._programs import Program


class Lease:
    """One fit's use of a program.

    The fit has the program to itself while it computes, and not while a user's code runs: a
    callback, a schedule or a data source may fit as well, on whatever thread, and would wait for
    the fit that waits for it.  A fit that comes in between sets the state of the one before it
    aside, as an operating system does with a processor's registers.
    """

    def __init__(self, program: "Program") -> None:
        self.program = program
        self._aside: list[Array] | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator["Program"]:
        """Lend the program with this fit's state in it; within itself, too."""
        with self.program.lock:
            self._move_in()
            yield self.program

    @contextlib.contextmanager
    def until_done(self) -> Iterator["Lease"]:
        """Leave no state behind in the end."""
        try:
            yield self
        finally:
            with self.program.lock:
                if self.program.tenant is self:
                    self.program.tenant = None

    def _move_in(self) -> None:
        """Put this fit's state in place of another's; Ctrl-C may come after each line."""
        program = self.program
        if program.tenant is self:
            return
        if program.tenant is not None:
            program.tenant._aside = program.state()
            program.tenant = None
        if self._aside is not None:
            program.set_state(self._aside)
        program.tenant = self
