"""`Gaps`: unknown values are told to the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from skae._network.layers import Check, FindActivation, NumpyForm
from skae._typing import Array, Floats, Matrix, Rng


@dataclass(frozen=True)
class Gaps:
    """Replace NaN by zero, and append a column for each column: 1 if it was NaN, else 0.

    The next layer has weights for the appended columns.  So zero may stand for any value, also
    after the units of the rows have changed: `skae._network.layers.fold_kernel` adapts these
    weights.  Rows without NaN have zeros in all appended columns, and the network is then the one
    that it would be without this layer.
    """

    n_inputs: int
    is_random: ClassVar[bool] = False
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ()

    @property
    def n_outputs(self) -> int:
        return 2 * self.n_inputs

    @property
    def flops(self) -> int:
        return 2 * self.n_inputs

    def initial_weights(self, rng: Rng) -> list[Floats]:
        return []

    def numpy_form(self, weights: Sequence[Array], find: FindActivation) -> NumpyForm:
        def gaps(
            rows: Matrix,
            out: Array,
            check: Check | None = None,
            kept: list[Array] | None = None,
        ) -> Array:
            dense = rows.toarray() if sparse.issparse(rows) else rows
            unknown = np.isnan(dense)
            out[:, : self.n_inputs] = np.where(unknown, 0, dense)
            out[:, self.n_inputs :] = unknown
            if check is not None:
                check(out)
            return out

        return gaps
