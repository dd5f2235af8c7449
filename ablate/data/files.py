"""The files that a data set is read from, noted while it is decoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_noted: ContextVar[dict[str, list[int]] | None] = ContextVar("_noted", default=None)


def read_bytes(path: Path) -> bytes:
    """Return what is in a file; data sets read every file by this, so that a change of one is seen later."""
    noted = _noted.get()
    if noted is not None:
        noted[str(path.absolute())] = stamp(path)  # before it is read: a change from here on is seen
    return path.read_bytes()


def stamp(path: Path) -> list[int]:
    """Return what changes with a file: size, and nanoseconds of the change of content and of anything else."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


@contextmanager
def noting() -> Iterator[dict[str, list[int]]]:
    """Yield a dict that fills with the stamp of every file that is read meanwhile, by path."""
    noted: dict[str, list[int]] = {}
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)
