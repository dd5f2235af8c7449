"""Notes which phase a process of the fault campaign is in, and kills it there when it is aimed at.

A process keeps a note (three bytes in a file that is mapped to memory, so that they outlive SIGKILL): the phase, how
many of its threads are recording, and whether it has killed itself. What must not be lost goes to a ledger, a line each.
"""

import json
import mmap
import os
import signal
import sys
import threading
from functools import wraps
from importlib.machinery import PathFinder
from pathlib import Path

import bugs

PHASES = ("import", "start", "step", "checkpoint", "record", "end")
PHASE, RECORDING, FIRED = range(3)

FOLDER = Path(os.environ["ABLATE_CAMPAIGN"])
ENGINE = f"{Path(__file__).parents[3]}/ablate/"


def watch():
    """Begin to note where this process is, if it is the parent or a worker."""
    command = " ".join(sys.orig_argv)
    role = "parent" if "-m ablate run" in command else "worker" if "popen_loky" in command else None
    if role is not None:
        victim = Victim(role)
        sys.meta_path.insert(0, _AfterImport(victim.after_import()))
        victim.enter("import")


class Victim:
    """This process."""

    def __init__(self, role):
        self._role = role
        self._lock = threading.Lock()
        self._armed = None
        self._entries = {}
        beside = FOLDER / "notes" / f"{os.getpid()}.new"
        beside.write_bytes(bytes(3))
        with beside.open("r+b") as file:
            self._note = mmap.mmap(file.fileno(), 3)
        beside.rename(beside.with_suffix(""))

    def enter(self, phase):
        """Note that this process is in a phase now."""
        self._leave()
        self._note[PHASE] = PHASES.index(phase)
        self._face(phase)

    def _leave(self):
        """Die now, at the last moment of the phase, if this was to happen earlier in it."""
        if self._armed is not None and self._armed[1] == threading.get_ident():
            self._fire(self._armed[0])

    # -- being killed --------------------------------------------------------------------------------------------

    def _face(self, phase, *, ended=True):
        """Look whether somebody is to die in this phase; the first who comes here is it.

        Args:
            phase: which.
            ended: of recording, whether it is about a run that has ended.
        """
        try:
            aim = json.loads((FOLDER / "aim").read_bytes())
        except FileNotFoundError:
            return
        if (aim["role"], aim["phase"]) != (self._role, phase) or (aim["ended"] and not ended):
            return
        number = aim["number"]
        self._entries[number] = self._entries.get(number, 0) + 1
        if self._entries[number] <= aim["skip"]:
            return
        try:
            claim = os.open(FOLDER / f"claim-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return
        os.write(claim, b"%d\n" % os.getpid())
        os.close(claim)
        if aim["manner"] != "outside":
            self._arm(aim)

    def _arm(self, aim):
        """Die at the beginning of a line of Python, so many lines from here: of the engine's own, or of any."""
        self._armed = aim, threading.get_ident()
        own, left = aim["manner"] == "own line", aim["lines"]

        def trace(frame, event, _):
            nonlocal left
            if own and (frame.f_code.co_name[0] == "<" or not frame.f_code.co_filename.startswith(ENGINE)):
                return None  # nor the lines of a comprehension, which has so many
            left -= event == "line"
            if left <= 0:
                self._fire(aim)
            return trace

        sys.settrace(trace)

    def _fire(self, aim):
        self._note[FIRED] = 1
        if aim["victim"] == "group":
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    # -- the engine's functions ----------------------------------------------------------------------------------

    def after_import(self):
        """Return what is done to modules of the engine when they have been imported."""
        if self._role == "parent":
            return {
                "ablate.runner": lambda module: (
                    self._begins(module, "run_study", "start"),
                    self._begins(module._Call, "close", "end"),
                ),
                "ablate.schedule": lambda module: (
                    self._begins(module.Schedule, "runs", "step"),
                    self._begins(module.Schedule, "wind_down", "end"),
                    _before(module.Schedule, "discard", lambda _, trial: _write("discarding", trial.identity)),
                ),
                "ablate.writer": lambda module: (
                    bugs.in_writer(module),
                    self._records(module.Writer, "finish", _finished),
                    self._records(module.Writer, "_write_next"),
                    self._records(module, "drain"),
                ),
            }
        return {
            "ablate.checkpoint": lambda module: (bugs.in_checkpoint(module), self._saves(module), _loads(module)),
            "ablate.attempt": lambda module: (
                bugs.in_attempt(module),
                self._begins(module, "_begin", "start"),
                self._begins(module.Attempt, "step", "step"),
                self._advances(module),
            ),
            "ablate.worker": lambda module: (self.enter("start"), self._begins(module, "latencies", "end")),
        }

    def _begins(self, owner, name, phase):
        _before(owner, name, lambda *_, **__: self.enter(phase))

    def _records(self, owner, name, afterwards=lambda *_: None):
        def records(real, *given):
            with self._lock:
                self._note[RECORDING] += 1
            self._face("record", ended=name != "_write_next" or bool(given[0]._ended))
            try:
                result = real(*given)
            finally:
                self._leave()
                with self._lock:
                    self._note[RECORDING] -= 1
            afterwards(*given)
            return result

        _wrap(owner, name, records)

    def _saves(self, module):
        def save(real, path, saved):
            _write("saving", saved.identity, saved.epoch)
            before = PHASES[self._note[PHASE]]
            self.enter("checkpoint")
            real(path, saved)
            self._leave()
            self._note[PHASE] = PHASES.index(before)
            _write("saved", saved.identity, saved.epoch)

        _wrap(module, "save", save)

    def _advances(self, module):
        def advance(real, *given, **options):
            run = real(*given, **options)
            if run.state.value != "running":
                self.enter("end")
            return run

        _wrap(module, "advance", advance)


class _AfterImport:
    """Does something to a module of the engine when it has been imported."""

    def __init__(self, actions):
        self._actions = actions

    def find_spec(self, name, path, target=None):
        if name not in self._actions:
            return None
        spec = PathFinder.find_spec(name, path, target)
        real = spec.loader.exec_module

        def execute(module):
            real(module)
            self._actions[name](module)

        spec.loader.exec_module = execute
        return spec


def _wrap(owner, name, function):
    real = getattr(owner, name)
    setattr(owner, name, wraps(real)(lambda *given, **options: function(real, *given, **options)))


def _before(owner, name, action):
    def function(real, *given, **options):
        action(*given, **options)
        return real(*given, **options)

    _wrap(owner, name, function)


def _loads(module):
    def load(real, path, identity, **options):
        try:
            found = real(path, identity, **options)
        except module.DamagedError:
            _write("loaded", identity, "damaged")
            raise
        _write("loaded", identity, found.epoch if found else 0)
        return found

    _wrap(module, "load", load)


def _finished(_, run):
    _write("finished", run.trial.identity, run.attempt, run.state.value)


def _write(*words):
    ledger = os.open(FOLDER / "ledger", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(ledger, (" ".join(map(str, words)) + "\n").encode())
    os.close(ledger)
