"""One study that is killed again and again until it is complete, and what must hold then."""

import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import closing, suppress
from pathlib import Path

SITE = Path(__file__).parent / "site"
ROOT = Path(__file__).parents[2]
PHASES = ("import", "start", "step", "checkpoint", "record", "end")

# Each epoch draws an order and shifts images, so that a resumed trial that forgets where it was has other scores.
STUDY = """\
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 300}}
slots:
  attention: [none, se]
seeds: 2
recipe: {epochs: 40, batch: 64, augment: shift}
"""
N_TRIALS = 4
STATUSES = {"complete": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
MOST_SECONDS = 180  # a call; one that takes longer hangs


class Round:
    """One study in a folder of its own, from its first call to its check."""

    def __init__(self, folder, bug=None):
        self.folder = folder
        self.late_kills = 0
        self.calls = []  # how each ended, for whoever asks how something came to be left over
        (folder / "notes").mkdir(parents=True)
        (folder / "tmp").mkdir()
        (folder / "small.yml").write_text(STUDY, "utf-8")
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "ABLATE_CACHE": str(folder.parent / "cache"),
            "TMPDIR": str(folder / "tmp"),
        }
        self.watched = {
            **self.environment, "ABLATE_CAMPAIGN": str(folder), "ABLATE_TEST_BUG": bug or "", "PYTHONPATH": f"{SITE}:{ROOT}",
        }  # fmt: skip

    def start(self, environment):
        """Start `ablate run` as the leader of a process group."""
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "ablate", "run", "small.yml", "--workers", "2"],
                cwd=self.folder, env=environment, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def undisturbed(self):
        """Run the study, and return its curves and what it leaves in the folder for temporary files."""
        if self.start(self.environment).wait(MOST_SECONDS):
            sys.exit(self.output())
        return self.curves(), self.temporary()

    def output(self):
        """Return the last lines that its calls printed."""
        return "\n".join((self.folder / "output").read_text("utf-8").splitlines()[-30:])

    def ending(self, pid, code):
        """Say how a call has ended: its phase, who holds the lease now, and how many semaphores it has left."""
        note, lease = self.folder / "notes" / str(pid), self.folder / "runs" / "small" / "lease.json"
        phase = PHASES[note.read_bytes()[0]] if note.exists() else "before its import"
        holder = lease.read_text("utf-8") if lease.exists() else "nobody"
        return f"{pid} ended with {code} in {phase}; lease: {holder}; semaphores: {len(semaphores(pid))}"

    def ledger(self):
        """Return what the processes wrote down, as lists of words."""
        path = self.folder / "ledger"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def is_trained(self):
        """Tell whether every trial has handed over its scores."""
        return (
            len({words[1] for words in self.ledger() if words[0] == "finished" and words[3] == "complete"}) == N_TRIALS
        )

    def note(self, pid):
        """Return the note of a process: phase, recording, fired."""
        return (self.folder / "notes" / str(pid)).read_bytes()

    # -- what must hold --------------------------------------------------------------------------------------------

    def _query(self, statement):
        with closing(sqlite3.connect(self.folder / "runs" / "mlflow.db")) as connection:
            return connection.execute(statement).fetchall()

    def curves(self):
        """Return by setting and seed the curves of every complete run, as MLflow has them."""
        points = self._query("""
            select name, key, step, value from runs join metrics using (run_uuid)
            where status = 'FINISHED' and name like '% seed %' and key not in ('seconds', 'latency_ms')""")
        curves = defaultdict(list)
        for point in points:
            curves[point[0]].append(point[1:])
        return {name: sorted(curve) for name, curve in curves.items()}

    def losses(self):
        """Return what was lost so far that a kill must not lose, in sentences."""
        possible = defaultdict(lambda: {0})  # epochs that the checkpoint of a trial may hold
        for kind, identity, *rest in self.ledger():
            match kind:
                case "saving":
                    possible[identity].add(int(rest[0]))
                case "saved":
                    possible[identity] = {int(rest[0])}
                case "discarding":
                    possible[identity].add(0)
                case "loaded" if rest[0] == "damaged":
                    yield f"a checkpoint of trial {identity[:8]} was found damaged"
                case "loaded" if int(rest[0]) not in possible[identity]:
                    yield f"trial {identity[:8]} went on from epoch {rest[0]}, not from one of {possible[identity]}"

    def temporary(self):
        """Return what stands in the folder for temporary files."""
        return {path.name for path in (self.folder / "tmp").iterdir()}

    def problems(self, expected, temporary):
        """Return what is wrong with a study that says it is complete, in sentences."""
        yield from self.losses()
        names = Counter(name for (name,) in self._query(
            "select name from runs where status = 'FINISHED' and name like '% seed %'"))  # fmt: skip
        if names != Counter(expected.keys()):
            yield f"complete runs in MLflow: {dict(names)}"
        rows = [line.split(",") for line in (self.folder / "runs/small/runs.csv").read_text("utf-8").splitlines()]
        setting, seed, state = (rows[0].index(column) for column in ("setting", "seed", "state"))
        frame = Counter(f"{row[setting]} seed {row[seed]}" for row in rows[1:] if row[state] == "complete")
        if frame != Counter(expected.keys()):
            yield f"complete rows in the frame: {dict(frame)}"
        curves = self.curves()
        for name, curve in expected.items():
            if curve != curves.get(name):
                yield f"{name}: its curves are not those of an undisturbed run"
        attempts = self._query("""
            select value, status from runs join tags using (run_uuid) where key = 'ablate.attempt'""")
        if len(attempts) != len(dict(attempts)):
            yield f"attempts that were recorded twice: {attempts}"
        ended = {(words[2], STATUSES[words[3]]) for words in self.ledger() if words[0] == "finished"}
        if lost := ended - set(attempts):
            yield f"runs that had ended and are not in MLflow: {lost}"
        if still := self._query("select name from runs where status in ('RUNNING', 'SCHEDULED')"):
            yield f"still running, says MLflow: {still}"
        yield from self._leftovers(temporary)

    def _leftovers(self, temporary):
        runs = self.folder / "runs"
        left = [
            *runs.rglob("*.part"), *runs.rglob("lease.json"), *runs.glob("small/checkpoints"), *runs.glob("small/spool"),
            *(self.folder / "tmp" / name for name in self.temporary() - temporary),
            *(path for note in (self.folder / "notes").iterdir() for path in semaphores(note.stem)),
        ]  # fmt: skip
        if left:
            yield "\n".join([f"left over: {', '.join(map(str, left))}", *self.calls])
        deadline = time.monotonic() + 5
        while (orphans := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        if orphans:
            yield f"processes left over: {orphans}"

    def processes(self):
        """Return the processes of this round that live, by their environment."""
        mark = f"ABLATE_CAMPAIGN={self.folder}\0".encode()
        living = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in path.read_bytes() + b"\0":
                    living.append(int(path.parent.name))
        return living


def semaphores(pid):
    """Return the semaphores that a process's workers have left, as files."""
    return list(Path("/dev/shm").glob(f"sem.loky-{pid}-*"))
