"""`Pass`: the steps of an epoch, or the loss on the validation rows."""

import contextlib
import dataclasses
from collections.abc import Generator, Iterator, Sequence

import numpy as np

from skae._engine.cache import Lease
from skae._engine.feeding import make_feeder, without_copy
from skae._engine.limits import Limits
from skae._engine.losses import Values
from skae._engine.spec import ProgramSpec
from skae._rows.batches.feeder import Chunks
from skae._rows.batches.sparse import count_values, most_values, round_up
from skae._rows.rows import Rows
from skae._training.plan import Plan
from skae._training.seeds import Stream, generator
from skae._typing import Array, Floats, Rng

# With room for a larger share of its values, a mini-batch of wide rows is as fast if it is dense.
SPARSE_SHARE = 0.05
# Orders of more rows than these are not drawn beforehand: it takes a second.
MAX_SHUFFLED = 1 << 26
# A sparse product subtracts the product of the shift afterwards.  A larger shift, in units of the
# scale, would cost more than three of the seven digits.
LARGEST_SHIFT = 1e3


class Pass:
    """Feeds all rows to the program that a fit has leased.

    Parameters
    ----------
    lease : Lease
        The fit's lease of the program.
    rows : Rows
        The rows to train on, or the rows to validate on.
    plan : Plan
        The plan of the fit.
    limits : Limits
        Sizes of the chunks.
    epochs_at_once : int, default=1
        Number of epochs that one call of the program trains.
    """

    def __init__(
        self, lease: Lease, rows: Rows, plan: Plan, limits: Limits, epochs_at_once: int = 1
    ) -> None:
        self.lease, self.plan, self.epochs_at_once = lease, plan, epochs_at_once
        self.batch_size = lease.program.spec.batch_size
        self.n_steps = lease.program.spec.n_steps(len(rows.index))
        self.total_weight = rows.total_weight
        self.values, self.loss_factor = Values(plan.strengths), 1.0
        if plan.column_weights is not None:
            self.values = self.values._replace(column_weights=plan.column_weights)
        if plan.conditioning is not None:
            shift, scale = plan.conditioning.map
            self.values = self.values._replace(shift=shift, scale=scale)
            self.loss_factor = plan.conditioning.loss_factor
        self.feeder = make_feeder(lease.program, rows, plan.corruption, limits, epochs_at_once)

    def train(self, epochs: Sequence[int], rates: Floats) -> Generator[Floats, None, None]:
        """Train on all rows once for each epoch.

        Parameters
        ----------
        epochs : sequence of int
            Numbers of the epochs; the random streams depend on them.
        rates : ndarray of shape (n_steps,)
            The learning rate of each step of all epochs.

        Yields
        ------
        losses : ndarray of shape (n_steps_of_chunk,)
            The sum of the weighted losses of each mini-batch in a chunk.
        """
        orders = self._generators(Stream.ORDER, epochs)
        noises = self._generators(Stream.NOISE, epochs)
        n_padding, done = self.lease.program.chunk_steps, 0
        padded_rates, seeds = _padded(rates, n_padding), self._seeds(epochs, n_padding)
        with self._chunks(self.feeder.shuffled(orders, noises)) as chunks:
            for inputs, targets, weight, n_steps in chunks:
                shown = slice(done, done + weight.shape[0])
                with self.lease.acquire() as program:
                    losses = program.train(
                        without_copy(inputs),
                        without_copy(targets),
                        without_copy(weight),
                        rates=padded_rates[shown],
                        n_steps=n_steps,
                        values=self.values,
                        seeds=None if seeds is None else seeds[shown],
                    ).numpy()
                done += n_steps
                yield self.loss_factor * losses[:n_steps].astype(np.float64)

    def evaluate(self) -> float:
        """Return the mean loss; the noise is the same in every epoch."""
        rng, total = generator(self.plan.seed, Stream.VALIDATION_NOISE), 0.0
        with self._chunks(self.feeder.in_order(rng)) as chunks:
            for inputs, targets, weight, n_steps in chunks:
                with self.lease.acquire() as program:
                    losses = program.evaluate(
                        without_copy(inputs),
                        without_copy(targets),
                        without_copy(weight),
                        n_steps=n_steps,
                        values=self.values,
                    ).numpy()
                total += float(losses.sum(dtype=np.float64))
        return self.loss_factor * total / self.total_weight

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the last pass."""
        with self.lease.acquire() as program:
            return program.metrics()

    @contextlib.contextmanager
    def _chunks(self, chunks: Chunks) -> Iterator[Chunks]:
        """Iterate over the chunks of one pass, and stop the prefetch thread afterwards.

        Rows in memory are read without the user's code.  Then the fit keeps the program for the
        whole pass, so that fits on several threads alternate by epoch and not by chunk.
        """
        turn = self.lease.acquire() if self.feeder.rows.in_memory else contextlib.nullcontext()
        with turn, contextlib.closing(chunks):
            yield chunks

    def _generators(self, stream: Stream, epochs: Sequence[int]) -> list[Rng]:
        return [generator(self.plan.seed, stream, epoch) for epoch in epochs]

    def _seeds(self, epochs: Sequence[int], n_padding: int) -> Array | None:
        """Draw two int32 for each step, if the network is random."""
        if not self.lease.program.spec.network.is_random:
            return None
        rngs = self._generators(Stream.DROPOUT, epochs)
        drawn = [rng.integers(0, 1 << 31, (self.n_steps, 2), np.int32) for rng in rngs]
        return _padded(np.concatenate(drawn), n_padding)


def with_sparse_rows(
    spec: ProgramSpec, rows: Rows, validation: Rows | None, plan: Plan, epochs: range
) -> ProgramSpec:
    """Return the spec of a program for sparse rows, or the same spec if dense rows are better.

    A mini-batch has room for the values of the fullest one of all epochs.  The answer depends on
    values and seeds alone: dense and sparse rows with the same values give the same bits.  Rows of
    `partial_fit` stay dense: their room may differ in each call, and one epoch makes up for no
    compilation.

    Parameters
    ----------
    spec : ProgramSpec
        The spec of a program for dense rows.
    rows, validation : Rows, and Rows or None
        The rows to train on, and the rows to validate on.
    plan : Plan
        The plan of the fit.
    epochs : range of int
        Numbers of the epochs.
    """
    parts = [rows] if validation is None else [rows, validation]
    is_centred = plan.conditioning is None or plan.conditioning.relative_shift < LARGEST_SHIFT
    may_be_sparse = spec.takes_sparse_rows and plan.corruption is None and not plan.single_epoch
    if not (may_be_sparse and is_centred and all(part.in_memory for part in parts)):
        return spec
    found = [count_values(part, SPARSE_SHARE) for part in parts]
    counts = [of_rows for of_rows in found if of_rows is not None]
    if len(counts) < len(parts):
        return spec
    size = spec.batch_size
    in_order = (most_values(of_rows, size) for of_rows in counts)
    n_entries = round_up(max(*in_order, _most_shuffled(counts[0], size, plan.seed, epochs)))
    if n_entries > SPARSE_SHARE * size * spec.network.n_features:
        return spec
    return dataclasses.replace(spec, n_entries=n_entries)


def _most_shuffled(counts: Array, batch_size: int, seed: int, epochs: range) -> int:
    """Return how many values the fullest mini-batch of all epochs has, or could have."""
    if len(epochs) * len(counts) > MAX_SHUFFLED:
        return int(np.sort(counts)[-batch_size:].sum())
    orders = (generator(seed, Stream.ORDER, e).permutation(len(counts)) for e in epochs)
    return max(most_values(counts[order], batch_size) for order in orders)


def _padded(values: Array, n: int) -> Array:
    """Append zeros for the mini-batches that pad a chunk."""
    return np.concatenate([values, np.zeros((n, *values.shape[1:]), values.dtype)])
