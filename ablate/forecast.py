"""What a study would take: tried out, not trained, and nothing is recorded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ablate import data, design, identity
from ablate.crew import built_first, crew
from ablate.job import Job
from ablate.study import Cost, Study, Trial

if TYPE_CHECKING:
    from ablate.place import Place
    from ablate.tracking import Stale


@dataclass(frozen=True)
class Forecast:
    """What a study would take: for each setting its cost and the seconds of one trial, measured on this machine.

    Attributes:
        plan: the settings that were built; of a search the reference and its neighbours.
        n_searched: trials that a search chooses by, and at most so many that confirm; 0 for a design.
        stale: complete runs of these settings and seeds that do not count any more, and why.
    """

    plan: design.Plan
    trials: tuple[Trial, ...]
    costs: Mapping[str, Cost]
    seconds: Mapping[str, float]
    complete: frozenset[str]
    n_searched: int = 0
    stale: "Sequence[Stale]" = ()

    @property
    def waiting(self) -> list[Trial]:
        """The trials that have no complete run."""
        return [trial for trial in self.trials if trial.identity not in self.complete]

    def minutes(self, workers: int) -> float:
        """Return how long the waiting trials would take; a whole search, at most, if it is one."""
        if self.n_searched:
            return fmean(self.seconds.values()) * self.n_searched / max(1, workers) / 60
        return sum(self.seconds[trial.setting.label] for trial in self.waiting) / max(1, workers) / 60


def forecast(study: Study, place: "Place") -> Forecast:
    """Build every setting, count its cost and time a few of its steps.

    Of a search, the reference and every setting that differs from it in one slot.

    Raises:
        StudyError: if a setting cannot be built, or two compute the same network.
    """
    job = Job(study, built_first(study))
    with crew(1, job) as ((lane,), inspection):
        trials = identity.trials(study, job.plan, data.fingerprint)
        complete: Mapping[str, object] = {}
        stale: Sequence[Stale] = ()
        if not place.is_new():
            from ablate.tracking import Records  # noqa: PLC0415  # 2 s, which the worker uses to start

            records = Records(place, study.name)
            records.check_path(study)
            complete = records.completed([trial.identity for trial in trials], share=study.share)
            stale = records.stale(study, trials)
        found = inspection()
        seconds = {setting.label: lane.ask("probe", job, setting) for setting in job.plan.settings}
    search = study.design.search
    n = search.settings * len(study.seeds) + (search.top + 1) * len(search.confirm_seeds) if search else 0
    return Forecast(job.plan, trials, found.costs, seconds, frozenset(complete), n, stale)


def smoke(study: Study, *, workers: int, training: Callable[..., Iterator[Any]] | None = None) -> dict[str, str]:
    """Train one step of every setting, and return what went wrong by label (empty: nothing).

    Of a search, the reference and every setting that differs from it in one slot.

    Raises:
        StudyError: if a setting cannot be built, or two compute the same network.
    """
    job = Job(study, built_first(study), training)
    with crew(workers, job) as (lanes, inspection):
        inspection()
        futures = {
            setting.label: lanes[i % len(lanes)].submit("smoke", job, setting)
            for i, setting in enumerate(job.plan.settings)
        }
        return {label: str(future.result()) for label, future in futures.items()}
