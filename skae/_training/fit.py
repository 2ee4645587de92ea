"""One fit: the loop over epochs."""

import contextlib
import math
from collections.abc import Sequence

import numpy as np

from skae._engine import cache
from skae._engine.cache import Lease
from skae._engine.distributed.program import current_strategy, name_lost_workers
from skae._engine.feeding import on_accelerator
from skae._engine.limits import Limits
from skae._engine.lookup.names import default_learning_rate
from skae._engine.program import Program
from skae._engine.spec import ProgramSpec
from skae._engine.tensorflow import current_device
from skae._process import defer_interrupts
from skae._rows.rows import Rows
from skae._training.agreement import check_agreement
from skae._training.checkpoint import Checkpoint, check_arrays
from skae._training.passes import Pass, with_sparse_rows
from skae._training.plan import Plan, Saved, State, TrainResult, WatcherState, columns
from skae._training.schedules import Rates, rate_and_schedule
from skae._training.start import starting_weights
from skae._training.watchers.base import Watcher
from skae._typing import Array, Floats

DEFAULTS = Limits()


def train(
    spec: ProgramSpec,
    rows: Rows,
    plan: Plan,
    *,
    validation: Rows | None = None,
    start: State | None = None,
    watchers: Sequence[Watcher] = (),
    checkpoint: Checkpoint | None = None,
    limits: Limits = DEFAULTS,
    programs: cache.ProgramCache | None = None,
) -> TrainResult:
    """Train a network on ``rows``.

    Parameters
    ----------
    spec : ProgramSpec
        The network, the objective and the optimizer.
    rows : Rows
        The rows to train on.
    plan : Plan
        How to train.
    validation : Rows, default=None
        Rows on which ``val_loss`` is measured after each epoch.
    start : State, default=None
        The state to continue from; None draws new weights.
    watchers : sequence of Watcher, default=()
        Objects that are told about each event, in this order.
    checkpoint : Checkpoint, default=None
        The fit continues from its contents, and writes it after each epoch.
    limits : Limits, default=Limits()
        Sizes that only change speed and memory.
    programs : ProgramCache, default=None
        The cache of compiled programs; None is the cache of the process.

    Returns
    -------
    result : TrainResult
        The weights, the history, and the state to continue from.

    Raises
    ------
    ValueError
        If the loss or the weights become infinite or NaN.
    OSError
        If the checkpoint cannot be written.
    RuntimeError
        If a worker is lost, of the strategy that is in scope.
    """
    strategy = current_strategy()
    programs = cache.programs if programs is None else programs
    jit = strategy is None and programs.uses_xla(spec, len(rows.index), plan.epochs, limits)
    start = start or State(starting_weights(spec, rows, plan))
    n_values = len(rows.index) * spec.network.n_features
    if jit and n_values > limits.sparse_values and not on_accelerator(current_device()):
        epochs = range(start.n_epochs, start.n_epochs + plan.epochs)
        spec = with_sparse_rows(spec, rows, validation, plan, epochs)
    with contextlib.ExitStack() as stack:
        if strategy is not None:
            stack.enter_context(name_lost_workers(strategy))
            check_agreement(strategy, spec, rows, validation, plan, start, watchers, checkpoint)
        program = stack.enter_context(programs.borrow(spec, jit, strategy, limits))
        lease = stack.enter_context(Lease(program).session())
        same = start.optimizer == _optimizer(spec)
        with lease.acquire():
            program.reset(start.weights, start.optimizer_state if same else None)
        is_followed = any(watcher.follows_epochs for watcher in watchers)
        is_observed = is_followed or checkpoint or validation is not None or spec.metrics
        at_once = 1 if is_observed else _epochs_at_once(program, rows, limits)
        training = Pass(lease, rows, plan, limits, at_once)
        validating = None if validation is None else Pass(lease, validation, plan, limits)
        return _Fit(lease, training, validating, plan, start, watchers, checkpoint).run()


def _epochs_at_once(program: Program, rows: Rows, limits: Limits) -> int:
    """Return how many epochs, which nothing observes, one call of a program trains."""
    if program.jit or on_accelerator(program.device) or not rows.in_memory:
        return 1
    return limits.epochs_at_once(program.spec, len(rows.index))


class _Fit:
    """The epochs of one fit on a leased program; its watchers see it as `Running`."""

    def __init__(
        self,
        lease: Lease,
        training: Pass,
        validation: Pass | None,
        plan: Plan,
        start: State,
        watchers: Sequence[Watcher],
        checkpoint: Checkpoint | None,
    ) -> None:
        self.lease, self.training, self.validation = lease, training, validation
        self.start, self.watchers, self.checkpoint = start, watchers, checkpoint
        self.conditioning, self.network = plan.conditioning, lease.program.spec.network
        self.first_epoch, self.epochs = 0, 1 if plan.single_epoch else plan.epochs
        self.epochs_before = start.n_epochs if plan.single_epoch else 0
        peak, schedule = rate_and_schedule(
            plan.optimizer,
            plan.learning_rate,
            plan.schedule,
            default_learning_rate,
            plan.single_epoch,
        )
        self.rates = Rates(schedule, peak, training.n_steps, self.epochs, start.n_steps)
        self.history: list[dict[str, float]] = []
        self.stopped = False

    def run(self) -> TrainResult:
        with contextlib.ExitStack() as stack:
            for watcher in self.watchers:
                stack.callback(watcher.close)
            saved = self.checkpoint and self.checkpoint.saved
            if saved:
                self.first_epoch = self.epochs if saved.stopped else len(saved.history)
            for watcher in self.watchers:
                watcher.begin(self)
            if self.checkpoint and saved:
                with self.checkpoint.damage_named():
                    self._restore(saved)
            return self._end(interrupted=self._run_epochs())

    def _restore(self, saved: Saved) -> None:
        """Continue from the state in a checkpoint."""
        with self.lease.acquire() as program:
            check_arrays(saved.weights, program.weights())
            check_arrays(saved.optimizer_state, program.optimizer_state())
            program.reset(saved.weights, saved.optimizer_state)
        self.history, self.stopped = list(saved.history), saved.stopped
        self.rates.scale(saved.rate_factor)
        for watcher in self.watchers:
            watcher.restore(saved.watchers.get(type(watcher).__name__, WatcherState({}, [])))

    def _saved(self) -> Saved:
        """Return everything that a fit needs to continue from here."""
        states = {type(watcher).__name__: watcher.state() for watcher in self.watchers}
        watchers = {name: state for name, state in states.items() if state is not None}
        with self.lease.acquire() as program:
            weights, optimizer_state = program.weights(), program.optimizer_state()
        return Saved(
            weights, optimizer_state, self.history, self.rates.factor, self.stopped, watchers
        )

    def _run_epochs(self) -> bool:
        """Train until the last epoch; return whether Ctrl-C ended training."""
        epochs, at_once = range(self.first_epoch, self.epochs), self.training.epochs_at_once
        try:
            for first in range(0, len(epochs), at_once):
                self._run_call(epochs[first : first + at_once])
                if self.checkpoint is not None:
                    self.checkpoint.write(self._saved())
                if self.stopped:
                    break
        except KeyboardInterrupt:
            return True
        return False

    def _run_call(self, epochs: range) -> None:
        """Train one epoch (or several if nothing observes them), and find out whether to stop."""
        for watcher in self.watchers:
            watcher.begin_epoch(epochs[0])
        # During a call of several epochs, Ctrl-C could come before all of them are in the history.
        whole = defer_interrupts() if len(epochs) > 1 else contextlib.nullcontext()
        with whole:
            self.history += self._records(epochs)
        record = self.history[-1]
        stops = [watcher.end_epoch(epochs[-1], record) for watcher in self.watchers]
        self.stopped = any(stops)

    def _records(self, epochs: range) -> list[dict[str, float]]:
        """Train epochs by one call of the program, and return a record of each."""
        rates = [self.rates.of_epoch(epoch) for epoch in epochs]
        losses = self._losses(epochs, np.concatenate(rates))
        measured = self.training.metrics() | self._validate()  # empty if there are several epochs
        return [
            {"loss": float(loss), **measured, "learning_rate": float(of_epoch[-1])}
            for loss, of_epoch in zip(losses, rates, strict=True)
        ]

    def _losses(self, epochs: range, rates: Floats) -> Array:
        """Train on all rows, and return the mean loss of each epoch."""
        n_before = self.start.n_epochs
        numbers = range(n_before + epochs.start, n_before + epochs.stop)
        losses: list[float] = []
        with contextlib.closing(self.training.train(numbers, rates)) as chunks:
            for found in chunks:
                for place in np.flatnonzero(~np.isfinite(found)):
                    epoch = epochs[(len(losses) + place) // self.training.n_steps]
                    raise diverged(f"the loss became {found[place]}", epoch, self.rates)
                losses += found.tolist()
                for watcher in self.watchers:
                    watcher.see_rows(len(found) * self.training.batch_size)
        return np.reshape(losses, (len(epochs), -1)).sum(axis=1) / self.training.total_weight

    def _validate(self) -> dict[str, float]:
        """Return the loss and the metrics on the validation rows, if there are any."""
        if self.validation is None:
            return {}
        for watcher in self.watchers:
            watcher.begin_validation()
        record = {"loss": self.validation.evaluate(), **self.validation.metrics()}
        if not math.isfinite(record["loss"]):
            what = f"the loss on the validation rows became {record['loss']}"
            raise diverged(what, len(self.history), self.rates)
        for watcher in self.watchers:
            watcher.end_validation(record)
        return {f"val_{name}": value for name, value in record.items()}

    def _end(self, *, interrupted: bool) -> TrainResult:
        with self.lease.acquire() as program:
            program.finish()
        if not all(np.isfinite(array).all() for array in self.result_weights()):
            what = "the weights became infinite or NaN"
            raise diverged(what, len(self.history) - 1, self.rates)
        for watcher in self.watchers:
            watcher.end()
        n_epochs = self.start.n_epochs + len(self.history)
        with self.lease.acquire() as program:
            weights, optimizer_state = program.weights(), program.optimizer_state()
            optimizer = _optimizer(program.spec)
        shift, scale = (None, 1.0) if self.conditioning is None else self.conditioning.map
        state = State(weights, optimizer, optimizer_state, self.n_steps, n_epochs, shift, scale)
        return TrainResult(self.result_weights(), columns(self.history), state, interrupted)

    @property
    def n_steps(self) -> int:
        """Number of steps in whole epochs so far, earlier fits included."""
        return self.start.n_steps + len(self.history) * self.training.n_steps

    def validation_loss(self) -> float:
        """Return the loss of the current weights on the validation rows, or NaN without any."""
        return math.nan if self.validation is None else measured_loss(self.validation)

    def loss_of(self, weights: Sequence[Floats], *, trained: bool = False) -> float:
        """Return the loss of other weights, and change nothing.

        It is the loss on the validation rows, or on the training rows if ``trained`` is True.
        """
        with self.lease.acquire() as program:
            own = program.weights()
        try:
            self.set_weights(weights)
            return measured_loss(self.training) if trained else self.validation_loss()
        finally:
            with self.lease.acquire() as program:
                program.set_weights(own)

    def weights(self) -> list[Floats]:
        """Copy the current weights, as they take rows in their own units."""
        with self.lease.acquire() as program:
            weights = program.weights()
        return (
            weights if self.conditioning is None else self.conditioning.fold(self.network, weights)
        )

    def set_weights(self, weights: Sequence[Floats]) -> None:
        """Continue from other weights, which take rows in their own units."""
        if self.conditioning is not None:
            weights = self.conditioning.unfold(self.network, weights)
        with self.lease.acquire() as program:
            program.set_weights(weights)

    def result_weights(self) -> list[Floats]:
        """Return the weights that the fit would leave behind if it ended now."""
        chosen = (watcher.chosen_weights() for watcher in self.watchers)
        return next(filter(None, chosen), None) or self.weights()


def measured_loss(of_rows: Pass) -> float:
    """Return the loss of the current weights, and forget the metrics: they are of no epoch."""
    loss = of_rows.evaluate()
    of_rows.metrics()
    return loss


def diverged(what: str, epoch: int, rates: Rates) -> ValueError:
    """Make the error of a fit that diverged in an epoch; the first epoch has the number 0."""
    rate = "that learning_rate_schedule gives" if rates.peak is None else f"of {rates.peak:.3g}"
    return ValueError(
        f"Training diverged: {what} in epoch {epoch + 1}, at a learning rate {rate}. "
        "Lower learning_rate, or scale the data (MinMaxScaler, StandardScaler)."
    )


def _optimizer(spec: ProgramSpec) -> str:
    """Describe an optimizer with its options, to recognise its state."""
    tied = ("tied",) if spec.tied else ()  # its state is that of fewer weights
    return repr((spec.optimizer, spec.optimizer_options, *tied))
