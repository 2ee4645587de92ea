"""The loss curve in MLflow, if the user has called ``mlflow.sklearn.autolog()``."""

import itertools
import sys
import time
import warnings

from skae._training.plan import appended, columns
from skae._training.watchers.base import Running, Watcher
from skae._typing import History

BATCH = 1000  # MLflow takes at most this many metrics at once


def mlflow_loggers(past: History) -> list["MlflowLogger"]:
    """Return a logger in a list, or an empty list if nobody has switched autologging on."""
    return [MlflowLogger(past)] if "mlflow.sklearn" in sys.modules else []


class MlflowLogger(Watcher):
    """Log each epoch's numbers to the active run, if there is one and autologging is on.

    MLflow patches scikit-learn's classes.  So it records the fit of a `Pipeline`, but not the fits
    of the pipeline's steps.  The second fit in a run, of another fold for example, is logged as
    ``loss_2``, the third as ``loss_3``.

    Parameters
    ----------
    past : dict of str to list of float
        History of the fits that this one continues.
    """

    follows_epochs = False  # a fit is as fast as without MLflow, which is often only imported

    def __init__(self, past: History) -> None:
        self.past = past

    def begin(self, fit: Running) -> None:
        self.fit = fit

    def end(self) -> None:
        try:
            log_history(appended(self.past, columns(self.fit.history)))
        except Exception as error:  # a fit must not be lost because a server does not answer
            warnings.warn(f"The loss curve could not be logged to MLflow: {error}", stacklevel=2)


def log_history(history: History) -> None:
    """Log the numbers of all epochs to the active run, if there is one and autologging is on."""
    import mlflow
    from mlflow.utils.autologging_utils import autologging_is_disabled

    run = mlflow.active_run()
    if run is None or autologging_is_disabled(mlflow.sklearn.FLAVOR_NAME):
        return
    client, run_id, now = mlflow.MlflowClient(), run.info.run_id, int(1000 * time.time())
    known = client.get_run(run_id).data.metrics
    n = next(n for n in itertools.count(1) if _key("loss", n) not in known)
    metrics = [
        mlflow.entities.Metric(_key(name, n), value, now, step)
        for name, values in history.items()
        for step, value in enumerate(values)
    ]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def _key(name: str, n: int) -> str:
    return name if n == 1 else f"{name}_{n}"
