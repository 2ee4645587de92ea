"""NumPy archives from any source: reading one gives arrays of numbers or a ValueError."""

import io
import struct
import tokenize
import zipfile
import zlib

import numpy as np

from skae._typing import Array

# The exceptions that a malformed archive can cause in NumPy and in zipfile.
BAD_CONTENT = (
    ValueError, TypeError, AttributeError, KeyError, IndexError, EOFError, MemoryError,
    OverflowError, RecursionError, RuntimeError, SyntaxError, struct.error, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_arrays(content: bytes, max_bytes: int) -> dict[str, Array]:
    """Read every array of an ``.npz`` file; reject pickles and zip bombs.

    Parameters
    ----------
    content : bytes
        Bytes of the file.
    max_bytes : int
        The largest size of the unpacked file.

    Returns
    -------
    arrays : dict of str to ndarray
        The arrays by name.

    Raises
    ------
    ValueError
        If the file is not an archive of numbers, or unpacks to more than ``max_bytes``.  The
        message starts with "it", and the caller puts the name of the file before it.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            n_bytes = sum(member.file_size for member in archive.zip.infolist())
            arrays = dict(archive) if n_bytes <= max_bytes else {}
    except BAD_CONTENT as error:
        raise ValueError("it is not a complete .npz file of numbers") from error
    if n_bytes > max_bytes:
        raise ValueError(f"it unpacks to {n_bytes:,} bytes, and the limit is {max_bytes:,}")
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError("it contains other things than arrays")
    return arrays
