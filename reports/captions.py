"""The caption of a comparison: what each figure of the table means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.formats import counted, paragraph, percent, sentence
from reports.language import tr
from reports.sentences import METHODS, alpha, partners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.comparison import Comparison
    from reports.formats import Metric


def caption(comparison: Comparison, metric: Metric, *, estimand: str, n_seeds: tuple[int, int], decimals: int) -> str:
    """Say what each figure of the table means; settings have from one number of seeds to another."""
    parts = [
        sentence(tr("The table estimates {estimand}", estimand=tr(estimand))) if estimand else "",
        _scores(metric, *n_seeds),
        tr("Δ: difference from {partners} on the same seeds (paired).", partners=partners(comparison)),
        *_allocation(comparison),
        *(_tests(comparison, metric, decimals) if comparison.tested else ()),
    ]
    if comparison.calibration and comparison.race is None:
        parts.append(tr("An A/A pair is none of these comparisons and corrected for A/A pairs alone."))
    if comparison.practical is not None and comparison.race is None:
        margin = metric.size(comparison.practical, decimals)
        parts.append(
            tr("Equivalent: within ±{margin} by two one-sided tests at {alpha}, each for itself.",
               margin=margin, alpha=alpha(comparison))
        )  # fmt: skip
    return paragraph(parts)


def direction(metric: Metric) -> str:
    """Say which scores are good."""
    return tr("higher is better") if metric.higher_is_better else tr("lower is better")


def _scores(metric: Metric, fewest: int, most: int) -> str:
    seeds = counted(most, "seed") if fewest == most else tr("{n} to {most} seeds", n=fewest, most=most)
    better = direction(metric)
    if fewest == most <= 1:
        return tr("{metric}: {seeds}; {better}.", metric=metric.header, seeds=seeds, better=better)
    return tr(
        "{metric}: mean ± standard deviation over {seeds}; {better}.",
        metric=metric.header, seeds=seeds, better=better,
    )  # fmt: skip


def _allocation(comparison: Comparison) -> Iterator[str]:
    if comparison.looks is not None:
        ends = {"first": comparison.looks.first, "last": comparison.looks.last}
        if comparison.race is None:
            yield tr("Seeds were allocated adaptively: from {first} to {last}, until decided.", **ends)
        else:
            yield tr("Seeds were allocated adaptively: from {first} to {last}, until one setting is best.", **ends)
    if comparison.race is not None:
        yield tr("A race selects and tests nothing.")


def _tests(comparison: Comparison, metric: Metric, decimals: int) -> Iterator[str]:
    """Say what intervals and p-values are."""
    variance = (
        tr("variances moderated towards the pooled one")
        if comparison.moderated
        else tr("the residual variance pooled over all settings ({df})", df=degrees_of_freedom(comparison.df))
    )
    interval = tr("{level} t-interval from {variance}", level=percent(comparison.level), variance=variance)
    if comparison.correction == "sequential":
        yield tr(
            "Brackets: naive {interval}, as if there had been one look (94 to 97 % coverage in simulation).",
            interval=interval,
        )
        yield tr("p: two-sided, adjusted for all looks and comparisons.")
        return
    yield tr("Brackets: {interval}, not corrected for the number of comparisons.", interval=interval)
    yield tr(
        "p: two-sided, corrected over {comparisons} by {method} method.",
        comparisons=counted(comparison.n_tests, "comparison"), method=tr(METHODS[comparison.correction]),
    )  # fmt: skip
    yield _detectable(comparison, metric, decimals)


def degrees_of_freedom(n: int) -> str:
    """Return a number of degrees of freedom in words."""
    return tr("{n} degree of freedom", n=n) if n == 1 else tr("{n} degrees of freedom", n=n)


def _detectable(comparison: Comparison, metric: Metric, decimals: int) -> str:
    sizes = {metric.size(c.detectable, decimals) for c in comparison.tested if c.detectable is not None}
    if len(sizes) == 1:
        return tr("A true difference of {size} is found with 80 % probability.", size=sizes.pop())
    return tr("Detectable: the true difference that is found with 80 % probability.")
