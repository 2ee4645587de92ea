"""A check that all workers of a cluster are about to train the same network."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from skae._engine.distributed.program import gather_from_workers, has_several_workers
from skae._engine.spec import ProgramSpec
from skae._rows.rows import Rows
from skae._training.checkpoint import Checkpoint
from skae._training.identity import describe_value, fingerprint
from skae._training.plan import Plan, State
from skae._training.watchers.base import Watcher
from skae._training.watchers.early_stopping import EarlyStopping


def check_agreement(
    strategy: Any,
    spec: ProgramSpec,
    rows: Rows,
    validation: Rows | None,
    plan: Plan,
    start: State,
    watchers: Sequence[Watcher],
    checkpoint: Checkpoint | None,
) -> None:
    """Raise ValueError on every worker unless all workers are about to train the same.

    Otherwise the workers would wait for each other without end, or end with different weights.
    """
    if not has_several_workers(strategy):
        return
    saved = checkpoint and checkpoint.saved
    stopping = [watcher for watcher in watchers if isinstance(watcher, EarlyStopping)]
    mine = {
        "random_state (set an integer)": plan.seed,
        "X and X_clean": [fingerprint(matrix) for matrix in rows.matrices],
        "sample_weight": _bytes(rows.weight),
        "X_val": validation and [fingerprint(matrix) for matrix in validation.matrices],
        "parameters": describe_value(
            vars(spec) | vars(plan) | {"seed": None, "stopping": [*map(vars, stopping)]}
        ),
        "the weights to start from": [_bytes(array) for array in start.weights],
        "the epoch in checkpoint (copy one worker's file to the others)": (
            len(saved.history) if saved else 0
        ),
    }
    digests = gather_from_workers(strategy, [_digest(value) for value in mine.values()])
    differing = [name for name, of in zip(mine, digests.T, strict=True) if len(set(of)) > 1]
    if differing:
        raise ValueError(
            f"All workers of a fit must be given the same; they differ in: {'; '.join(differing)}."
        )


def _bytes(array: Any) -> bytes | None:
    return None if array is None else np.asarray(array).tobytes()


def _digest(value: Any) -> int:
    """Return a number of 31 bits that is the same in every process."""
    digest = hashlib.blake2b(repr(value).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
