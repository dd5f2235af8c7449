"""Who may run a study: one process at a time."""

import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ablate.errors import StoreError


@contextmanager
def lease(folder: Path, study: str, bury: Callable[[int], None] = lambda _: None) -> Iterator[None]:
    """Hold a study by a lock file in a folder beside its records; a process that is killed loses it at once.

    Args:
        folder: where the lock file lies.
        study: for the message.
        bury: given the process id of a former holder that was killed on this machine, if there was one.

    Raises:
        StoreError: if another process holds it, with its process id and host; or the folder cannot be written.
    """
    holder = folder / "lease.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lease.lock")
        lock.acquire(timeout=0)
    except Timeout:
        who = _holder(holder)
        raise StoreError(
            f"study {study!r} is being run by process {who.get('pid', '?')} on {who.get('host', '?')}; "
            "wait for it, or stop it"
        ) from None
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}") from error
    try:
        before = _holder(holder)
        if before.get("host") == platform.node() and isinstance(before.get("pid"), int):
            bury(before["pid"])
        with suppress(OSError):  # only says who holds it
            holder.write_text(json.dumps({"pid": os.getpid(), "host": platform.node()}), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}
