"""A study's records as a report: what was planned and run, in the words of `reports`."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ablate.errors import StoreError
from ablate.place import Place
from ablate.study import Setting, Study, Trial
from blocks.catalogue import unknown

if TYPE_CHECKING:
    import pandas as pd

    from ablate.search import Search
    from ablate.tracking import Records
    from reports.plan import Plan
    from reports.report import Report


def report(place: Place, name: str, *, correction: Literal["holm", "dunnett"] = "holm") -> "Report":
    """Read the runs of a study and compare its settings.

    Args:
        place: where the records are.
        name: of the study.
        correction: how p-values are corrected for the number of comparisons.

    Raises:
        StoreError: if there is no such study, naming the nearest.
    """
    from reports.factors import Factor  # noqa: PLC0415  # pandas and scipy take a second
    from reports.report import report_on  # noqa: PLC0415  # as above

    records = open_records(place, name)
    planned = records.plan()
    frame, n_stale = records.frame()
    plan = _plan(planned, _notes(records, planned, n_stale), correction)
    factors = [
        Factor(
            one["name"], tuple(one["levels"]), one["reference"],
            tuple((parent, frozenset(labels)) for parent, labels in one["when"].items()),
            tuple(one["values"]) if one["values"] else None,
        )
        for one in planned["factors"]
    ]  # fmt: skip
    if planned["search"]:
        found, searched, importances = _searched(records)
        held_out = "Scored on the held-out part, by which the search chose."
        varied = (planned["selected"], searched, plan.scored_on if planned["select"] == "test" else held_out)
        return report_on(frame, plan, factors=factors, varied=varied, found=found, importances=importances)
    several = planned["design"] in ("factorial", "list") and len(_varied(planned)) > 1
    return report_on(frame, plan, factors=factors if several or planned["design"] == "fractional" else ())


def _plan(planned: Mapping[str, Any], notes: list[str], correction: Literal["holm", "dunnett"]) -> "Plan":
    from reports.plan import Plan  # noqa: PLC0415  # pandas and scipy take a second
    from reports.sequential import Looks  # noqa: PLC0415  # as above
    from reports.tables import Metric  # noqa: PLC0415  # as above

    seeds: dict[str, list[int]] = {label: [] for label in planned["settings"]}
    for label, seed, _ in planned["trials"]:
        seeds[label].append(seed)
    adaptive = planned["adaptive"]
    return Plan(
        study=planned["study"],
        question=planned["question"],
        settings=list(planned["settings"]),
        slots=planned["slots"],
        reference=planned["reference"],
        metric=Metric(**planned["metric"]),
        planned_seeds=seeds,
        choices=planned["settings"],
        design=planned["design"],
        against=planned["against"],
        secondary=[Metric(**metric) for metric in planned["metrics"]],
        estimand=planned["estimand"],
        practical=planned["practical"],
        correction=correction,
        calibration=[(first, second) for first, second in planned["calibration"]],
        looks=Looks(adaptive["first"], adaptive["last"]) if adaptive else None,
        until=adaptive["until"] if adaptive else "decided",
        scored_on=planned["split"],
        marks=_marks(planned),
        notes=notes,
    )


def _notes(records: "Records", planned: Mapping[str, Any], n_stale: int) -> list[str]:
    """Return what was noticed about the study that its scores do not show."""
    notes = [*planned["remarks"], *(note for one in records.networks()[0].values() for note in one["notes"])]
    if n_stale:
        notes.append(
            f"{n_stale} earlier run{'s are' if n_stale > 1 else ' is'} left out: what they did is not what the study "
            "asks for now (its settings, seeds, recipe, data, a block's source code or torch have changed)."
        )
    if any(slot.startswith("data.") for slot in planned["slots"]):
        notes.append("Settings that differ in data.* may be tested on different images: see the data set.")
    return notes


def _marks(planned: Mapping[str, Any]) -> list[str]:
    """Return what must stand beside every number of a study."""
    mark = (
        "Selected on the test part, as the study asks for (select: test): these scores are of the images that the "
        "settings were chosen by, and too good."
    )
    return [mark] if planned["selects"] and planned["select"] == "test" else []


def _varied(planned: Mapping[str, Any]) -> list[str]:
    """Return the slots that differ between settings."""
    settings = planned["settings"].values()
    return [slot for slot in planned["slots"] if len({choices.get(slot) for choices in settings}) > 1]


def _searched(records: "Records") -> "tuple[str, pd.DataFrame, dict[str, float]]":
    """Say what a search has found, from its records."""
    study, search = refilled(records)
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
    importances = search.importances()
    if importances:
        shares = ", ".join(f"{slot} {share:.2f}" for slot, share in importances.items())
        lines.append(
            f"Importance for {study.metric.name} (fANOVA over what the search has seen; how much a slot matters, not "
            f"which way, and no effect): {shares}."
        )
    return "\n".join(lines) + "\n", runs, importances


def refilled(records: "Records") -> "tuple[Study, Search]":
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


def files(result: "Report") -> dict[str, str]:
    """Return what `ablate run` leaves beside the records: the runs, and each printed table in every form, by name."""
    from reports import latex  # noqa: PLC0415  # pandas and scipy take a second
    from reports.report import PRINTED  # noqa: PLC0415  # as above

    contents = {"runs.csv": result.frame.to_csv(index=False)}
    for table in result.tables:
        if table.key in PRINTED:
            contents[f"{table.key}.csv"] = table.frame.to_csv()
            contents[f"{table.key}.md"] = table.to_markdown()
            contents[f"{table.key}.tex"] = latex.render(table)
    if result.found and result.slots is not None:
        contents |= {"search.csv": result.slots.runs.to_csv(index=False), "search.txt": result.found}
    return contents


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


def open_records(place: Place, name: str) -> "Records":
    """Open the records of a study.

    Raises:
        StoreError: if there is no such study, naming the nearest.
    """
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
