"""What a study still has to run, and what it has run already."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ablate import data, design, identity
from ablate.allocation import Allocation
from ablate.identity import Identities
from ablate.job import Job
from ablate.schedule import Fixed
from ablate.study import Setting, Study, Trial

if TYPE_CHECKING:
    from ablate.schedule import Agenda
    from ablate.selection import Earlier, Selection
    from ablate.tracking import Records


@dataclass
class Course:
    """What a study still has to run, and what it has run already; what a search adds to it comes later.

    Attributes:
        trials: those that the table will stand on; adaptive seeds add to them.
        know: told which of them are complete already, where they are known only once a search has ended.
    """

    agenda: "Agenda"
    plan: design.Plan
    n_planned: int
    trials: Sequence[Trial] = ()
    complete: Mapping[str, Mapping[str, float]] | None = None
    is_pending: bool = True
    records: "Records | None" = None
    selection: "Selection | None" = None
    know: Callable[[Sequence[Trial], Mapping[str, Mapping[str, float]]], None] = lambda *_: None

    @property
    def selected(self) -> Sequence[Trial]:
        """The trials that a search has asked for so far."""
        return self.selection.trials if self.selection else ()


def split_of(study: Study) -> str:
    """Say what the scores of the table are of."""
    return data.described(study.data_of(study.reference), held_out=study.held_out)


def course_of(job: Job, identities: Identities, records: "Records | None") -> Course:
    """Return what is left of a study: of a design the trials that are not complete, of a search what it will ask for."""
    study = job.study
    if study.design.search is not None:
        return _search(job, identities, records)
    if study.adaptive is not None:
        return _adaptive(job, identities, records)
    trials = identity.planned(study, job.plan, identities, study.seeds)
    complete = _completed(records, trials, study)
    pending = [trial for trial in trials if trial.identity not in complete]
    return Course(Fixed(pending), job.plan, len(trials), trials, complete, bool(pending), records)


def _adaptive(job: Job, identities: Identities, records: "Records | None") -> Course:
    """Return a study whose seeds are added until a question is settled; a race selects, so that it is held out."""
    study = job.study
    possible = identity.planned(study, job.plan, identities, study.seeds)
    complete = _completed(records, possible, study)
    allocation = Allocation(
        study, job.plan, trial_of=partial(identities.trial, held_out=study.held_out),
        known={each: scores[study.metric.name] for each, scores in complete.items()},
    )  # fmt: skip
    asked = {trial.identity for trial in allocation.trials}
    complete = {each: scores for each, scores in complete.items() if each in asked}
    is_done = allocation.is_done()
    most = len(allocation.trials) if is_done else allocation.most
    return Course(allocation, job.plan, most, allocation.trials, complete, not is_done, records)


def _search(job: Job, identities: Identities, records: "Records | None") -> Course:
    from ablate.selection import Selection  # noqa: PLC0415  # Optuna takes half a second, which a design need not wait for

    study, search = job.study, job.study.design.search
    assert search is not None  # noqa: S101  # asked by the caller

    def confirm(best: Iterable[Setting]) -> list[Trial]:
        course.plan = design.confirmation(study, best)
        course.trials = identity.planned(study, course.plan, identities, search.confirm_seeds)
        complete = _completed(course.records, course.trials, study)
        course.know(course.trials, complete)
        if course.records:
            course.records.planned(study, course.plan, course.trials, course.selected, split=split_of(study))
        return [trial for trial in course.trials if trial.identity not in complete]

    earlier = list(_earlier(study, identities, records))
    trial_of = partial(identities.trial, held_out=study.select == "held-out")
    selection = Selection(study, trial_of=trial_of, earlier=earlier, confirm=confirm)
    most = search.settings * len(study.seeds) + (search.top + 1) * len(search.confirm_seeds)
    course = Course(selection, job.plan, most, records=records, selection=selection)
    return course


def _earlier(study: Study, identities: Identities, records: "Records | None") -> "Iterator[Earlier]":
    """Yield the trials of earlier calls of a search that did what it asks for now."""
    from ablate.selection import Earlier  # noqa: PLC0415  # as above

    held_out = study.select == "held-out"
    for one in records.selected(study.metric.name, held_out=held_out) if records else ():
        setting = study.setting_of(one.params)
        if setting is not None and one.seed in study.seeds:
            trial = identities.trial(setting, one.seed, held_out=held_out)
            if trial.identity == one.identity:
                yield Earlier(trial, one.state, one.curves, one.cost, one.fell_behind)


def _completed(records: "Records | None", trials: Sequence[Trial], study: Study) -> dict[str, dict[str, float]]:
    return records.completed([trial.identity for trial in trials], share=study.share) if records else {}
