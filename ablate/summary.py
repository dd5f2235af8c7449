"""A study run, counted, and exported: what the command line and `ablate.run` share."""

import importlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ablate import reporting
from ablate.place import Place
from ablate.progress import Outcome, Progress
from ablate.runner import run_study
from ablate.study import RunState, Study

if TYPE_CHECKING:
    from reports.report import Report


@dataclass
class Count:
    """How far one setting is; errors by seed.

    Attributes:
        pruned: trials of a search that were stopped, or not begun, because the setting had fallen behind.
    """

    setting: str
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    missing: int = 0
    errors: dict[int, str] = field(default_factory=dict)


def run(
    study: Study, place: Place, *, listen: Callable[[Progress], None] = lambda _: None, **options: Any
) -> "tuple[Outcome, Report | None]":
    """Run what a study still lacks and compare its settings; arguments and errors as in `runner.run_study`.

    There is no comparison while the store is away, nor as long as a study that was stopped has no complete run.
    """

    def hear(progress: Progress) -> None:
        listen(progress)
        if progress.run is None:
            importlib.import_module("reports.report")  # a second that is free now, while the workers train

    outcome = run_study(study, place, listen=hear, **options)
    if outcome.n_waiting:
        return outcome, None
    result = reporting.report(place, study.name)
    is_empty = outcome.is_stopped and not (result.frame["state"] == "complete").any()
    return outcome, None if is_empty else result


def export(place: Place, name: str, path: Path) -> None:
    """Write the settings of a study, and how they did, as an Optuna study; of a search those that it proposed.

    Raises:
        StoreError: if there is no such study, naming the nearest.
        AblateError: if the file exists already, or cannot be written.
    """
    from ablate.search import Outcome, export  # noqa: PLC0415  # Optuna takes half a second

    records = reporting.open_records(place, name)
    study, planned = records.study(), records.plan()
    search = study.design.search
    listed = planned["selection" if search else "trials"]
    labels = {identity: label for label, _, identity in listed}
    n_planned = Counter(labels.values())
    objectives = search.objectives if search else (study.metric.name,)
    # By label: an A/A twin, or a setting of another width, has the choices of another one.
    attempts: dict[str, dict[int, Any]] = {}
    for one in records.selected(study.metric.name, held_out=study.selects and study.select == "held-out"):
        if one.identity in labels:
            seeds = attempts.setdefault(labels[one.identity], {})
            if one.seed not in seeds or one.state in (RunState.COMPLETE, RunState.PRUNED):
                seeds[one.seed] = one
    outcomes = []
    for label, by_seed in attempts.items():
        runs = [by_seed[seed] for seed in sorted(by_seed, key=(*study.seeds,).index)]
        setting = study.setting_of(runs[0].params)
        if setting is None:
            continue
        states = {run.state for run in runs}
        pruned = RunState.PRUNED in states or any(run.fell_behind for run in runs)
        whole = states == {RunState.COMPLETE} and len(runs) == n_planned[label]
        state = RunState.COMPLETE if whole else RunState.PRUNED if pruned else RunState.FAILED
        scores = [{**vars(run.cost), **{k: curve[-1] for k, curve in run.curves.items()}} for run in runs if whole]
        outcomes.append(
            Outcome(
                replace(setting, label=label), state,
                {each: fmean(score[each] for score in scores) for each in objectives} if whole else {},
                [value for run in runs for value in run.curves[study.metric.name]], tuple(run.seed for run in runs),
                min(run.started for run in runs), max(run.ended for run in runs),
            )
        )  # fmt: skip
    export(path, study, outcomes)


def status(place: Place, name: str) -> list[Count]:
    """Count the trials of each setting.

    Raises:
        StoreError: if there is no such study, naming the nearest.
    """
    records = reporting.open_records(place, name)
    errors, planned = records.errors(), records.plan()
    trials = planned["trials"] + planned["selection"]
    complete = records.completed([identity for *_, identity in trials], share=planned["share"])
    held_out = planned["select"] == "held-out"
    attempts = records.selected(planned["metric"]["name"], held_out=held_out) if planned["search"] else []
    stopped = {one.identity for one in attempts if one.state is RunState.PRUNED or one.fell_behind}
    behind = {label for label, _, identity in planned["selection"] if identity in stopped}
    counts = {label: Count(label) for label in (*planned["settings"], *planned["selected"])}
    for label, seed, identity in trials:
        count = counts[label]
        if identity in complete:
            count.complete += 1
        elif label in behind and identity not in errors:
            count.pruned += 1
        elif identity in errors:
            count.failed += 1
            count.errors[seed] = errors[identity]
        else:
            count.missing += 1
    return list(counts.values())
