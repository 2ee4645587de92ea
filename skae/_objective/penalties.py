"""Penalties that training adds to the loss, as frozen values.

Each is multiplied by a weight.  `skae._engine.losses.penalty_value` computes them, and dispatches
on the class.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelL2:
    """The sum of the squares of all kernels; biases are not penalised."""


@dataclass(frozen=True)
class CodeL1:
    """The L1 norm of the code of each row, which makes codes sparse."""


Penalty = KernelL2 | CodeL1
