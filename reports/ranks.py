"""Which settings stand out: those that can be told from all others, and no others.

A best mean alone says little: with few seeds the runner-up often is as good. Settings that cannot be told from each
other, directly or by a chain of such pairs, form a group; only between groups is every pair told apart. The first group
is bold, the second underlined; where all settings are one group, nothing stands out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reports.formats import counted, paragraph, percent, quoted
from reports.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports.analysis import Analysis

Rank = Literal["best", "second"]


def ranked(analysis: Analysis) -> Mapping[str, Rank]:
    """Return the settings that stand out."""
    groups = tie_groups(analysis)
    if len(groups) < 2:
        return {}
    ranks: dict[str, Rank] = dict.fromkeys(groups[0], "best")
    return ranks | dict.fromkeys(groups[1], "second")


def tie_groups(analysis: Analysis) -> list[list[str]]:
    """Return the settings that were tested in groups, the best first, settings by their mean within each."""
    pairs = analysis.pairs
    if pairs is None or not pairs.tested:
        return []
    tested = {label for contrast in pairs.tested for label in (contrast.setting, contrast.against)}
    figures = analysis.measurements
    means = {label: mean for label, mean in zip(figures["setting"], figures["mean"], strict=True) if label in tested}
    linked: dict[str, set[str]] = {label: {label} for label in means}
    for contrast in pairs.contrasts:
        both = {contrast.setting, contrast.against} <= tested
        if both and contrast.verdict not in {"better", "worse"}:
            linked[contrast.setting].add(contrast.against)
            linked[contrast.against].add(contrast.setting)
    order = sorted(means, key=means.__getitem__, reverse=pairs.higher_is_better)
    groups: list[list[str]] = []
    for label in order:
        if any(label in group for group in groups):
            continue
        found, new = {label}, {label}
        while new:
            new = {other for one in new for other in linked[one]} - found
            found |= new
        groups.append([other for other in order if other in found])
    return groups


def legend(analysis: Analysis, *, differences: bool = True) -> str:
    """Say what bold, underlined and grey mean in a table, with a column of differences or without."""
    verdicts = {row.verdict for row in analysis.comparison.rows.values()}
    shows_grey = differences and analysis.comparison.race is None and bool(verdicts & {"inconclusive", "equivalent"})
    grey = tr("Grey: a difference that is not told from none.") if shows_grey else ""
    return paragraph([_ranks(analysis), grey])


def _ranks(analysis: Analysis) -> str:
    groups = tie_groups(analysis)
    if not groups or analysis.pairs is None:
        return ""
    level = percent(1 - analysis.plan.level)
    pairs = counted(analysis.pairs.n_tests, "pair")
    how = tr("at {level} after Holm's correction over all {pairs}", level=level, pairs=pairs)
    if len(groups) < 2:
        return tr("Nothing is bold: no setting, or group of them, can be told from all others {how}.", how=how)
    tied = "" if len(groups[0]) == 1 else tr("; {settings} cannot be told from each other", settings=quoted(groups[0]))
    return tr(
        "Bold: the best, told from every setting that is not bold {how}{tied}. Underlined: the next best.",
        how=how, tied=tied,
    )  # fmt: skip
