"""Trials on their way through the lanes, step by step: who is next, who has died, who takes too long."""

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ablate.errors import StudyError
from ablate.job import Job
from ablate.pool import DIED, MOST_DEATHS, Died, Lane
from ablate.study import FELL_BEHIND, Cost, Run, RunState, Trial

# An attempt that still runs is told of at least this often, whether or not a step has ended.
TELL_SECONDS = 5.0


class Agenda(Protocol):
    """What there is to do, as the scheduler asks for it."""

    def next(self) -> Trial | None:
        """Return the next trial; None if there is none, or none before another has ended."""

    def is_done(self) -> bool:
        """Tell whether there is nothing more to come."""

    def heard(self, run: Run) -> bool:
        """Hear of a trial that still runs; answer whether to stop it."""

    def ended(self, run: Run) -> bool:
        """Hear of a trial that will not be tried again; answer whether its setting has fallen behind by it."""


class Fixed:
    """The trials of a design, in order."""

    def __init__(self, trials: Iterable[Trial]) -> None:
        self._waiting = deque(trials)

    def next(self) -> Trial | None:
        """Return the next trial."""
        return self._waiting.popleft() if self._waiting else None

    def is_done(self) -> bool:
        """Tell whether all have been given."""
        return not self._waiting

    def heard(self, _: Run) -> bool:
        """Stop nothing."""
        return False

    def ended(self, _: Run) -> bool:
        """Take note of nothing: what has been run stands in the records."""
        return False


@dataclass
class _Attempt:
    """An attempt at a trial as the parent sees it; times are those of the monotonic clock."""

    trial: Trial
    failures: int = 0
    deaths: int = 0
    furthest: int = 0
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    began: float = field(default_factory=time.time)
    since: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    last: Run | None = None
    notes: tuple[str, ...] = ()

    def known(self, state: RunState, error: str = "") -> Run:
        """Return what is known of the attempt without asking its worker."""
        last = self.last or Run(self.trial, state, started=self.began, attempt=self.name, notes=self.notes)
        return replace(last, state=state, error=error, seconds=max(last.seconds, time.time() - last.started))


class Schedule:
    """Runs what an agenda asks for.

    Args:
        lanes: the workers.
        job: what all trials share.
        agenda: what to run.
        deadline: when to stop, by the monotonic clock.
        waiting: what to wait in.
    """

    def __init__(
        self,
        lanes: list[Lane],
        job: Job,
        agenda: Agenda,
        *,
        deadline: float | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._waiting = waiting
        self.costs: Mapping[str, Cost] = {}
        self._job = job
        self._agenda = agenda
        self._deadline = deadline
        self._is_here = not lanes[0].is_process
        self._idle = deque(lanes)
        self._next: list[tuple[Lane, _Attempt]] = []
        self._busy: dict[Future[Run], tuple[Lane, _Attempt]] = {}
        self._again: deque[_Attempt] = deque()
        self._suspects: deque[_Attempt] = deque()

    def is_done(self) -> bool:
        """Tell whether nothing is left to do."""
        return not (self._busy or self._next or self._again or self._suspects) and self._agenda.is_done()

    @property
    def is_late(self) -> bool:
        """Tell whether the deadline has passed."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def fill(self) -> None:
        """Give every idle lane something to do; suspects come last, each alone."""
        while self._idle:
            if self._again:
                attempt = self._again.popleft()
            elif (trial := self._agenda.next()) is not None:
                attempt = _Attempt(trial)
            elif self._suspects and not self._busy:
                attempt = self._suspects.popleft()
            else:
                return
            attempt.since = attempt.told = time.monotonic()
            self._submit(self._idle.popleft(), attempt)
            if attempt.deaths == MOST_DEATHS - 1:
                return  # alone

    def runs(self) -> Iterator[Run]:
        """Yield what is new of every run: still running, or ended; the next one is under way before.

        Raises:
            StudyError: if a source file or the data have changed under the study.
        """
        self._go_on()
        while self._busy and not self.is_late:
            with self._waiting():
                done, _ = wait(self._busy, timeout=self._patience(), return_when=FIRST_COMPLETED)
            news, fault = [], None
            for future in done:
                try:
                    news += self._settle(future)
                except StudyError as error:
                    fault = error
            if fault is not None:
                yield from news
                raise fault
            news += self._overdue()
            if self._is_here:  # the next step holds everything up until it is done
                yield from news
                self._go_on()
            else:
                self._go_on()
                yield from news

    def _go_on(self) -> None:
        """Start the next steps of trials that are under way, then new trials, unless one is to be alone."""
        while self._next:
            self._submit(*self._next.pop())
        if not self._is_someone_alone():
            self.fill()

    def wind_down(self, seconds: float) -> Iterator[Run]:
        """Let steps in hand end, for so long at most, and yield every run that was under way."""
        wait(self._busy, timeout=0 if self._is_here else seconds)
        begun = [attempt for attempt in (*self._again, *self._suspects) if attempt.last is not None]
        for attempt in (*(attempt for _, attempt in self._next), *begun):
            yield attempt.known(RunState.KILLED)
        for future, (_, attempt) in self._busy.items():
            run = attempt.known(RunState.KILLED)
            if future.done():
                with suppress(Died, StudyError):
                    last = self._completed(attempt, future.result())
                    run = replace(last, state=RunState.KILLED) if last.state is RunState.RUNNING else last
            yield run
        self._busy.clear()

    # -- one step ------------------------------------------------------------------------------------------------

    def _submit(self, lane: Lane, attempt: _Attempt) -> None:
        study, trial = self._job.study, attempt.trial
        search = study.design.search
        first = (search.confirm_seeds if search else study.seeds)[0]
        keep = study.keep == "weights" or (study.keep is None and trial.seed == first)
        options: dict[str, Any] = {"keep_weights": keep and not trial.held_out}
        # Of the costs that are counted before anything trains, none is a time.
        options["costed"] = trial.setting.label in self.costs and "latency_ms" not in (
            search.objectives if search else ()
        )
        if study.timeout is not None and lane.is_process:
            left = study.timeout - (time.monotonic() - attempt.since)
            options["stack"] = (self._stack_file(attempt), max(0.05, left))
        try:
            future = lane.submit("advance", self._job, trial, attempt.name, **options)
        except BaseException:  # Ctrl-C in this process: it was under way
            self._busy[Future()] = lane, attempt
            raise
        self._busy[future] = lane, attempt

    def _settle(self, future: Future[Run]) -> list[Run]:
        """Take the result of a step, and go on with the trial or free its lane."""
        lane, attempt = self._busy.pop(future)
        try:
            run = self._completed(attempt, future.result())
        except Died:
            return self._died(lane, attempt)
        if run.state is RunState.RUNNING and self._agenda.heard(run):
            run = replace(run, state=RunState.PRUNED)
        if run.state is RunState.RUNNING and self._is_over_time(attempt):
            run = replace(run, state=RunState.FAILED, error=self._over_time(attempt))
        if run.state is RunState.RUNNING:
            attempt.last, attempt.told = run, time.monotonic()
            n_epochs = max(map(len, run.curves.values()), default=0)
            if n_epochs > attempt.furthest:  # what begins again from nothing is not on its way
                attempt.furthest, attempt.deaths = n_epochs, 0
            self._next.append((lane, attempt))
        else:
            self._idle.append(lane)
            run = self._end(attempt, run)
        return [run]

    def _completed(self, attempt: _Attempt, run: Run) -> Run:
        """Return a worker's run with what only the parent knows."""
        cost = run.cost or (attempt.last and attempt.last.cost) or self.costs.get(attempt.trial.setting.label)
        started = attempt.last.started if attempt.last else run.started
        notes = run.notes if run.notes[: len(attempt.notes)] == attempt.notes else (*attempt.notes, *run.notes)
        return replace(run, cost=cost, notes=notes, started=started, ended=time.time())

    def _end(self, attempt: _Attempt, run: Run) -> Run:
        diverged = run.state is RunState.FAILED and "DivergedError: " in run.error.strip().rpartition("\n")[2]
        if diverged or run.state is RunState.PRUNED:
            self.discard(attempt.trial)  # what led there is nothing to go on from
        if run.state is RunState.FAILED and not diverged and attempt.failures < self._job.study.retries:
            self._again.append(_Attempt(attempt.trial, attempt.failures + 1))
            return run
        return replace(run, notes=(*run.notes, FELL_BEHIND)) if self._agenda.ended(run) else run

    def discard(self, trial: Trial) -> None:
        """Remove what a trial would go on from."""
        if self._job.checkpoints is not None:
            (self._job.checkpoints / f"{trial.identity}.pt").unlink(missing_ok=True)

    # -- what goes wrong -----------------------------------------------------------------------------------------

    def _died(self, lane: Lane, attempt: _Attempt) -> list[Run]:
        """Find out whose fault a dead worker is: at once again, then alone, where nobody else can be it."""
        self._renew(lane)
        self._idle.append(lane)
        attempt.deaths += 1
        if attempt.deaths < MOST_DEATHS:
            attempt.notes = (*attempt.notes, DIED)
            (self._again if attempt.deaths < MOST_DEATHS - 1 else self._suspects).append(attempt)
            return []
        error = f"{DIED}; {MOST_DEATHS} times without one more step in between, the last time while nothing else ran"
        run = self._completed(attempt, attempt.known(RunState.FAILED, error))
        self._agenda.ended(run)
        return [run]

    def _overdue(self) -> list[Run]:
        """Tell of those that were not heard of for a while, and end those that take longer than they may."""
        news = []
        now = time.monotonic()
        for future, (lane, attempt) in list(self._busy.items()):
            if not lane.is_ready:
                attempt.since = attempt.told = now  # the time that a process takes to start is not the trial's
            # A little later than it may, so that it can say where it is.
            grace = max(0.5, (self._job.study.timeout or 0) / 10)
            if lane.is_process and self._is_over_time(attempt, grace) and not future.done():
                del self._busy[future]
                self._renew(lane)
                self._idle.append(lane)
                run = self._completed(attempt, attempt.known(RunState.FAILED, self._over_time(attempt)))
                news.append(self._end(attempt, run))
            elif now - attempt.told >= TELL_SECONDS:
                attempt.told = now
                news.append(self._completed(attempt, attempt.known(RunState.RUNNING)))
        return news

    def _is_over_time(self, attempt: _Attempt, grace: float = 0.0) -> bool:
        limit = self._job.study.timeout
        return limit is not None and time.monotonic() - attempt.since > limit + grace

    def _over_time(self, attempt: _Attempt) -> str:
        """Say that a trial took too long, and where it was."""
        path = self._stack_file(attempt)
        stack = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        path.unlink(missing_ok=True)
        where = f"{stack}\n" if stack else ""
        return (
            f"{where}timeout: it ran longer than the {self._job.study.timeout:g} seconds that the study allows a trial"
        )

    def _stack_file(self, attempt: _Attempt) -> Path:
        return (self._job.checkpoints or Path()) / f"{attempt.trial.identity}.stack"

    def _renew(self, lane: Lane) -> None:
        lane.renew()
        lane.start("prepare", self._job)

    def _is_someone_alone(self) -> bool:
        return any(attempt.deaths == MOST_DEATHS - 1 for _, attempt in self._busy.values())

    def _patience(self) -> float:
        """Return how long to wait for a step before looking at the clock."""
        patience = [TELL_SECONDS / 2]
        if self._deadline is not None:
            patience.append(max(0.0, self._deadline - time.monotonic()))
        if self._job.study.timeout is not None:
            patience.append(min(1.0, self._job.study.timeout / 10))
        return min(patience)
