"""Two studies beside each other, over the settings that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports.captions import direction
from reports.contrasts import compare_pairs
from reports.errors import ResultsError
from reports.formats import counted, listed, paragraph, percent, probability, quoted, sentence
from reports.language import tr
from reports.tables.columns import EMPHASIS, bracketed, difference, score, verdict_words
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports.analysis import Analysis
    from reports.comparison import Comparison


def studies_table(first: Analysis, second: Analysis) -> Table:
    """Return one row per setting that both studies have: its scores, its Δ in each, and the second minus the first.

    A setting is shared if the slots that both studies have hold the same choices, and every other slot is at the
    reference of its study.

    Raises:
        ResultsError: if the studies have no setting in common, or differ in the metric.
    """
    _check(first, second)
    shared = _shared(first, second)
    names = (first.plan.study, second.plan.study)
    compared = _compared(first, second, shared)
    metric, decimals = first.plan.metric, max(first.decimals, second.decimals)
    rows = [compared.rows[_key(1, label)] for label in shared.values()]
    interval = f" {bracketed(compared.level)}" if compared.tested else ""
    unit = f" {metric.difference_unit}".rstrip()
    scores = [Column(tr("setting"), list(shared), kind="words")]
    for name, analysis, labels in zip(names, (first, second), (list(shared), list(shared.values())), strict=True):
        scores.append(_score(analysis, labels, decimals, group=name))
        scores.append(_delta(analysis, labels, decimals, group=name))
    changes = [difference(row, metric, decimals, brackets=True) for row in rows]
    emphasis = {i: EMPHASIS[row.verdict] for i, row in enumerate(rows) if row.verdict}
    return Table(
        key="studies",
        title=listed(names),
        question=" ".join(dict.fromkeys(filter(None, (first.plan.question, second.plan.question)))),
        caption=_caption(first, second, compared),
        body=(
            *scores,
            Column(f"{names[1]} − {names[0]}{unit}{interval}", changes, kind="difference", emphasis=emphasis),
            Column(tr("p (Holm)"), [probability(row.p_adjusted) for row in rows], kind="probability"),
            Column(tr("verdict"), [verdict_words(row.verdict) for row in rows], kind="words"),
            Column("n", [str(row.n) for row in rows]),
        ),
        reference_row=None,
        notes=tuple(_notes(first, second, compared, shared)),
        frame=_figures(first, second, compared, shared),
    )


def _check(first: Analysis, second: Analysis) -> None:
    if first.plan.study == second.plan.study:
        raise ResultsError(f"{first.plan.study!r} would be compared with itself: name two studies")
    if first.plan.metric != second.plan.metric:
        raise ResultsError(
            f"the studies are judged by different metrics: {first.plan.study!r} by {first.plan.metric.header}, "
            f"{second.plan.study!r} by {second.plan.metric.header}"
        )


def _key(i: int, label: str) -> str:
    return f"{i} {label}"


def _shared(first: Analysis, second: Analysis) -> dict[str, str]:
    """Return the settings that both studies have: the label in the first → that in the second."""
    common = set(first.plan.slots) & set(second.plan.slots)
    theirs = _by_choices(second, common)
    shared = {label: theirs[key] for key, label in _by_choices(first, common).items() if key in theirs}
    if not common or not shared:
        raise ResultsError(
            f"{first.plan.study!r} and {second.plan.study!r} have no setting in common: the first varies "
            f"{listed(list(first.plan.slots))}, the second {listed(list(second.plan.slots))}"
        )
    return shared


def _by_choices(analysis: Analysis, common: set[str]) -> dict[frozenset[tuple[str, str]], str]:
    """Return the label of each setting that is at the reference but for the common slots, by the choices in those."""
    plan = analysis.plan
    reference = plan.choices.get(plan.reference, {})
    found: dict[frozenset[tuple[str, str]], str] = {}
    for label in plan.settings:
        choices = plan.choices.get(label, {})
        others = {slot for slot in choices.keys() | reference.keys() if slot not in common}
        if all(choices.get(slot) == reference.get(slot) for slot in others):
            found.setdefault(frozenset((slot, name) for slot, name in choices.items() if slot in common), label)
    return found


def _compared(first: Analysis, second: Analysis, shared: Mapping[str, str]) -> Comparison:
    """Compare each shared setting of the second study with itself in the first; a seed is the same in both."""
    frames = [
        analysis.runs.assign(study="both", setting=[_key(i, label) for label in analysis.runs["setting"]])
        for i, analysis in enumerate((first, second))
    ]
    pairs = [(_key(1, theirs), _key(0, ours)) for ours, theirs in shared.items()]
    plan = first.plan
    return compare_pairs(
        pd.concat(frames, ignore_index=True), metric=plan.metric.name, settings=[label for pair in pairs for label in pair],
        pairs=pairs, higher_is_better=plan.metric.higher_is_better, practical=plan.practical, level=plan.level,
    )  # fmt: skip


def _score(analysis: Analysis, labels: list[str], decimals: int, *, group: str) -> Column:
    metric = analysis.plan.metric
    figures, failed = analysis.measurements, analysis.comparison.failed
    means, sds = (dict(zip(figures["setting"], figures[name], strict=True)) for name in ("mean", "sd"))
    cells = [score(means[label], sds[label], metric, decimals, failed=label in failed) for label in labels]
    return Column(
        metric.header, cells, kind="score", group=group, better="higher" if metric.higher_is_better else "lower"
    )


def _delta(analysis: Analysis, labels: list[str], decimals: int, *, group: str) -> Column:
    rows = [analysis.comparison.rows.get(label) for label in labels]
    emphasis = {i: EMPHASIS[row.verdict] for i, row in enumerate(rows) if row is not None and row.verdict}
    cells = [difference(row, analysis.plan.metric, decimals, brackets=False) for row in rows]
    return Column("Δ", cells, kind="difference", group=group, emphasis=emphasis)


def _caption(first: Analysis, second: Analysis, compared: Comparison) -> str:
    metric = first.plan.metric
    parts = [
        tr("The settings that both studies have."),
        tr("{metric}: mean ± standard deviation over seeds; {better}.", metric=metric.header, better=direction(metric)),
        tr("Δ: difference from the reference of the same study ({references}).", references=_references(first, second)),
        tr(
            "'{second}' minus '{first}': paired by seed, with one variance pooled over both.",
            first=first.plan.study, second=second.plan.study,
        ),
    ]  # fmt: skip
    if compared.tested:
        parts.append(
            tr(
                "Brackets: {level} t-interval; p: two-sided, corrected over {settings} by Holm's method.",
                level=percent(compared.level), settings=counted(compared.n_tests, "setting"),
            )
        )  # fmt: skip
    parts.append(tr("Each study has data, recipe and network of its own: see its file."))
    return paragraph(parts)


def _references(first: Analysis, second: Analysis) -> str:
    return quoted(dict.fromkeys((first.plan.reference, second.plan.reference)))


def _notes(first: Analysis, second: Analysis, compared: Comparison, shared: Mapping[str, str]) -> list[str]:
    differing = [c.setting[2:] for c in compared.tested if c.verdict in {"better", "worse"}]
    if not compared.tested:
        notes = [tr("No conclusion: no setting has two seeds in both studies.")]
    elif differing:
        notes = [tr("The studies differ for {settings}.", settings=quoted(differing))]
    else:
        names = quoted((first.plan.study, second.plan.study))
        notes = [tr("No setting can be told apart between {studies}.", studies=names)]
    verdicts = {
        label: (first.comparison.rows[label].verdict, second.comparison.rows[theirs].verdict)
        for label, theirs in shared.items()
        if label in first.comparison.rows and theirs in second.comparison.rows
    }
    opposite = [label for label, pair in verdicts.items() if set(pair) == {"better", "worse"}]
    same = [label for label, (one, two) in verdicts.items() if one == two and one in {"better", "worse"}]
    if opposite:
        notes.append(
            tr("Better in one study and worse in the other than the reference: {settings}.", settings=quoted(opposite))
        )
    if same:
        notes.append(tr("The same verdict beside the reference in both: {settings}.", settings=quoted(same)))
    for analysis in (first, second):
        left = [label for label in analysis.plan.settings if label not in (*shared, *shared.values())]
        if left:
            notes.append(
                sentence(tr("Only in '{study}': {settings}", study=analysis.plan.study, settings=quoted(left)))
            )
    return notes


def _figures(first: Analysis, second: Analysis, compared: Comparison, shared: Mapping[str, str]) -> pd.DataFrame:
    names = ["mean", "sd", "delta", "low", "high", "verdict", "n"]
    rows = [analysis.measurements.set_index("setting")[names] for analysis in (first, second)]
    records = []
    for ours, theirs in shared.items():
        contrast = compared.rows[_key(1, theirs)]
        estimate = {end: contrast.estimate and getattr(contrast.estimate, end) for end in ("value", "low", "high")}
        records.append(
            {"setting": ours}
            | {f"first_{name}": rows[0].loc[ours, name] for name in names}
            | {f"second_{name}": rows[1].loc[theirs, name] for name in names}
            | {f"change_{end}": value for end, value in estimate.items()}
            | {"p_adjusted": contrast.p_adjusted, "verdict": contrast.verdict, "n": contrast.n}
        )
    return pd.DataFrame.from_records(records)
