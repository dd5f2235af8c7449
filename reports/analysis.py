"""What the runs of a study say of its plan: the comparison of its settings, and the figures behind every table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.contrasts import compare, compare_pairs, compare_secondary
from reports.errors import ResultsError
from reports.frame import check, complete, complete_seeds
from reports.measurements import measurements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.comparison import Comparison
    from reports.formats import Metric
    from reports.plan import Plan

MOST_PAIRED = 60  # settings; 1,770 comparisons


@dataclass(frozen=True)
class Analysis:
    """A plan and what its runs say.

    Attributes:
        runs: those of planned trials.
        n_outside: complete runs that are left out because the plan does not list them.
        secondary: each secondary metric with its comparison; None where it is not tested.
        measurements: the raw figures, one row per planned setting.
        decimals: of the primary metric.
    """

    plan: Plan
    runs: pd.DataFrame
    n_outside: int
    comparison: Comparison
    secondary: tuple[tuple[Metric, Comparison | None], ...]
    measurements: pd.DataFrame
    decimals: int

    @cached_property
    def done(self) -> dict[str, tuple[int, ...]]:
        """The seeds of the complete runs of each setting that has any."""
        return complete_seeds(self.runs)

    @cached_property
    def pairs(self) -> Comparison | None:
        """All settings with each other.

        None where that would be no test: seeds were allocated by how the scores came out; or where they are too many.
        """
        plan = self.plan
        if plan.looks is not None or len(plan.settings) > MOST_PAIRED:
            return None
        return compare_pairs(
            self.runs, metric=plan.metric.name, settings=plan.settings, higher_is_better=plan.metric.higher_is_better,
            practical=plan.practical, level=plan.level,
        )  # fmt: skip


def analyse(frame: pd.DataFrame, plan: Plan) -> Analysis:
    """Compare the planned settings; runs outside the plan are left out and counted.

    Raises:
        ResultsError: if the frame is not fit to report, belongs to another study, or a name in the plan is unknown.
    """
    metrics = (plan.metric, *plan.secondary)
    check(frame, metrics=[each.name for each in metrics])
    _check_study(frame, plan.study, metrics)
    seeds = plan.seeds
    is_planned = [n in seeds.get(label, ()) for label, n in zip(frame["setting"], frame["seed"], strict=True)]
    runs = frame[pd.Series(is_planned, index=frame.index, dtype=bool)]
    shared: dict[str, Any] = {
        "reference": plan.reference, "against": plan.against, "settings": plan.settings, "level": plan.level,
        "calibration": plan.calibration,
    }  # fmt: skip
    comparison = compare(
        runs,
        metric=plan.metric.name,
        higher_is_better=plan.metric.higher_is_better,
        practical=plan.practical,
        correction=plan.correction,
        looks=plan.looks,
        until=plan.until,
        seeds=max(seeds.values(), key=len, default=()),
        **shared,
    )
    others: Sequence[Comparison | None] = [None] * len(plan.secondary)
    if plan.looks is None:
        higher_is_better = {each.name: each.higher_is_better for each in plan.secondary}
        others = compare_secondary(runs, higher_is_better=higher_is_better, **shared)
    secondary = tuple(zip(plan.secondary, others, strict=True))
    raw = measurements(
        runs, comparison, settings=plan.settings, slots=plan.slots, metric=plan.metric, secondary=secondary
    )
    return Analysis(
        plan, runs, len(complete(frame)) - len(complete(runs)), comparison, secondary, raw,
        plan.metric.decimals([comparison.sd, *raw["sd"]]),
    )  # fmt: skip


def _check_study(frame: pd.DataFrame, study: str, metrics: Sequence[Metric]) -> None:
    for name in frame["study"].unique():
        if name != study:
            raise ResultsError(f"the frame holds study {name!r}, not {study!r}")
    for metric in metrics:
        scores = complete(frame)[metric.name].astype(float)
        if metric.unit == "fraction" and not scores.between(0, 1).all():
            raise ResultsError(
                f"column {metric.name!r} holds {scores[~scores.between(0, 1)].iloc[0]:g}; a fraction lies between 0 and 1"
            )
