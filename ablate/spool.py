"""What has ended and is not in the record yet: a folder of entries, each whole or not there."""

import errno
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path

from ablate.errors import StoreError

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """What the record is to hold of one attempt at a trial, in plain values.

    Attributes:
        attempt: names the attempt; however often an entry is written, there is one record of it.
        status: FINISHED, FAILED, KILLED or RUNNING, as MLflow has them.
        started: milliseconds since 1970, as `ended`, which is None for what still runs.
        points: metric, value, milliseconds since 1970 and epoch.
        files: what is kept beside it, by name: bytes, or where it lies.
    """

    attempt: str
    name: str
    status: str
    started: int
    ended: int | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: tuple[tuple[str, float, int, int], ...]
    files: Mapping[str, bytes | Path] = field(default_factory=dict)


class Spool:
    """A folder of entries that wait for being written to the record.

    Nothing is read from here as a result: what waits is written to the record first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, entry: Entry) -> None:
        """Keep an entry; its own file comes last and at once, so an entry that can be seen is whole.

        Raises:
            StoreError: if the folder cannot be written; nothing of the entry is left then.
        """
        plain = vars(entry) | {"format": FORMAT, "files": list(entry.files)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, content in entry.files.items():
                write_whole(self._beside(entry.attempt, name), content)
            write_whole(self._path(entry.attempt), json.dumps(plain, ensure_ascii=False).encode())
        except OSError as error:
            with suppress(OSError):
                self.remove(entry.attempt, entry.files)
            raise StoreError(unwritable(self.folder, error)) from error

    def get(self, attempt: str) -> Entry | None:
        """Return an entry, or None if it is damaged.

        Raises:
            StoreError: if a newer ablate has left it.
        """
        try:
            plain = json.loads(self._path(attempt).read_bytes())
            if plain.pop("format") > FORMAT:
                raise StoreError(
                    f"{self._path(attempt)} was left by a newer ablate: run that one again, or delete the file and "
                    "lose that run"
                )
            files = {name: self._beside(attempt, name) for name in plain.pop("files")}
            points = tuple((str(name), value, time, epoch) for name, value, time, epoch in plain.pop("points"))
            if set(plain) != {f.name for f in fields(Entry)} - {"points", "files"}:
                return None
            return Entry(**plain, points=points, files=files) if all(p.is_file() for p in files.values()) else None
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
            return None
        except OSError as error:  # perhaps only now
            raise StoreError(f"{self._path(attempt)} cannot be read: {error.strerror or error}") from error

    def remove(self, attempt: str, files: Iterable[str] = ()) -> None:
        """Forget an entry: its own file first, so that what is left of it is no entry any more."""
        self._path(attempt).unlink(missing_ok=True)
        for name in files:
            self._beside(attempt, name).unlink(missing_ok=True)

    def waiting(self) -> list[str]:
        """Return the attempts whose entries wait, the oldest first."""
        found = []
        for path in self.folder.glob("*.json"):
            with suppress(FileNotFoundError):  # written meanwhile
                found.append((path.stat().st_mtime_ns, path.stem))
        return [attempt for _, attempt in sorted(found)]

    def tidy(self) -> None:
        """Remove what belongs to no entry: a process was killed while it wrote it."""
        attempts = set(self.waiting())
        for path in self.folder.glob("*"):
            if path.suffix == ".part" or (path.suffix != ".json" and path.name.partition("-")[0] not in attempts):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()  # as long as nothing waits there is no folder

    def _path(self, attempt: str) -> Path:
        return self.folder / f"{attempt}.json"

    def _beside(self, attempt: str, name: str) -> Path:
        return self.folder / f"{attempt}-{name}"


def write_whole(path: Path, content: bytes | Path) -> None:
    """Write a file beside its place, then put it there: whole or not at all."""
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def unwritable(folder: Path, error: OSError) -> str:
    """Say why a folder cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "no space left on the disk: make room, what is recorded is safe" if full else error.strerror or error
    return f"{folder} cannot be written: {why}"
