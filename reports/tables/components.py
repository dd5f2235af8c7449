"""The component table: which parts each setting has, and what it scores."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING

from reports.formats import MISSING, paragraph
from reports.language import tr
from reports.ranks import legend
from reports.sentences import partners
from reports.tables.columns import cost_columns, difference_column, probability_column, score_column
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.analysis import Analysis

FEWEST, MOST = 2, 8  # columns of components: of one the main table says all, and more are not read any more


def components_table(analysis: Analysis) -> Table | None:
    """Return ✓ and ✗ for each part beside the scores; None where fewer than two slots vary, or too many choices."""
    plan = analysis.plan
    parts = list(_parts(analysis))
    if len({part.group for part in parts}) < FEWEST or len(parts) > MOST or len(plan.settings) > len(ascii_lowercase):
        return None
    reference = list(plan.settings).index(plan.reference)
    has_all = [i for i in range(len(plan.settings)) if all(part.cells[i] == "✓" for part in parts)]
    race = analysis.comparison.race is not None
    return Table(
        key="components",
        title=tr("{study}, components", study=plan.study),
        question=plan.question,
        caption=_caption(analysis),
        legend=legend(analysis),
        body=(
            Column("", [f"({ascii_lowercase[i]})" for i in range(len(plan.settings))], kind="words"),
            *parts,
            score_column(analysis),
            difference_column(analysis),
            *([] if race else [probability_column(analysis)]),
            *cost_columns(analysis),
        ),
        reference_row=reference,
        shaded=frozenset(has_all if len(has_all) == 1 else ()),
        notes=(
            tr("Row ({row}) is the reference, '{setting}'.", row=ascii_lowercase[reference], setting=plan.reference),
        ),
        frame=analysis.measurements,
    )


def _parts(analysis: Analysis) -> Iterator[Column]:
    """Yield a column for each choice that some settings have: what the reference lacks, or in a full model has."""
    plan = analysis.plan
    rows = [plan.choices.get(label, {}) for label in plan.settings]
    full = plan.choices.get(plan.reference, {})
    for slot in plan.slots:
        held = [row.get(slot) for row in rows]
        found = list(dict.fromkeys(one for one in held if one is not None))
        if len(set(held)) < 2:
            continue
        wanted = [one for one in found if (one == full.get(slot)) == (plan.design == "leave-one-out")]
        for choice in wanted:
            cells = [MISSING if one is None else "✓" if one == choice else "✗" for one in held]
            yield Column(choice, cells, kind="mark", group=slot)


def _caption(analysis: Analysis) -> str:
    plan, others = analysis.plan, partners(analysis.comparison)
    race = analysis.comparison.race is not None
    return paragraph(
        [
            tr("✓: the setting has it; ✗: it has what stands in its place.")
            if plan.design == "leave-one-out"
            else tr("✓: the setting has it; ✗: it has what '{reference}' has.", reference=plan.reference),
            tr("{metric}: mean ± standard deviation over seeds.", metric=plan.metric.header),
            tr("Δ: difference from {partners} on the same seeds (paired).", partners=others)
            if race
            else tr(
                "Δ: difference from {partners} on the same seeds (paired), with its interval; "
                "p: corrected for the number of comparisons.",
                partners=others,
            ),
        ]
    )
