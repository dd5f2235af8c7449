"""Which settings are worth their cost, as far as the runs can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from reports.analysis import Analysis

COSTS = ("latency_ms", "macs", "params")


def cost_of_front(analysis: Analysis) -> str | None:
    """Return the cost that settings are weighed by: the first that is known of all and not the same for all."""
    scored = analysis.measurements[analysis.measurements["mean"].notna()]
    for cost in COSTS:
        if len(scored) and scored[cost].notna().all() and len(set(scored[cost])) > 1:
            return cost
    return None


def front(analysis: Analysis, cost: str) -> list[str]:
    """Return the settings on the Pareto front of score and cost, in the order of the plan.

    A setting leaves the front only for one that costs no more, is not worse as far as all pairs tell, and is better in
    one of both for sure: it is cheaper, or its score is told from the other's. Where nothing was tested, means decide.
    """
    figures = analysis.measurements
    scored = {
        label: (mean, price)
        for label, mean, price in zip(figures["setting"], figures["mean"], figures[cost], strict=True)
        if pd.notna(mean) and pd.notna(price) and label not in analysis.comparison.failed
    }
    sign = {}
    pairs = analysis.pairs
    for contrast in pairs.contrasts if pairs is not None else ():
        value = {"better": 1, "worse": -1}.get(str(contrast.verdict), 0)
        if contrast.verdict is not None:
            sign[contrast.setting, contrast.against] = value
            sign[contrast.against, contrast.setting] = -value
    direction = 1 if analysis.plan.metric.higher_is_better else -1

    def better(one: str, other: str) -> int:
        by_means = float(direction * (scored[one][0] - scored[other][0]))
        return sign.get((one, other), (by_means > 0) - (by_means < 0))

    def beats(one: str, other: str) -> bool:
        (_, price), (_, limit) = scored[one], scored[other]
        return price <= limit and better(one, other) >= 0 and (price < limit or better(one, other) > 0)

    return [label for label in scored if not any(beats(other, label) for other in scored if other != label)]
