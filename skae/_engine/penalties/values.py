"""The penalties of mini-batches."""

import functools
from collections.abc import Sequence

from skae._engine.forward.layers import Outputs
from skae._engine.losses import Batch
from skae._engine.penalties.jacobian import squared_jacobian
from skae._engine.tensorflow import tf
from skae._objective.objective import Objective
from skae._objective.penalties import CodeL1, Contraction, KernelL2, Penalty
from skae._typing import Tensor


def sum_penalties(
    objective: Objective, batch: Batch, weights: Sequence[Tensor], outputs: Outputs
) -> Tensor:
    """Sum the penalties of an objective over the rows of a mini-batch.

    Each penalty is multiplied by the weight of the row, also a penalty that is the same for all
    rows.  Divided by the total weight, the sum is a mean, just like that of the losses.

    Parameters
    ----------
    objective : Objective
        The penalties; there is at least one.
    batch : Batch
        The mini-batch.  Its ``strengths`` are the weights of the penalties.
    weights : sequence of tensor
        The weights that have a variable: a kernel that two layers share counts once, as in Keras.
    outputs : Outputs
        The code of each row, and the encoder that made it.

    Returns
    -------
    penalty : scalar tensor
        The weighted sum.
    """
    terms = [
        batch.strengths[place]
        * tf.reduce_sum(penalty_value(penalty, weights, outputs) * batch.weight)
        for place, penalty in enumerate(objective.penalties)
    ]
    return tf.add_n(terms)


@functools.singledispatch
def penalty_value(penalty: Penalty, weights: Sequence[Tensor], outputs: Outputs) -> Tensor:
    """Return a penalty for each row, or one for all; dispatches on the class of the penalty."""
    raise NotImplementedError(f"There is no TensorFlow form of {type(penalty).__name__}.")


@penalty_value.register
def _(penalty: KernelL2, weights: Sequence[Tensor], outputs: Outputs) -> Tensor:
    kernels = [array for array in weights if len(array.shape) > 1]
    return tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in kernels])


@penalty_value.register
def _(penalty: CodeL1, weights: Sequence[Tensor], outputs: Outputs) -> Tensor:
    return tf.reduce_sum(tf.abs(outputs.code), axis=1)


@penalty_value.register
def _(penalty: Contraction, weights: Sequence[Tensor], outputs: Outputs) -> Tensor:
    return squared_jacobian(outputs.encoder)
