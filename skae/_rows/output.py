"""Results, written block by block to memory or to the user's ``out``."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from skae._rows.mapped_file import MappedFile, check_length
from skae._rows.sources import format_row_range
from skae._typing import Array


def write_blocks(
    blocks: Iterable[tuple[slice, Array]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    out: Any = None,
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
        refuses to read it.  The blocks may be computed from ``out`` itself.

    Returns
    -------
    out : object
        The given ``out``, or an ndarray.

    Raises
    ------
    ValueError, TypeError
        If ``out`` has another shape, is read-only, or cannot hold floating-point numbers.
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
    """Raise ValueError or TypeError unless the result can be written to ``out``."""
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
