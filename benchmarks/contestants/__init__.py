"""The contestants.  Each module has a class ``Training`` with

- ``Training(X, X_test)``: everything before the first step, without compilation;
- ``epochs(n)``: train ``n`` more epochs;
- ``errors()``: ``{"bce": ..., "mse": ...}`` on the test rows, or None;

and some have ``encode()``, of all rows, and ``encode_row()``, of one.  A module imports its
framework at the top, because it is loaded in the contestant's own process only.
"""

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Contestant:
    module: str
    package: str  # the package that has to be installed
    remark: str = ""

    @property
    def target(self):
        return f"benchmarks.contestants.{self.module}:Training"

    @property
    def installed(self):
        return find_spec(self.package) is not None


SKAE, ARTICLE, JAX, FLOOR = "skae", "Keras, article's recipe", "JAX lax.scan", "NumPy products"
SQUARED = "trains a linear output on squared error"

CONTESTANTS = {
    SKAE: Contestant("skae_fit", "skae"),
    ARTICLE: Contestant("article", "keras", "with its metric and validation in every epoch"),
    "Keras, tuned": Contestant("keras_tuned", "keras", "XLA, steps_per_execution, no metric"),
    "scikeras": Contestant("scikeras_fit", "scikeras", "no metric, no validation"),
    "PyTorch, eager": Contestant("torch_eager", "torch"),
    "PyTorch, compiled": Contestant("torch_compiled", "torch"),
    JAX: Contestant("jax_scan", "jax"),
    "MLPRegressor": Contestant("mlp_regressor", "sklearn", SQUARED),
    "PyOD AutoEncoder": Contestant("pyod_autoencoder", "pyod", f"{SQUARED}; drops the last batch"),
    "encdr": Contestant("encdr_lightning", "encdr", f"{SQUARED}; linear code"),
    FLOOR: Contestant("floor", "numpy", "the matrix products alone: the floor"),
}


def installed():
    """Split the contestants: targets of those that can run, and names of those that cannot."""
    targets = {name: c.target for name, c in CONTESTANTS.items() if c.installed}
    return targets, [name for name in CONTESTANTS if name not in targets]
