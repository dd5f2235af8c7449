"""A study run and its records as a table: what the command line and `ablate.run` share."""

import importlib
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from ablate.errors import StoreError
from ablate.place import Place
from ablate.progress import Outcome, Progress
from ablate.runner import run_study
from ablate.study import RunState, Setting, Study, Trial
from blocks.catalogue import unknown

if TYPE_CHECKING:
    import pandas as pd

    from ablate.search import Search
    from ablate.tracking import Records
    from reports.tables import Table


@dataclass(frozen=True)
class Summary:
    """All runs of a study, one row each, and the comparison of its settings.

    Attributes:
        table: the comparison of settings; of a fractional design, where settings have no seeds in common, the slots.
        effects: what each slot does over all settings, where several slots vary together.
        found: what a search has found, in sentences; None for a design.
        searched: the runs that a search chose by, one row each; None for a design.
    """

    frame: "pd.DataFrame"
    table: "Table"
    effects: "Table | None" = None
    found: str | None = None
    searched: "pd.DataFrame | None" = None

    @property
    def tables(self) -> "list[Table]":
        """The table, and that of the slots if there is one."""
        return [self.table, *([self.effects] if self.effects else [])]

    def __str__(self) -> str:
        return "\n".join([*(table.to_text() for table in self.tables), *([self.found] if self.found else [])])

    def __repr__(self) -> str:
        return str(self)

    def write(self, folder: Path) -> list[Path]:
        """Write the frame and the table in every form into a folder, and return the paths.

        Raises:
            StoreError: if the folder cannot be written.
        """
        from reports import latex  # noqa: PLC0415  # pandas and scipy take a second

        contents = {
            "runs.csv": self.frame.to_csv(index=False),
            "comparison.csv": self.table.frame.to_csv(),
            "comparison.md": self.table.to_markdown(),
            "comparison.tex": latex.render(self.table),
        }
        if self.effects is not None:
            contents |= {"effects.csv": self.effects.frame.to_csv(), "effects.md": self.effects.to_markdown()}
            contents |= {"effects.tex": latex.render(self.effects)}
        if self.searched is not None:
            contents |= {"search.csv": self.searched.to_csv(index=False), "search.txt": self.found or ""}
        return [write(folder / name, content) for name, content in contents.items()]


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
) -> tuple[Outcome, Summary | None]:
    """Run what a study still lacks and compare its settings; arguments and errors as in `runner.run_study`.

    There is no comparison while the store is away, nor as long as a study that was stopped has no complete run.
    """

    def hear(progress: Progress) -> None:
        listen(progress)
        if progress.run is None:
            importlib.import_module("reports.tables")  # a second that is free now, while the workers train

    outcome = run_study(study, place, listen=hear, **options)
    if outcome.n_waiting:
        return outcome, None
    result = summarise(place, study.name)
    is_empty = outcome.is_stopped and not (result.frame["state"] == "complete").any()
    return outcome, None if is_empty else result


def summarise(place: Place, name: str, *, correction: Literal["holm", "dunnett"] = "holm") -> Summary:
    """Read the runs of a study and compare its settings.

    Args:
        place: where the records are.
        name: of the study.
        correction: how p-values are corrected for the number of comparisons.

    Raises:
        StoreError: if there is no such study, naming the nearest.
    """
    records = _records(place, name)
    planned = records.plan()
    frame, n_stale = records.frame()
    notes = [*planned["remarks"], *(note for one in records.networks()[0].values() for note in one["notes"])]
    if n_stale:
        notes.append(
            f"{n_stale} earlier run{'s are' if n_stale > 1 else ' is'} left out: what they did is not what the study "
            "asks for now (its settings, seeds, recipe, data, a block's source code or torch have changed)."
        )
    if any(slot.startswith("data.") for slot in planned["slots"]):
        notes.append("Settings that differ in data.* may be tested on different images: see the data set.")
    if planned["design"] == "fractional":
        return Summary(frame, _effects(planned, frame, planned["settings"]))
    table = _comparison(planned, frame, notes, correction)
    if planned["search"]:
        found, searched = _searched(records)
        held_out = "" if planned["select"] == "test" else "Scored on the held-out part, by which the search chose."
        effects = _effects(planned, searched, planned["selected"], scored_on=held_out)
        return Summary(frame, table, effects, found, searched)
    several = planned["design"] in ("factorial", "list") and len(_varied(planned, planned["settings"])) > 1
    return Summary(frame, table, _effects(planned, frame, planned["settings"]) if several else None)


def _marks(planned: Mapping[str, Any]) -> list[str]:
    """Return what must stand beside every number of a study."""
    mark = (
        "Selected on the test part, as the study asks for (select: test): these scores are of the images that the "
        "settings were chosen by, and too good."
    )
    return [mark] if planned["selects"] and planned["select"] == "test" else []


def _comparison(
    planned: Mapping[str, Any], frame: "pd.DataFrame", notes: list[str], correction: Literal["holm", "dunnett"]
) -> "Table":
    from reports.tables import Metric, comparison_table  # noqa: PLC0415  # pandas and scipy take a second

    seeds: dict[str, list[int]] = {label: [] for label in planned["settings"]}
    for label, seed, _ in planned["trials"]:
        seeds[label].append(seed)
    adaptive = planned["adaptive"]
    rule: dict[str, Any] = {}
    if adaptive:
        from reports.sequential import Looks  # noqa: PLC0415  # as above

        rule = {"looks": Looks(adaptive["first"], adaptive["last"]), "until": adaptive["until"]}
    return comparison_table(
        frame,
        study=planned["study"],
        question=planned["question"],
        settings=list(planned["settings"]),
        slots=planned["slots"],
        reference=planned["reference"],
        against=planned["against"],
        metric=Metric(**planned["metric"]),
        secondary=[Metric(**metric) for metric in planned["metrics"]],
        estimand=planned["estimand"],
        practical=planned["practical"],
        planned_seeds=seeds,
        calibration=[(first, second) for first, second in planned["calibration"]],
        correction=correction,
        scored_on=planned["split"],
        marks=_marks(planned),
        notes=notes,
        **rule,
    )


def _effects(
    planned: Mapping[str, Any], frame: "pd.DataFrame", settings: Mapping[str, Mapping[str, str]], *, scored_on: str = ""
) -> "Table":
    from reports.effects import slot_effects  # noqa: PLC0415  # pandas and scipy take a second
    from reports.factors import Factor  # noqa: PLC0415  # as above
    from reports.tables import Metric, effects_table  # noqa: PLC0415  # as above

    factors = [
        Factor(
            one["name"], tuple(one["levels"]), one["reference"],
            tuple((parent, frozenset(labels)) for parent, labels in one["when"].items()),
            tuple(one["values"]) if one["values"] else None,
        )
        for one in planned["factors"]
    ]  # fmt: skip
    metric = Metric(**planned["metric"])
    effects = slot_effects(
        frame, factors=factors, metric=metric.name, settings=settings, higher_is_better=metric.higher_is_better
    )
    return effects_table(
        effects, study=f"{planned['study']}, slots", question=planned["question"], metric=metric,
        scored_on=scored_on or planned["split"], marks=_marks(planned),
    )  # fmt: skip


def _varied(planned: Mapping[str, Any], settings: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the slots that differ between settings."""
    return [slot for slot in planned["slots"] if len({choices.get(slot) for choices in settings.values()}) > 1]


def _searched(records: "Records") -> "tuple[str, pd.DataFrame]":
    """Say what a search has found, from its records."""
    study, search = _refilled(records)
    rule = study.design.search
    runs = records.frame(selection=True)[0]
    states = runs["state"].value_counts()
    counts = ", ".join(f"{states.get(state, 0)} {state}" for state in ("complete", "pruned", "failed"))
    part = "held-out part" if study.select == "held-out" else "test part"
    scored = "a held-out fifth of the training images" if study.select == "held-out" else "the test part"
    said = (
        f"Search: {runs['setting'].nunique()} settings proposed by {rule.sampler if rule else '?'} on "
        f"{len(study.seeds)} seeds ({counts} runs). They were scored on {scored}, and "
        "their scores are no result: the first table holds fresh seeds, the whole training part and the test part."
    )
    lines = textwrap.wrap(said, 95)
    front = search.front()
    if front and rule is not None:
        lines.append(f"{'Pareto front' if len(rule.objectives) > 1 else 'Best'} on the {part}:")
        lines += [
            f"  {setting.label}: {', '.join(f'{name} {value:.4g}' for name, value in values.items())}"
            for setting, values in front
        ]
    if importances := search.importances():
        shares = ", ".join(f"{slot} {share:.2f}" for slot, share in importances.items())
        lines.append(
            f"Importance for {study.metric.name} (fANOVA over what the search has seen; how much a slot matters, not "
            f"which way, and no effect): {shares}."
        )
    return "\n".join(lines) + "\n", runs


def _refilled(records: "Records") -> "tuple[Study, Search]":
    """Return a study as its records have it, and its search with all that it was told."""
    from ablate.selection import Earlier, Selection  # noqa: PLC0415  # Optuna takes half a second

    study = records.study()
    held_out = study.select == "held-out"
    planned = {identity for _, _, identity in records.plan()["selection"]}
    trials: dict[tuple[Setting, int], Trial] = {}
    earlier = []
    for one in records.selected(study.metric.name, held_out=held_out):
        setting = study.setting_of(one.params)
        if setting is not None and one.identity in planned:
            trials[setting, one.seed] = Trial(setting, one.seed, one.identity, held_out=held_out)
            earlier.append(Earlier(trials[setting, one.seed], one.state, one.curves, one.cost, one.fell_behind))
    selection = Selection(
        study, trial_of=lambda setting, seed: trials.get((setting, seed), Trial(setting, seed, "")),
        earlier=earlier, confirm=lambda _: (),
    )  # fmt: skip
    return study, selection.search


def export(place: Place, name: str, path: Path) -> None:
    """Write the settings of a study, and how they did, as an Optuna study; of a search those that it proposed.

    Raises:
        StoreError: if there is no such study, naming the nearest.
        AblateError: if the file exists already, or cannot be written.
    """
    from ablate.search import Outcome, export  # noqa: PLC0415  # Optuna takes half a second

    records = _records(place, name)
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
    records = _records(place, name)
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


def write(path: Path, content: str) -> Path:
    """Write a text file whole or not at all, UTF-8, and return its path.

    Raises:
        StoreError: if it cannot be written.
    """
    path = path.resolve() if path.is_symlink() else path
    beside = path.with_name(path.name + ".part")
    try:
        if path.exists() and not path.is_file():  # /dev/stdout
            path.write_text(content, encoding="utf-8", newline="\n")
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(content, encoding="utf-8", newline="\n")
        return beside.replace(path)
    except OSError as error:
        raise StoreError(f"{path.as_posix()} cannot be written: {error.strerror or error}") from error


def _records(place: Place, name: str) -> "Records":
    nothing = StoreError(f"nothing has been run here: {place.address} holds no study")
    if place.is_new():
        raise nothing
    from ablate.tracking import Records, studies  # noqa: PLC0415  # MLflow takes 2 s to import

    known = studies(place)
    if not known:
        raise nothing
    if name not in known:
        raise StoreError(unknown("study", name, known))
    return Records(place, name)
