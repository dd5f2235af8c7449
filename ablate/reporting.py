"""A study's records as a report: what was planned and run, in the words of `reports`."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ablate.errors import StoreError
from ablate.place import Place
from ablate.study import Setting, Study, Trial
from blocks.catalogue import unknown
from reports.language import speaking, tr

if TYPE_CHECKING:
    import pandas as pd

    from ablate.search import Search
    from ablate.tracking import Records
    from reports.plan import Plan
    from reports.report import Report
    from reports.tables import Table

SCORED_ON = (  # as `ablate.data.described` says it
    "Scored on the test part of {data} ({given}), {split}: {train} images train, {scored} are scored.",
    (
        "Scored on a held-out fifth of the training images of {data} ({given}): {train} images train, "
        "{scored} are scored; the test part is not touched."
    ),
)


def report(
    place: Place, name: str, *, correction: Literal["holm", "dunnett"] = "holm", lang: str = "en", whole: bool = False
) -> "Report":
    """Read the runs of a study and compare its settings.

    Args:
        place: where the records are.
        name: of the study.
        correction: how p-values are corrected for the number of comparisons.
        lang: the language of its words.
        whole: whether learning curves, errors and provenance are asked for, which tables do not show.

    Raises:
        StoreError: if there is no such study, naming the nearest.
    """
    with speaking(lang):
        return _report(open_records(place, name), correction, whole=whole)


def _report(records: "Records", correction: Literal["holm", "dunnett"], *, whole: bool) -> "Report":
    planned = records.plan()
    frame, n_stale = records.frame()
    searched = _searched(records) if planned["search"] else None
    notes = _notes(records, planned, n_stale)
    found = reported(planned, frame, notes=notes, correction=correction, searched=searched)
    return replace(found, **_more(records, planned, frame)) if whole else found


def reported(
    planned: Mapping[str, Any],
    frame: "pd.DataFrame",
    *,
    notes: Sequence[str] = (),
    correction: Literal["holm", "dunnett"] = "holm",
    searched: "tuple[str, pd.DataFrame, dict[str, float]] | None" = None,
) -> "Report":
    """Return the report on the runs of what was planned, as `Records.plan` and `Records.frame` give both.

    Args:
        planned: what was planned.
        frame: the runs.
        notes: what was noticed.
        correction: for several comparisons.
        searched: of a search what it has found, the runs that it chose by, and importances.
    """
    from reports.factors import Factor  # noqa: PLC0415  # pandas and scipy take a second
    from reports.report import report_on  # noqa: PLC0415  # as above

    plan = _plan(planned, notes, correction)
    factors = [
        Factor(
            one["name"], tuple(one["levels"]), one["reference"],
            tuple((parent, frozenset(labels)) for parent, labels in one["when"].items()),
            tuple(one["values"]) if one["values"] else None,
        )
        for one in planned["factors"]
    ]  # fmt: skip
    if searched is not None:
        found, runs, importances = searched
        held_out = tr("Scored on the held-out part, by which the search chose.")
        varied = (planned["selected"], runs, plan.scored_on if planned["select"] == "test" else held_out)
        return replace(report_on(frame, plan, factors=factors, varied=varied), found=found, importances=importances)
    several = planned["design"] in ("factorial", "list") and len(_varied(planned)) > 1
    averaged = several or planned["design"] == "fractional"
    return report_on(frame, plan, factors=factors if averaged else ())


def _more(records: "Records", planned: Mapping[str, Any], frame: "pd.DataFrame") -> dict[str, Any]:
    """Return what a page shows beside the tables."""
    from reports.report import Provenance  # noqa: PLC0415  # pandas and scipy take a second

    known = records.provenance(frame)
    errors = records.errors()
    # `ablate:attention.yml` comes with the package; of another file only its name is told, not where it lay.
    path = known["path"]
    given = path.removeprefix("ablate:").removesuffix(".yml") if path.startswith("ablate:") else Path(path).name
    trials = planned["trials"]
    return {
        "curves": records.curves(frame),
        "errors": {(label, seed): errors[identity] for label, seed, identity in trials if identity in errors},
        "provenance": Provenance(
            known["study_file"], known["study_hash"], tuple(known["commits"]), known["uncommitted"], known["versions"],
            tuple(known["hardware"]), (f"ablate run {given}", f"ablate report {planned['study']}"),
        ),
    }  # fmt: skip


def _plan(planned: Mapping[str, Any], notes: Sequence[str], correction: Literal["holm", "dunnett"]) -> "Plan":
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
        scored_on=_scored_on(planned["split"]),
        marks=_marks(planned),
        notes=notes,
    )


def _notes(records: "Records", planned: Mapping[str, Any], n_stale: int) -> list[str]:
    """Return what was noticed about the study that its scores do not show; what a run noted is in its own words."""
    notes = [*planned["remarks"], *(note for one in records.networks()[0].values() for note in one["notes"])]
    if n_stale:
        runs = tr("{n} earlier run is", n=n_stale) if n_stale == 1 else tr("{n} earlier runs are", n=n_stale)
        notes.append(
            tr(
                "{runs} left out: what they did is not what the study asks for now "
                "(its settings, seeds, recipe, data, a block's source code or torch have changed).",
                runs=runs,
            )
        )
    if any(slot.startswith("data.") for slot in planned["slots"]):
        notes.append(tr("Settings that differ in data.* may be tested on different images: see the data set."))
    return notes


def _marks(planned: Mapping[str, Any]) -> list[str]:
    """Return what must stand beside every number of a study."""
    mark = tr(
        "Selected on the test part, as the study asks for (select: test): these scores are of the images that the "
        "settings were chosen by, and too good."
    )
    return [mark] if planned["selects"] and planned["select"] == "test" else []


def _scored_on(split: str) -> str:
    """Return the sentence on the images that scores come from, as a run noted it, in the language that is spoken."""
    for template in SCORED_ON:
        noted = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*)", re.escape(template)), split)
        if noted is not None:
            values = noted.groupdict()
            return tr(template, **values | {"split": tr(values.get("split", ""))})
    return split


def _varied(planned: Mapping[str, Any]) -> list[str]:
    """Return the slots that differ between settings."""
    settings = planned["settings"].values()
    return [slot for slot in planned["slots"] if len({choices.get(slot) for choices in settings}) > 1]


def _searched(records: "Records") -> "tuple[str, pd.DataFrame, dict[str, float]]":
    """Say what a search has found, from its records."""
    from reports.formats import paragraph  # noqa: PLC0415  # pandas and scipy take a second
    from reports.tables.table import wrapped  # noqa: PLC0415  # as above

    study, search = refilled(records)
    rule = study.design.search
    runs = records.frame(selection=True)[0]
    states = runs["state"].value_counts()
    held_out = study.select == "held-out"
    said = paragraph([
        tr(
            "Search: {n} settings proposed by {sampler} on {seeds} seeds "
            "({complete} complete, {pruned} pruned, {failed} failed runs).",
            n=runs["setting"].nunique(), sampler=rule.sampler if rule else "?", seeds=len(study.seeds),
            **{state: states.get(state, 0) for state in ("complete", "pruned", "failed")},
        ),
        tr(
            "They were scored on {part}, and their scores are no result: the first table holds fresh seeds, "
            "the whole training part and the test part.",
            part=tr("a held-out fifth of the training images") if held_out else tr("the test part"),
        ),
    ])  # fmt: skip
    lines = wrapped(said, 95, break_on_hyphens=True)
    front = search.front()
    if front and rule is not None:
        part = tr("on the held-out part") if held_out else tr("on the test part")
        several = len(rule.objectives) > 1
        lines.append(tr("Pareto front {part}:", part=part) if several else tr("Best {part}:", part=part))
        lines += [
            f"  {setting.label}: {', '.join(f'{name} {value:.4g}' for name, value in values.items())}"
            for setting, values in front
        ]
    importances = search.importances()
    if importances:
        shares = ", ".join(f"{slot} {share:.2f}" for slot, share in importances.items())
        lines.append(
            tr(
                "Importance for {metric} (fANOVA over what the search has seen; how much a slot matters, not "
                "which way, and no effect): {shares}.",
                metric=study.metric.name, shares=shares,
            )
        )  # fmt: skip
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


def check_begun(result: "Report") -> None:
    """Refuse a report on nothing.

    Raises:
        StoreError: if no run is complete; it says what is running, and what failed.
    """
    states = result.frame["state"]
    if (states == "complete").any():
        return
    from reports.formats import few  # noqa: PLC0415  # pandas and scipy take a second

    running = result.frame[states == "running"]
    named = [f"{label!r} seed {seed}" for label, seed in zip(running["setting"], running["seed"], strict=True)]
    there = [f"running: {few(named)}"] if named else []
    there += [f"{n} {state}" for state in ("failed", "killed", "pruned") if (n := int((states == state).sum()))]
    name = result.plan.study
    raise StoreError(
        f"no run of study {name!r} is complete ({'; '.join(there) or 'none has begun'}): `ablate status {name}` says more"
    )


def compared(
    place: Place, names: Sequence[str], *, correction: Literal["holm", "dunnett"] = "holm", lang: str = "en"
) -> "Table":
    """Compare two studies over the settings that they share.

    Raises:
        StoreError: if there is no such study, or no run of one is complete.
        ResultsError: if they have nothing in common, or one has no comparison of settings.
    """
    from reports.errors import ResultsError  # noqa: PLC0415  # pandas and scipy take a second
    from reports.tables.studies import studies_table  # noqa: PLC0415  # as above

    found = []
    for name in names:
        result = report(place, name, correction=correction, lang=lang)
        check_begun(result)
        if result.analysis is None:
            raise ResultsError(f"the settings of {name!r} have no seeds in common, so that none of them has a score")
        found.append(result.analysis)
    with speaking(lang):
        return studies_table(*found)


def figures(result: "Report", *, style: str = "cvpr", lang: str = "en") -> dict[str, bytes]:
    """Return every figure in every format, by file name."""
    from reports import figures  # noqa: PLC0415  # matplotlib takes a second

    with speaking(lang):
        drawn = figures.figures(result, style=style)
    kinds: tuple[Literal["pdf", "svg", "png"], ...] = ("pdf", "svg", "png")
    return {f"{result.plan.study}-{one.key}.{kind}": figures.save(one, kind) for one in drawn for kind in kinds}


def page(result: "Report", documents: Mapping[str, str], *, lang: str = "en") -> str:
    """Return the page of a report; its tables' LaTeX, which is English, is among `documents`."""
    from reports import figures, latex, page  # noqa: PLC0415  # matplotlib takes a second

    with speaking(lang):
        drawn = figures.figures(result, titled=False)
    sources = {table.key: documents[f"{latex.stem(result, table)}.tex"] for table in result.tables}
    return page.page(result, drawn, latex=sources, lang=lang)


def log(place: Place, result: "Report", documents: Mapping[str, str], page: str) -> None:
    """Put a study's page and its tables beside its runs in MLflow.

    Raises:
        StoreError: if the store cannot be written.
    """
    tables = {f"tables/{name}": text.encode() for name, text in documents.items()}
    markdown = "\n".join(table.to_markdown() for table in result.tables)
    kept = {"index.html": page.encode(), "tables/tables.md": markdown.encode(), **tables}
    open_records(place, result.plan.study).put_report(kept)


def files(result: "Report") -> dict[str, str]:
    """Return what `ablate run` leaves beside the records: the runs, and each printed table in every form, by name."""
    from reports import latex  # noqa: PLC0415  # pandas and scipy take a second

    contents = {"runs.csv": result.frame.to_csv(index=False), "ablation-preamble.tex": latex.PREAMBLE}
    for table in result.printed:
        contents[f"{table.key}.csv"] = table.frame.to_csv()
        contents[f"{table.key}.md"] = table.to_markdown()
        contents[f"{table.key}.tex"] = latex.render(table)
    if result.found and result.slots is not None:
        contents |= {"search.csv": result.slots.runs.to_csv(index=False), "search.txt": result.found}
    return contents


def write(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all, text in UTF-8, and return its path.

    Raises:
        StoreError: if it cannot be written.
    """
    path = path.resolve() if path.is_symlink() else path
    beside = path.with_name(path.name + ".part")
    data = content.encode() if isinstance(content, str) else content
    try:
        if path.exists() and not path.is_file():  # /dev/stdout
            path.write_bytes(data)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        return beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StoreError(f"{path.as_posix()} cannot be written: {error.strerror or error}") from error


def open_records(place: Place, name: str) -> "Records":
    """Open the records of a study.

    Raises:
        StoreError: if there is no such study, naming the nearest.
    """
    nothing = StoreError(f"nothing has been run here: {place.address} holds no study")
    if place.is_new():
        raise nothing
    from ablate.tracking import Records, studies  # noqa: PLC0415  # SQLAlchemy takes a moment

    known = studies(place)
    if not known:
        raise nothing
    if name not in known:
        raise StoreError(unknown("study", name, known))
    return Records(place, name)
