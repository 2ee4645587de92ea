"""The shift and the scale of a fit, and the state to continue from on that scale."""

import dataclasses

from skae._engine.spec import ProgramSpec
from skae._network.conditioning import Conditioning
from skae._rows.rows import Rows
from skae._training.plan import State


def condition(
    spec: ProgramSpec, rows: Rows, start: State | None
) -> tuple[Conditioning | None, State | None]:
    """Return shift and scale of a fit, and the state to continue from with weights to match."""
    degree = spec.objective.degree or 0
    if start is not None and start.shift is not None:
        earlier = Conditioning(start.shift, start.scale, degree)
        if spec.conditioned:
            return earlier, start
        start = dataclasses.replace(
            start, weights=earlier.fold(spec.network, start.weights), shift=None
        )
    if not spec.conditioned:
        return None, start
    conditioning = Conditioning.of(rows, degree)
    if start is not None:
        if spec.tied:  # the kernels are transposes for rows of this scale
            conditioning = dataclasses.replace(conditioning, scale=start.scale)
        start = dataclasses.replace(start, weights=conditioning.unfold(spec.network, start.weights))
    return conditioning, start
