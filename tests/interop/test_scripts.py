"""Functions and classes that a user defines in a script reach other processes."""

import subprocess
import sys

import pytest

SCRIPT = """
import copy, functools, pickle, sys
import cloudpickle, joblib, keras, numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skae import DeepAutoencoder, DenoisingAutoencoder
ops = keras.ops

def own_loss(y_true, y_pred):
    return ops.mean(abs(y_true - y_pred), axis=-1)

def powered(y_true, y_pred, power):
    return ops.mean(abs(y_true - y_pred) ** power, axis=-1)

def powered_by(power):
    return lambda y_true, y_pred: powered(y_true, y_pred, power)

class OwnLoss(keras.losses.Loss):
    def __init__(self, factor=2.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * own_loss(y_true, y_pred)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

class OwnMetric(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(ops.max(abs(y_true - y_pred), axis=-1), sample_weight)

@keras.saving.register_keras_serializable()
class RegisteredLoss(OwnLoss):
    pass

@keras.saving.register_keras_serializable()
def registered_activation(h):
    return ops.tanh(h) + 1

class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, h):
        return self.factor * h

class OwnCallback(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = self.model.optimizer.learning_rate * 0.5

class OwnSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.01 / (1 + step)

    def get_config(self):
        return {}

CASES = {
    "functions": {
        "loss": own_loss, "activation": lambda h: ops.tanh(h), "metrics": own_loss,
        "callbacks": OwnCallback(), "learning_rate_schedule": lambda step: 0.01 / (1 + step),
    },
    "objects": {
        "loss": OwnLoss(3.0), "metrics": [OwnMetric(), "mae"], "code_activation": Scaled(2.0),
        "learning_rate_schedule": OwnSchedule(),
        "callbacks": [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)],
    },
    "registered": {"loss": RegisteredLoss(3.0), "activation": registered_activation},
    "closure": {"loss": powered_by(1.5), "output_activation": Scaled(0.5).__call__},
    "partial": {"loss": functools.partial(powered, power=1.5)},
    "class": {"loss": OwnLoss, "loss__factor": 4.0},
}

if __name__ == "__main__":
    X = np.random.default_rng(0).normal(size=(60, 6)).astype("float32")
    params = CASES[sys.argv[1]]
    kind = DenoisingAutoencoder if sys.argv[1] == "objects" else DeepAutoencoder
    estimator = kind(2, hidden_layer_sizes=(4,), epochs=2, random_state=0, **params)
    alone, together = (cross_val_score(estimator, X, n_jobs=n, cv=2) for n in (1, 2))
    assert (alone == together).all(), (alone, together)
    search = GridSearchCV(estimator, {"n_components": [1, 2]}, cv=2, n_jobs=2).fit(X)
    codes = clone(estimator).fit(X).transform(X)
    fitted = clone(estimator).fit(X)
    for copied in (
        pickle.loads(pickle.dumps(fitted)), cloudpickle.loads(cloudpickle.dumps(fitted)),
        copy.deepcopy(fitted), copy.copy(fitted), pickle.loads(pickle.dumps(estimator)).fit(X),
        pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(fitted)))),
    ):
        assert (copied.transform(X) == codes).all()
        assert (copied.fit(X).transform(X) == codes).all()
    pipeline = make_pipeline(StandardScaler(), estimator).fit(X)
    np.savez("expected.npz", X=X, codes=pipeline.transform(X))
    joblib.dump(pipeline, "pipeline.joblib")
    with open("pipeline.pickle", "wb") as file:
        pickle.dump(pipeline, file)
"""

LOAD = """
import pickle, joblib, numpy as np
expected = np.load("expected.npz")
with open("pipeline.pickle", "rb") as file:
    pipelines = [pickle.load(file), joblib.load("pipeline.joblib")]
for pipeline in pipelines:
    assert (pipeline.transform(expected["X"]) == expected["codes"]).all()
"""


def run(*arguments, folder):
    command = [sys.executable, "-W", "ignore", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "case", ["functions", "objects", "registered", "closure", "partial", "class"]
)
def test_definitions_reach_other_processes(case, tmp_path):
    """A search in parallel gives the same scores, and another process loads what is saved."""
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    run("script.py", case, folder=tmp_path)
    run("-c", LOAD, folder=tmp_path)


REGISTERED = """
import keras
@keras.saving.register_keras_serializable()
class RegisteredLoss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean(abs(y_true - y_pred), axis=-1)
"""

SAVE = """
import pickle, numpy as np
from own_losses import RegisteredLoss
from skae import DeepAutoencoder
X = np.random.default_rng(0).normal(size=(60, 6))
estimator = DeepAutoencoder(2, epochs=1, random_state=0, loss=RegisteredLoss()).fit(X)
np.savez("expected.npz", X=X, codes=estimator.transform(X))
with open("estimator.pickle", "wb") as file:
    pickle.dump(estimator, file)
"""

LOAD_WITHOUT = """
import pickle, numpy as np
expected = np.load("expected.npz")
with open("estimator.pickle", "rb") as file:
    estimator = pickle.load(file)
assert (estimator.transform(expected["X"]) == expected["codes"]).all()
try:
    estimator.fit(expected["X"])
except ValueError as error:
    assert str(error).startswith("loss could not be loaded with this estimator"), error
    assert "own_losses" in str(error), error
else:
    raise AssertionError("fit needs the loss")
"""


def test_registered_loss_may_be_missing(tmp_path):
    """A file transforms in a process that lacks the class of its loss; `fit` asks for it."""
    module = tmp_path / "own_losses.py"
    module.write_text(REGISTERED, encoding="utf-8")
    (tmp_path / "save.py").write_text(SAVE, encoding="utf-8")
    run("save.py", folder=tmp_path)
    module.unlink()
    run("-c", LOAD_WITHOUT, folder=tmp_path)
