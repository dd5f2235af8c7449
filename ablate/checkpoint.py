"""What an unfinished trial needs to go on from where it was: one file, whole or not there at all."""

import hashlib
import io
import os
import pickle
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ablate.errors import AblateError

# The first bytes of a file: what it is, and in which form. The hash of all that follows comes next.
MARK = b"ablate checkpoint 1\n"
HASH_BYTES = 32


@dataclass(frozen=True)
class Checkpoint:
    """A trial at the end of an epoch.

    Attributes:
        identity: the trial's.
        epoch: epochs done.
        curves: for each score, its value after each epoch.
        seconds: spent so far, in all attempts.
        state: what the training function takes to go on.
    """

    identity: str
    epoch: int
    curves: Mapping[str, Sequence[float]]
    seconds: float
    state: Mapping[str, Any]


class DamagedError(AblateError):
    """A checkpoint is not what was written, is that of another trial, or holds what cannot be read again."""


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint beside the last one and put it in its place.

    Whenever the process dies or the power goes, the file holds this checkpoint or the one before, and both on the disk.

    Raises:
        OSError: if it cannot be written; the one before is still there then.
    """
    buffer = io.BytesIO()
    # Field by field: a copy of a network's state is the one thing here that takes time.
    torch.save({name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}, buffer)
    content = buffer.getbuffer()
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(MARK)
            file.write(hashlib.sha256(content).digest())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def load(path: Path, identity: str, *, device: torch.device) -> Checkpoint | None:
    """Read a checkpoint; None if there is none.

    Raises:
        DamagedError: if the file is not whole, or belongs to another trial.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror or error}") from None
    start = len(MARK) + HASH_BYTES
    if content[: len(MARK)] != MARK or hashlib.sha256(content[start:]).digest() != content[len(MARK) : start]:
        raise DamagedError(f"{path} is not what was written: its checksum differs")
    try:
        saved = torch.load(io.BytesIO(content[start:]), map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise DamagedError(f"{path} holds objects that are not read again: {str(error).splitlines()[0]}") from None
    if saved["identity"] != identity:
        raise DamagedError(f"{path} belongs to another trial")
    return Checkpoint(**saved)


def _sync_folder(folder: Path) -> None:
    """Let the disk know of a renaming; where folders cannot be opened (Windows) it knows by itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
