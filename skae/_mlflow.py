"""The loss curve in MLflow, where the user has called ``mlflow.sklearn.autolog()``."""

import itertools
import sys
import time
import warnings

from skae._typing import History

BATCH = 1000  # the most metrics that MLflow takes at once


def log_history(history: History) -> None:
    """Log each epoch's numbers to the active run, if autologging is on and there is one.

    MLflow patches scikit-learn's classes, and so records what a `Pipeline` does, but not what is
    within.  The second fit in a run, as of a fold, is logged as ``loss_2`` and so on.
    """
    if "mlflow.sklearn" not in sys.modules:  # else nobody can have turned it on
        return
    try:
        _log(history)
    except Exception as error:  # a server that is away must not cost the fit
        warnings.warn(f"The loss curve could not be logged to MLflow: {error}", stacklevel=2)


def _log(history: History) -> None:
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
