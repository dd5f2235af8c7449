"""The answer of a study in a few sentences: the verdict, and what it costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reports import sentences
from reports.formats import fixed
from reports.language import tr
from reports.pareto import cost_of_front

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.analysis import Analysis
    from reports.report import Report


def answer(report: Report) -> list[str]:
    """Return the verdict, and what the best setting costs beside what it is compared with."""
    analysis = report.analysis
    if analysis is None:
        return list(report.table.notes[:1])
    metric = analysis.plan.metric
    return [*sentences.answer(analysis.comparison, metric, analysis.decimals), *_price(analysis)]


def _price(analysis: Analysis) -> Iterator[str]:
    better = [row for row in analysis.comparison.tested if row.verdict == "better" and row.estimate is not None]
    if better:
        best = max(better, key=lambda row: abs(row.estimate.value) if row.estimate else 0.0)
        costs = list(_beside(analysis, best.setting, best.against))
        if costs:
            yield tr(
                "'{setting}' costs {costs} beside '{other}'.",
                setting=best.setting,
                costs=tr(", ").join(costs),
                other=best.against,
            )
        return
    cost = cost_of_front(analysis)
    if cost is None:
        return
    figures = dict(zip(analysis.measurements["setting"], analysis.measurements[cost], strict=True))
    at_reference = figures.pop(analysis.plan.reference, math.nan)
    others = [value for value in figures.values() if math.isfinite(value)]
    if others and math.isfinite(at_reference) and at_reference > 0:
        low, high = (_percent(bound(others) / at_reference - 1) for bound in (min, max))
        name = {"latency_ms": tr("latency"), "macs": tr("MACs"), "params": tr("parameters")}[cost]
        yield tr(
            "Beside '{reference}' the others differ in {cost} by {low} to {high}.",
            reference=analysis.plan.reference, low=low, high=high, cost=name,
        )  # fmt: skip


def _beside(analysis: Analysis, setting: str, other: str) -> Iterator[str]:
    rows = analysis.measurements.set_index("setting")
    pairs = {cost: (float(rows[cost][setting]), float(rows[cost][other])) for cost in ("params", "macs", "latency_ms")}
    params, before = pairs["params"]
    if math.isfinite(params) and math.isfinite(before) and before > 0:
        yield tr(
            "{n} parameters ({share})", n=fixed(params - before, 0, signed=True), share=_percent(params / before - 1)
        )
    macs, before = pairs["macs"]
    if math.isfinite(macs) and math.isfinite(before) and before > 0:
        yield tr("{share} MACs", share=_percent(macs / before - 1))
    latency, before = pairs["latency_ms"]
    if math.isfinite(latency) and math.isfinite(before) and before > 0:
        difference = fixed(latency - before, 2, signed=True)
        yield tr("{difference} ms an image ({share})", difference=difference, share=_percent(latency / before - 1))


def _percent(share: float) -> str:
    return tr("{share} %", share=fixed(100 * share, 1, signed=True))
