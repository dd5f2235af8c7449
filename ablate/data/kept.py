"""Decoded data sets, one file each, which every process of the machine maps into memory.

A file is a line (a hash, then a description in JSON), then the arrays, inputs with their channels last. It is written
beside and then renamed, so it is whole or not there, and it is used only if it describes the same data set and source
code, every file that it was read from is as it was, and the arrays have the hash that they were written with. The
folder can be deleted at any time.
"""

import hashlib
import json
import mmap
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from ablate.data.files import noting, stamp
from ablate.data.images import Images

LAYOUT = 1
ALIGNMENT = 64  # bytes
ABANDONED = 3600  # seconds since the last write to a file that is not finished


def folder() -> Path:
    """Return the folder of decoded data: below $ABLATE_CACHE, or below the platform's folder for caches.

    Raises:
        RuntimeError: if the user has no home.
    """
    if given := os.environ.get("ABLATE_CACHE"):
        return Path(given) / "data"
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "ablate" / "data"


def images(key: Mapping[str, Any], source: str, decode: Callable[[], Images]) -> Images:
    """Return a data set from its file, or decode it and keep it there.

    A folder that cannot be written costs time and nothing else.

    Args:
        key: what tells data sets apart, as JSON can hold it.
        source: hash of the code that decodes.
        decode: reads it; what reads no file by `files.read_bytes` is not kept, as no change of it could be seen.
    """
    name = f"{key['name']}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.images"
    # Random draws and sums may change in their last bits with NumPy.
    made = json.loads(json.dumps({"layout": LAYOUT, "key": key, "source": source, "numpy": np.__version__}))
    try:
        path = folder() / name
    except RuntimeError:
        return decode()
    found = _read(path, made)
    if found is None:
        with noting() as files:
            decoded = decode()
        if files:
            with suppress(OSError):
                _write(path, {**made, "files": files}, decoded)
        found = _read(path, made) or decoded  # from the file, so that the parent shares its memory too
    return found


def _read(path: Path, made: Mapping[str, Any]) -> Images | None:
    """Map a file; None if it is missing, damaged, or not of this data as it is now."""
    try:
        with path.open("rb") as file:
            check, line = file.readline().rstrip(b"\n").split(b" ", 1)
            start = file.tell()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # torch warns of arrays that are read-only
        if check != _hash(line):
            return None
        about = json.loads(line)
        if made != {name: about.get(name) for name in made}:
            return None
        if any(stamp(Path(name)) != then for name, then in about["files"].items()):
            return None
        train_inputs, train_targets, test_inputs, test_targets = _arrays(mapped, start, about["shapes"])
    except (OSError, ValueError):
        return None
    found = Images(
        train_inputs.transpose(0, 3, 1, 2), train_targets, test_inputs.transpose(0, 3, 1, 2), test_targets,
        about["n_classes"],
    )  # fmt: skip
    return found if found.fingerprint == about["fingerprint"] else None


def _arrays(mapped: mmap.mmap, start: int, shapes: Sequence[Sequence[int]]) -> Iterator[NDArray[Any]]:
    """Yield inputs, targets, inputs, targets as they lie in the file.

    Raises:
        ValueError: if the file is too short.
    """
    for shape in shapes:
        dtype = np.dtype(np.float32 if len(shape) == 4 else np.int64)
        start += -start % ALIGNMENT
        flat = np.frombuffer(mapped, dtype, count=int(np.prod(shape)), offset=start)
        yield flat.reshape(shape)
        start += flat.nbytes


def _write(path: Path, made: Mapping[str, Any], images: Images) -> None:
    """Write a file beside, then rename it; two who write at once write the same.

    Raises:
        OSError: if it cannot be written; nothing is left of it then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob("*.part"):
        with suppress(OSError):  # another process may be faster
            if time.time() - left.stat().st_mtime > ABANDONED:
                left.unlink()
    arrays: list[NDArray[Any]] = [
        images.train_inputs.transpose(0, 2, 3, 1), images.train_targets,
        images.test_inputs.transpose(0, 2, 3, 1), images.test_targets,
    ]  # fmt: skip
    about = {
        **made,
        "fingerprint": images.fingerprint,
        "n_classes": images.n_classes,
        "shapes": [array.shape for array in arrays],
    }
    line = json.dumps(about).encode()
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(_hash(line) + b" " + line + b"\n")
            for array in arrays:
                file.write(bytes(-file.tell() % ALIGNMENT))
                file.write(np.ascontiguousarray(array).data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _hash(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest().encode()
