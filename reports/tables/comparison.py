"""The main table: every planned setting with its score, its difference from the reference, and its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports import sentences
from reports.captions import caption
from reports.formats import MISSING, fixed, paragraph, sentence
from reports.identical import identical
from reports.language import tr
from reports.ranks import legend
from reports.tables.columns import (
    cost_columns,
    difference_column,
    label_columns,
    probability_column,
    score_column,
    several_partners,
    verdict_words,
)
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reports.analysis import Analysis
    from reports.plan import Plan


def comparison_table(analysis: Analysis) -> Table:
    """Return one row per planned setting, with what was found on the primary metric and, in notes, on the others."""
    plan, comparison, decimals = analysis.plan, analysis.comparison, analysis.decimals
    marked = [sentence(mark) for mark in plan.marks]
    notes = [
        *sentences.alarms(comparison, plan.metric, decimals),
        *marked,
        *sentences.answer(comparison, plan.metric, decimals),
        *sentences.secondary([(other, each) for each, other in analysis.secondary if other is not None]),
        *sentences.checks(comparison, plan.metric, decimals),
        *sentences.failures(comparison.failed, analysis.done),
        *sentences.coverage(plan.seeds, analysis.done),
        *sentences.cautions(comparison),
        *sentences.identical(identical(analysis.runs, settings=plan.settings, apart=plan.calibration)),
        *sentences.outside(analysis.n_outside),
        *map(sentence, plan.notes),
    ]
    n_seeds = _n_seeds(analysis.done)
    about = caption(comparison, plan.metric, estimand=plan.estimand, n_seeds=n_seeds, decimals=decimals)
    return Table(
        key="comparison",
        title=plan.study,
        question=plan.question,
        caption=paragraph([about, sentence(plan.scored_on), *marked]),
        legend=legend(analysis),
        body=tuple(_columns(analysis)),
        reference_row=list(plan.settings).index(plan.reference),
        breaks=_breaks(plan),
        notes=tuple(notes),
        frame=analysis.measurements,
    )


def _columns(analysis: Analysis) -> Iterator[Column]:
    comparison, metric, decimals = analysis.comparison, analysis.plan.metric, analysis.decimals
    settings = analysis.plan.settings
    contrasts = comparison.rows
    # Where rows are compared with different ones, they are numbered.
    numbers = {setting: str(i) for i, setting in enumerate(settings, start=1)} if several_partners(comparison) else {}
    if numbers:
        yield Column(tr("row"), list(numbers.values()))
    yield from label_columns(analysis)
    yield score_column(analysis)
    if numbers:
        partners = (contrasts.get(setting) for setting in settings)
        yield Column(tr("vs row"), [MISSING if row is None else numbers[row.against] for row in partners])
    yield difference_column(analysis)
    if comparison.race is None:
        yield probability_column(analysis)
    yield Column(tr("verdict"), _verdicts(analysis), kind="words")
    tested = {contrast.setting: contrast.detectable for contrast in comparison.tested}
    sizes = [tested.get(setting) for setting in settings]
    detectable = [fixed(None if size is None else size * metric.scale, decimals) for size in sizes]
    # One value for all stands in the caption.
    if len(set(detectable) - {MISSING}) > 1:
        yield Column(tr("detectable"), detectable)
    yield Column("n", [str(n) for n in analysis.measurements["n"]])
    for each, _ in analysis.secondary:
        yield score_column(analysis, each)
    yield from cost_columns(analysis)


def _breaks(plan: Plan) -> frozenset[int]:
    """Return the rows at which other slots begin to differ from the reference, where rows come slot by slot."""
    at_reference = plan.choices.get(plan.reference, {})
    changed = []
    for label in plan.settings:
        choices = plan.choices.get(label, {})
        changed.append(
            {slot for slot in choices.keys() | at_reference.keys() if choices.get(slot) != at_reference.get(slot)}
        )
    starts = [i for i in range(1, len(changed)) if changed[i] != changed[i - 1]]
    # One row a group, or one group beside the reference: there is nothing to group.
    return frozenset(starts if 2 < len(starts) + 1 < len(changed) else ())


def _verdicts(analysis: Analysis) -> list[str]:
    comparison, found = analysis.comparison, []
    for setting, verdict, n, failed in zip(
        *(analysis.measurements[name] for name in ("setting", "verdict", "n", "failed")), strict=True
    ):
        if failed:
            found.append(tr("{n}/{attempted} failed", n=failed, attempted=n + failed))
        elif comparison.race is not None and setting in comparison.race:
            dropped = comparison.race[setting]
            found.append(tr("in the race") if dropped is None else tr("dropped at {n} seeds", n=dropped))
        else:
            found.append(verdict_words(None if pd.isna(verdict) else str(verdict)))
    return found


def _n_seeds(done: Mapping[str, Sequence[int]]) -> tuple[int, int]:
    counts = {len(seeds) for seeds in done.values()} or {0}
    return min(counts), max(counts)
