"""scikit-learn's own callbacks, which came with its version 1.9."""

from collections.abc import Callable
from typing import Any

from skae._sources import Source
from skae._typing import Floats, History
from skae._watchers import Watcher

try:
    from sklearn.callback import CallbackSupportMixin, FitCallback, with_callbacks
except ImportError:  # scikit-learn 1.7 and 1.8 have none
    CallbackSupportMixin = type("CallbackSupportMixin", (), {})
    FitCallback = None

    def with_callbacks(method: Any) -> Any:
        return method


__all__ = ["CallbackSupportMixin", "tasks", "with_callbacks"]

MakeFitted = Callable[[list[Floats], History], dict[str, Any]]


class Tasks(Watcher):
    """Report a fit to scikit-learn's callbacks as a task, and each of its epochs as a subtask.

    Parameters
    ----------
    estimator : estimator
        The one that is fitted, whose callbacks are told.
    data : dict
        X and y as the callbacks get them.
    fitted : callable
        Makes the fitted attributes, of weights and a history, for callbacks which ask for a fitted
        estimator.
    """

    def __init__(self, estimator: Any, data: dict[str, Any], fitted: MakeFitted) -> None:
        self.estimator, self.data, self.fitted = estimator, data, fitted

    def begin(self, fit: Any) -> None:
        self.fit = fit
        self.task = self.estimator._init_callback_context(max_subtasks=fit.epochs)
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def begin_epoch(self, epoch: int) -> None:
        self.epoch_task = self.task.subcontext(task_name="epoch")
        self.epoch_task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_epoch(self, epoch: int, record: dict[str, float]) -> object:
        return self._end(self.epoch_task)

    def end(self) -> None:
        self._end(self.task)

    def _end(self, task: Any) -> object:
        return task.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.fitted(self.fit.weights(), self.fit.columns()),
            **self.data,
        )


def tasks(estimator: Any, X: Any, y: Any, fitted: MakeFitted) -> list[Tasks]:
    """Return the watchers that tell scikit-learn's callbacks: one, or none where there are none.

    Where the user gave no ``y`` the callbacks get X, which is what the network has to give
    back: `sklearn.callback.ScoringMonitor` scores nothing without.
    """
    if FitCallback is None or not _has_callbacks(estimator):
        return []
    X = X.data if isinstance(X, Source) else X  # the user's own
    return [Tasks(estimator, {"X": X, "y": X if y is None else y}, fitted)]


def _has_callbacks(estimator: Any) -> bool:
    """Whether the user, or an enclosing search, gave the estimator callbacks of scikit-learn's.

    Where they are kept has no public name, but what they are has.
    """
    lists = [value for value in vars(estimator).values() if isinstance(value, list)]
    return any(isinstance(item, FitCallback) for value in lists for item in value)
