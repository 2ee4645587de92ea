"""scikit-learn's own callbacks, which exist since scikit-learn 1.9."""

from collections.abc import Callable
from typing import Any

from skae._rows.sources import Source
from skae._training.plan import columns
from skae._training.watchers.base import Running, Watcher
from skae._typing import Floats, History

try:
    from sklearn.callback import CallbackSupportMixin, FitCallback, with_callbacks
except ImportError:  # scikit-learn 1.7 and 1.8 have no callbacks
    CallbackSupportMixin = type("CallbackSupportMixin", (), {})
    FitCallback = None

    def with_callbacks(method: Any) -> Any:
        return method


__all__ = ["CallbackSupportMixin", "sklearn_callbacks", "with_callbacks"]

MakeFitted = Callable[[list[Floats], History], dict[str, Any]]


def sklearn_callbacks(
    estimator: Any, X: Any, y: Any, fitted: MakeFitted
) -> list["SklearnCallbacks"]:
    """Return the watcher that calls scikit-learn's callbacks, or an empty list without any.

    If the user gave no ``y``, the callbacks get X as ``y``, because the network must reconstruct X.
    `sklearn.callback.ScoringMonitor` computes no score without ``y``.
    """
    if FitCallback is None or not _has_callbacks(estimator):
        return []
    X = X.data if isinstance(X, Source) else X  # the user's own object
    return [SklearnCallbacks(estimator, {"X": X, "y": X if y is None else y}, fitted)]


class SklearnCallbacks(Watcher):
    """Report a fit to scikit-learn's callbacks as a task, and each of its epochs as a subtask.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted, and that has the callbacks.
    data : dict
        The X and the y that the callbacks get.
    fitted : callable
        Function that makes the fitted attributes from weights and a history, for callbacks that
        ask for a fitted estimator.
    """

    def __init__(self, estimator: Any, data: dict[str, Any], fitted: MakeFitted) -> None:
        self.estimator, self.data, self.fitted = estimator, data, fitted

    def begin(self, fit: Running) -> None:
        self.fit = fit
        self.task = self.estimator._init_callback_context(max_subtasks=fit.epochs)
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def begin_epoch(self, epoch: int) -> None:
        self.epoch_task = self.task.subcontext(task_name="epoch")
        self.epoch_task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_epoch(self, epoch: int, record: dict[str, float]) -> bool:
        return self._end(self.epoch_task)

    def end(self) -> None:
        self._end(self.task)

    def _end(self, task: Any) -> bool:
        return bool(
            task.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes=self._attributes, **self.data
            )
        )

    def _attributes(self) -> dict[str, Any]:
        return self.fitted(self.fit.result_weights(), columns(self.fit.history))


def _has_callbacks(estimator: Any) -> bool:
    """Return whether the user, or an enclosing search, gave the estimator scikit-learn's callbacks.

    The attribute that holds them has no public name, but their class has.
    """
    lists = [value for value in vars(estimator).values() if isinstance(value, list)]
    return any(isinstance(item, FitCallback) for value in lists for item in value)
