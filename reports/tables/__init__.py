"""Tables for the paper, made from the frame of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.formats import Metric
from reports.language import tr
from reports.tables.comparison import comparison_table
from reports.tables.components import components_table
from reports.tables.cost import cost_table
from reports.tables.effects import effects_table
from reports.tables.pairs import pairs_table
from reports.tables.path import path_table
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.analysis import Analysis
    from reports.plan import Plan
    from reports.report import Slots

__all__ = [
    "Column",
    "Metric",
    "Table",
    "all_tables",
    "comparison_table",
    "components_table",
    "cost_table",
    "effects_table",
    "pairs_table",
    "path_table",
]


def all_tables(plan: Plan, analysis: Analysis | None, slots: Slots | None) -> tuple[Table, ...]:
    """Return every table that there is something to say in, the main one first."""
    return tuple(_tables(plan, analysis, slots))


def _tables(plan: Plan, analysis: Analysis | None, slots: Slots | None) -> Iterator[Table]:
    if analysis is not None:
        yield comparison_table(analysis)
    if slots is not None:
        yield effects_table(
            slots.effects, study=tr("{study}, slots", study=plan.study), question=plan.question, metric=plan.metric, scored_on=slots.scored_on,
            marks=plan.marks,
        )  # fmt: skip
    if analysis is not None:
        for make in (components_table, path_table, pairs_table, cost_table):
            table = make(analysis)
            if table is not None:
                yield table
