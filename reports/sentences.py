"""What the comparison says, in sentences: the caption, the answer, and what a careful reader must know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.formats import counted, fixed, listed, percent, quoted, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reports.contrasts import Comparison, Contrast, Verdict
    from reports.formats import Metric

# More names than this are no sentence any more; the table has them.
FEW = 4


def caption(comparison: Comparison, metric: Metric, *, estimand: str, n_seeds: str, decimals: int) -> str:
    """Say what each figure of the table means; `n_seeds` in words, such as "5 seeds"."""
    direction = "higher" if metric.higher_is_better else "lower"
    spread = "" if n_seeds in {"0 seeds", "1 seed"} else "mean ± standard deviation over "
    parts = [
        sentence(f"The table estimates {estimand}") if estimand else "",
        f"{metric.header}: {spread}{n_seeds}; {direction} is better.",
        f"Δ: difference from {_partners(comparison)} on the same seeds (paired).",
    ]
    if comparison.tested:
        level, family = percent(comparison.level), counted(len(comparison.tested), "comparison")
        variance = (
            "variances moderated towards the pooled one"
            if comparison.moderated
            else f"the residual variance pooled over all settings ({counted(comparison.df, 'degree')} of freedom)"
        )
        parts.append(f"Brackets: {level} t-interval from {variance}, not corrected for the number of comparisons.")
        parts.append(f"p: two-sided, corrected over {family} by Holm's method.")
        parts.append(_detectable(comparison, metric, decimals))
    if comparison.practical is not None:
        margin = metric.size(comparison.practical, decimals)
        parts.append(f"Equivalent: within ±{margin} by two one-sided tests at {_alpha(comparison)}, each for itself.")
    return " ".join(part for part in parts if part)


def answer(comparison: Comparison, metric: Metric, decimals: int) -> Iterator[str]:
    """Give the answer in one sentence, then what stays open in another."""
    if not comparison.contrasts:
        yield "There is nothing to compare: the table holds one setting."
        return
    if not comparison.tested:
        yield _untested(comparison, metric, decimals)
        return
    found = [*_found(comparison, metric, decimals, "better"), *_found(comparison, metric, decimals, "worse")]
    level = f"at {_alpha(comparison)} after Holm's correction"
    partners = _partners(comparison, comparison.tested)
    power = _power(comparison, metric, decimals)
    equal = list(_found(comparison, metric, decimals, "equivalent"))
    open_ones = [c for c in comparison.tested if c.verdict == "inconclusive"]
    if found:
        yield sentence("; ".join([f"{found[0]} {level}", *found[1:]]))
    elif open_ones:
        yield f"No setting differs from {partners} {level}: {power}."
    if equal:
        margin = metric.size(comparison.practical or 0.0, decimals)
        yield sentence(f"{'; '.join(equal)} within ±{margin}")
    if open_ones and found:
        few = len(open_ones) <= FEW
        names = quoted(c.setting for c in open_ones) if few else f"the other {len(open_ones)} settings"
        yield f"Inconclusive for {names}, which does not show equality: {power}."
    elif open_ones:
        yield "Inconclusive does not mean equal: smaller effects, in either direction, are compatible with these scores."


def cautions(comparison: Comparison) -> Iterator[str]:
    """Say what limits the verdicts: few seeds, unequal variances, useless pairing, contrasts that were not tested."""
    if comparison.screening:
        yield "Two seeds are a screening: run more before a claim rests on them."
    if comparison.robust is not None:
        yield (
            f"Robust mode, because {comparison.robust}: each variance is moderated towards the contrast's own, "
            "and all comparisons are treated alike."
        )
    if comparison.rho is not None and comparison.rho <= 0.1 and comparison.n_seeds >= 3:
        yield (
            f"Pairing by seed bought nothing here (correlation between settings {fixed(comparison.rho, 2)}): "
            "the seed moves the settings independently."
        )
    for contrast in comparison.contrasts:
        blocked = contrast.setting not in comparison.failed and contrast.reason not in (None, "no complete run")
        if blocked and comparison.tested:
            yield f"'{contrast.setting}' is not tested against '{contrast.against}': {contrast.reason}."


def failures(failed: Mapping[str, Sequence[int]], complete: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Name the settings that failed, with their seeds."""
    for setting, seeds in failed.items():
        attempted = len(seeds) + len(complete.get(setting, ()))
        which = f"seed{'s' if len(seeds) > 1 else ''} {listed([str(seed) for seed in seeds])}"
        kept = " Its mean is that of the seeds that survived, and so a selection." if setting in complete else ""
        yield (
            f"† '{setting}': {len(seeds)} of {counted(attempted, 'run')} diverged or crashed ({which}); "
            f"a failed run is never a score, so the setting is not compared.{kept}"
        )


def coverage(settings: Sequence[str], seeds: Sequence[int], complete: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Say how many of the planned trials the table rests on, and name the settings that lack some."""
    counts = {setting: len(complete.get(setting, ())) for setting in settings}
    n_done, n_planned = sum(counts.values()), len(settings) * len(seeds)
    if n_done < n_planned:
        short = listed([f"'{name}' {n} of {len(seeds)}" for name, n in counts.items() if n < len(seeds)])
        yield f"The table rests on {n_done} of {n_planned} planned trials ({short})."
    if len(set(counts.values()) - {0}) > 1:
        yield "Δ is adjusted for the seeds that a setting lacks, and so is not the difference of the means shown."


def outside(n_runs: int) -> Iterator[str]:
    """Say how many complete runs are left out because the plan does not list them."""
    if n_runs:
        yield f"{counted(n_runs, 'complete run')} outside the plan {'is' if n_runs == 1 else 'are'} not used."


def _found(comparison: Comparison, metric: Metric, decimals: int, verdict: Verdict) -> Iterator[str]:
    """Say which settings have this verdict, one clause for each setting that they are compared with."""
    by_partner: dict[str, list[str]] = {}
    for contrast in comparison.tested:
        if contrast.verdict == verdict:
            by_partner.setdefault(contrast.against, []).append(_with_difference(contrast, metric, decimals))
    for partner, names in by_partner.items():
        relation = f"{verdict} {'to' if verdict == 'equivalent' else 'than'}"
        yield f"{listed(names)} {'is' if len(names) == 1 else 'are'} {relation} '{partner}'"


def _with_difference(contrast: Contrast, metric: Metric, decimals: int) -> str:
    value = contrast.estimate.value if contrast.estimate is not None else 0.0
    return f"'{contrast.setting}' ({metric.difference(value, decimals)})"


def _untested(comparison: Comparison, metric: Metric, decimals: int) -> str:
    measured = [c for c in comparison.contrasts if c.estimate is not None]
    if not measured:
        return sentence(f"Nothing can be compared with {_partners(comparison)} yet: {_reasons(comparison.contrasts)}")
    if all(c.n < 2 for c in measured):
        largest = max(measured, key=lambda c: abs(c.estimate.value) if c.estimate is not None else 0.0)
        return (
            "No conclusion: with one seed noise and effect cannot be told apart, not even for the largest "
            f"difference, {_with_difference(largest, metric, decimals)}."
        )
    return sentence(f"No conclusion, because no comparison could be tested: {_reasons(measured)}")


def _reasons(contrasts: Iterable[Contrast]) -> str:
    settings: dict[str, list[str]] = {}
    for contrast in contrasts:
        settings.setdefault(str(contrast.reason), []).append(contrast.setting)
    return "; ".join(f"{reason} ({quoted(names)})" for reason, names in settings.items())


def _detectable(comparison: Comparison, metric: Metric, decimals: int) -> str:
    sizes = {metric.size(c.detectable, decimals) for c in comparison.tested if c.detectable is not None}
    if len(sizes) == 1:
        return f"A true difference of {sizes.pop()} is found with 80 % probability."
    return "Detectable: the true difference that is found with 80 % probability."


def _power(comparison: Comparison, metric: Metric, decimals: int) -> str:
    """Say how large an effect would have been found; the least sensitive comparison counts."""
    weakest = max(comparison.tested, key=lambda c: c.detectable or 0.0)
    size = metric.size(weakest.detectable or 0.0, decimals)
    return f"with {counted(weakest.n, 'seed')} an effect of {size} or more would have been found with 80 % probability"


def _partners(comparison: Comparison, contrasts: Iterable[Contrast] = ()) -> str:
    partners = {c.against for c in contrasts or comparison.contrasts} or {comparison.reference}
    return f"'{partners.pop()}'" if len(partners) == 1 else "the setting it is compared with"


def _alpha(comparison: Comparison) -> str:
    return percent(1 - comparison.level)
