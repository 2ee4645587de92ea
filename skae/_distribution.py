"""One fit on several devices or machines: training inside the scope of a `tf.distribute` strategy.

Every worker reads all mini-batches; each replica takes its share of the rows of every one.  The
sum of the replicas' gradients is that of the whole mini-batch, and the same update follows on each.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from skae._architecture import Architecture
from skae._checkpoint import Checkpoint
from skae._identity import describe, fingerprint
from skae._keras import tf
from skae._programs import Program, run_steps
from skae._records import Plan, Rows, State
from skae._typing import Tensor

STRATEGIES = (
    tf.distribute.MirroredStrategy,
    tf.distribute.MultiWorkerMirroredStrategy,
    tf.distribute.OneDeviceStrategy,
)
LOST = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
)


def current_strategy() -> Any:
    """Return the strategy in whose scope the caller is, or None."""
    if not tf.distribute.has_strategy():
        return None
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, STRATEGIES):
        known = ", ".join(kind.__name__ for kind in STRATEGIES)
        raise ValueError(
            f"fit trains in the scope of one of {known}; got a {type(strategy).__name__}: use one "
            "of these, or call fit outside of strategy.scope()."
        )
    return strategy


class DistributedProgram(Program):
    """A program whose variables have a copy on every replica, and whose steps run on all."""

    def __init__(self, architecture: Architecture, strategy: Any) -> None:
        self.strategy = strategy
        super().__init__(architecture, jit=False)
        self.n_local_replicas = len(strategy.extended.worker_devices)
        clips = ("clipnorm", "global_clipnorm", "clipvalue")
        self.clips = any(getattr(self.optimizer, name) is not None for name in clips)

    def _train(
        self,
        inputs: Tensor,
        targets: Tensor,
        weight: Tensor,
        learning_rates: Tensor,
        n_steps: Tensor,
    ) -> Tensor:
        self.n_traces += 1

        def step(i: Tensor) -> Tensor:
            self.optimizer.learning_rate.assign(learning_rates[i])
            return self._on_replicas(self._train_share, inputs[i], targets[i], weight[i])

        return self._sum_over_workers(run_steps(step, n_steps, weight))

    def _evaluate(self, inputs: Tensor, targets: Tensor, weight: Tensor, n_steps: Tensor) -> Tensor:
        def step(i: Tensor) -> Tensor:
            return self._on_replicas(self._evaluate_share, inputs[i], targets[i], weight[i])

        return self._sum_over_workers(run_steps(step, n_steps, weight))

    def _on_replicas(self, function: Callable[..., Tensor], *batch: Tensor) -> Tensor:
        """Call a function of a share of a mini-batch on every replica; sum those of this worker."""
        total_weight = tf.reduce_sum(batch[-1])

        def of_share() -> Tensor:
            replica = tf.distribute.get_replica_context()
            first, step = replica.replica_id_in_sync_group, replica.num_replicas_in_sync
            return function(*(rows[first::step] for rows in batch), total_weight)

        return tf.add_n(self.strategy.experimental_local_results(self.strategy.run(of_share)))

    def _sum_over_workers(self, losses: Tensor) -> Tensor:
        """Sum the workers' losses: once a chunk, as each sum is a message to all other workers."""

        def part() -> Tensor:
            return tf.identity(losses) / self.n_local_replicas

        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, self.strategy.run(part), None)

    def _train_share(
        self, inputs: Tensor, targets: Tensor, weight: Tensor, total_weight: Tensor
    ) -> Tensor:
        loss, gradients = self._loss_and_gradients(inputs, targets, weight, total_weight)
        self._apply(None, self._summed(gradients) if self.clips else gradients)
        return loss

    def _summed(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Give the first replica the sum of all replicas' gradients, and the others zeros.

        Keras sums gradients over the replicas, but clips them before that.
        """
        replica = tf.distribute.get_replica_context()
        sums = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        is_first = tf.equal(replica.replica_id_in_sync_group, 0)
        return [tf.where(is_first, gradient, tf.zeros_like(gradient)) for gradient in sums]

    def _evaluate_share(self, inputs: Tensor, targets: Tensor, weight: Tensor, _: Tensor) -> Tensor:
        z, _ = self._logits(self._values(), inputs)
        return self._loss(z, inputs, targets, weight)[0]


@contextlib.contextmanager
def lost_workers_named(strategy: Any) -> Iterator[None]:
    """Say what happened where a worker is gone, in place of TensorFlow's account of it."""
    try:
        yield
    except LOST as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        raise RuntimeError(
            "Training stopped, as a worker of MultiWorkerMirroredStrategy was lost or did not "
            f"answer in time ({type(error).__name__}): see that worker's log, and start all "
            "workers again; with checkpoint= they go on from the last epoch."
        ) from error


def check_agreement(
    strategy: Any,
    architecture: Architecture,
    rows: Rows,
    validation: Rows | None,
    plan: Plan,
    start: State,
    checkpoint: Checkpoint | None,
) -> None:
    """Raise on every worker where they are not about to train the same.

    They would wait for each other for ever, or end with weights that differ.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    saved = checkpoint and checkpoint.saved
    mine = {
        "random_state (set an integer)": plan.seed,
        "X and X_clean": [fingerprint(matrix) for matrix in rows.matrices],
        "sample_weight": _plain(rows.weight),
        "X_val": validation and [fingerprint(matrix) for matrix in validation.matrices],
        "parameters": describe(vars(architecture) | vars(plan) | {"seed": None}),
        "the weights to start from": [_plain(array) for array in start.weights],
        "the epoch in checkpoint (copy one worker's file to the others)": (
            len(saved.history) if saved else 0
        ),
    }
    digests = [[_digest(value) for value in mine.values()]]

    def gather() -> Tensor:
        return strategy.gather(strategy.run(lambda: tf.constant(digests)), axis=0)

    everyone = tf.function(gather, autograph=False).get_concrete_function()().numpy()
    differing = [name for name, of in zip(mine, everyone.T, strict=True) if len(set(of)) > 1]
    if differing:
        raise ValueError(
            f"The workers of a fit must be given the same; they differ in: {'; '.join(differing)}."
        )


def _plain(array: Any) -> Any:
    return None if array is None else np.asarray(array).tobytes()


def _digest(value: Any) -> int:
    """Turn a value into a number of 31 bits that other processes arrive at, too."""
    digest = hashlib.blake2b(repr(value).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
