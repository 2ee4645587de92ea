"""Results, written block by block to memory or to the user's ``out``."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from skae._rows.finite import check_results
from skae._rows.mapped_file import MappedFile, check_length
from skae._rows.overlap import refuse_overlap
from skae._rows.sources import format_row_range
from skae._typing import Array


def write_blocks(
    blocks: Iterable[tuple[slice, Array]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    out: Any = None,
    inputs: Any = None,
) -> Any:
    """Write blocks of results to ``out`` or to a new array, and return it.

    Parameters
    ----------
    blocks : iterable of (slice, ndarray)
        Row numbers and results of each block, from the first row to the last.  All blocks may
        share the same memory.
    shape : tuple of int
        Shape of the whole result.
    dtype : dtype
        Data type of the result.
    out : object with shape, dtype and item assignment, default=None
        Where to write.  The first row is NaN until all other rows are written, so that an
        incomplete result after a full disk or a killed process can be recognised; `Source`
        refuses to read it.
    inputs : matrix, default=None
        The rows that the blocks are computed from.  They may be ``out`` itself, or each row of
        ``out`` may be a part of the same row of them.

    Returns
    -------
    out : object
        The given ``out``, or an ndarray.

    Raises
    ------
    ValueError, TypeError
        If ``out`` has another shape, is read-only, cannot hold floating-point numbers, or shares
        memory with other rows of ``inputs``; or if a result overflows the dtype of ``out``.
    OSError
        If a block cannot be written.
    """
    if out is None:
        result = np.empty(shape, dtype)
        for rows, values in blocks:
            result[rows] = values
        return result
    check_out(out, shape)
    refuse_overlap(out, inputs)
    target = _Target(out, shape)
    first: tuple[slice, Array] | None = None
    for rows, results in blocks:
        values = _converted(results, out.dtype, rows.start)
        if first is None:
            first = rows, values.copy()
            target.write(slice(0, 1), np.full_like(values[:1], np.nan))
        else:
            target.write(rows, values)
    target.sync()
    if first is not None:
        target.write(*first)
    target.sync()
    return out


def _converted(results: Array, dtype: np.dtype[Any], start: int) -> Array:
    """Convert results to the dtype of ``out``; ``start`` is the number of the first row."""
    with np.errstate(over="ignore"):
        values = results.astype(dtype, copy=False)
    if values is not results:
        check_results(values, start, "Pass an out of a wider dtype, or scale")
    return values


def check_out(out: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError or TypeError unless the result can be written to ``out``."""
    is_array = hasattr(out, "shape") and hasattr(out, "dtype") and hasattr(out, "__setitem__")
    if not is_array or hasattr(out, "iloc"):  # item assignment of pandas follows the index
        raise TypeError(
            "out must be an array, or have shape, dtype and item assignment like one; got "
            f"{type(out).__name__}."
        )
    if tuple(out.shape) != shape:
        raise ValueError(f"out must be of shape {shape}; got {tuple(out.shape)}.")
    if not (isinstance(out.dtype, np.dtype) and out.dtype.kind == "f"):
        raise TypeError(f"out must be of a floating-point dtype of NumPy; got {out.dtype}.")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError("out is read-only; open a memmap with mode='r+' or 'w+'.")
    if isinstance(out, np.ndarray) and _repeats(out):
        raise ValueError("out has the same memory for several values; pass a copy of it.")


def _repeats(out: Array) -> bool:
    """Return whether an array repeats its values, as after `numpy.broadcast_to`."""
    sizes = zip(out.shape, out.strides, strict=True)
    return any(n > 1 and stride == 0 for n, stride in sizes)


class _Target:
    """Write to the file of a `numpy.memmap`, or else by item assignment."""

    def __init__(self, out: Any, shape: tuple[int, ...]) -> None:
        self.out, self.n_rows = out, shape[0]
        self.file = MappedFile.find(out)

    def write(self, rows: slice, values: Array) -> None:
        try:
            if self.file is not None:
                self.file.write(rows.start, values)
            else:
                check_length(self.out)
                self.out[rows] = values
        except Exception as error:
            raise self._failed(rows.start, rows.stop, error) from error

    def sync(self) -> None:
        if self.file is None:
            return
        try:
            self.file.sync()
        except OSError as error:
            raise self._failed(0, self.n_rows, error) from error

    def _failed(self, start: int, stop: int, error: Exception) -> OSError:
        where = f" ({self.file.path})" if self.file is not None else ""
        return OSError(
            f"The result could not be written to out{where}: {format_row_range(start, stop)} "
            f"failed with {type(error).__name__}: {error}. out is incomplete, and its first row is "
            "NaN: write all rows again."
        )
