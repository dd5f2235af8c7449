"""Trials → an executor → runs → the record; what is complete is never run again."""

import importlib
import json
import os
import platform
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from joblib.externals.loky import ProcessPoolExecutor

from ablate import data, design, identity
from ablate.design import Inspection, Job
from ablate.errors import StoreError, StudyError
from ablate.study import Cost, Run, RunState, Study, Trial

if TYPE_CHECKING:
    from ablate.place import Place
    from ablate.tracking import Records

# What a worker process must find when it starts: one thread; and, for glibc, to keep memory that a batch has used for
# the next one. Without the last two every evaluation gives tens of megabytes back to the kernel and asks for them
# again, which was a tenth of a trial (glibc stops adapting both limits as soon as one is set).
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}

# After this long without work a process ends by itself: a parent that was killed cannot end it.
IDLE_SECONDS = 120


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes:
        run: the run that just ended; None at the start.
        n_complete: trials that are complete, earlier ones included.
        n_failed: trials that failed in this call.
        n_planned: trials that the study asks for.
        best: the setting with the best mean so far, and that mean; None before there is one.
        seconds_left: estimated; None before there is anything to estimate from.
    """

    run: Run | None
    n_complete: int
    n_failed: int
    n_planned: int
    best: tuple[str, float] | None = None
    seconds_left: float | None = None


@dataclass
class Outcome:
    """What a call of `run_study` did."""

    n_planned: int
    n_already_complete: int
    runs: list[Run] = field(default_factory=list)

    @property
    def failed(self) -> list[Run]:
        """The runs that failed."""
        return [run for run in self.runs if run.state is RunState.FAILED]


@dataclass(frozen=True)
class Forecast:
    """What a study would take: for each setting its cost and the seconds of one trial, measured on this machine."""

    plan: design.Plan
    trials: tuple[Trial, ...]
    costs: Mapping[str, Cost]
    seconds: Mapping[str, float]
    complete: frozenset[str]

    @property
    def waiting(self) -> list[Trial]:
        """The trials that have no complete run."""
        return [trial for trial in self.trials if trial.identity not in self.complete]

    def minutes(self, workers: int) -> float:
        """Return how long the waiting trials would take."""
        return sum(self.seconds[trial.setting.label] for trial in self.waiting) / max(1, workers) / 60


class Workers:
    """Processes that run functions of `ablate.worker`, named so that this process need not import torch.

    Args:
        n: how many; 0 runs everything here and now, where breakpoints work.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._pool = self._new()

    def _new(self) -> ProcessPoolExecutor | None:
        return (
            ProcessPoolExecutor(self.n, timeout=IDLE_SECONDS, initializer=_ignore_interrupts, env=ENVIRONMENT)
            if self.n
            else None
        )

    def submit(self, name: str, *arguments: Any, **options: Any) -> Future[Any]:
        """Run a function of `ablate.worker` and return its future."""
        if self._pool is not None:
            future: Future[Any] = self._pool.submit(_call, name, *arguments, **options)
            return future
        future = Future()
        try:
            future.set_result(_call(name, *arguments, **options))
        except Exception as error:  # noqa: BLE001  # a future carries it to whoever asks
            future.set_exception(error)
        return future

    def renew(self) -> None:
        """Replace processes that died."""
        self.kill()
        self._pool = self._new()

    def kill(self) -> None:
        """End the processes without waiting for what they do."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)


def _call(name: str, *arguments: Any, **options: Any) -> Any:
    return getattr(importlib.import_module("ablate.worker"), name)(*arguments, **options)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Trials:
    """Trials on their way through the workers, a few at a time, so that little is lost when the parent goes."""

    def __init__(self, workers: Workers, job: Job, trials: Iterable[Trial]) -> None:
        self._workers = workers
        self._job = job
        self._waiting = deque(trials)
        self._suspects: deque[Trial] = deque()
        self._alone: Trial | None = None
        self._running: dict[Future[Run], Trial] = {}

    def fill(self) -> None:
        """Give every worker a trial and one to go on with; suspects come last, each alone."""
        while self._waiting and len(self._running) < 2 * max(1, self._workers.n):
            self._submit(self._waiting.popleft())
        if self._suspects and not self._running:
            self._alone = self._suspects.popleft()
            self._submit(self._alone)

    def ended(self) -> Iterator[Run]:
        """Yield each run as it ends; the next trial is under way before."""
        self.fill()
        while self._running:
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            runs, broken = [], []
            for future in done:
                trial = self._running.pop(future)
                try:
                    runs.append(future.result())
                except BrokenProcessPool:
                    broken.append(trial)
            if broken:
                runs += self._judge(broken)
            self._alone = None
            self.fill()
            yield from runs

    def _judge(self, broken: list[Trial]) -> list[Run]:
        """Find out whose fault a dead worker is: whoever was there is rerun alone; who dies alone has failed."""
        self._workers.renew()
        if self._alone is None:
            self._suspects.extend([*broken, *self._running.values()])
            self._running.clear()
            return []
        error = "the worker process died while it ran this trial alone: killed for memory, or a crash in native code"
        return [Run(self._alone, RunState.FAILED, started=time.time(), error=error)]

    def _submit(self, trial: Trial) -> None:
        study = self._job.study
        keep = study.keep == "weights" or (study.keep is None and trial.seed == study.seeds[0])
        try:
            future = self._workers.submit("execute", self._job, trial, keep_weights=keep)
        except BrokenProcessPool:  # a worker died while nothing ran
            self._workers.renew()
            future = self._workers.submit("execute", self._job, trial, keep_weights=keep)
        self._running[future] = trial


def default_workers(device: str) -> int:
    """Return one worker per core, at most eight; one where the study asks for an accelerator."""
    return min(8, os.cpu_count() or 1) if device in ("auto", "cpu") else 1


def run_study(
    study: Study,
    place: "Place",
    *,
    workers: int,
    training: Callable[..., Iterator[Any]] | None = None,
    listen: Callable[[Progress], None] = lambda _: None,
) -> Outcome:
    """Run every trial of a study that has no complete run yet, and record it.

    Args:
        study: what to run.
        place: where to record.
        workers: processes; 0 runs everything in this one, where breakpoints work.
        training: the user's own training function, instead of `ablate.train.train`.
        listen: called at the start and after each run.

    Raises:
        StudyError: if a setting cannot be built, or two compute the same network; nothing has trained then.
        StoreError: if the record cannot be written, or another process is running this study.
    """
    job = Job(study, design.plan(study), training)
    with _lease(place, study), _staff(workers, job) as (staff, inspection):
        trials = identity.trials(study, job.plan, data.fingerprint, training)
        records = None if place.is_new() else _open(place, study)
        complete = records.completed() if records else {}
        pending = [trial for trial in trials if trial.identity not in complete]
        outcome = Outcome(len(trials), len(trials) - len(pending))
        if not pending and records:
            records.begin(study, job.plan, trials)
            _measure_latencies(job, staff, records)  # those that an earlier call could not come to
            records.end()
            return outcome
        found: Inspection = inspection.result()
        if found.problems:
            raise StudyError([f"{study.path}: {problem}" for problem in found.problems])
        queue = _Trials(staff, job, pending)
        if workers:
            queue.fill()  # training begins; what else there is to start is started beside it
        records = records or _open(place, study)
        records.begin(study, job.plan, trials, found.hardware)
        try:
            watch = _Watch(job, trials, complete, outcome)
            listen(watch.progress(None))
            for run in queue.ended():
                records.record(run, study, found.costs[run.trial.setting.label])
                outcome.runs.append(run)
                listen(watch.progress(run))
            watch.tell()
            _measure_latencies(job, staff, records)
        except BaseException:
            staff.kill()
            records.end(killed=True)
            raise
        records.end(failed=bool(outcome.failed))
    return outcome


class _Watch:
    """Keeps the scores that settings have so far, and tells Optuna in the end."""

    def __init__(
        self, job: Job, trials: tuple[Trial, ...], complete: Mapping[str, Mapping[str, float]], outcome: Outcome
    ) -> None:
        from ablate.search import Proposals  # noqa: PLC0415  # Optuna is imported beside the first trials

        self._job = job
        self._outcome = outcome
        self._proposals = Proposals(job.study, job.plan)
        self._settings = list(self._proposals.ask())
        self._scores: dict[str, list[float]] = {setting.label: [] for setting in self._settings}
        self._started = time.monotonic()
        for trial in trials:
            if trial.identity in complete:
                self._scores[trial.setting.label].append(complete[trial.identity][job.study.metric.name])

    def progress(self, run: Run | None) -> Progress:
        """Return how far the study is, after a run."""
        outcome = self._outcome
        if run is not None and run.state is RunState.COMPLETE:
            self._scores[run.trial.setting.label].append(run.score(self._job.study.metric.name))
        n_failed = len(outcome.failed)
        n_ended = len(outcome.runs)
        n_left = outcome.n_planned - outcome.n_already_complete - n_ended
        elapsed = time.monotonic() - self._started
        return Progress(
            run, outcome.n_already_complete + n_ended - n_failed, n_failed, outcome.n_planned,
            best=self._best(), seconds_left=elapsed / n_ended * n_left if n_ended else None,
        )  # fmt: skip

    def _best(self) -> tuple[str, float] | None:
        """Compare the settings that have the most seeds so far."""
        most = max(map(len, self._scores.values()))
        means = {label: fmean(scores) for label, scores in self._scores.items() if most and len(scores) == most}
        if not means:
            return None
        choose = max if self._job.study.metric.higher_is_better else min
        best = choose(means, key=lambda label: means[label])
        return best, means[best]

    def tell(self) -> None:
        """Tell Optuna the mean of every setting."""
        for setting in self._settings:
            self._proposals.tell(setting, self._scores[setting.label])


def smoke(study: Study, *, workers: int, training: Callable[..., Iterator[Any]] | None = None) -> dict[str, str]:
    """Train one step of every setting, record nothing, and return what went wrong by label (empty: nothing).

    Raises:
        StudyError: if a setting cannot be built, or two compute the same network.
    """
    job = Job(study, design.plan(study), training)
    with _staff(workers, job) as (staff, inspection):
        found: Inspection = inspection.result()
        if found.problems:
            raise StudyError([f"{study.path}: {problem}" for problem in found.problems])
        futures = {setting.label: staff.submit("smoke", job, setting) for setting in job.plan.settings}
        return {label: str(future.result()) for label, future in futures.items()}


def forecast(study: Study, place: "Place") -> Forecast:
    """Build every setting, count its cost and time a few of its steps; nothing is trained or recorded.

    Raises:
        StudyError: if a setting cannot be built, or two compute the same network.
    """
    job = Job(study, design.plan(study))
    with _staff(1, job) as (staff, inspection):
        trials = identity.trials(study, job.plan, data.fingerprint)
        complete = {} if place.is_new() else _open(place, study).completed()
        found: Inspection = inspection.result()
        if found.problems:
            raise StudyError([f"{study.path}: {problem}" for problem in found.problems])
        seconds = {setting.label: staff.submit("probe", job, setting).result() for setting in job.plan.settings}
    return Forecast(job.plan, trials, found.costs, seconds, frozenset(complete))


@contextmanager
def _staff(n: int, job: Job) -> Iterator[tuple[Workers, Future[Any]]]:
    """Start workers: one inspects the study, the others make themselves ready meanwhile."""
    workers = Workers(n)
    try:
        inspection = workers.submit("inspect", job)
        for _ in range(n - 1):
            workers.submit("prepare", job)
        yield workers, inspection
    finally:
        workers.kill()


def _open(place: "Place", study: Study) -> "Records":
    from ablate.tracking import Records  # noqa: PLC0415  # 2 s, which workers use to start or to train

    records = Records(place, study.name)
    records.check_path(study)
    return records


def _measure_latencies(job: Job, staff: Workers, records: "Records") -> None:
    """Measure the latency of settings that have none yet, now that the workers are idle."""
    known, wanted = records.latencies(job.plan)
    settings = [setting for setting in job.plan.settings if setting.label in wanted and setting.label not in known]
    measured: dict[str, float] = staff.submit("latencies", job, settings).result() if settings else {}
    records.note_latencies({**known, **measured}, wanted)


@contextmanager
def _lease(place: "Place", study: Study) -> Iterator[None]:
    """Hold the study, so that no two processes run it at the same time.

    Raises:
        StoreError: if another process holds it, with its process id and host; or the folder cannot be written.
    """
    folder = place.root / study.name
    holder = folder / "lease.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lease.lock")
        lock.acquire(timeout=0)
    except Timeout:
        who = {}
        with suppress(OSError, ValueError):
            who = json.loads(holder.read_text(encoding="utf-8"))
        raise StoreError(
            f"study {study.name!r} is being run by process {who.get('pid', '?')} on {who.get('host', '?')}; "
            "wait for it, or stop it"
        ) from None
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}") from error
    try:
        holder.write_text(json.dumps({"pid": os.getpid(), "host": platform.node()}), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
