"""The path of a cumulative study: what each step adds, and where it leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.contrasts import compare
from reports.formats import counted, paragraph
from reports.language import tr
from reports.ranks import legend
from reports.tables.columns import cost_columns, difference, difference_column, probability_column, score_column
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from reports.analysis import Analysis


def path_table(analysis: Analysis) -> Table | None:
    """Return the steps in their order; None unless the design is cumulative."""
    plan, comparison = analysis.plan, analysis.comparison
    if plan.design != "cumulative":
        return None
    metric = plan.metric
    total = compare(
        analysis.runs, metric=metric.name, reference=plan.reference, settings=plan.settings,
        higher_is_better=metric.higher_is_better, level=plan.level,
    ).rows  # fmt: skip
    ends = [total.get(label) for label in plan.settings]
    whole = [difference(one, metric, analysis.decimals, brackets=False) for one in ends]
    last = next((label for label in reversed(plan.settings) if label in analysis.done), plan.reference)
    one = total.get(last)
    notes = []
    if one is not None and one.estimate is not None:
        notes.append(
            tr(
                "All {steps} together: {gained} from '{first}' to '{last}'.",
                steps=counted(len(plan.settings) - 1, "step"),
                gained=metric.difference(one.estimate.value, analysis.decimals), first=plan.reference, last=last,
            )
        )  # fmt: skip
    estimates = [one.estimate if one is not None else None for one in ends]
    frame = analysis.measurements.assign(total=[float("nan") if one is None else one.value for one in estimates])
    return Table(
        key="path",
        title=tr("{study}, path", study=plan.study),
        question=plan.question,
        caption=paragraph(
            [
                tr("Each row adds a change to the row above."),
                tr("{metric}: mean ± standard deviation over seeds.", metric=metric.header),
                tr(
                    "Δ step: difference from the row above on the same seeds, with its interval; p: corrected over {steps}.",
                    steps=counted(comparison.n_tests, "step"),
                ),
                tr("Δ total: difference from '{reference}', not tested.", reference=plan.reference),
            ]
        ),
        legend=legend(analysis),
        body=(
            Column(tr("step"), list(plan.settings), kind="words"),
            score_column(analysis),
            difference_column(analysis, tr("Δ step")),
            probability_column(analysis),
            Column(f"{tr('Δ total')} {metric.difference_unit}".strip(), whole, kind="difference"),
            *cost_columns(analysis),
        ),
        reference_row=list(plan.settings).index(plan.reference),
        notes=tuple(notes) or (tr("No step is complete."),),
        frame=frame,
    )
