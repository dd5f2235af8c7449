"""A study from its plan to its records: what is complete is never run again, what was interrupted goes on."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate import data, design, pool, stop
from ablate.course import Course, course_of, split_of
from ablate.crew import crew
from ablate.errors import AblateError, AwayError, StoreError
from ablate.identity import Identities
from ablate.job import Inspection, Job
from ablate.lease import lease
from ablate.pool import Lane
from ablate.progress import Outcome, Progress, Watch
from ablate.schedule import Schedule
from ablate.stop import Stops
from ablate.study import Run, RunState, Study, Trial

if TYPE_CHECKING:
    from ablate.place import Place
    from ablate.tracking import Records
    from ablate.writer import Writer

# How long steps in hand may take to end: after Ctrl-C, and where there is no hurry.
HURRIED_SECONDS, UNHURRIED_SECONDS = 2.5, 60.0
# How much of a trial goes by between two records of it while it runs; a shorter one is recorded once, whole.
NOTE_SECONDS = 5.0
# How long to wait in the end for a store that is away.
AWAY_SECONDS = 60.0


def run_study(
    study: Study,
    place: "Place",
    *,
    workers: int,
    training: Callable[..., Iterator[Any]] | None = None,
    listen: Callable[[Progress], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    stop_after: float | None = None,
    imported: "Place | None" = None,
) -> Outcome:
    """Run every trial of a study that has no complete run yet, and record it.

    Args:
        study: what to run.
        place: where to record.
        workers: processes; 0 runs everything in this one, where breakpoints work.
        training: the user's own training function, instead of `ablate.train.train`.
        listen: called at the start and after each run.
        say: told what a user should know meanwhile, in sentences.
        stop_after: seconds after which to stop, with everything recorded.
        imported: records of another machine or an earlier session to go on from; they are only read.

    Raises:
        StudyError: if a setting cannot be built, or two compute the same network: nothing has trained then; or if its
            source code or data change under it.
        StoreError: if the record cannot be written, or another process is running this study.
    """
    deadline = time.monotonic() + stop_after if stop_after is not None else None
    folder = place.folder_of(study.name)
    job = Job(study, design.plan(study), training, folder / "checkpoints")
    with (
        lease(folder, study.name, pool.sweep),
        stop.signals(at_once=not workers) as stops,
        crew(workers, job) as (job, lanes, inspection),
    ):
        is_new = place.is_new() and imported is None and not (folder / "spool").is_dir()
        records = None if is_new else _open(place, study, folder, imported, say)
        course = course_of(job, Identities(study, job.plan, data.fingerprint, training), records)
        call = _Call(job, course, folder, lanes, listen, say, stops)
        if not course.is_pending and records:
            return call.close(records)
        with stops.waiting():
            found = inspection()
        schedule = Schedule(lanes, job, course.agenda, deadline=deadline, waiting=stops.waiting)
        schedule.costs = found.costs
        if workers:
            schedule.fill()  # training begins; what else there is to start is started beside it
        course.records = records or _open(place, study, folder)
        with _quick_switching():
            return call.conduct(schedule, course.records, found)


# -- running it --------------------------------------------------------------------------------------------------


class _Call:
    """One call of a study, from where it begins to train to where everything is recorded."""

    def __init__(
        self,
        job: Job,
        course: Course,
        folder: Path,
        lanes: list[Lane],
        listen: Callable[[Progress], None],
        say: Callable[[str], None],
        stops: Stops,
    ) -> None:
        self._stops = stops
        self._job = job
        self._study = job.study
        self._course = course
        self._folder = folder
        self._lanes = lanes
        self._listen = listen
        self._say = say
        self._watch = Watch(self._study.metric, course.n_planned)
        self._outcome = Outcome(course.n_planned, course.selection.n_known if course.selection else 0)
        self._watch.n_earlier = self._outcome.n_already_complete
        self._know(course.trials, course.complete or {})
        course.know = self._know
        # Before anything trains: what has begun again would be taken for what it went on from.
        self._kept = {path.stem for path in (folder / "checkpoints").glob("*.pt")}
        self._n_noted = 0
        self._noted: dict[str, float] = {}  # of attempts under way, the seconds at which they were last recorded

    def _know(self, trials: Sequence[Trial], complete: Mapping[str, Mapping[str, float]]) -> None:
        self._watch.know(trials, complete)
        self._outcome.n_already_complete += len(complete)

    def close(self, records: "Records") -> Outcome:
        """Return the outcome of a study that has nothing left to run."""
        records.begin(self._study)
        self._note_plan(records)
        self._measure_latencies(records)  # those that an earlier call could not come to
        self._examine(records)
        records.end()
        self._tidy()
        return self._outcome

    def conduct(self, schedule: Schedule, records: "Records", found: Inspection) -> Outcome:
        """Run the schedule, and record what comes of it, until it is done, stopped or broken."""
        from ablate.writer import Writer  # noqa: PLC0415  # what the workers need not wait for

        interrupted = records.begin(self._study, found.hardware)
        self._note_plan(records)
        self._miss_checkpoints(interrupted)
        writer = Writer(records, self._study, self._folder / "spool", self._say)
        outcome = self._outcome
        try:
            self._listen(self._watch.progress(None))
            for run in schedule.runs():
                writer.check()
                self._record(run, writer, schedule)
                self._note_growth(records)
            left = [run.state for run in self._wound_down(schedule, writer)]
            outcome.is_stopped = RunState.KILLED in left or not schedule.is_done()
            with self._stops.waiting():
                outcome.n_waiting = writer.close(AWAY_SECONDS)
            writer.check()
            if not outcome.n_waiting:
                self._conclude(records)
        except BaseException as error:
            self._break_off(error, schedule, writer, records)
            raise
        return outcome

    def _wound_down(self, schedule: Schedule, writer: "Writer") -> Iterator[Run]:
        for run in schedule.wind_down(UNHURRIED_SECONDS):
            self._record(run, writer, schedule)
            yield run

    def _conclude(self, records: "Records") -> None:
        """Close the records of a study that has run to its end, or as long as it was given."""
        outcome = self._outcome
        self._note_growth(records)
        if not outcome.is_stopped:
            self._measure_latencies(records)
            self._examine(records)
            if not outcome.failed:
                self._tidy()
        outcome.is_edited = _is_edited(self._study)
        records.end(failed=bool(outcome.failed), killed=outcome.is_stopped)

    def _record(self, run: Run, writer: "Writer", schedule: Schedule) -> None:
        if run.state is RunState.RUNNING:
            if run.seconds - self._noted.get(run.attempt, 0.0) >= NOTE_SECONDS:
                self._noted[run.attempt] = run.seconds
                writer.progress(run)
            return
        self._noted.pop(run.attempt, None)
        writer.finish(run)
        if run.state is RunState.COMPLETE:
            schedule.discard(run.trial)  # what it would go on from; the run itself is on the disk now
        if run.state is not RunState.KILLED:
            self._outcome.runs.append(replace(run, weights=None))
            self._listen(self._watch.progress(run))

    def _break_off(self, error: BaseException, schedule: Schedule, writer: "Writer", records: "Records") -> None:
        """Save what can be saved, quickly; a second interruption ends this too."""
        try:
            for run in schedule.wind_down(HURRIED_SECONDS if isinstance(error, KeyboardInterrupt | AblateError) else 0):
                if not isinstance(error, StoreError):
                    self._record(run, writer, schedule)
            writer.close(HURRIED_SECONDS / 2)
            self._note_plan(records)
            records.end(killed=True)
        except AblateError:
            pass  # the first error says what is wrong
        finally:
            for lane in self._lanes:
                lane.kill()

    def _note_growth(self, records: "Records") -> None:
        """Note what has been asked for since the last time, for whoever looks meanwhile."""
        if len(self._course.selected) + len(self._course.trials) > self._n_noted:
            with suppress(AwayError):  # noted the next time
                self._note_plan(records)

    def _note_plan(self, records: "Records") -> None:
        self._n_noted = len(self._course.selected) + len(self._course.trials)
        records.planned(
            self._study, self._course.plan, self._course.trials, self._course.selected, split=split_of(self._study)
        )

    def _miss_checkpoints(self, interrupted: Mapping[str, int]) -> None:
        """Say which trials start again although they had begun, because somebody has removed what they went on from."""
        complete = self._course.complete or {}  # in another study too
        for trial in () if self._job.training else self._course.trials:
            epoch = 0 if trial.identity in complete else interrupted.get(trial.identity, 0)
            path = self._folder / "checkpoints" / f"{trial.identity}.pt"
            if epoch and trial.identity not in self._kept:
                self._outcome.n_restarted += 1
                self._say(
                    f"{trial.setting.label}, seed {trial.seed}: it had come to epoch {epoch}, but its checkpoint is "
                    f"missing ({path.as_posix()}): it starts again"
                )

    def _measure_latencies(self, records: "Records") -> None:
        """Measure the latency of settings that have none yet, now that the workers are idle."""
        plan = self._course.plan
        known, wanted = records.latencies(plan)
        settings = [setting for setting in plan.settings if setting.label in wanted and setting.label not in known]
        measured: dict[str, float] = {}
        if settings:
            with self._stops.waiting():
                measured = self._lanes[0].ask("latencies", self._job, settings)
        records.note_latencies({**known, **measured}, wanted)

    def _examine(self, records: "Records") -> None:
        """Look at the networks of settings that have not been looked at: the report says what is odd about them."""
        _, runs = records.networks()
        settings = [setting for setting in self._course.plan.settings if setting.label in runs]
        if settings:
            with self._stops.waiting():
                records.note_networks(self._lanes[-1].ask("examine", self._job, settings), runs)

    def _tidy(self) -> None:
        """Remove what unfinished trials went on from: there are none any more."""
        shutil.rmtree(self._folder / "checkpoints", ignore_errors=True)


def _is_edited(study: Study) -> bool:
    path = Path(study.path)
    try:
        return path.is_file() and path.read_text(encoding="utf-8") != study.text
    except (OSError, UnicodeDecodeError):
        return True


# -- the surroundings --------------------------------------------------------------------------------------------


def _open(
    place: "Place",
    study: Study,
    folder: Path,
    imported: "Place | None" = None,
    say: Callable[[str], None] = lambda _: None,
) -> "Records":
    """Open the records, up to date: with what waits in the spool, and what is imported, written into them."""
    from ablate.tracking import Records  # noqa: PLC0415  # 2 s, which workers use to start or to train
    from ablate.writer import drain  # noqa: PLC0415  # as above

    if imported is not None and imported.is_new() and not imported.folder_of(study.name).is_dir():
        raise StoreError(f"nothing to import: {imported.database.as_posix()} does not exist")
    records = Records(place, study.name)
    records.check_path(study)
    if imported is not None:
        n = 0 if imported.is_new() else records.adopt(imported)  # its machine went before the first record
        say(f"Imported {n} runs from {imported.root.as_posix()}")
        for part in ("checkpoints", "spool"):
            _copy_missing(imported.folder_of(study.name) / part, folder / part)
    drain(records, folder / "spool")
    return records


def _copy_missing(source: Path, folder: Path) -> None:
    """Copy the files that are whole and not there yet, each whole or not at all.

    Raises:
        StoreError: if one cannot be copied.
    """
    for path in source.glob("*"):
        if path.suffix != ".part" and path.is_file() and not (folder / path.name).exists():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                beside = folder / f"{path.name}.part"
                shutil.copyfile(path, beside)
                beside.replace(folder / path.name)
            except OSError as error:
                raise StoreError(f"{path} cannot be copied to {folder}: {error.strerror or error}") from error


@contextmanager
def _quick_switching() -> Iterator[None]:
    """Let the scheduler have the interpreter soon when a step ends, although the writer is busy with it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
