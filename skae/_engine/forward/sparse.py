"""Products of sparse rows, in a form that XLA compiles.

XLA refuses TensorFlow's sparse matrices.
"""

from typing import Any, NamedTuple

from skae._engine.spec import ProgramSpec
from skae._engine.tensorflow import tf
from skae._rows.batches.sparse import SparseRows
from skae._typing import Tensor


class SparseInputs(NamedTuple):
    """The rows ``entries - shift`` of a mini-batch; only a matrix product can take them.

    ``shift`` has the shape (n_features,), or is None.
    """

    entries: SparseRows
    n_rows: int
    shift: Tensor | None = None

    def product(self, kernel: Tensor) -> Tensor:
        """Multiply by a kernel; `tf.GradientTape` differentiates it."""
        parts = tf.gather(kernel, self.entries.column) * self.entries.value[:, None]
        z = tf.math.unsorted_segment_sum(parts, self.entries.row, self.n_rows)
        return z if self.shift is None else z - tf.tensordot(self.shift, kernel, 1)


def describe_rows(spec: ProgramSpec, n_batches: int | None) -> Any:
    """Describe the rows of a chunk as an argument of a program."""
    if not spec.n_entries:
        return tf.TensorSpec((n_batches, spec.batch_size, spec.network.n_features))
    dtypes = (tf.int32, tf.int32, tf.float32)
    return SparseRows(*(tf.TensorSpec((n_batches, spec.n_entries), dtype) for dtype in dtypes))


def to_dense(entries: SparseRows, spec: ProgramSpec) -> Tensor:
    """Return the rows of a mini-batch as a tensor of shape (batch_size, n_features)."""
    places = tf.stack([entries.row, entries.column], axis=1)
    return tf.scatter_nd(places, entries.value, (spec.batch_size, spec.network.n_features))
