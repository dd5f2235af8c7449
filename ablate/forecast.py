"""What a study would take: tried out, not trained, and nothing is recorded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ablate import data, design, identity
from ablate.crew import built_first, crew
from ablate.errors import StoreError
from ablate.job import Examination, Job
from ablate.study import Cost, Study, Trial

if TYPE_CHECKING:
    from ablate.place import Place
    from ablate.tracking import Records, Stale
    from reports.estimability import Estimability
    from reports.factors import Factor

# What paired scores scatter by where nothing is known: half of what small networks do from seed to seed.
SUPPOSED_SD = 0.003
FOUND = "is found with 80 % probability after correction for all comparisons"


@dataclass(frozen=True)
class Forecast:
    """What a study would take: for each setting its cost and the seconds of one trial, measured on this machine.

    Attributes:
        plan: the settings that were built; of a search the reference and its neighbours.
        networks: what each does as it starts.
        n_searched: trials that a search chooses by, and at most so many that confirm; 0 for a design.
        estimable: what the settings can tell apart, in sentences; of a search nothing.
        sensitivity: how small an effect shows, in a sentence; of a search nothing.
        stale: complete runs of these settings and seeds that do not count any more, and why.
    """

    plan: design.Plan
    trials: tuple[Trial, ...]
    costs: Mapping[str, Cost]
    seconds: Mapping[str, float]
    networks: Mapping[str, Examination]
    complete: frozenset[str]
    n_searched: int = 0
    estimable: Sequence[str] = ()
    sensitivity: str = ""
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


def forecast(study: Study, place: "Place", *, sd: float | None = None) -> Forecast:
    """Build every setting, count its cost and time a few of its steps.

    Of a search, the reference and every setting that differs from it in one slot.

    Args:
        study: the study.
        place: where its records are.
        sd: what the scores of paired runs are supposed to scatter by; if not given, what the runs so far do.

    Raises:
        StudyError: if a setting cannot be built, or two compute the same network.
    """
    job = Job(study, built_first(study))
    with crew(1, job) as (job, (lane,), inspection):
        trials = identity.trials(study, job.plan, data.fingerprint)
        complete: Mapping[str, object] = {}
        stale: Sequence[Stale] = ()
        records = None
        if not place.is_new():
            from ablate.tracking import Records  # noqa: PLC0415  # 2 s, which the worker uses to start

            records = Records(place, study.name)
            records.check_path(study)
            complete = records.completed([trial.identity for trial in trials], share=study.share)
            stale = records.stale(study, trials)
        found = inspection()
        seconds = {setting.label: lane.ask("probe", job, setting) for setting in job.plan.settings}
        networks = lane.ask("examine", job, job.plan.settings)
    search = study.design.search
    if search:
        n = search.settings * len(study.seeds) + (search.top + 1) * len(search.confirm_seeds)
        return Forecast(job.plan, trials, found.costs, seconds, networks, frozenset(complete), n, stale=stale)
    found_so_far = _scatter(records, job.plan, study) if records and sd is None else None
    known = _known(study, job.plan)
    return Forecast(
        job.plan, trials, found.costs, seconds, networks, frozenset(complete), estimable=_estimable(study, known),
        sensitivity=_sensitivity(study, job.plan, known, sd, found_so_far), stale=stale,
    )  # fmt: skip


def _scatter(records: "Records", plan: design.Plan, study: Study) -> tuple[float, int] | None:
    """Return the residual standard deviation of the runs so far, and how many there are; None if they show none."""
    from reports.contrasts import compare  # noqa: PLC0415  # pandas and scipy take a second
    from reports.errors import ResultsError  # noqa: PLC0415  # as above

    try:
        frame, _ = records.frame()
        labels = [setting.label for setting in plan.settings]
        compared = compare(frame, metric=study.metric.name, reference=plan.reference.label, settings=labels)
    except (StoreError, ResultsError):
        return None  # nothing was planned yet, or something that cannot be compared
    return (compared.sd, int((frame["state"] == "complete").sum())) if compared.sd else None


def _known(study: Study, plan: design.Plan) -> "Estimability":
    """Return what the settings tell of the slots; twins, and widths that make settings equally large, are no choices."""
    from reports.estimability import estimability  # noqa: PLC0415  # as above

    slots = {slot.name for slot in study.slots}
    rows, blocks = [], []
    for setting in plan.settings:
        if not setting.salt:
            for seed in plan.seeds[setting.label] if plan.seeds is not None else (0,):
                rows.append({slot: choice.label for slot, choice in setting.choices if slot in slots})
                blocks.append(seed)
    return estimability(factors(study), rows, blocks=blocks if plan.seeds is not None else None)


def _estimable(study: Study, known: "Estimability") -> list[str]:
    from reports.estimability import sentences  # noqa: PLC0415  # as above

    if study.design.rule == "cumulative":
        return ["Each effect is that of its step beside the steps before it; no interaction can be seen."]
    return sentences(known) if known.main else []


def _sensitivity(
    study: Study, plan: design.Plan, known: "Estimability", sd: float | None, so_far: tuple[float, int] | None
) -> str:
    """Say how large a difference must be to be found with 80 % probability."""
    from reports.power import detectable  # noqa: PLC0415  # as above

    n, k = len(study.seeds), len(plan.settings)
    if plan.seeds is not None:
        m, df, unit = sum(len(slot.choices) - 1 for slot in study.slots), known.df, max(known.unit_variance.values())
        what = f"With {study.design.runs} runs a difference between choices"
    else:
        m, df, unit = len(plan.against) or 1, (k - 1) * (n - 1), 2 / n
        what = f"With {n} seeds a difference"
    if df < 1:
        return "Noise and effect cannot be told apart: there is nothing left to estimate the noise from."
    size = detectable(df, 0.05 / m) * unit**0.5
    metric = study.metric
    if sd is None and so_far is None and metric.unit != "fraction":
        return f"{what} of {size:.2f} times the standard deviation of paired scores {FOUND}; --sd states it in numbers."
    supposed = sd if sd is not None else so_far[0] if so_far else SUPPOSED_SD
    said = (
        "as --sd says"
        if sd is not None
        else f"as in the {so_far[1]} runs so far"
        if so_far
        else "supposed; --sd says another"
    )
    scale, unit_name = (100, " pp") if metric.unit == "fraction" else (1, "")
    return (
        f"{what} of {scale * supposed * size:.3g}{unit_name} {FOUND}, where the scores of paired runs scatter by "
        f"{scale * supposed:.2g}{unit_name} ({said})."
    )


def factors(study: Study) -> "list[Factor]":
    """Return the slots of a study as factors of a linear model."""
    from reports.factors import Factor  # noqa: PLC0415  # NumPy need not be there to read a study

    return [
        Factor(slot.name, tuple(c.label for c in slot.choices), slot.reference.label, slot.when, slot.values)
        for slot in study.slots
    ]


def smoke(study: Study, *, workers: int, training: Callable[..., Iterator[Any]] | None = None) -> dict[str, str]:
    """Train one step of every setting, and return what went wrong by label (empty: nothing).

    Of a search, the reference and every setting that differs from it in one slot.

    Raises:
        StudyError: if a setting cannot be built, or two compute the same network.
    """
    job = Job(study, built_first(study), training)
    with crew(workers, job) as (job, lanes, inspection):
        inspection()
        futures = {
            setting.label: lanes[i % len(lanes)].submit("smoke", job, setting)
            for i, setting in enumerate(job.plan.settings)
        }
        return {label: str(future.result()) for label, future in futures.items()}
