"""One call of `fit` or `partial_fit`: check, describe, train, set the fitted attributes."""

import dataclasses
import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sklearn.exceptions import ConvergenceWarning

from skae._checks import is_auto, make_seed, unchanged_on_error
from skae._corruption.base import Corruption
from skae._corruption.columns import by_column
from skae._engine.spec import ProgramSpec
from skae._estimators.assessment import calibrate, warn_unless_converged
from skae._estimators.describe import describe, penalty_weights, takes_gaps
from skae._estimators.inputs import (
    check_clean,
    check_known,
    check_labels,
    check_rows,
    validation_rows,
    weighted_rows,
)
from skae._estimators.other_units import warn_of_lost_digits, warn_of_other_units
from skae._estimators.parameters import check_continues_tied, check_parameters
from skae._estimators.routing import routed_parameters
from skae._interop.keras_models import eager_fallback
from skae._network.inference import Network
from skae._network.tables import Probabilities
from skae._objective.column_weights import column_weights
from skae._process import check_not_forked, tensorflow_is_loaded
from skae._rows.rows import Rows, ValueRange, split_rows
from skae._tables.inputs import table_of
from skae._training.checkpoint import Checkpoint
from skae._training.condition import condition
from skae._training.identity import fingerprint_fit
from skae._training.plan import Plan, State, TrainResult, appended
from skae._training.seeds import Stream, generator
from skae._training.watchers.base import Watcher
from skae._training.watchers.early_stopping import EarlyStopping
from skae._training.watchers.mlflow import mlflow_loggers
from skae._training.watchers.progress import progress
from skae._training.watchers.sklearn_callbacks import sklearn_callbacks, with_callbacks
from skae._typing import Array, Floats, History

if TYPE_CHECKING:
    from skae._interop.keras_callbacks import KerasCallbacks
    from skae._tables.table import Table

# early_stopping="auto" sets rows aside from this many: a tenth of fewer rows says little, and more
# rows are hardly overfitted in 20 epochs.
FEW_ROWS = range(20, 10_000)


@dataclass(frozen=True)
class Data:
    """The arguments of a call of `fit` or `partial_fit`."""

    X: Any
    y: Any = None
    sample_weight: Any = None
    X_val: Any = None
    X_clean: Any = None
    X_val_clean: Any = None


@dataclass(frozen=True)
class Job:
    """A fit, checked and described.

    ``whole`` has the rows that early stopping set aside, too.  ``stops_early`` is True if it
    watches ``validation``.  ``bounded`` is True if the values to reconstruct fill [0, 1].  ``past``
    is the history of the fits that this one continues.
    """

    spec: ProgramSpec
    rows: Rows
    whole: Rows
    plan: Plan
    validation: Rows | None
    stops_early: bool
    start: State | None
    checkpoint: Checkpoint | None
    bounded: bool
    past: History


def fit(estimator: Any, data: Data, *, single_epoch: bool = False) -> None:
    """Fit an estimator; leave it unchanged if that fails."""
    check_not_forked()
    if tensorflow_is_loaded():
        from skae._engine.tensorflow import check_settings

        check_settings()
    with unchanged_on_error(estimator):
        job, result = _fit(estimator, data, single_epoch)
    if result.interrupted:
        warnings.warn(
            f"Training was interrupted after {estimator.n_iter_} whole epochs; the estimator "
            "keeps the weights that it had reached.",
            ConvergenceWarning,
            stacklevel=3,
        )
    elif not single_epoch:
        warn_unless_converged(estimator._network, job.rows, result.history)


@with_callbacks
def _fit(estimator: Any, data: Data, single_epoch: bool) -> tuple[Job, TrainResult]:
    job = _describe_job(estimator, data, single_epoch)
    callbacks = _keras_callbacks(estimator, job.spec)
    result = _train(estimator, data, job, callbacks)
    vars(estimator).update(_attributes(job, result.weights, result.history))
    estimator._state = result.state if single_epoch else None
    if callbacks is not None:
        estimator.callbacks_ = callbacks.callbacks
    return job, result


def _describe_job(estimator: Any, data: Data, single_epoch: bool) -> Job:
    """Check parameters and data, and describe the fit."""
    continues = estimator.__sklearn_is_fitted__() and (single_epoch or estimator.warm_start)
    check_parameters(estimator)
    checkpoint = _open_checkpoint(estimator, single_epoch)
    rows = _read_rows(estimator, data, continues, single_epoch)
    values = ValueRange(rows.matrices[-1])
    check_known(estimator, values)
    table = table_of(estimator)
    bounded = estimator._bounded if continues else table is None and values.fills_unit_interval()
    of_columns = _column_weights(estimator, table)
    spec = _describe(estimator, rows, values, bounded, of_columns is not None)
    corruption = estimator._corruption(bounded, rows.targets is not None, estimator.n_features_in_)
    if table is not None:
        corruption = by_column(corruption, spec.network.table, table.order, len(table.columns))
    plan = _make_plan(estimator, corruption, _seed(estimator, checkpoint), single_epoch)
    stops_early = not single_epoch and _stops_early(estimator, len(rows.index))
    whole = rows
    rows, validation = _set_aside(estimator, data, rows, spec, plan.seed if stops_early else None)
    warn_of_lost_digits(rows)
    warn_of_other_units(rows, validation if data.X_val is not None else None)
    start = _start(estimator, spec, single_epoch) if continues else None
    conditioning, start = condition(spec, rows, start)
    plan = dataclasses.replace(plan, conditioning=conditioning, column_weights=of_columns)
    if checkpoint is not None:
        checkpoint.check_same_fit(fingerprint_fit(estimator, plan.seed, rows, validation, start))
    past = estimator.history_ if continues else {}
    return Job(spec, rows, whole, plan, validation, stops_early, start, checkpoint, bounded, past)


def _train(estimator: Any, data: Data, job: Job, callbacks: "KerasCallbacks | None") -> TrainResult:
    from skae._training.fit import train

    return train(
        job.spec,
        job.rows,
        job.plan,
        validation=job.validation,
        start=job.start,
        watchers=list(_watchers(estimator, data, job, callbacks)),
        checkpoint=job.checkpoint,
        limits=estimator._limits,
    )


def _watchers(
    estimator: Any, data: Data, job: Job, callbacks: "KerasCallbacks | None"
) -> Iterator[Watcher]:
    """Yield the watchers of a fit.

    Early stopping comes first, because it must see an epoch's weights before callbacks change them.
    """
    whole_fit = not job.plan.single_epoch
    if job.stops_early:
        conditioning = job.plan.conditioning
        factor = 1.0 if conditioning is None else conditioning.loss_factor
        yield EarlyStopping(estimator.n_iter_no_change, estimator.tol * factor)
    if callbacks is not None:
        yield callbacks
    yield from sklearn_callbacks(estimator, data.X, data.y, functools.partial(_attributes, job))
    if estimator.verbose:
        yield progress(len(job.rows.index))
    if whole_fit:
        yield from mlflow_loggers(job.past)


def _attributes(job: Job, weights: list[Floats], history: History) -> dict[str, Any]:
    of_columns = job.plan.column_weights
    network = Network(job.spec.network, weights, eager_fallback, column_weights=of_columns)
    if not job.plan.single_epoch:
        network = calibrate(network, job.spec.objective, job.whole)
    conditioning = job.plan.conditioning
    scale = 1.0 if conditioning is None else conditioning.scale
    return fitted_attributes(network, appended(job.past, history)) | {
        "_bounded": job.bounded,
        "_tied_scale": scale if job.spec.tied else None,
    }


def fitted_attributes(network: Network, history: History) -> dict[str, Any]:
    """Return the attributes of an estimator that has this network."""
    return {
        "_network": network,
        "_keras_models": None,
        "history_": history,
        "n_iter_": len(history.get("loss", ())),
    }


def _open_checkpoint(estimator: Any, single_epoch: bool) -> Checkpoint | None:
    """Open the checkpoint that the parameter names, or return None."""
    if estimator.checkpoint is None:
        return None
    if single_epoch:
        raise ValueError(
            "checkpoint is for fit; partial_fit keeps its state in the estimator.  Pickle the "
            f"estimator, and set checkpoint=None; got checkpoint={estimator.checkpoint!r}."
        )
    return Checkpoint.open(estimator.checkpoint)


def _read_rows(estimator: Any, data: Data, continues: bool, single_epoch: bool) -> Rows:
    """Check and return the rows to train on, their clean rows and their weights."""
    # A table keeps its scales and categories, because the network knows no others.
    keeps = single_epoch or table_of(estimator) is not None
    reset = not (continues and keeps)
    gaps, min_samples = takes_gaps(vars(estimator)), 1 if single_epoch else 2
    X = check_rows(
        estimator, data.X, reset=reset, min_samples=min_samples, gaps=gaps, learn=not continues
    )
    check_labels(data.y)
    X_clean = check_clean(estimator, "X_clean", data.X_clean, X)
    return weighted_rows(estimator, X, X_clean, data.sample_weight)


def _column_weights(estimator: Any, table: "Table | None") -> Array | None:
    """Return the weights of the columns in the order of the network's outputs; None if equal."""
    names = getattr(estimator, "feature_names_in_", None) if table is None else table.names
    order = None if table is None else table.order
    return column_weights(estimator.feature_weights, estimator.n_features_in_, names, order)


def _describe(
    estimator: Any, rows: Rows, values: ValueRange, bounded: bool, weighted: bool
) -> ProgramSpec:
    shape = len(rows.index), rows.inputs.shape[1]
    routed = routed_parameters(estimator)
    table = table_of(estimator)
    layer = None if table is None else Probabilities(*table.layout)
    return describe(
        vars(estimator), routed, shape, values, bounded=bounded, table=layer, weighted=weighted
    )


def _seed(estimator: Any, checkpoint: Checkpoint | None) -> int:
    """Draw the seed, or take the one in the checkpoint if there is no ``random_state``."""
    if estimator.random_state is None and checkpoint is not None and checkpoint.seed is not None:
        return checkpoint.seed
    return make_seed(estimator.random_state)


def _make_plan(
    estimator: Any, corruption: Corruption | None, seed: int, single_epoch: bool
) -> Plan:
    return Plan(
        epochs=estimator.epochs,
        optimizer=estimator.optimizer,
        learning_rate=estimator.learning_rate,
        schedule=estimator.learning_rate_schedule,
        seed=seed,
        init=estimator.init,
        corruption=corruption,
        strengths=penalty_weights(vars(estimator)),
        single_epoch=single_epoch,
    )


def _stops_early(estimator: Any, n_rows: int) -> bool:
    """Return whether a fit of this many rows stops early."""
    if is_auto(estimator.early_stopping):
        return n_rows in FEW_ROWS
    return bool(estimator.early_stopping)


def _set_aside(
    estimator: Any, data: Data, rows: Rows, spec: ProgramSpec, seed: int | None
) -> tuple[Rows, Rows | None]:
    """Return the rows to train on, and the rows to validate on or None.

    ``seed`` chooses the rows of early stopping; None sets none of the rows aside.
    """
    if data.X_val is not None:
        return rows, _read_validation(estimator, data, spec, paired=rows.targets is not None)
    if data.X_val_clean is not None:
        raise ValueError(
            "X_val_clean has no effect without X_val: also give X_val, or leave out X_val_clean."
        )
    if seed is not None:
        rng = generator(seed, Stream.SPLIT)
        return split_rows(rows, estimator.validation_fraction, rng)
    return rows, None


def _read_validation(estimator: Any, data: Data, spec: ProgramSpec, *, paired: bool) -> Rows:
    """Check and return the user's validation rows."""
    validation = validation_rows(estimator, data.X_val, data.X_val_clean, paired=paired)
    values = ValueRange(validation.matrices[-1])
    name = "X_val_clean" if paired else "X_val"
    spec.objective.check(spec.network.activations[-1], values, name)
    return validation


def _start(estimator: Any, spec: ProgramSpec, single_epoch: bool) -> State:
    """Return the state that `partial_fit` or a warm start continues from."""
    from skae._engine.lookup.names import check_names

    check_names(spec)  # a misspelt activation is reported as such, not as another network
    for name in ("widths", "encoder_widths", "activations", "shapes"):
        there, wanted = getattr(estimator._network.spec, name), getattr(spec.network, name)
        if there != wanted:
            what = name.replace("_", " ")
            raise ValueError(
                f"{type(estimator).__name__} continues from a network of {what} {there}, but its "
                f"parameters and X describe {wanted}: keep the {what}, or fit with "
                "warm_start=False."
            )
    scale = check_continues_tied(estimator, spec.conditioned) if spec.tied else 1.0
    if single_epoch and estimator._state is not None:
        return estimator._state
    return State(list(estimator._network.weights), n_epochs=estimator.n_iter_, scale=scale)


def _keras_callbacks(estimator: Any, spec: ProgramSpec) -> "KerasCallbacks | None":
    """Check the callbacks that the parameter names, and bind them to a fit; or return None."""
    if estimator.callbacks is None:
        return None
    from skae._interop.keras_callbacks import KerasCallbacks, check_callbacks

    callbacks = check_callbacks(estimator.callbacks)
    return KerasCallbacks(callbacks, spec) if callbacks else None
