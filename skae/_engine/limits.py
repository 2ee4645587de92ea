"""`Limits`: how much goes to a program at once, and whether compiling it with XLA pays off."""

from dataclasses import dataclass

import numpy as np

from skae._corruption.epochs import TABLE_VALUES
from skae._engine.spec import ProgramSpec


@dataclass(frozen=True)
class Limits:
    """Sizes that change speed and memory only.

    Attributes
    ----------
    chunk_bytes, max_chunk_steps : int
        Maximum bytes of inputs, and number of mini-batches, in a chunk.  With half of the default
        bytes an epoch takes 2 % longer; with twice as many, memory grows.
    epochs_bytes : int
        A plain graph trains several epochs in one call if their inputs fit into these bytes and
        into a chunk.
    resident_bytes, sent_bytes : int
        An accelerator keeps the rows if they take at most ``resident_bytes``; they are copied to it
        in blocks of ``sent_bytes``.  TensorFlow does not tell the memory of a device.  The default
        is a quarter of the memory of the smaller devices that people use.
    noise_values : int
        Gaussian noise for more values comes from a table of this size.
    sparse_values : int
        Rows that are nearly all zeros stay sparse if they have more values than these.
    xla : bool or None
        Whether to compile with XLA; None decides by the length of the fit.
    """

    chunk_bytes: int = 1 << 25
    max_chunk_steps: int = 256
    epochs_bytes: int = 1 << 23
    resident_bytes: int = 1 << 31
    sent_bytes: int = 1 << 26
    noise_values: int = TABLE_VALUES
    sparse_values: int = 1 << 22
    xla: bool | None = None

    def chunk_steps(self, spec: ProgramSpec) -> int:
        """Return the number of mini-batches in a chunk."""
        return int(np.clip(self.chunk_bytes // spec.batch_bytes, 1, self.max_chunk_steps))

    def epochs_at_once(self, spec: ProgramSpec, n_rows: int) -> int:
        """Return the number of epochs that a plain graph trains in one call.

        A call and its preparation take as long as one or two steps of a small network.
        """
        steps = min(self.epochs_bytes // spec.batch_bytes, self.max_chunk_steps)
        return max(1, steps // spec.n_steps(n_rows))

    def pays_for_xla(self, spec: ProgramSpec, n_rows: int, epochs: int) -> bool:
        """Return whether the time that XLA saves in a fit exceeds the time that it compiles.

        XLA compiles for about 0.6 s longer than a plain graph is traced.  It saves 1.5 ps for each
        floating-point operation, and some 30 us for each step, because it merges small operations
        into a few large ones.  With bfloat16, XLA saves 0.2 ms for each step but loses 0.4 ps for
        each floating-point operation, because it computes these products in float32 on a processor.
        The answer depends on the fit only, and not on the programs in the cache: the same call must
        give the same bits whatever ran before.
        """
        if self.xla is not None:
            return self.xla
        steps = epochs * spec.n_steps(n_rows)
        flops = 3 * epochs * n_rows * spec.network.flops  # backward takes twice as many as forward
        if spec.compute_dtype == "float32":
            return steps * 3e-5 + flops * 1.5e-12 > 0.6
        return steps * 2e-4 - flops * 4e-13 > 0.8
