"""All that is told of a study: every table, figure and page is made of one report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reports.analysis import Analysis, analyse
from reports.slot_effects import slot_effects
from reports.tables import all_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from reports.effects import Effects
    from reports.factors import Factor
    from reports.plan import Plan
    from reports.tables import Table


@dataclass(frozen=True)
class Slots:
    """Settings in which several slots vary, the runs of them, and what each slot does.

    Attributes:
        settings: of each label the choice that fills each slot that it has.
        runs: one row each; of a search those that it chose by.
        scored_on: a sentence on the images that their scores come from.
    """

    settings: Mapping[str, Mapping[str, str]]
    runs: pd.DataFrame
    effects: Effects
    scored_on: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from, as the runs noted it; several values where runs differ.

    Attributes:
        study_file: its text; empty where there was none.
        study_hash: SHA-256 of that text.
        commits: of the repository that the runs were started in; `uncommitted` where it had changes.
        versions: of libraries, by name.
        hardware: what the runs were trained on.
        commands: what makes these numbers again, line by line.
    """

    study_file: str = ""
    study_hash: str = ""
    commits: tuple[str, ...] = ()
    uncommitted: bool = False
    versions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hardware: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Report:
    """A study and what its runs say.

    Attributes:
        frame: the runs of the planned trials, one row for each attempt.
        analysis: the comparison of settings; None for a fractional design, whose settings have no seeds in common.
        slots: what each slot does, where several vary together.
        tables: all that there are, the main one first.
        curves: the primary metric after each epoch, in columns setting, seed, epoch and value; empty if not known.
        importances: of a search, the share of each slot, which says how much it matters and not which way.
        found: what a search has found, in sentences; empty for a design.
        errors: the last line of the error of each failed trial, by label and seed.
    """

    plan: Plan
    frame: pd.DataFrame
    analysis: Analysis | None
    slots: Slots | None
    tables: tuple[Table, ...]
    curves: pd.DataFrame | None = None
    importances: Mapping[str, float] = field(default_factory=dict)
    found: str = ""
    errors: Mapping[tuple[str, int], str] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def table(self) -> Table:
        """The main table: that of settings, or of a fractional design that of slots."""
        return self.tables[0]

    @property
    def printed(self) -> tuple[Table, ...]:
        """The tables that are printed; the others are views of these."""
        return tuple(table for table in self.tables if table.key in {"comparison", "effects"})

    def __str__(self) -> str:
        shown = [table.to_text() for table in self.printed]
        return "\n".join([*shown, *([self.found] if self.found else [])])

    def __repr__(self) -> str:
        return str(self)


def report_on(
    frame: pd.DataFrame,
    plan: Plan,
    *,
    factors: Sequence[Factor] = (),
    varied: tuple[Mapping[str, Mapping[str, str]], pd.DataFrame, str] | None = None,
) -> Report:
    """Return the report on the runs of a plan; what else is known of them is for `dataclasses.replace`.

    Args:
        frame: the runs, one row each.
        plan: what was planned.
        factors: the slots, parents first; without them no slot gets an effect.
        varied: settings, runs and a sentence on their scores where what slots do is found from others than those of
            the plan, as for a search.

    Raises:
        ResultsError: if the runs are not fit to report, or do not belong to the plan.
    """
    settings, seen, scored_on = varied or (plan.choices, frame, plan.scored_on)
    slots = None
    if factors:
        effects = slot_effects(
            seen, factors=factors, metric=plan.metric.name, settings=settings, level=plan.level,
            higher_is_better=plan.metric.higher_is_better,
        )  # fmt: skip
        slots = Slots(settings, seen, effects, scored_on)
    analysis = None if plan.design == "fractional" else analyse(frame, plan)
    return Report(plan, frame, analysis, slots, all_tables(plan, analysis, slots))
