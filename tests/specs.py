"""Specs of small programs, and their weights, for tests of the engine."""

import numpy as np

from skae._engine.limits import Limits
from skae._engine.program import Program
from skae._engine.spec import ProgramSpec
from skae._network.spec import dense_autoencoder
from skae._objective.objective import Objective
from skae._training.start import initial_weights

NETWORK = {
    "n_features": 6, "hidden_layer_sizes": (5,), "n_components": 2, "decoder_layer_sizes": None,
    "activation": "tanh",
    "code_activation": "linear", "output_activation": "linear", "dropout": 0.0, "shortcut": False,
    "gaps": False,
}  # fmt: skip
OBJECTIVE = {
    "loss": "mean_squared_error", "loss_options": (), "penalties": (), "shown_weight": 1.0,
}  # fmt: skip
PROGRAM = {
    "optimizer": "sgd", "optimizer_options": (), "metrics": (), "batch_size": 8,
    "compute_dtype": "float32", "tied": False,
}  # fmt: skip


def make_spec(**changes):
    """Describe a small program; ``changes`` are values by the names in the tables above."""
    known = NETWORK | OBJECTIVE | PROGRAM
    assert changes.keys() <= known.keys()
    values = known | changes
    objective = Objective(*(values[name] for name in OBJECTIVE))
    return ProgramSpec(
        dense_autoencoder(**{name: values[name] for name in NETWORK}),
        objective,
        **{name: values[name] for name in PROGRAM},
    )


def make_program(spec, *, jit=False, seed=0):
    """Make a program that has the weights of `random_weights`."""
    program = Program(spec, jit, Limits())
    program.reset(random_weights(spec.network, seed))
    return program


def random_weights(network, seed=0):
    """Draw weights without zeros: no unit starts at a kink or dead, and every gradient counts."""
    rng = np.random.default_rng(seed)
    return [
        array if array.any() else rng.normal(0, 0.3, array.shape).astype(np.float32)
        for array in initial_weights(network, seed)
    ]
