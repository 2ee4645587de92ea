"""Memory that results would share with the rows that they are computed from."""

import mmap
import os
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skae._rows.sources import Source
from skae._typing import Array


class Place(NamedTuple):
    """Where an array is: in the memory of this process (``owner`` is None) or in a file.

    ``start`` is the position of the first value in bytes, and the array takes up the bytes from
    ``low`` to ``high``, without ``high``.
    """

    owner: Hashable
    start: int
    low: int
    high: int


def refuse_overlap(out: Any, inputs: Any) -> None:
    """Raise ValueError if writing a row of ``out`` would change other rows of ``inputs``.

    Parameters
    ----------
    out : object
        Where the results are written, row by row.
    inputs : ndarray, sparse matrix, Source or None
        The rows from which the results are computed, in the same order.
    """
    if not isinstance(out, np.ndarray):
        return
    if any(_shared(out, part) and not _by_rows(out, part) for part in _arrays(inputs)):
        raise ValueError(
            "out shares memory with X, and its rows are not those of X in the same order: writing "
            "them would change rows that are still to be read. Pass another array, or X itself."
        )


def _arrays(inputs: Any) -> Iterator[Array]:
    """Yield the arrays that hold a matrix."""
    inputs = inputs.data if isinstance(inputs, Source) else inputs
    parts = (inputs.data, inputs.indices, inputs.indptr) if sparse.issparse(inputs) else (inputs,)
    yield from (part for part in parts if isinstance(part, np.ndarray))


def _shared(one: Array, other: Array) -> bool:
    return any(
        a.owner == b.owner and a.low < b.high and b.low < a.high
        for a in _places(one)
        for b in _places(other)
    )


def _by_rows(out: Array, rows: Array) -> bool:
    """Return whether each row of ``out`` is a part of the same row, and of no other one."""
    a, b = _places(out)[-1], _places(rows)[-1]
    if a.start == b.start and out.strides == rows.strides and out.dtype == rows.dtype:
        return True
    step = rows.strides[0]
    part, row = _places(out[:1])[-1], _places(rows[:1])[-1]
    inside = row.low <= part.low and part.high <= row.high <= row.low + step
    return inside and out.strides[0] == step


def _places(array: Array) -> list[Place]:
    """Return the place of an array in memory and, for a memory map, also that in its file."""
    address = array.__array_interface__["data"][0]
    steps = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    low = address + sum(min(step, 0) for step in steps)
    high = address + sum(max(step, 0) for step in steps) + array.itemsize
    memory = Place(None, address, low, high)
    mapped = _mapped(array)
    if mapped is None:
        return [memory]
    status = os.stat(mapped.filename)
    shift = mapped.offset - mapped.__array_interface__["data"][0]
    owner = status.st_dev, status.st_ino
    return [memory, Place(owner, address + shift, low + shift, high + shift)]


def _mapped(array: Any) -> Any:
    """Return the array that maps a whole file and contains this array, or None."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            return array if array.filename and os.path.exists(array.filename) else None
        array = array.base
    return None
