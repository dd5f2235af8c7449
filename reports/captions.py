"""The caption of a comparison: what each figure of the table means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.formats import counted, percent, sentence
from reports.sentences import METHODS, alpha, partners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.comparison import Comparison
    from reports.formats import Metric


def caption(comparison: Comparison, metric: Metric, *, estimand: str, n_seeds: str, decimals: int) -> str:
    """Say what each figure of the table means; `n_seeds` in words, such as "5 seeds"."""
    direction = "higher" if metric.higher_is_better else "lower"
    spread = "" if n_seeds in {"0 seeds", "1 seed"} else "mean ± standard deviation over "
    parts = [
        sentence(f"The table estimates {estimand}") if estimand else "",
        f"{metric.header}: {spread}{n_seeds}; {direction} is better.",
        f"Δ: difference from {partners(comparison)} on the same seeds (paired).",
        *_allocation(comparison),
        *(_tests(comparison, metric, decimals) if comparison.tested else ()),
    ]
    if comparison.calibration and comparison.race is None:
        parts.append("An A/A pair is none of these comparisons and corrected for A/A pairs alone.")
    if comparison.practical is not None and comparison.race is None:
        margin = metric.size(comparison.practical, decimals)
        parts.append(f"Equivalent: within ±{margin} by two one-sided tests at {alpha(comparison)}, each for itself.")
    return " ".join(part for part in parts if part)


def _allocation(comparison: Comparison) -> Iterator[str]:
    if comparison.looks is not None:
        first, last = comparison.looks.first, comparison.looks.last
        until = "decided" if comparison.race is None else "one setting is best"
        yield f"Seeds were allocated adaptively: from {first} to {last}, until {until}."
    if comparison.race is not None:
        yield "A race selects and tests nothing."


def _tests(comparison: Comparison, metric: Metric, decimals: int) -> Iterator[str]:
    """Say what intervals and p-values are."""
    variance = (
        "variances moderated towards the pooled one"
        if comparison.moderated
        else f"the residual variance pooled over all settings ({counted(comparison.df, 'degree')} of freedom)"
    )
    interval = f"{percent(comparison.level)} t-interval from {variance}"
    if comparison.correction == "sequential":
        yield f"Brackets: naive {interval}, as if there had been one look (94 to 97 % coverage in simulation)."
        yield "p: two-sided, adjusted for all looks and comparisons."
        return
    family = counted(comparison.n_tests, "comparison")
    yield f"Brackets: {interval}, not corrected for the number of comparisons."
    yield f"p: two-sided, corrected over {family} by {METHODS[comparison.correction]} method."
    yield _detectable(comparison, metric, decimals)


def _detectable(comparison: Comparison, metric: Metric, decimals: int) -> str:
    sizes = {metric.size(c.detectable, decimals) for c in comparison.tested if c.detectable is not None}
    if len(sizes) == 1:
        return f"A true difference of {sizes.pop()} is found with 80 % probability."
    return "Detectable: the true difference that is found with 80 % probability."
