"""Training on several devices or machines, in the scope of a `tf.distribute` strategy.

Every worker reads all mini-batches, and each replica trains on its share of each mini-batch.  The
sum of the replicas' gradients is the gradient of the whole mini-batch, and all replicas apply the
same update.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from skae._engine.limits import Limits
from skae._engine.losses import Batch, run_steps
from skae._engine.program import Program
from skae._engine.spec import ProgramSpec
from skae._engine.tensorflow import tf
from skae._typing import Array, Tensor

STRATEGIES = (
    tf.distribute.MirroredStrategy,
    tf.distribute.MultiWorkerMirroredStrategy,
    tf.distribute.OneDeviceStrategy,
)

LOST_WORKER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
)


def current_strategy() -> Any:
    """Return the strategy of the caller's scope, or None.

    Raises
    ------
    ValueError
        If it is a strategy that fits cannot use.
    """
    if not tf.distribute.has_strategy():
        return None
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, STRATEGIES):
        known = ", ".join(kind.__name__ for kind in STRATEGIES)
        raise ValueError(
            f"fit needs a strategy that is one of {known}; got a {type(strategy).__name__}: use "
            "another strategy, or call fit outside of strategy.scope()."
        )
    return strategy


class DistributedProgram(Program):
    """A program that has a copy of its variables on each replica, and runs each step on all."""

    def __init__(self, spec: ProgramSpec, strategy: Any, limits: Limits) -> None:
        self.strategy = strategy
        super().__init__(spec, jit=False, limits=limits)
        self.n_local_replicas = len(strategy.extended.worker_devices)
        clips = ("clipnorm", "global_clipnorm", "clipvalue")
        self.clips = any(getattr(self.optimizer, name) is not None for name in clips)

    def _train(
        self,
        inputs: Tensor,
        targets: Tensor,
        weight: Tensor,
        rates: Tensor,
        n_steps: Tensor,
        *extra: Tensor,
    ) -> Tensor:
        self.n_traces += 1

        def step(i: Tensor) -> Tensor:
            self.optimizer.learning_rate.assign(rates[i])
            batch = self._batch(i, (inputs, targets, weight), extra)
            return self._on_replicas(self._train_share, batch)

        return self._sum_over_workers(run_steps(step, n_steps, weight))

    def _evaluate(
        self, inputs: Tensor, targets: Tensor, weight: Tensor, n_steps: Tensor, *extra: Tensor
    ) -> Tensor:
        def step(i: Tensor) -> Tensor:
            batch = self._batch(i, (inputs, targets, weight), extra)
            return self._on_replicas(self._evaluate_share, batch)

        return self._sum_over_workers(run_steps(step, n_steps, weight))

    def _on_replicas(self, function: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
        """Call a function of a mini-batch's share on each replica; sum this worker's results."""

        def call() -> Tensor:
            return function(_share(batch, tf.distribute.get_replica_context()))

        return tf.add_n(self.strategy.experimental_local_results(self.strategy.run(call)))

    def _sum_over_workers(self, losses: Tensor) -> Tensor:
        """Sum the losses over the workers.

        It is called once for each chunk, because every sum sends a message to all other workers.
        """

        def part() -> Tensor:
            return tf.identity(losses) / self.n_local_replicas

        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, self.strategy.run(part), None)

    def _train_share(self, batch: Batch) -> Tensor:
        loss, gradients = self._loss_and_gradients(batch)
        self._apply(None, self._summed(gradients) if self.clips else gradients)
        return loss

    def _summed(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Return the sum of all replicas' gradients on the first replica, and zeros on the others.

        Keras sums gradients over the replicas, but it clips them before that.
        """
        replica = tf.distribute.get_replica_context()
        sums = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        is_first = tf.equal(replica.replica_id_in_sync_group, 0)
        return [tf.where(is_first, gradient, tf.zeros_like(gradient)) for gradient in sums]

    def _evaluate_share(self, batch: Batch) -> Tensor:
        return self._loss(self._values(), batch)


def _share(batch: Batch, replica: Any) -> Batch:
    """Return a replica's rows of a mini-batch, and a seed of its own."""
    number, step = replica.replica_id_in_sync_group, replica.num_replicas_in_sync
    rows = {name: getattr(batch, name)[number::step] for name in ("inputs", "targets", "weight")}
    seed = None if batch.seed is None else tf.random.fold_in(batch.seed, number)
    return batch._replace(**rows, seed=seed)


def has_several_workers(strategy: Any) -> bool:
    """Return whether a strategy spans several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def gather_from_workers(strategy: Any, numbers: Sequence[int]) -> Array:
    """Exchange int32 between the workers.

    Returns
    -------
    everyone : ndarray of shape (n_replicas, n_numbers)
        The numbers of every replica.
    """

    def gather() -> Tensor:
        return strategy.gather(strategy.run(lambda: tf.constant([numbers])), axis=0)

    return tf.function(gather, autograph=False).get_concrete_function()().numpy()


@contextlib.contextmanager
def name_lost_workers(strategy: Any) -> Iterator[None]:
    """Replace TensorFlow's error by one that says that a worker was lost."""
    try:
        yield
    except LOST_WORKER_ERRORS as error:
        if not has_several_workers(strategy):
            raise
        raise RuntimeError(
            "Training stopped because a worker of MultiWorkerMirroredStrategy was lost or did not "
            f"answer in time ({type(error).__name__}): see that worker's log, and start all "
            "workers again. With checkpoint= they continue from the last epoch."
        ) from error
