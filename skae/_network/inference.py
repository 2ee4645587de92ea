"""A trained network in NumPy: encoding and decoding without TensorFlow.

A dense layer is one matrix product, which NumPy computes as fast as any framework.  The call of a
framework takes much longer: one row takes 45 ms with ``keras.Model.predict``, and 20 microseconds
here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skae._network.activations import ACTIVATIONS
from skae._network.features import FEATURES, decoding, n_features_out, select
from skae._network.layers import Check, NumpyForm
from skae._network.spec import NetworkSpec
from skae._rows.dtypes import output_dtype
from skae._rows.finite import check_finite, check_results, is_finite, weighted_means
from skae._rows.output import write_blocks
from skae._typing import Activation, Array, Matrix

# Rows go through all layers in blocks.  Smaller blocks need more calls, and larger blocks do not
# stay in the processor's cache.
BLOCK_BYTES = 1 << 23
MIN_BLOCK_ROWS = 64


class Steps(NamedTuple):
    """The NumPy forms of some layers, and the widths of their outputs."""

    forms: tuple[NumpyForm, ...]
    widths: tuple[int, ...]


class Network:
    """A network and its weights.

    Parameters
    ----------
    spec : NetworkSpec
        The layers.
    weights : sequence of ndarray
        The weights of all layers, from the first to the last; float32.
    fallback : callable
        Function that returns an activation without a NumPy form as a function of an array.
    block_bytes : int, default=2**23
        Rows go through the layers in blocks, and the widest layer of a block takes this many bytes.
    column_weights : ndarray of shape (n_columns,), default=None
        Weights of the columns in `scores`; None means equal weights.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        weights: Sequence[Array],
        fallback: Callable[[Activation], Callable[[Array], Array]],
        block_bytes: int = BLOCK_BYTES,
        column_weights: Array | None = None,
    ) -> None:
        self.spec = spec
        self.weights = tuple(weights)
        self.fallback = fallback
        self.block_bytes = block_bytes
        self.column_weights = column_weights
        self._bound: dict[np.dtype[Any], dict[str, Steps]] = {}

    def encode(self, X: Matrix, out: Any = None, features: str = "code") -> Any:
        """Return the features of rows, of shape (n_samples, n_features_out)."""
        if features == "code":
            return self._run(X, "encoder", out)
        dtype, width = output_dtype(X), n_features_out(self.spec, features)
        blocks = self._feature_blocks(X, features, dtype)
        return write_blocks(blocks, (X.shape[0], width), dtype, out, X)

    def _feature_blocks(
        self, X: Matrix, features: str, dtype: np.dtype[Any]
    ) -> Iterator[tuple[slice, Array]]:
        kept: list[Array] = []
        for rows, *_ in self._forward(X, self._steps("encoder", dtype), dtype, kept):
            joined = np.concatenate(select(kept, features), axis=1)
            check_results(joined, rows.start)
            yield rows, joined
            kept.clear()

    def decode(self, X: Matrix, out: Any = None, features: str = "code") -> Any:
        """Return the rows that features stand for, of shape (n_samples, n_features)."""
        return self._run(X, features, out)

    def reconstruct(self, X: Matrix, out: Any = None) -> Any:
        """Return the reconstructions of rows, of shape (n_samples, n_features)."""
        return self._run(X, "autoencoder", out)

    def scores(self, X: Matrix, out: Any = None, dtype: np.dtype[Any] | None = None) -> Any:
        """Return minus the mean squared error of each row's reconstruction, shape (n_samples,).

        Columns have their weights in the mean.  Unknown values do not count.  A row without any
        value has the score 0.  The scores of tables with categories are minus the means of
        `Probabilities.errors`.
        """
        dtype = dtype or output_dtype(X)
        return write_blocks(self._score_blocks(X, dtype), X.shape[:1], dtype, out, X)

    def _score_blocks(self, X: Matrix, dtype: np.dtype[Any]) -> Iterator[tuple[slice, Array]]:
        for rows, block, outputs in self._forward(X, self._steps("autoencoder", dtype), dtype):
            dense = block.toarray() if sparse.issparse(block) else block
            with np.errstate(over="ignore"):
                scores = self._scores(dense, outputs)
            check_results(scores, rows.start)
            yield rows, scores

    def _scores(self, rows: Array, outputs: Array) -> Array:
        table = self.spec.table
        if table is not None:
            return -weighted_means(table.errors(rows, outputs), self.column_weights)
        np.subtract(outputs, rows, out=outputs)
        if self.column_weights is not None:
            return -weighted_means(outputs**2, self.column_weights)
        n_known = self._count_known(outputs)
        scores: Array = np.einsum("ij,ij->i", outputs, outputs) / -n_known
        return scores

    def _count_known(self, errors: Array) -> Any:
        """Return how many errors of each row, or of all rows, are known; set the others to zero."""
        n_features = self.spec.n_features
        if not self.spec.has_gaps:
            return n_features
        unknown = np.isnan(errors)
        errors[unknown] = 0
        return np.maximum(n_features - unknown.sum(axis=1), 1).astype(errors.dtype)

    def _run(self, X: Matrix, part: str, out: Any) -> Any:
        dtype = output_dtype(X)
        steps = self._steps(part, dtype)
        blocks = ((rows, outputs) for rows, _, outputs in self._forward(X, steps, dtype))
        return write_blocks(blocks, (X.shape[0], steps.widths[-1]), dtype, out, X)

    def _steps(self, part: str, dtype: np.dtype[Any]) -> Steps:
        """Return the steps of the encoder, the decoder or both, with their weights in a dtype."""
        if dtype not in self._bound:
            self._bound[dtype] = self._bind(dtype)
        return self._bound[dtype][part]

    def _bind(self, dtype: np.dtype[Any]) -> dict[str, Steps]:
        cast = [array.astype(dtype, copy=False) for array in self.weights]
        pairs = zip(self.spec.layers, self.spec.by_layer(cast), strict=True)
        steps = [(layer.n_outputs, layer.numpy_form(own, self._numpy)) for layer, own in pairs]
        parts = {"encoder": steps[: self.spec.n_encoder_layers], "autoencoder": steps}
        for features in FEATURES:
            columns, first = decoding(self.spec, features)
            take = [] if features == "code" else [(0, _taking(columns))]
            parts[features] = [*take, *steps[first:]]
        return {name: _without_idle(steps) for name, steps in parts.items()}

    def _numpy(self, activation: Activation) -> Callable[[Array], Array]:
        if isinstance(activation, str) and activation in ACTIVATIONS:
            return ACTIVATIONS[activation].numpy
        return self.fallback(activation)

    def _forward(
        self,
        X: Matrix,
        steps: Steps,
        dtype: np.dtype[Any],
        kept: list[Array] | None = None,
    ) -> Iterator[tuple[slice, Matrix, Array]]:
        """Run the rows of a matrix or a `Source` through some layers, block by block.

        The outputs of all layers are appended to ``kept``.

        Yields
        ------
        rows : slice
            The place of the block in X.
        block : {ndarray, sparse matrix} of shape (n_rows, n_inputs)
            The rows.
        outputs : ndarray of shape (n_rows, n_outputs)
            The outputs.  The next block reuses this memory.

        Raises
        ------
        ValueError
            If a row contains NaN or infinity, or if its outputs overflow.
        """
        row_bytes = max(X.shape[1], *steps.widths) * dtype.itemsize
        size = max(MIN_BLOCK_ROWS, self.block_bytes // row_bytes)
        buffers = [np.empty((min(size, X.shape[0]), width), dtype) for width in steps.widths]
        for start in range(0, X.shape[0], size):
            rows = slice(start, min(start + size, X.shape[0]))
            block = X[rows].astype(dtype, copy=False)
            outputs = _run_block(steps.forms, block, buffers, start, kept, self.spec.has_gaps)
            check_results(outputs, start)
            yield rows, block, outputs


def _without_idle(steps: Iterable[tuple[int, NumpyForm | None]]) -> Steps:
    """Return the steps that do something at inference."""
    active = [(width, form) for width, form in steps if form is not None]
    return Steps(tuple(form for _, form in active), tuple(width for width, _ in active))


def _taking(columns: slice) -> NumpyForm:
    """Return the form of a step that takes some columns of the rows."""

    def take(rows: Matrix, out: Array, check: Check | None = None, kept: Any = None) -> Array:
        if check is not None:
            check(rows)
        return rows[:, columns]

    return take


def _run_block(
    forms: Iterable[NumpyForm],
    block: Matrix,
    buffers: Iterable[Array],
    start: int,
    kept: list[Array] | None = None,
    gaps: bool = False,
) -> Array:
    """Run a block of rows through layers; search the first layer's outputs for NaN and infinity.

    ``start`` is the number of the block's first row.  ``gaps`` says whether NaN is allowed.
    """

    def check(outputs: Array) -> None:
        if not is_finite(outputs):
            check_finite("X", block, start, gaps=gaps)

    h: Matrix = block
    check_first: Check | None = check
    with np.errstate(over="ignore", invalid="ignore"):  # both are detected
        for form, buffer in zip(forms, buffers, strict=True):
            h = form(h, buffer[: block.shape[0]], check_first, kept)
            check_first = None
    return h
