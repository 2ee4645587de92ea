"""The loop over epochs: schedule, validation, early stopping and history."""

import math

import numpy as np

from skae._batches import Feeder, GaussianCorruption
from skae._cache import programs
from skae._keras import initial_weights, own_learning_rate
from skae._programs import pays_for_xla
from skae._records import State, TrainResult
from skae._schedules import learning_rates, rate_and_schedule

VALIDATION = 1 << 31  # stands where an epoch's number does in the seed of its generator


def train(architecture, rows, plan, *, validation=None, start=None, report=None):
    """Train a network on ``rows`` and return a `TrainResult`.

    Parameters
    ----------
    architecture : Architecture
    rows, validation : Rows
        What to train on, and what to measure ``val_loss`` on after each epoch.
    plan : Plan
    start : State, default=None
        Where to go on from; None draws new weights.
    report : callable, default=None
        Called as ``report(epoch, epochs, record)`` after each epoch.

    Raises
    ------
    ValueError
        If the loss or the weights turn into NaN or infinity.
    """
    jit = pays_for_xla(architecture, len(rows.index), plan.epochs)
    start = start or State(initial_weights(architecture, plan.seed))
    with programs.borrow(architecture, jit) as program:
        same = start.optimizer == _optimizer(architecture)
        program.reset(start.weights, start.optimizer_state if same else None)
        fit = _Fit(program, architecture, rows, validation, plan, start)
        return fit.run(report)


class _Fit:
    """One run of the epochs on a borrowed program."""

    def __init__(self, program, architecture, rows, validation, plan, start):
        self.program, self.plan, self.start = program, plan, start
        self.optimizer = _optimizer(architecture)
        self.epochs = 1 if plan.single_epoch else plan.epochs
        self.rate, self.schedule = rate_and_schedule(
            plan.optimizer, plan.learning_rate, plan.schedule, own_learning_rate, plan.single_epoch
        )
        self.steps_per_epoch = -(-len(rows.index) // architecture.batch_size)
        self.feeder = self._feeder(rows, architecture.batch_size)
        self.validation = validation and self._feeder(validation, architecture.batch_size)
        self.history = {}
        self.best_loss, self.best_weights, self.epochs_without_gain = math.inf, None, 0

    def _feeder(self, rows, batch_size):
        corruption = None
        if self.plan.noise_scale is not None:
            n_features = rows.inputs.shape[1]
            corruption = GaussianCorruption(
                self.plan.noise_scale, self.plan.clip, len(rows.index), n_features
            )
        steps, pad = self.program.chunk_steps, self.program.jit
        return Feeder(rows, batch_size, steps, pad=pad, corruption=corruption)

    def run(self, report):
        interrupted = False
        try:
            for epoch in range(self.epochs):
                record = self._epoch(epoch)
                for name, value in record.items():
                    self.history.setdefault(name, []).append(value)
                if report is not None:
                    report(epoch, self.epochs, record)
                if self.plan.patience is not None and self._should_stop(record["val_loss"]):
                    break
        except KeyboardInterrupt:
            interrupted = True
        return self._result(interrupted)

    def _epoch(self, epoch):
        """Train one epoch and return its record."""
        rng = np.random.default_rng([self.plan.seed, self.start.n_epochs + epoch])
        rates = self._rates(epoch)
        loss = self._train(rng, rates)
        record = {"loss": loss, **self.program.metrics()}
        if self.validation is not None:
            record["val_loss"] = self._validate()
            for name, value in self.program.metrics().items():
                record[f"val_{name}"] = value
        record["learning_rate"] = float(rates[-1])
        return record

    def _rates(self, epoch):
        first = self.start.n_steps + epoch * self.steps_per_epoch
        total = self.steps_per_epoch * self.epochs
        return learning_rates(self.schedule, self.rate, first, self.steps_per_epoch, total)

    def _train(self, rng, rates):
        total, done = 0.0, 0
        padded = np.zeros(len(rates) + self.program.chunk_steps, np.float32)
        padded[: len(rates)] = rates
        for inputs, targets, weight, n_steps in self.feeder.shuffled(rng):
            chunk_rates = padded[done : done + len(weight)]
            loss = float(self.program.train(inputs, targets, weight, chunk_rates, n_steps))
            if not math.isfinite(loss):
                epoch = len(self.history.get("loss", ())) + 1
                raise self._diverged(f"the loss became {loss}", epoch)
            total += loss
            done += n_steps
        return total / self.feeder.rows.total_weight

    def _validate(self):
        rng = np.random.default_rng([self.plan.seed, VALIDATION])  # the same noise each time
        chunks = self.validation.in_order(rng)
        return sum(float(self.program.evaluate(*chunk)) for chunk in chunks) / (
            self.validation.rows.total_weight
        )

    def _should_stop(self, loss):
        """Keep the best weights; say whether ``patience`` epochs brought no gain above ``tol``."""
        self.epochs_without_gain += 1
        if loss < self.best_loss - self.plan.tol:
            self.epochs_without_gain = 0
        if loss < self.best_loss:
            self.best_loss, self.best_weights = loss, self.program.weights()
        return self.epochs_without_gain >= self.plan.patience

    def _result(self, interrupted):
        last = self.program.finish()
        weights = self.best_weights or last
        n_epochs = len(self.history.get("loss", ()))
        if not all(np.isfinite(array).all() for array in weights):
            raise self._diverged("the weights became infinite or NaN", n_epochs)
        state = State(
            last,
            self.optimizer,
            self.program.optimizer_state(),
            self.start.n_steps + n_epochs * self.steps_per_epoch,
            self.start.n_epochs + n_epochs,
        )
        return TrainResult(weights, self.history, state, interrupted)

    def _diverged(self, what, epoch):
        rate = "that learning_rate_schedule gives" if self.rate is None else f"of {self.rate:.3g}"
        return ValueError(
            f"Training diverged: {what} in epoch {epoch}, at a learning rate {rate}. "
            "Lower learning_rate, or scale the data (MinMaxScaler, StandardScaler)."
        )


def _optimizer(architecture):
    """Name an optimizer with its constants, to know its state by."""
    return repr((architecture.optimizer, architecture.options))
