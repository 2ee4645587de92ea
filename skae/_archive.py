"""NumPy archives from anywhere: numbers come out of them, or a ValueError."""

import io
import struct
import tokenize
import zipfile
import zlib

import numpy as np

from skae._typing import Array

# What NumPy and the archive raise where they meet what nobody has saved.
BAD_CONTENT = (
    ValueError, TypeError, AttributeError, KeyError, IndexError, EOFError, MemoryError,
    OverflowError, RecursionError, RuntimeError, SyntaxError, struct.error, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_arrays(content: bytes, max_bytes: int) -> dict[str, Array]:
    """Read every array of an ``.npz`` file; no pickle is opened, and no bomb unpacked.

    Parameters
    ----------
    content : bytes
        The file's.
    max_bytes : int
        How many it may be when unpacked.

    Returns
    -------
    arrays : dict of str to ndarray
        By their names.

    Raises
    ------
    ValueError
        With the clause that says why, if it is no such file, or is larger.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            n_bytes = sum(member.file_size for member in archive.zip.infolist())
            arrays = dict(archive) if n_bytes <= max_bytes else {}
    except BAD_CONTENT as error:
        raise ValueError("it is not a complete .npz file of numbers") from error
    if n_bytes > max_bytes:
        raise ValueError(f"it unpacks to {n_bytes:,} bytes, where {max_bytes:,} are the most")
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError("it holds something else than arrays")
    return arrays
