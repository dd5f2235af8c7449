"""Kill real training at random moments, again and again, and see whether anything is lost.

python tests/faults/campaign.py                           # 200 kills, at least 20 in each phase (`make faults`)
python tests/faults/campaign.py --kills 25 --each 1       # a short one
python tests/faults/campaign.py --bug in-place --phases checkpoint      # must fail

One round after the other: `ablate run` of a small study in a folder of its own, again and again until it exits with 0,
while its parent process, one of its workers or the whole group is killed (SIGKILL) in a phase chosen at random. In
which phase it was when it died says its own note (see site/victim.py), and that alone counts. Phases:

import      from the start of the interpreter until the engine is imported
start       the parent plans and opens the record; a worker builds a network or reads a checkpoint
step        training; the parent waits for steps
checkpoint  a worker writes one
record      the parent writes what has ended to the spool, or from the spool to MLflow
end         the parent has no trial left: latencies, closing, the table; a worker hands over a trial that is done
"""

# ruff: noqa: T201  # it prints what it has counted

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from rounds import MOST_SECONDS, PHASES, Round

VICTIMS = ("parent", "worker", "group")
ROLES = dict.fromkeys(PHASES, ("parent", "worker")) | {"checkpoint": ("worker",), "record": ("parent",)}
CELLS = [(phase, victim) for phase in PHASES for victim in VICTIMS if victim == "group" or victim in ROLES[phase]]
MOST_WORKER_KILLS = 2  # a call: a trial whose worker dies three times in a row has failed, and rightly so
MOST_LATE_KILLS = 8  # a round, after the last trial: so that rounds come to an end
# The longest delay of a kill from outside, and the most lines of Python before one from inside: the engine's, any.
MOST_DELAY = {"import": 2.0, "start": 1.0, "step": 1.0, "checkpoint": 0.01, "record": 0.03, "end": 0.5}
OWN_LINES, ANY_LINES = {"checkpoint": 20, "record": 150}, 5000


class Campaign:
    """Rounds until enough has been killed."""

    def __init__(self, *, folder, kills, each, phases, seed, bug):
        self.kills, self.each, self.bug = kills, each, bug
        self.cells = [cell for cell in CELLS if cell[0] in phases]
        self.killed = Counter()
        self.calls = 0
        self._rng = random.Random(seed)
        self._folder = folder
        self._n_aims = 0

    def is_over(self):
        """Tell whether enough has been killed, in every phase."""
        phases = Counter(phase for phase, _ in self.killed.elements())
        return self.killed.total() >= self.kills and all(phases[phase] >= self.each for phase, _ in self.cells)

    def rounds(self):
        """Run one round after the other; yield the problems of each, until there are some or enough was killed."""
        number = 0
        while not self.is_over():
            number += 1
            round_ = Round(self._folder / f"round-{number}", self.bug)
            problems = []
            while not problems and (code := self._call(round_)) != 0:
                if code != -signal.SIGKILL:
                    problems.append(f"ended with exit code {code}:\n{round_.output()}")
                problems += round_.losses()
            yield problems or list(round_.problems(*self._undisturbed))
            shutil.rmtree(round_.folder)

    @cached_property
    def _undisturbed(self):
        return Round(self._folder / "undisturbed").undisturbed()

    def _call(self, round_):
        """Start one `ablate run`, kill what is aimed at, and return how the parent ended."""
        self.calls += 1
        worker_kills = 0
        aim = self._aim(round_, starting=("parent", "worker"))  # before it starts: it may be killed at once
        process = round_.start(round_.watched)
        deadline = time.monotonic() + MOST_SECONDS
        try:
            while aim and process.poll() is None and time.monotonic() < deadline:
                hit = self._shoot(round_, aim, process, deadline)
                worker_kills += hit == "worker"
                round_.late_kills += hit is not None and round_.is_trained()
                aim = self._aim(round_, starting=("worker",) if hit else (), worker=worker_kills < MOST_WORKER_KILLS)
            return process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return f"none: it hung for {MOST_SECONDS} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            round_.calls.append(round_.ending(process.pid, process.wait()))
            self._see_off(round_)

    def _aim(self, round_, *, starting, worker=True):
        """Choose what to kill next, where most is missing, of what this call still comes to; None to let it end.

        Args:
            round_: the study.
            starting: who is about to start.
            worker: whether one more worker may be killed.
        """
        (round_.folder / "aim").unlink(missing_ok=True)
        late = round_.is_trained()
        if self.is_over() or (late and round_.late_kills >= MOST_LATE_KILLS):
            return None
        roles = {}
        for phase, victim in self.cells:
            roles[phase, victim] = [
                role for role in ROLES[phase]
                if victim in (role, "group")
                and (phase in ("import", "start", "end") if late else (role, phase) != ("parent", "end"))
                and (phase not in ("import", "start") or role in starting)
                and (worker or victim != "worker")
            ]  # fmt: skip
        possible = [cell for cell in self.cells if roles[cell]] or self.cells
        share = self.kills / len(self.cells)
        phase, victim = self._rng.choices(possible, [max(0.05, share - self.killed[cell]) for cell in possible])[0]
        self._n_aims += 1
        manners = ("outside",) if phase == "import" else ("outside", "own line", "own line", "any line")
        manner = self._rng.choice(manners)
        most_lines = OWN_LINES.get(phase, 300) if manner == "own line" else ANY_LINES
        role = self._rng.choice(roles[phase, victim] or ROLES[phase])
        most_seconds = 0.5 if (phase, role) == ("import", "parent") else MOST_DELAY[phase]
        aim = {
            "number": self._n_aims, "phase": phase, "victim": victim, "role": role, "manner": manner, "late": late,
            "skip": self._rng.choice((0, 1, 1, 2)) if phase in ("step", "checkpoint", "record") else 0,
            "ended": self._rng.random() < 0.7, "delay": most_seconds * self._rng.random(),
            "lines": round(most_lines * self._rng.random() if most_lines < 200 else most_lines ** self._rng.random()),
        }  # fmt: skip
        beside = round_.folder / "aim.new"
        beside.write_text(json.dumps(aim))
        beside.replace(round_.folder / "aim")
        return aim

    def _shoot(self, round_, aim, process, deadline):
        """Wait until somebody is where the aim wants him, see him dead, and return which victim it was, if any."""
        claim = round_.folder / f"claim-{aim['number']}"
        while not claim.exists() or not claim.read_bytes().endswith(b"\n"):
            if process.poll() is not None or time.monotonic() > deadline:
                return None
            time.sleep(0.002)
            if not aim["late"] and round_.is_trained():
                return None  # it will not come to that any more
        pid = int(claim.read_bytes())
        if aim["manner"] == "outside":
            time.sleep(aim["delay"])
        else:  # it kills itself; unless it has too few lines left in that phase
            patience = time.monotonic() + 3
            while is_alive(pid) and time.monotonic() < patience:
                process.poll()
                time.sleep(0.001)
        if is_alive(pid):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL) if aim["victim"] == "group" else os.kill(pid, signal.SIGKILL)
        elif not round_.note(pid)[2]:
            return None  # it had ended before
        while is_alive(pid):
            process.poll()
            time.sleep(0.001)
        phase, recording, _ = round_.note(pid)
        self.killed["record" if recording else PHASES[phase], aim["victim"]] += 1
        if aim["victim"] != "worker":
            process.wait()
        return aim["victim"]

    def _see_off(self, round_):
        """Sometimes let what the parent left behind end before the next call, sometimes not."""
        if self._rng.random() < 0.3:
            deadline = time.monotonic() + 5
            while round_.processes() and time.monotonic() < deadline:
                time.sleep(0.05)

    def histogram(self):
        """Return how often what was killed where, as text."""
        lines = [f"{'phase':<12}" + "".join(f"{name:>8}" for name in (*VICTIMS, "all"))]
        for phase in PHASES:
            counts = [self.killed[phase, victim] for victim in VICTIMS]
            lines.append(f"{phase:<12}" + "".join(f"{n:>8}" for n in (*counts, sum(counts))))
        totals = [sum(self.killed[phase, victim] for phase in PHASES) for victim in VICTIMS]
        return "\n".join([*lines, f"{'all':<12}" + "".join(f"{n:>8}" for n in (*totals, sum(totals)))])


def is_alive(pid):
    """Tell whether a process runs; one that is dead and not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def main():
    """Run a campaign, print what was killed, and exit with 1 if anything was lost."""
    parser = argparse.ArgumentParser(
        description="Kill real training at random moments and see whether anything is lost."
    )
    parser.add_argument("--kills", type=int, default=200, help="how many at least (default: %(default)s)")
    parser.add_argument("--each", type=int, default=20, help="how many at least in each phase (default: %(default)s)")
    parser.add_argument("--phases", type=lambda text: text.split(","), default=PHASES, help="only these")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the random choices")
    parser.add_argument("--bug", choices=("in-place", "position", "spool"), help="put this bug into the engine")
    parser.add_argument(
        "--folder", type=lambda text: Path(text).resolve(), help="where to work; what is left there shows how it failed"
    )
    options = vars(parser.parse_args())
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends the campaign ends what it has started
    print(f"seed {options['seed']}", flush=True)
    clock, number, problems = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory(prefix="ablate-faults-") as temporary:
        campaign = Campaign(**options | {"folder": options["folder"] or Path(temporary)})
        try:
            for number, problems in enumerate(campaign.rounds(), start=1):
                seconds = time.monotonic() - clock
                print(f"round {number}: {campaign.killed.total()} kills so far, {seconds:.0f} s", flush=True)
                if problems:
                    break
        except KeyboardInterrupt:
            problems = ["interrupted"]
    print(campaign.histogram())
    seconds = time.monotonic() - clock
    print(f"{campaign.killed.total()} kills in {campaign.calls} calls and {number} rounds, {seconds:.0f} s", flush=True)
    if problems:
        sys.exit("\n".join(["FAILED", *problems]))
    print("every trial exactly once, bit-equal to an undisturbed run; nothing lost, nothing left over")


if __name__ == "__main__":
    main()
