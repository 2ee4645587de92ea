"""The loop over epochs: schedule, validation, early stopping and history."""

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np

from skae._accelerator import ResidentFeeder, feeder_for, on_accelerator
from skae._architecture import Architecture
from skae._batches import Chunks, Feeder, GaussianCorruption
from skae._cache import programs
from skae._callbacks import KerasCallbacks
from skae._checkpoint import Checkpoint
from skae._distribution import check_agreement, current_strategy, lost_workers_named
from skae._interrupts import interrupts_afterwards
from skae._keras import initial_weights, own_learning_rate
from skae._lease import Lease
from skae._programs import epochs_at_once, in_place, pays_for_xla
from skae._records import Plan, Rows, Saved, State, TrainResult
from skae._schedules import learning_rates, rate_and_schedule
from skae._typing import Floats, History
from skae._watchers import Watcher

VALIDATION = 1 << 31  # stands where an epoch's number does in the seed of its generator


def train(
    architecture: Architecture,
    rows: Rows,
    plan: Plan,
    *,
    validation: Rows | None = None,
    start: State | None = None,
    callbacks: KerasCallbacks | None = None,
    watchers: Sequence[Watcher] = (),
    checkpoint: Checkpoint | None = None,
) -> TrainResult:
    """Train a network on ``rows`` and return a `TrainResult`.

    Parameters
    ----------
    architecture : Architecture
    rows, validation : Rows
        What to train on, and what to measure ``val_loss`` on after each epoch.
    plan : Plan
    start : State, default=None
        Where to go on from; None draws new weights.
    callbacks : KerasCallbacks, default=None
        The user's, which go first and may change weights and learning rate.
    watchers : sequence of Watcher
        What is told how training goes on, and may end it.
    checkpoint : Checkpoint, default=None
        Goes on from what it holds, and is written after each epoch.

    Raises
    ------
    ValueError
        If the loss or the weights turn into NaN or infinity.
    OSError
        If the checkpoint cannot be written.
    RuntimeError
        If a worker of the strategy in whose scope this is called is lost.
    """
    strategy = current_strategy()
    jit = strategy is None and pays_for_xla(architecture, len(rows.index), plan.epochs)
    start = start or State(initial_weights(architecture, plan.seed))
    with contextlib.ExitStack() as stack:
        if strategy is not None:
            stack.enter_context(lost_workers_named(strategy))
            check_agreement(strategy, architecture, rows, validation, plan, start, checkpoint)
        program = stack.enter_context(programs.borrow(architecture, jit, strategy))
        lease = stack.enter_context(Lease(program).until_done())
        same = start.optimizer == _optimizer(architecture)
        with lease.held():
            program.reset(start.weights, start.optimizer_state if same else None)
        everyone = [*watchers] if callbacks is None else [callbacks, *watchers]
        fit = _Fit(
            lease, architecture, rows, validation, plan, start, everyone, callbacks, checkpoint
        )
        return fit.run()


class _Fit:
    """One run of the epochs on a borrowed program."""

    def __init__(
        self,
        lease: Lease,
        architecture: Architecture,
        rows: Rows,
        validation: Rows | None,
        plan: Plan,
        start: State,
        watchers: Sequence[Watcher],
        callbacks: KerasCallbacks | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.lease, self.plan, self.start = lease, plan, start
        self.watchers, self.callbacks, self.checkpoint = watchers, callbacks, checkpoint
        self.optimizer = _optimizer(architecture)
        self.first_epoch, self.epochs = 0, 1 if plan.single_epoch else plan.epochs
        self.rate, self.schedule = rate_and_schedule(
            plan.optimizer, plan.learning_rate, plan.schedule, own_learning_rate, plan.single_epoch
        )
        self.steps_per_epoch = architecture.n_steps(len(rows.index))
        between = watchers or checkpoint or validation is not None or architecture.metrics
        self.at_once = 1  # epochs
        if not (between or lease.program.jit or on_accelerator(lease.program)) and rows.in_memory:
            self.at_once = epochs_at_once(architecture, len(rows.index))
        self.feeder = self._feeder(rows, architecture.batch_size, self.at_once)
        self.validation = (
            None if validation is None else self._feeder(validation, architecture.batch_size)
        )
        self.history: list[dict[str, float]] = []
        self.stopped, self.rate_factor = False, 1.0
        self.best_loss, self.epochs_without_gain = math.inf, 0
        self.best_weights: list[Floats] | None = None

    def _feeder(self, rows: Rows, batch_size: int, n_epochs: int = 1) -> Feeder | ResidentFeeder:
        corruption = None
        if self.plan.noise_scale is not None:
            n_features = rows.inputs.shape[1]
            corruption = GaussianCorruption(
                self.plan.noise_scale, self.plan.clip, len(rows.index), n_features
            )
        return feeder_for(self.lease.program, rows, batch_size, n_epochs, corruption)

    def _restore(self, checkpoint: Checkpoint, saved: Saved) -> None:
        """Go on from where a fit that was killed stood."""
        with self.lease.held() as program:
            checkpoint.check_arrays(program.weights(), program.optimizer_state())
            program.reset(saved.weights, saved.optimizer_state)
        self.history, self.stopped = list(saved.history), saved.stopped
        self.best_loss, self.best_weights = saved.best_loss, saved.best_weights
        self.epochs_without_gain, self.rate_factor = saved.epochs_without_gain, saved.rate_factor
        if self.callbacks is not None:
            self.callbacks.restore(saved.callbacks, saved.callback_arrays)

    def _save(self, checkpoint: Checkpoint) -> None:
        states, arrays = ([], []) if self.callbacks is None else self.callbacks.state()
        with self.lease.held() as program:
            weights, optimizer_state = program.weights(), program.optimizer_state()
        saved = Saved(
            weights,
            optimizer_state,
            self.history,
            self.best_loss,
            self.best_weights,
            self.epochs_without_gain,
            self.rate_factor,
            self.stopped,
            states,
            arrays,
        )
        checkpoint.write(saved)

    def run(self) -> TrainResult:
        with contextlib.ExitStack() as stack:
            for watcher in self.watchers:
                stack.callback(watcher.close)
            self._begin()
            interrupted = self._run_epochs()
            with self.lease.held() as program:
                program.finish()
            self._check_finite()
            self._tell("end")
            return self._result(interrupted)

    def _begin(self) -> None:
        saved = self.checkpoint and self.checkpoint.saved
        if saved:
            self.first_epoch = self.epochs if saved.stopped else len(saved.history)
        self._tell("begin", self)
        if self.checkpoint and saved:
            self._restore(self.checkpoint, saved)

    def _run_epochs(self) -> bool:
        """Train to the last epoch; return whether Ctrl-C ended it."""
        epochs = range(self.first_epoch, self.epochs)
        try:
            for first in range(0, len(epochs), self.at_once):
                self._run_some(epochs[first : first + self.at_once])
                if self.checkpoint is not None:
                    self._save(self.checkpoint)
                if self.stopped:
                    break
        except KeyboardInterrupt:
            return True
        return False

    def _tell(self, what: str, *args: object) -> bool:
        """Tell the watchers; say whether one of them ends training."""
        answers = [getattr(watcher, what)(*args) for watcher in self.watchers]
        return any(answers)

    def _run_some(self, epochs: range) -> None:
        """Train one epoch, or several that nobody watches, and find out whether it is the last."""
        self._tell("begin_epoch", epochs[0])
        # Ctrl-C within one call of several epochs would come between them and their records
        whole = interrupts_afterwards() if len(epochs) > 1 else contextlib.nullcontext()
        with whole:
            self.history += self._trained(epochs)
        record, patience = self.history[-1], self.plan.patience
        stop = patience is not None and self._should_stop(record["val_loss"], patience)
        self.stopped = self._tell("end_epoch", epochs[-1], record) or stop

    def _trained(self, epochs: range) -> list[dict[str, float]]:
        """Train epochs by one call of the program, and return the record of each."""
        rates = [self.rates_of(epoch) for epoch in epochs]
        losses = self._train(epochs, np.concatenate(rates))
        measured = self._metrics() | self._validated()  # of one epoch, or nothing
        return [
            {"loss": loss, **measured, "learning_rate": float(of_epoch[-1])}
            for loss, of_epoch in zip(losses, rates, strict=True)
        ]

    def _validated(self) -> dict[str, float]:
        """Return loss and metrics on the validation rows, if there are any."""
        if self.validation is None:
            return {}
        self._tell("begin_validation")
        record = {"loss": self._validate(self.validation), **self._metrics()}
        if not math.isfinite(record["loss"]):
            what = f"the loss on the validation rows became {record['loss']}"
            raise self._diverged(what, len(self.history) + 1)
        self._tell("end_validation", record)
        return {f"val_{name}": value for name, value in record.items()}

    def rates_of(self, epoch: int) -> Floats:
        """Return the learning rate of each step of an epoch."""
        first = self.start.n_steps + epoch * self.steps_per_epoch
        total = self.steps_per_epoch * self.epochs
        rates = learning_rates(self.schedule, self.rate, first, self.steps_per_epoch, total)
        return rates * np.float32(self.rate_factor)

    def _train(self, epochs: range, rates: Floats) -> list[float]:
        """Train at a rate for each step; return the mean loss of each epoch."""
        seeds = [(self.plan.seed, self.start.n_epochs + epoch) for epoch in epochs]
        rngs = map(np.random.default_rng, seeds)
        losses, done = np.zeros(len(rates)), 0
        padded = np.zeros(len(rates) + self.lease.program.chunk_steps, np.float32)
        padded[: len(rates)] = rates
        with self._pass(self.feeder, self.feeder.shuffled(*rngs)) as chunks:
            for *arrays, n_steps in chunks:
                n_shown, batch_size = arrays[-1].shape
                chunk_rates = padded[done : done + n_shown]
                with self.lease.held() as program:
                    found = program.train(*map(in_place, arrays), chunk_rates, n_steps).numpy()
                self._check_losses(found)
                losses[done : done + n_steps] = found[:n_steps]
                done += n_steps
                self._tell("see_rows", n_steps * batch_size)
        sums = losses.reshape(len(epochs), -1).sum(axis=1)
        return (sums / self.feeder.rows.total_weight).tolist()

    def _check_losses(self, losses: Floats) -> None:
        """Raise where a step's loss, of one epoch or from the first on, is not finite."""
        wrong = np.flatnonzero(~np.isfinite(losses))
        if len(wrong):
            epoch = len(self.history) + 1 + wrong[0] // self.steps_per_epoch
            raise self._diverged(f"the loss became {losses[wrong[0]]}", epoch)

    def _validate(self, feeder: Feeder | ResidentFeeder) -> float:
        rng = np.random.default_rng([self.plan.seed, VALIDATION])  # the same noise each time
        total = 0.0
        with self._pass(feeder, feeder.in_order(rng)) as chunks:
            for *arrays, n_steps in chunks:
                with self.lease.held() as program:
                    losses = program.evaluate(*map(in_place, arrays), n_steps).numpy()
                total += float(losses.sum(dtype=np.float64))
        return total / feeder.rows.total_weight

    @contextlib.contextmanager
    def _pass(self, feeder: Feeder | ResidentFeeder, chunks: Chunks) -> Iterator[Chunks]:
        """Lend the chunks of a pass over the rows; the thread that gathers them ends with it.

        The program is kept throughout where rows are read without a user's code, so that fits on
        several threads take turns by the epoch, and not by the chunk.
        """
        turn = self.lease.held() if feeder.rows.in_memory else contextlib.nullcontext()
        with turn, contextlib.closing(chunks):
            yield chunks

    def _metrics(self) -> dict[str, float]:
        with self.lease.held() as program:
            return program.metrics()

    def _should_stop(self, loss: float, patience: int) -> bool:
        """Keep the best weights; say whether ``patience`` epochs brought no gain above ``tol``."""
        self.epochs_without_gain += 1
        if loss < self.best_loss - self.plan.tol:
            self.epochs_without_gain = 0
        if loss < self.best_loss:
            self.best_loss, self.best_weights = loss, self.current_weights()
        return self.epochs_without_gain >= patience

    @property
    def n_steps(self) -> int:
        """Steps trained so far, by whole epochs."""
        return self.start.n_steps + len(self.history) * self.steps_per_epoch

    def weights(self) -> list[Floats]:
        """Copy the weights that a fit which ended now would leave behind."""
        return self.best_weights or self.current_weights()

    def current_weights(self) -> list[Floats]:
        """Copy the weights of the moment."""
        with self.lease.held() as program:
            return program.weights()

    def set_weights(self, weights: Sequence[Floats]) -> None:
        """Go on from other weights."""
        with self.lease.held() as program:
            program.set_weights(weights)

    def columns(self) -> History:
        """Return the history so far by name."""
        names = dict.fromkeys(name for record in self.history for name in record)
        return {name: [r[name] for r in self.history if name in r] for name in names}

    def _check_finite(self) -> None:
        if not all(np.isfinite(array).all() for array in self.weights()):
            raise self._diverged("the weights became infinite or NaN", len(self.history))

    def _result(self, interrupted: bool) -> TrainResult:
        n_epochs = len(self.history)
        with self.lease.held() as program:
            state = State(
                program.weights(),
                self.optimizer,
                program.optimizer_state(),
                self.n_steps,
                self.start.n_epochs + n_epochs,
            )
        return TrainResult(self.weights(), self.columns(), state, interrupted)

    def _diverged(self, what: str, epoch: int) -> ValueError:
        rate = "that learning_rate_schedule gives" if self.rate is None else f"of {self.rate:.3g}"
        return ValueError(
            f"Training diverged: {what} in epoch {epoch}, at a learning rate {rate}. "
            "Lower learning_rate, or scale the data (MinMaxScaler, StandardScaler)."
        )


def _optimizer(architecture: Architecture) -> str:
    """Name an optimizer with its constants, to know its state by."""
    return repr((architecture.optimizer, architecture.options))
