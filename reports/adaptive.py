"""Contrasts of a study whose seeds were allocated adaptively: by their looks, or as a race."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from reports.judgement import concluded, with_interval
from reports.language import said
from reports.sequential import Looks, decide, race

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from reports.comparison import Comparison, Contrast
    from reports.judgement import Difference, Rules
    from reports.sequential import Decision


def allocated(
    base: Comparison,
    measured: Sequence[tuple[Contrast, Difference | None]],
    scores: pd.DataFrame,
    rules: Rules,
    *,
    looks: Looks,
    until: Literal["decided", "best"],
) -> Comparison:
    """Judge contrasts by the looks that were taken, or say who is still in the race.

    `scores` are settings × seeds in the order of the study's seeds, the settings that failed among them: other
    settings were stopped or went on with these in view.
    """
    failed = list(base.failed)
    if until == "best":
        racers = dict.fromkeys((base.reference, *(label for d, _ in measured for label in (d.setting, d.against))))
        dropped = race(
            scores.loc[[label for label in racers if label in scores.index]],
            looks,
            failed=failed,
            higher_is_better=rules.higher_is_better,
            level=rules.level,
        )
        drafts = (
            draft if draft.estimate is None else replace(draft, untested=said("a race tests nothing"))
            for draft, _ in measured
        )
        return replace(base, contrasts=tuple(drafts), looks=looks, race=dropped)
    pairs = [(draft.setting, draft.against) for draft, _ in measured]
    decisions = decide(scores, pairs, looks, failed=failed, level=rules.level)
    contrasts = tuple(
        draft if error is None else _decided(draft, error, decisions.get(draft.setting), rules)
        for draft, error in measured
    )
    return replace(base, contrasts=contrasts, looks=looks, correction="sequential", n_tests=len(measured))


def _decided(draft: Contrast, error: Difference, decision: Decision | None, rules: Rules) -> Contrast:
    """Judge one contrast by its decision; equivalence takes no notice of the looks."""
    if decision is None or decision.p is None:
        return replace(draft, untested=said("no look has been taken yet"))
    p_equivalent = error.p_equivalent(rules.practical) if rules.practical is not None else None
    is_found = decision.state == "decided"
    return replace(
        with_interval(draft, error, rules.level),
        p=error.p,
        p_adjusted=decision.p,
        p_equivalent=p_equivalent,
        given_up=decision.look if decision.state == "futile" else None,
        verdict=concluded(error.value, rules, is_found=is_found, p_equivalent=p_equivalent),
    )
