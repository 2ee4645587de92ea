"""Checkpoints: the file from which a killed fit continues.

After a head with a checksum, the file holds arrays in the format of safetensors, which has no code
in it.  One of the arrays is a text in JSON, as bytes.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._training.plan import DamageError, Saved, WatcherState
from skae._typing import Array

FORMAT = b"skae checkpoint 1\n"

DIGEST_BYTES = 32

HEAD_BYTES = len(FORMAT) + 2 * DIGEST_BYTES + 1

BAD_CONTENT = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

OWN_PATH = "Give every fit its own path, or delete the file to train from the start."


@dataclass
class Checkpoint:
    """The file of one fit.

    Attributes
    ----------
    path : str
        Absolute path of the file.  It is the target if the user's path is a symbolic link.
    identity : dict or None
        Facts that must not change if a fit is to continue from the file; see `fingerprint_fit`.
    saved : Saved or None
        The state of the fit; None if there is no file yet.
    head : bytes
        The head of the file that this process has read or written last.
    """

    path: str
    identity: dict[str, Any] | None = None
    saved: Saved | None = None
    head: bytes = b""

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Checkpoint":
        """Read a file, or return an empty checkpoint if the file does not exist yet.

        Raises
        ------
        FileNotFoundError, IsADirectoryError
            If there can be no such file.
        ValueError
            If the file is damaged, or is not a checkpoint.
        """
        path = os.path.abspath(os.path.expanduser(os.fsdecode(path)))
        if os.path.islink(path):
            path = os.path.realpath(path)  # writing replaces a file, which would remove the link
        if not os.path.isdir(os.path.dirname(path)):
            raise FileNotFoundError(
                f"checkpoint={path!r}: the folder {os.path.dirname(path)!r} does not exist; "
                "create it first."
            )
        if os.path.isdir(path):
            raise IsADirectoryError(f"checkpoint={path!r} is a folder; give the path of a file.")
        if not os.path.exists(path):
            return cls(path)
        with open(path, "rb") as file:
            head, body = file.read(HEAD_BYTES), file.read()
        checkpoint = cls(path, head=head)
        _check_head(path, head)
        with checkpoint.damage_named():
            if head != head_of(body):
                raise DamageError("its content does not match its checksum")
            checkpoint.identity, checkpoint.saved = _unpack(body)
        return checkpoint

    @property
    def seed(self) -> int | None:
        """The seed of the fit in the file, or None."""
        return None if self.identity is None else self.identity["random_state"]

    @contextlib.contextmanager
    def damage_named(self) -> Iterator[None]:
        """Turn the errors that malformed content causes into a ValueError that names the file."""
        try:
            yield
        except BAD_CONTENT as error:
            is_clause = isinstance(error, DamageError)
            clause = str(error) if is_clause else "it holds something that no fit has written"
            raise ValueError(
                f"checkpoint={self.path!r} is damaged: {clause}. Replace it with a copy, or delete "
                "it to train from the start."
            ) from error

    def check_same_fit(self, identity: dict[str, Any]) -> None:
        """Use the file for the fit with this ``identity``.

        Raises
        ------
        ValueError
            If the file belongs to another fit.
        """
        identity = json.loads(json.dumps(identity))
        if self.identity is not None:
            names = [*self.identity, *(name for name in identity if name not in self.identity)]
            there, here = self.identity, identity
            different = [name for name in names if there.get(name) != here.get(name)]
            if different:
                what = "; ".join(_difference(name, there, here) for name in different)
                raise ValueError(
                    f"checkpoint={self.path!r} belongs to another fit: {what}. {OWN_PATH}"
                )
        self.identity = identity

    def write(self, saved: Saved) -> None:
        """Replace the content of the file completely, or not at all.

        Raises
        ------
        OSError
            If the disk is full, for example; the file then keeps its old content.
        RuntimeError
            If another fit has written the file since.
        """
        body = _pack(self.identity, saved)
        head = head_of(body)
        beside = f"{self.path}.tmp"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.remove(beside)  # from a fit that was killed, or a link that someone made
            with open(beside, "xb") as file:
                file.write(head)
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            self._check_unshared()
            os.replace(beside, self.path)
            _sync_folder(os.path.dirname(self.path))
        except OSError as error:
            last = "It still holds the epoch before: the" if self.head else "The"
            raise OSError(
                f"checkpoint={self.path!r} could not be written after epoch "
                f"{len(saved.history)}: {error}. {last} same call continues from there."
            ) from error
        finally:
            with contextlib.suppress(OSError):  # the file was renamed, or is not ours
                os.remove(beside)
        self.head, self.saved = head, saved

    def _check_unshared(self) -> None:
        if not os.path.exists(self.path):
            return
        with open(self.path, "rb") as file:
            there = file.read(HEAD_BYTES)
        if there != self.head:
            raise RuntimeError(
                f"checkpoint={self.path!r} was written by another fit while this one ran, for "
                f"example in a search that gives all fits this path. {OWN_PATH}"
            )


def check_arrays(found: Sequence[Array], expected: Sequence[Array]) -> None:
    """Raise DamageError if two lists of arrays differ in shapes or dtypes."""
    kinds = [[(array.shape, array.dtype) for array in arrays] for arrays in (found, expected)]
    if kinds[0] != kinds[1]:
        raise DamageError("its arrays are not those of this network")


def _check_head(path: str, head: bytes) -> None:
    if not head.startswith(FORMAT.split(b" ")[0]):
        raise ValueError(
            f"checkpoint={path!r} is not a checkpoint of skae, and was left unchanged. Give "
            "another path."
        )
    if not head.startswith(FORMAT):
        raise ValueError(
            f"checkpoint={path!r} is damaged, or was written in another format by another version "
            f"of skae: it begins with {head.splitlines()[0]!r}, not {FORMAT.strip()!r}. Delete it "
            "to train from the start."
        )


def head_of(body: bytes) -> bytes:
    """Return the head of a file with this body: the format and a checksum."""
    digest = hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest()
    return FORMAT + digest.encode() + b"\n"


def _pack(identity: dict[str, Any] | None, saved: Saved) -> bytes:
    """Return the content of the file for a fit."""
    from safetensors.numpy import save

    groups = {"weights": saved.weights, "optimizer_state": saved.optimizer_state}
    groups |= {name: state.arrays for name, state in saved.watchers.items()}
    content = {
        "identity": identity,
        "history": saved.history,
        "rate_factor": saved.rate_factor,
        "stopped": saved.stopped,
        "watchers": {name: state.values for name, state in saved.watchers.items()},
        "n_arrays": {name: len(arrays) for name, arrays in groups.items()},
    }
    named = {
        f"{name}.{i}": np.asarray(array, order="C")  # safetensors reads strided arrays wrongly
        for name, arrays in groups.items()
        for i, array in enumerate(arrays)
    }
    return save({"json": np.frombuffer(json.dumps(content).encode(), np.uint8)} | named)


def _unpack(body: bytes) -> tuple[dict[str, Any], Saved]:
    """Undo `_pack`; raise one of `BAD_CONTENT` for any other body."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        named = load(body)
    except SafetensorError as error:
        raise DamageError("its arrays cannot be read") from error
    content = json.loads(named["json"].tobytes())
    groups = {
        name: [named[f"{name}.{i}"] for i in range(n)] for name, n in content["n_arrays"].items()
    }
    states = content["watchers"].items()
    saved = Saved(
        groups["weights"],
        groups["optimizer_state"],
        content["history"],
        content["rate_factor"],
        content["stopped"],
        {name: WatcherState(values, groups[name]) for name, values in states},
    )
    _check_types(content["identity"], saved)
    return content["identity"], saved


def _check_types(identity: Any, saved: Saved) -> None:
    """Raise TypeError if a value from JSON does not have the type that a fit expects."""
    values = [value for record in saved.history for value in record.values()]
    expected = [
        (identity["random_state"], int),
        (saved.history, list),
        (saved.rate_factor, float),
        (saved.stopped, bool),
        *((value, float) for value in values),
        *((state.values, dict) for state in saved.watchers.values()),
    ]
    for value, kind in expected:
        if not isinstance(value, kind):
            raise TypeError(f"expected {kind.__name__}; got {value!r}")


def _difference(name: str, there: dict[str, Any], here: dict[str, Any]) -> str:
    """Describe a difference between two fits.  Checksums of data are left out."""
    values = [fit.get(name) for fit in (there, here)]
    if any(isinstance(value, dict) for value in values):
        return f"{name} differs"
    return f"{name} is {values[0]!r} in the file and {values[1]!r} here"


def _sync_folder(path: str) -> None:
    """Write a folder's entry to the disk too, on systems that can open folders."""
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
