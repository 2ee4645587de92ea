"""A trained network in NumPy: encoding and decoding without TensorFlow.

A dense layer is one matrix product, which NumPy computes as fast as any framework.  The call of a
framework takes much longer: one row takes 45 ms with ``keras.Model.predict``, and 20 microseconds
here.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite

from skae._network.activations import ACTIVATIONS
from skae._network.layers import Check, NumpyForm
from skae._network.spec import NetworkSpec
from skae._rows.dtypes import output_dtype
from skae._rows.finite import is_finite
from skae._rows.output import write_blocks
from skae._typing import Activation, Array, Matrix

# Rows go through all layers in blocks.  Smaller blocks need more calls, and larger blocks do not
# stay in the processor's cache.
BLOCK_BYTES = 1 << 23
MIN_BLOCK_ROWS = 64

Step = tuple[int, NumpyForm]  # the width of a layer's outputs, and its NumPy form


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
    """

    def __init__(
        self,
        spec: NetworkSpec,
        weights: Sequence[Array],
        fallback: Callable[[Activation], Callable[[Array], Array]],
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self.spec = spec
        self.weights = tuple(weights)
        self.fallback = fallback
        self.block_bytes = block_bytes
        self._bound: dict[np.dtype[Any], list[Step | None]] = {}

    def encode(self, X: Matrix, out: Any = None) -> Any:
        """Return the codes of rows, of shape (n_samples, n_components)."""
        return self._run(X, slice(self.spec.n_encoder_layers), self.spec.n_components, out)

    def decode(self, codes: Matrix, out: Any = None) -> Any:
        """Return the rows that codes stand for, of shape (n_samples, n_features)."""
        return self._run(codes, slice(self.spec.n_encoder_layers, None), self.spec.n_features, out)

    def reconstruct(self, X: Matrix, out: Any = None) -> Any:
        """Return the reconstructions of rows, of shape (n_samples, n_features)."""
        return self._run(X, slice(None), self.spec.n_features, out)

    def scores(self, X: Matrix, out: Any = None, dtype: np.dtype[Any] | None = None) -> Any:
        """Return minus the mean squared error of each row's reconstruction, shape (n_samples,)."""
        dtype = dtype or output_dtype(X)
        return write_blocks(self._score_blocks(X, dtype), X.shape[:1], dtype, out)

    def _score_blocks(self, X: Matrix, dtype: np.dtype[Any]) -> Iterator[tuple[slice, Array]]:
        for rows, block, outputs in self._forward(X, slice(None), dtype):
            dense = block.toarray() if sparse.issparse(block) else block
            with np.errstate(over="ignore"):
                np.subtract(outputs, dense, out=outputs)
                scores = np.einsum("ij,ij->i", outputs, outputs) / -X.shape[1]
            _check_finite(scores, rows.start)
            yield rows, scores

    def _run(self, X: Matrix, layers: slice, width: int, out: Any) -> Any:
        dtype = output_dtype(X)
        blocks = ((rows, outputs) for rows, _, outputs in self._forward(X, layers, dtype))
        return write_blocks(blocks, (X.shape[0], width), dtype, out)

    def _steps(self, layers: slice, dtype: np.dtype[Any]) -> list[Step]:
        """Return the NumPy forms of some layers; omit layers that do nothing at inference."""
        if dtype not in self._bound:
            self._bound[dtype] = self._bind(dtype)
        return [step for step in self._bound[dtype][layers] if step is not None]

    def _bind(self, dtype: np.dtype[Any]) -> list[Step | None]:
        """Return the NumPy forms of all layers, with their weights in a dtype."""
        cast = [array.astype(dtype, copy=False) for array in self.weights]
        pairs = zip(self.spec.layers, self.spec.by_layer(cast), strict=True)
        forms = [(layer, layer.numpy_form(weights, self._numpy)) for layer, weights in pairs]
        return [None if form is None else (layer.n_outputs, form) for layer, form in forms]

    def _numpy(self, activation: Activation) -> Callable[[Array], Array]:
        if isinstance(activation, str) and activation in ACTIVATIONS:
            return ACTIVATIONS[activation].numpy
        return self.fallback(activation)

    def _forward(
        self, X: Matrix, layers: slice, dtype: np.dtype[Any]
    ) -> Iterator[tuple[slice, Matrix, Array]]:
        """Run the rows of a matrix or a `Source` through some layers, block by block.

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
        steps = self._steps(layers, dtype)
        widths = [width for width, _ in steps]
        row_bytes = max(X.shape[1], *widths) * dtype.itemsize
        size = max(MIN_BLOCK_ROWS, self.block_bytes // row_bytes)
        buffers = [np.empty((min(size, X.shape[0]), width), dtype) for width in widths]
        for start in range(0, X.shape[0], size):
            rows = slice(start, min(start + size, X.shape[0]))
            block = X[rows].astype(dtype, copy=False)
            outputs = _run_block(steps, block, buffers)
            _check_finite(outputs, start)
            yield rows, block, outputs


def _run_block(steps: Sequence[Step], block: Matrix, buffers: Sequence[Array]) -> Array:
    """Run a block of rows through layers; search the first layer's outputs for NaN and infinity."""

    def check(outputs: Array) -> None:
        if not is_finite(outputs):
            assert_all_finite(block, input_name="X")

    h: Matrix = block
    check_first: Check | None = check
    with np.errstate(over="ignore", invalid="ignore"):  # both are detected
        for (_, form), buffer in zip(steps, buffers, strict=True):
            h = form(h, buffer[: block.shape[0]], check_first)
            check_first = None
    return h


def _check_finite(results: Array, start: int) -> None:
    """Raise an error if a result is not finite; ``start`` is the number of the first row."""
    if is_finite(results):
        return
    row = start + np.argwhere(~np.isfinite(results))[0, 0]
    wider = "Pass float64, or scale" if results.dtype == np.float32 else "Scale"
    raise ValueError(
        f"The result for row {row} overflows {results.dtype}. {wider} X like the training data."
    )
