"""The record off the critical path: a thread writes what has ended, from a spool that outlives the process."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.errors import AwayError, StoreError
from ablate.spool import Spool
from ablate.study import Run, Study

if TYPE_CHECKING:
    from ablate.tracking import Records

RETRY_SECONDS = 2.0


class Writer:
    """A thread that writes runs to the record; nothing here holds up whoever has them.

    A store that is away is waited for: what has ended waits in the spool meanwhile, and in the spool alone, so that
    no number of runs fills the memory.

    Args:
        records: where to write.
        study: what the runs belong to.
        folder: of the spool.
        say: told once when the store goes away and once when it is back; called from the thread.
    """

    def __init__(
        self, records: "Records", study: Study, folder: Path, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._records = records
        self._study = study
        self._spool = Spool(folder)
        self._say = say
        self._ended: deque[str] = deque()
        self._running: dict[str, Run] = {}
        self._sent: set[str] = set()  # of these the record may already hold something
        self._changed = threading.Condition()
        self._closing = False
        self._stopped = False
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="ablate-writer", daemon=True)
        self._thread.start()

    def finish(self, run: Run) -> None:
        """Take a run that has ended; when this returns, no end of this process loses it.

        Raises:
            StoreError: if the spool cannot be written.
        """
        self._spool.put(self._records.entry(run, self._study))
        with self._changed:
            self._running.pop(run.attempt, None)
            self._ended.append(run.attempt)
            self._changed.notify_all()

    def progress(self, run: Run) -> None:
        """Take what a running trial has so far; only the newest of an attempt is written."""
        with self._changed:
            if run.attempt not in self._ended:
                self._running[run.attempt] = run
                self._changed.notify_all()

    def check(self) -> None:
        """Raise what has stopped the thread for good, if anything has."""
        if self._fault is not None:
            raise self._fault

    def close(self, wait: float | None = None) -> int:
        """Write what is left, and return how many entries still wait in the spool.

        Args:
            wait: seconds at most; None waits until all is written, or the thread has stopped for good.
        """
        with self._changed:
            self._closing = True
            self._running.clear()
            self._changed.notify_all()
        self._thread.join(wait)
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._spool.tidy()
        return len(self._spool.waiting())

    def _work(self) -> None:
        away = False
        while self._wait(away=away):
            try:
                self._write_next()
            except AwayError as error:
                if not away:
                    self._say(f"{error}; what ends meanwhile waits in {self._spool.folder}")
                away = True
            except Exception as error:  # noqa: BLE001  # `check` raises it where it is seen
                self._fault = error
                return
            else:
                if away:
                    self._say("the store is back")
                away = False

    def _wait(self, *, away: bool) -> bool:
        """Wait until there is something to do; False when there will be nothing any more."""
        with self._changed:
            if away:
                self._changed.wait_for(lambda: self._stopped, RETRY_SECONDS)
            else:
                self._changed.wait_for(lambda: self._ended or self._running or self._closing)
            return not self._stopped and bool(self._ended or self._running or not self._closing)

    def _write_next(self) -> None:
        with self._changed:
            attempt = self._ended[0] if self._ended else next(iter(self._running), None)
            run = None if self._ended or attempt is None else self._running.pop(attempt)
        if attempt is None:
            return
        first = attempt not in self._sent
        self._sent.add(attempt)
        if run is not None:
            self._write_progress(run)
            return
        entry = self._spool.get(attempt)
        if entry is None:
            raise StoreError(f"{self._spool.folder}: the entry of a run that has ended was removed or damaged")
        self._records.write(entry, first=first)
        self._spool.remove(attempt, entry.files)
        self._sent.discard(attempt)
        with self._changed:
            self._ended.popleft()

    def _write_progress(self, run: Run) -> None:
        try:
            self._records.progress(self._records.entry(run, self._study))
        except AwayError:
            with self._changed:
                if run.attempt not in self._ended and not self._closing:
                    self._running.setdefault(run.attempt, run)
            raise


def drain(records: "Records", folder: Path) -> int:
    """Write what an earlier process left in its spool, and return how many entries that were.

    What is damaged is removed: those trials are run again.

    Raises:
        StoreError: if the record cannot be written, or a newer ablate has left an entry; what is left stays.
    """
    spool = Spool(folder)
    n_written = 0
    for attempt in spool.waiting():
        entry = spool.get(attempt)
        if entry is not None:
            records.write(entry)
            n_written += 1
        spool.remove(attempt)  # what lay beside it is tidied away
    spool.tidy()
    return n_written
