"""The table of cost and quality: what each setting costs, and which ones are worth it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.formats import MISSING, fixed, paragraph, sentence, some
from reports.language import tr
from reports.pareto import cost_of_front, front
from reports.ranks import legend
from reports.tables.columns import cost_columns, label_columns, score_column
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from reports.analysis import Analysis

NAMES = {"params": "parameters", "macs": "MACs", "latency_ms": "latency"}


def cost_table(analysis: Analysis) -> Table | None:
    """Return score beside cost, with ★ for the Pareto front; None where no two settings differ in a cost."""
    cost = cost_of_front(analysis)
    if cost is None:
        return None
    plan, figures = analysis.plan, analysis.measurements
    best = front(analysis, cost)
    paid = figures[cost].tolist()
    at_reference = paid[list(plan.settings).index(plan.reference)]
    shares = [
        MISSING
        if label == plan.reference or not at_reference
        else fixed(100 * (price / at_reference - 1), 1, signed=True)
        for label, price in zip(figures["setting"], paid, strict=True)
    ]
    figures = figures.assign(pareto=[label in best for label in figures["setting"]])
    name = tr(NAMES[cost])
    return Table(
        key="cost",
        title=tr("{study}, cost", study=plan.study),
        question=plan.question,
        caption=_caption(analysis, name),
        legend=legend(analysis, differences=False),
        body=(
            *label_columns(analysis),
            score_column(analysis),
            *cost_columns(analysis),
            Column(tr("Δ {cost} %", cost=name), shares, kind="difference"),
            Column(tr("front"), ["★" if label in best else "" for label in figures["setting"]], kind="mark"),
        ),
        reference_row=list(plan.settings).index(plan.reference),
        notes=(
            sentence(
                tr(
                    "Worth their {cost}: {settings}",
                    cost=name,
                    settings=some([tr("'{label}'", label=label) for label in best]),
                )
            )
            if best
            else tr("No setting is complete."),
        ),
        frame=figures,
    )


def _caption(analysis: Analysis, cost: str) -> str:
    plan = analysis.plan
    untested = analysis.pairs is None or not analysis.pairs.tested
    return paragraph([
        tr("Score and cost."),
        tr(
            "★: on the front of {metric} and {cost}: no setting that costs no more is as good, {judged}.",
            metric=plan.metric.name, cost=cost,
            judged=tr("by the means") if untested else tr("as far as all pairs tell after Holm's correction"),
        ),
        tr("Δ {cost} %: {cost} beyond that of '{reference}'.", cost=cost, reference=plan.reference),
        tr("MACs are those of one image; ms is the median time of one image through the network."),
    ])  # fmt: skip
