"""The estimators: scikit-learn's contract around the engine, and nothing else."""

import inspect
import os
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skae._architecture import ROUTED, Architecture, ValueRange, describe
from skae._checkpoint import Checkpoint
from skae._diagram import Block, fitted, unfitted
from skae._fork import check_not_severed
from skae._forward import Network
from skae._identity import identify
from skae._keras_models import HasKerasModels
from skae._mlflow import log_history
from skae._onnx import ConvertsToOnnx
from skae._parameters import check_number, did_you_mean, make_seed
from skae._progress import progress
from skae._records import Plan, Rows, State, TrainResult
from skae._schedules import SCHEDULES
from skae._sealed import seal, unseal
from skae._tasks import CallbackSupportMixin, tasks, with_callbacks
from skae._typing import Floats, History
from skae._validation import (
    check_clean,
    check_codes,
    check_rows,
    check_weight,
    split_rows,
    unchanged_on_error,
    validation_rows,
    weighted_rows,
)
from skae._versions import stamp, upgrade

if TYPE_CHECKING:  # it imports TensorFlow
    from skae._callbacks import KerasCallbacks

Corruption = tuple[float | None, tuple[float, float] | None]  # the noise's scale, and its clip


class _Autoencoder(
    CallbackSupportMixin,
    HasKerasModels,
    ConvertsToOnnx,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """What the autoencoders share; a subclass says how the inputs are corrupted."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Leave ``**routed`` out of the signature: scikit-learn's checks set each name in it."""
        super().__init_subclass__(**kwargs)
        signature = inspect.signature(cls.__init__)
        named = [p for p in signature.parameters.values() if p.name not in ("self", "routed")]
        cls.__signature__ = signature.replace(parameters=named)

    @abstractmethod
    def _corruption(self, bounded: bool, has_clean: bool) -> Corruption:
        """Return the noise's scale, or None, and its clip, after a check of the parameters.

        ``bounded`` says whether the targets lie in [0, 1], ``has_clean`` whether the user gave
        the inputs as well as the targets.
        """

    # ``out`` is no metadata, to be asked for and routed
    __metadata_request__transform: ClassVar = {"out": UNUSED}
    __metadata_request__inverse_transform: ClassVar = {"out": UNUSED}

    # ------------------------------------------------------------------ parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those routed to the optimizer and the loss included.

        Parameters
        ----------
        deep : bool, default=True
            As for every scikit-learn estimator.

        Returns
        -------
        params : dict
            Values by name.
        """
        routed = {name: value for name, value in vars(self).items() if name.startswith(ROUTED)}
        return super().get_params(deep) | routed

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those routed to the optimizer and the loss included.

        Parameters
        ----------
        **params : dict
            Values by name, such as ``n_components=16`` or ``optimizer__beta_1=0.8``.

        Returns
        -------
        self : estimator
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter, or the optimizer or the loss does not take it.  Then
            nothing is set.
        """
        routed = {name: params[name] for name in params if name.startswith(ROUTED)}
        known = list(self.get_params())
        for name in params:
            if name not in known and name not in routed:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}."
                    f"{did_you_mean(name, known)} Valid parameters are: {sorted(known)}."
                )
        self._check_routed(routed, {**vars(self), **params})
        super().set_params(**{name: params[name] for name in params if name not in routed})
        self.__dict__.update(routed)
        return self

    def _init_routed(self, routed: dict[str, Any]) -> None:
        """Take the constructor's further keywords."""
        for name in routed:
            if not name.startswith(ROUTED):
                known = inspect.signature(type(self)).parameters
                raise TypeError(
                    f"{type(self).__name__} got an unexpected keyword argument {name!r}."
                    f"{did_you_mean(name, [*known, *ROUTED])}"
                )
        self._check_routed(routed, vars(self))
        self.__dict__.update(routed)

    @staticmethod
    def _check_routed(routed: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        if routed:
            from skae._keras import check_option

            for name in routed:
                check_option(name, params["optimizer"], params["loss"])

    def _check_parameters(self) -> None:
        check_number("n_components", self.n_components, low=1, kind=Integral)
        if self.batch_size != "auto":
            check_number("batch_size", self.batch_size, low=1, kind=Integral)
        check_number("epochs", self.epochs, low=1, kind=Integral)
        check_number("n_iter_no_change", self.n_iter_no_change, low=1, kind=Integral)
        check_number("tol", self.tol, low=0)
        if not isinstance(self.verbose, bool | np.bool_):
            check_number("verbose", self.verbose, low=0, kind=Integral)
        check_number("validation_fraction", self.validation_fraction, low=0, high=1, above=True)
        if self.validation_fraction == 1:
            raise ValueError("validation_fraction must be below 1; got 1.")
        if not isinstance(self.checkpoint, str | os.PathLike | None):
            raise TypeError(
                f"checkpoint must be the path of a file or None; got {self.checkpoint!r}."
            )
        if self.learning_rate != "auto":
            check_number("learning_rate", self.learning_rate, low=0, above=True)
        schedule = self.learning_rate_schedule
        if not callable(schedule) and schedule not in list(SCHEDULES):
            raise ValueError(
                f"learning_rate_schedule must be one of {sorted(SCHEDULES)}, or a Keras "
                f"LearningRateSchedule; got {schedule!r}.{did_you_mean(schedule, SCHEDULES)}"
            )

    # ------------------------------------------------------------------ fitting

    def _fit(self, X: Any, y: Any = None, **kwargs: Any) -> Self:
        """Train, and leave the estimator as it was where that fails."""
        check_not_severed()
        with unchanged_on_error(self):
            result: TrainResult = self._train(X, y, **kwargs)
        if not kwargs.get("single_epoch"):
            log_history(self.history_)
        if result.interrupted:
            warnings.warn(
                f"Training was interrupted after {self.n_iter_} whole epochs; the estimator "
                "keeps the weights that it had reached.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    @with_callbacks
    def _train(
        self,
        X: Any,
        y: Any,
        *,
        X_clean: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        X_val_clean: Any = None,
        single_epoch: bool = False,
    ) -> TrainResult:
        """Validate, describe, train, set the attributes."""
        going_on = self.__sklearn_is_fitted__() and (single_epoch or self.warm_start)
        self._check_parameters()
        checkpoint = self._checkpoint(single_epoch)
        X = check_rows(
            self,
            X,
            reset=not (going_on and single_epoch),
            min_samples=1 if single_epoch else 2,
        )
        X_clean = check_clean(self, "X_clean", X_clean, X)
        rows = weighted_rows(self, X, X_clean, sample_weight)
        values = ValueRange(X if X_clean is None else X_clean)
        bounded = self._bounded if going_on else values.within(0, 1)
        shape = len(rows.index), X.shape[1]
        architecture = describe(vars(self), shape, values, bounded=bounded)
        seed = self._seed(checkpoint)
        plan = self._plan(seed, bounded, paired=X_clean is not None, single_epoch=single_epoch)
        rows, validation = self._set_aside(rows, X_val, X_val_clean, plan)
        past = self.history_ if going_on else {}
        start = self._start(architecture, single_epoch) if going_on else None
        if checkpoint is not None:
            checkpoint.claim(identify(self, seed, rows, validation, start))

        callbacks = self._keras_callbacks(architecture)

        from skae._training import train

        def attributes(weights: list[Floats], history: History) -> dict[str, Any]:
            network = Network(weights, architecture.activations, architecture.n_encoder_layers)
            return _attributes(network, history, past) | {"_bounded": bounded}

        result = train(
            architecture,
            rows,
            plan,
            validation=validation,
            start=start,
            callbacks=callbacks,
            watchers=[
                *tasks(self, X, y, attributes),
                *([progress(len(rows.index))] if self.verbose else []),
            ],
            checkpoint=checkpoint,
        )
        self.__dict__.update(attributes(result.weights, result.history))
        self._state = result.state if single_epoch else None
        if callbacks is not None:
            self.callbacks_ = callbacks.callbacks
        return result

    def _keras_callbacks(self, architecture: Architecture) -> "KerasCallbacks | None":
        """Check the callbacks that the parameter names, and bind them to a fit; or return None."""
        if not self.callbacks:
            return None
        from skae._callbacks import KerasCallbacks, check_callbacks

        return KerasCallbacks(check_callbacks(self.callbacks), architecture)

    def _checkpoint(self, single_epoch: bool) -> Checkpoint | None:
        """Open the checkpoint that the parameter names, or return None."""
        if self.checkpoint is None:
            return None
        if single_epoch:
            raise ValueError(
                "checkpoint is for fit, and partial_fit leaves its state in the estimator: pickle "
                f"that, and set checkpoint=None; got checkpoint={self.checkpoint!r}."
            )
        return Checkpoint.open(self.checkpoint)

    def _seed(self, checkpoint: Checkpoint | None) -> int:
        """Draw a seed, or take that of the fit to go on from, where nothing else gives one."""
        if self.random_state is None and checkpoint is not None and checkpoint.seed is not None:
            return checkpoint.seed
        return make_seed(self.random_state)

    def _plan(self, seed: int, bounded: bool, *, paired: bool, single_epoch: bool) -> Plan:
        noise_scale, clip = self._corruption(bounded, paired)
        return Plan(
            epochs=self.epochs,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            schedule=self.learning_rate_schedule,
            seed=seed,
            noise_scale=noise_scale,
            clip=clip,
            patience=self.n_iter_no_change if self.early_stopping and not single_epoch else None,
            tol=self.tol,
            single_epoch=single_epoch,
        )

    def _set_aside(
        self, rows: Rows, X_val: Any, X_val_clean: Any, plan: Plan
    ) -> tuple[Rows, Rows | None]:
        """Return the rows to train on and those to validate on, or None."""
        if X_val is not None:
            paired = rows.targets is not None
            return rows, validation_rows(self, X_val, X_val_clean, paired=paired)
        if plan.patience is not None:
            return split_rows(rows, self.validation_fraction, plan.seed)
        return rows, None

    def _start(self, architecture: Architecture, single_epoch: bool) -> State:
        """Where ``partial_fit`` or a warm start goes on from."""
        from skae._keras import check_names

        check_names(architecture)  # a misspelt activation is first of all misspelt
        for what, name in (("widths", "layer_sizes"), ("activations", "activations")):
            there, wanted = getattr(self._network, name), getattr(architecture, name)
            if there != wanted:
                raise ValueError(
                    f"{type(self).__name__} goes on from a network of {what} {there}, but its "
                    f"parameters and X describe {wanted}: keep the {what}, or fit with "
                    "warm_start=False."
                )
        if single_epoch and self._state is not None:
            return self._state
        return State(list(self._network.weights), n_epochs=self.n_iter_)

    # ------------------------------------------------------------------ using what was fitted

    def transform(self, X: Any, *, out: Any = None) -> Any:
        """Encode rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            Rows like those seen in `fit`; a source is read in blocks.
        out : array of shape (n_samples, n_components), default=None
            Where the result goes, such as a `numpy.memmap` or an HDF5 dataset of a floating-point
            dtype; it is then what is returned.  Its first row is NaN until all rows are there.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_components)
            The codes: float32 where X is, else float64.

        Raises
        ------
        ValueError
            If X does not have the features seen in `fit`, or holds NaN, infinity or masked values,
            or numbers so large that a code is beyond the dtype of the result.
        """
        check_is_fitted(self)
        return self._network.encode(check_rows(self, X, finite=False), out)

    def inverse_transform(self, X: Any, *, out: Any = None) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : {array-like, source} of shape (n_samples, n_components)
            Codes like those that `transform` returns; a source is read in blocks.
        out : array of shape (n_samples, n_features), default=None
            Where the result goes, such as a `numpy.memmap` or an HDF5 dataset of a floating-point
            dtype; it is then what is returned.  Its first row is NaN until all rows are there.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            The reconstructed rows: float32 where X is, else float64.

        Raises
        ------
        ValueError
            If X does not have `n_components` features, or holds NaN, infinity or masked values,
            or numbers so large that a row is beyond the dtype of the result.
        """
        check_is_fitted(self)
        return self._network.decode(check_codes(self, X, self._n_features_out), out)

    def reconstruct(self, X: Any, *, out: Any = None) -> Any:
        """Encode rows and decode them again.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            Rows like those seen in `fit`; a source is read in blocks.
        out : array of shape (n_samples, n_features), default=None
            Where the result goes, such as a `numpy.memmap` or an HDF5 dataset of a floating-point
            dtype; it is then what is returned.  Its first row is NaN until all rows are there.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            float32 where X is, else float64.

        Raises
        ------
        ValueError
            If X does not have the features seen in `fit`, or holds NaN, infinity or masked values,
            or numbers so large that a row is beyond the dtype of the result.
        """
        check_is_fitted(self)
        return self._network.reconstruct(check_rows(self, X, finite=False), out)

    def score_samples(self, X: Any, *, out: Any = None) -> Any:
        """Measure how well each row is reconstructed.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            Rows like those seen in `fit`; a source is read in blocks.
        out : array of shape (n_samples,), default=None
            Where the result goes, such as a `numpy.memmap` or an HDF5 dataset of a floating-point
            dtype; it is then what is returned.  Its first row is NaN until all rows are there.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean squared error over the features of each row, in squared units of X:
            at most 0, and the higher the better.

        Raises
        ------
        ValueError
            If X does not have the features seen in `fit`, or holds NaN, infinity or masked values,
            or numbers so large that a score is beyond the dtype of the result.
        """
        check_is_fitted(self)
        return self._network.scores(check_rows(self, X, finite=False), out)

    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:
        """Measure how well rows are reconstructed on the whole.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            Rows like those seen in `fit`; a source is read in blocks.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts.  Not negative, and not zero for all.

        Returns
        -------
        score : float
            Mean of `score_samples`, weighted where there are weights: higher is better, and 0 is
            perfect.  Computed in float64 and rounded to the seven digits that the weights, which
            are float32, give a meaning to: so it does not depend on the number of threads, by
            which a BLAS rounds its products.
        """
        check_is_fitted(self)
        X = check_rows(self, X, finite=False)
        scores = self._network.scores(X, dtype=np.dtype(np.float64))
        weight = None if sample_weight is None else check_weight(self, scores, sample_weight)
        with np.errstate(over="ignore"):
            mean = np.average(scores, weights=weight)
        if not np.isfinite(mean):
            raise ValueError("The sum of the scores is beyond float64: scale X as the rows of fit.")
        return float(f"{mean:.7g}")

    @property
    def _n_features_out(self) -> int:
        return self._network.layer_sizes[self._network.n_encoder_layers]

    # ------------------------------------------------------------------ scikit-learn's protocol

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_network")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _sk_visual_block_(self) -> Block:
        return fitted(self._network) if self.__sklearn_is_fitted__() else unfitted(self)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        if "_keras_models" in state:
            state["_keras_models"] = None
        state.pop("callbacks_", None)  # they may hold open files
        return seal(stamp(state))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unseal(upgrade(state, type(self))))


def _attributes(network: Network, history: History, past: History) -> dict[str, Any]:
    """Return the fitted attributes; the history goes on from that of ``past`` epochs."""
    history = {name: past.get(name, []) + history.get(name, []) for name in past | history}
    return {
        "_network": network,
        "_keras_models": None,
        "history_": history,
        "n_iter_": len(history.get("loss", ())),
    }
