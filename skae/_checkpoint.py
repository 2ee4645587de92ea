"""Checkpoints: a file that holds where a fit stands, so that it survives being killed.

A file is a line that names the format, a line with the checksum of all that follows, and a NumPy
archive of arrays and JSON.  Reading one runs no code of its own: there is no pickle inside.
"""

import contextlib
import hashlib
import io
import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae._archive import read_arrays
from skae._records import Saved
from skae._typing import Array, Floats

FORMAT = b"skae checkpoint 1\n"
DIGEST_BYTES = 32
HEAD_BYTES = len(FORMAT) + 2 * DIGEST_BYTES + 1
GROUPS = ("weights", "optimizer_state", "best_weights", "callback_arrays")
ELSEWHERE = "Give a path of its own to every fit, or delete the file to train anew."


@dataclass
class Checkpoint:
    """The file of one fit.

    Attributes
    ----------
    identity : dict or None
        What has to be the same for a fit to go on from it: see `skae._identity`.
    saved : Saved or None
        Where the fit stood.
    """

    path: str
    identity: dict[str, Any] | None = None
    saved: Saved | None = None
    head: bytes = b""

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Checkpoint":
        """Read a file; one that is not there yet makes a checkpoint with nothing in it."""
        path = os.path.abspath(os.fspath(path))
        if not os.path.isdir(os.path.dirname(path)):
            raise FileNotFoundError(
                f"checkpoint={path!r}: there is no folder {os.path.dirname(path)!r}; make it first."
            )
        if os.path.isdir(path):
            raise IsADirectoryError(f"checkpoint={path!r} is a folder; give the path of a file.")
        if not os.path.exists(path):
            return cls(path)
        with open(path, "rb") as file:
            head, body = file.read(HEAD_BYTES), file.read()
        _check_head(path, head, body)
        try:
            identity, saved = _unpack(body)
        except ValueError as error:
            raise ValueError(_damaged(path, str(error))) from error
        return cls(path, identity, saved, head)

    @property
    def seed(self) -> int | None:
        """The seed of the fit that the file is of, or None."""
        return None if self.identity is None else self.identity["random_state"]

    def check_arrays(self, weights: list[Floats], optimizer_state: list[Array]) -> None:
        """Raise ValueError where the file's arrays are not of the shapes and types of a fit's."""
        assert self.saved is not None
        theirs = self.saved.weights, self.saved.optimizer_state, self.saved.best_weights or weights
        for there, here in zip(theirs, (weights, optimizer_state, weights), strict=True):
            kinds = [[(array.shape, array.dtype) for array in arrays] for arrays in (there, here)]
            if kinds[0] != kinds[1]:
                raise ValueError(_damaged(self.path, "its arrays are not those of this network"))

    def claim(self, identity: dict[str, Any]) -> None:
        """Take the file for the fit of this ``identity``; raise where it belongs to another."""
        identity = json.loads(json.dumps(identity))
        if self.identity is not None:
            names = [*self.identity, *(name for name in identity if name not in self.identity)]
            there, here = self.identity, identity
            different = [name for name in names if there.get(name) != here.get(name)]
            if different:
                what = "; ".join(_difference(name, there, here) for name in different)
                raise ValueError(f"checkpoint={self.path!r} is of another fit: {what}. {ELSEWHERE}")
        self.identity = identity

    def write(self, saved: Saved) -> None:
        """Put ``saved`` in the place of what the file holds: all of it, or nothing.

        Raises
        ------
        OSError
            If the disk is full, say; the file is then as it was.
        RuntimeError
            If another fit has written the file meanwhile.
        """
        body = _pack(self.identity, saved)
        head = FORMAT + _digest(body) + b"\n"
        beside = f"{self.path}.tmp"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.remove(beside)  # of a fit that was killed, or a link that someone put there
            with open(beside, "xb") as file:
                file.write(head)
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            self._check_unshared()
            os.replace(beside, self.path)
            _sync_folder(os.path.dirname(self.path))
        except OSError as error:
            raise OSError(
                f"checkpoint={self.path!r} could not be written after epoch "
                f"{len(saved.history)}: {error}. "
                + ("The last one is still there: " if self.head else "")
                + "the same call goes on from where it ended."
            ) from error
        finally:
            with contextlib.suppress(OSError):  # it is in its place, or not ours
                os.remove(beside)
        self.head, self.saved = head, saved

    def _check_unshared(self) -> None:
        if not os.path.exists(self.path):
            return
        with open(self.path, "rb") as file:
            there = file.read(HEAD_BYTES)
        if there != self.head:
            raise RuntimeError(
                f"checkpoint={self.path!r} was written by another fit while this one ran, as in a "
                f"search whose fits all have this path. {ELSEWHERE}"
            )


def _check_head(path: str, head: bytes, body: bytes) -> None:
    if not head.startswith(FORMAT.split(b" ")[0]):
        raise ValueError(f"checkpoint={path!r} is no checkpoint of skae; it is left as it is.")
    if not head.startswith(FORMAT):
        raise ValueError(
            f"checkpoint={path!r} is damaged, or of a version of skae with another format: it "
            f"begins with {head.splitlines()[0]!r}, not {FORMAT.strip()!r}. Delete it to train "
            "anew."
        )
    if head != FORMAT + _digest(body) + b"\n":
        raise ValueError(_damaged(path, "it does not have the checksum that it was written with"))


def _damaged(path: str, what: str) -> str:
    return (
        f"checkpoint={path!r} is damaged: {what}. Put a copy of it in its place, or delete it to "
        "train anew."
    )


def _digest(body: bytes | memoryview) -> bytes:
    return hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest().encode()


def _pack(identity: dict[str, Any] | None, saved: Saved) -> memoryview:
    """Make a NumPy archive of a `Saved`."""
    arrays = {
        f"{group}.{i}": array
        for group in GROUPS
        for i, array in enumerate(getattr(saved, group) or ())
    }
    plain = {name: value for name, value in vars(saved).items() if name not in GROUPS}
    text = json.dumps({"identity": identity, "saved": plain})
    buffer = io.BytesIO()
    np.savez(buffer, json=np.frombuffer(text.encode(), np.uint8), **arrays)
    return buffer.getbuffer()


def _unpack(body: bytes) -> tuple[dict[str, Any], Saved]:
    """Undo `_pack`; raise ValueError, with the clause that says why, for any other body."""
    arrays = read_arrays(body, max_bytes=len(body))
    groups: dict[str, Any] = {
        group: [array for name, array in arrays.items() if name.startswith(f"{group}.")]
        for group in GROUPS
    }
    groups["best_weights"] = groups["best_weights"] or None
    try:
        content = json.loads(arrays["json"].tobytes())
        identity, saved = content["identity"], Saved(**groups, **content["saved"])
        if not isinstance(identity["random_state"], int):
            raise TypeError("random_state is no integer")
        _check_types(saved)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it holds something else than what a fit has written") from error
    return identity, saved


def _check_types(saved: Saved) -> None:
    """Raise TypeError where a value from JSON is not of the type that a fit goes on with."""
    for record in saved.history:
        if not all(isinstance(value, int | float) for value in record.values()):
            raise TypeError(f"a record of its history is {record}")
    numbers = saved.best_loss, saved.epochs_without_gain, saved.rate_factor
    if not all(isinstance(number, int | float) for number in numbers):
        raise TypeError(f"of three numbers it holds {numbers}")
    if not (isinstance(saved.stopped, bool) and isinstance(saved.callbacks, list)):
        raise TypeError("training has stopped or not, and callbacks are a list")


def _difference(name: str, there: dict[str, Any], here: dict[str, Any]) -> str:
    """Say in what two fits differ; a checksum of data says nothing to a reader."""
    values = [fit.get(name) for fit in (there, here)]
    if any(isinstance(value, dict) for value in values):
        return f"{name} differs"
    return f"{name} is {values[0]!r} there and {values[1]!r} here"


def _sync_folder(path: str) -> None:
    """Have the folder's entry on the disk, too, where the system can open folders."""
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
