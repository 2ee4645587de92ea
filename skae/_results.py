"""Results, block by block, to memory or to what the user gives as ``out``."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from skae._sources import MappedFile, check_length, rows_from
from skae._typing import Array


def collect(
    blocks: Iterable[tuple[slice, Array]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    out: Any = None,
) -> Any:
    """Write ``(rows, values)`` of every block to ``out``, or to a new array, and return it.

    Parameters
    ----------
    blocks : iterable of (slice, ndarray)
        From the first row to the last; a block's memory may serve for the next.
    shape, dtype : tuple of int, dtype
        Of the result.
    out : object with shape, dtype and item assignment, default=None
        Its first row is NaN until all others are there: what was left half-written by a full
        disk or a killed process then says so, and `Source` refuses to read it.  It may be what
        the blocks are computed from.

    Raises
    ------
    ValueError, TypeError
        If ``out`` is not of this shape, or of another kind.
    OSError
        If a block cannot be written.
    """
    if out is None:
        result = np.empty(shape, dtype)
        for rows, values in blocks:
            result[rows] = values
        return result
    check_out(out, shape, dtype)
    target = _Target(out, shape)
    first: tuple[slice, Array] | None = None
    for rows, values in blocks:
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


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise unless ``out`` can take the result."""
    if not (hasattr(out, "shape") and hasattr(out, "dtype") and hasattr(out, "__setitem__")):
        raise TypeError(
            "out must be an array, or have shape, dtype and item assignment like one; got "
            f"{type(out).__name__}."
        )
    if tuple(out.shape) != shape:
        raise ValueError(f"out must be of shape {shape}; got {tuple(out.shape)}.")
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"out must be of a floating-point dtype; got {out.dtype}.")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError("out is read-only; open a memmap with mode='r+' or 'w+'.")


class _Target:
    """Write to an array, to the file behind a `numpy.memmap`, or to what assigns items."""

    def __init__(self, out: Any, shape: tuple[int, ...]) -> None:
        self.out, self.n_rows = out, shape[0]
        self.file = MappedFile.of(out)

    def write(self, rows: slice, values: Array) -> None:
        try:
            if self.file is not None:
                self.file.write(rows.start, values)
            else:
                check_length(self.out)
                self.out[rows] = values
        except Exception as error:
            raise self._failed(rows_from(rows.start, rows.stop), error) from error

    def sync(self) -> None:
        if self.file is None:
            return
        try:
            self.file.sync()
        except OSError as error:
            raise self._failed(rows_from(0, self.n_rows), error) from error

    def _failed(self, what: str, error: Exception) -> OSError:
        where = f" ({self.file.path})" if self.file is not None else ""
        return OSError(
            f"{what} of the result could not be written to out{where}: {error}. Of its "
            f"{self.n_rows} rows the first stays NaN: do not use what is there, but write it anew."
        )
