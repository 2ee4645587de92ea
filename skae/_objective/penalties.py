"""Penalties that training adds to the loss, as frozen values.

Each is multiplied by a weight.  `skae._engine.penalties.values.penalty_value` computes them, and
dispatches on the class.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelL2:
    """The sum of the squares of all kernels; biases are not penalised."""


@dataclass(frozen=True)
class CodeL1:
    """The L1 norm of the code of each row, which makes codes sparse."""


@dataclass(frozen=True)
class Contraction:
    """The squared Frobenius norm of the derivative of each row's code with respect to the row.

    S. Rifai, P. Vincent, X. Muller, X. Glorot and Y. Bengio, "Contractive Auto-Encoders: Explicit
    Invariance During Feature Extraction", 2011.
    """


Penalty = KernelL2 | CodeL1 | Contraction
