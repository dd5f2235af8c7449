"""What the comparison says, in sentences: the answer, and what a careful reader must know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.formats import FEW, counted, fixed, listed, percent, probability, quoted, sentence
from reports.power import MOST_SEEDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reports.comparison import Comparison, Contrast, Verdict
    from reports.formats import Metric


METHODS = {"holm": "Holm's", "dunnett": "Dunnett's"}


def answer(comparison: Comparison, metric: Metric, decimals: int) -> Iterator[str]:
    """Give the answer in one sentence, then what stays open in another."""
    if not comparison.contrasts:
        yield "There is nothing to compare: the table holds one setting."
        return
    if comparison.race is not None:
        yield _race(comparison.race)
        return
    if not comparison.tested:
        yield _untested(comparison, metric, decimals)
        return
    found = [*_found(comparison, metric, decimals, "better"), *_found(comparison, metric, decimals, "worse")]
    level = f"at {alpha(comparison)} after {_correction(comparison)}"
    power = _power(comparison, metric, decimals)
    equal = list(_found(comparison, metric, decimals, "equivalent"))
    open_ones = [c for c in comparison.tested if c.verdict == "inconclusive"]
    if found:
        yield sentence("; ".join([f"{found[0]} {level}", *found[1:]]))
    elif open_ones:
        yield sentence(f"No setting differs from {partners(comparison, comparison.tested)} {level}{power}")
    if equal:
        margin = metric.size(comparison.practical or 0.0, decimals)
        yield sentence(f"{'; '.join(equal)} within ±{margin}")
    sought = _sought(comparison, open_ones, metric, decimals)
    if open_ones and found:
        more = f", and with so many more seeds one {sought}" if sought else ""
        yield sentence(f"Inconclusive for {_open(open_ones)}, which does not show equality{power}{more}")
    elif open_ones:
        yield "Inconclusive does not mean equal: smaller effects, in either direction, are compatible with these scores."
        if sought:
            yield f"To find an effect {sought} with 80 % probability would take {_seeds_for(open_ones)}."


def cautions(comparison: Comparison) -> Iterator[str]:
    """Say what limits the verdicts: few seeds, unequal variances, useless pairing, contrasts that were not tested."""
    if comparison.screening:
        yield "Two seeds are a screening: run more before a claim rests on them."
    if comparison.moderated:
        yield (
            f"Robust mode, because {comparison.robust}: each variance is moderated towards the contrast's own, "
            "and all comparisons are treated alike."
        )
    elif comparison.robust is not None and comparison.race is None:
        yield (
            f"The variances are pooled, because seeds were allocated adaptively, although {comparison.robust}: "
            "the verdicts are less sure than they look."
        )
    for n in sorted({c.given_up for c in comparison.contrasts if c.given_up is not None}):
        names = quoted(c.setting for c in comparison.contrasts if c.given_up == n)
        yield f"Given up after {counted(n, 'seed')}, as unlikely ever to be decided: {names}."
    if comparison.fallback is not None:
        yield f"The correction is Holm's, although Dunnett's was asked for: {comparison.fallback}."
    if comparison.rho is not None and comparison.rho <= 0.1 and comparison.n_seeds >= 3:
        yield (
            f"Pairing by seed bought nothing here (correlation between settings {fixed(comparison.rho, 2)}): "
            "the seed moves the settings independently."
        )
    yield from _sign_flips(comparison)
    for contrast in comparison.contrasts:
        blocked = contrast.setting not in comparison.failed and contrast.reason not in (None, "no complete run")
        if blocked and comparison.tested:
            yield f"'{contrast.setting}' is not tested against '{contrast.against}': {contrast.reason}."


def alarms(comparison: Comparison, metric: Metric, decimals: int) -> Iterator[str]:
    """Warn of A/A pairs that differ: these sentences come before all others."""
    for contrast in comparison.calibration:
        if contrast.verdict in {"better", "worse"}:
            yield (
                f"Warning: the A/A check failed: {_same_function(contrast)}, yet {_measured(contrast, metric, decimals)}: "
                "differences of this size are no effects here; do not trust the verdicts below."
            )


def checks(comparison: Comparison, metric: Metric, decimals: int) -> Iterator[str]:
    """Say how the other A/A pairs came out."""
    for contrast in comparison.calibration:
        if contrast.verdict is None:
            yield f"A/A check: {_same_function(contrast)}, but are not tested: {contrast.reason}."
        elif contrast.verdict not in {"better", "worse"}:
            measured = _measured(contrast, metric, decimals)
            yield f"A/A check: {_same_function(contrast)}; {measured}: as it should be."


def secondary(comparisons: Sequence[tuple[Comparison, Metric]]) -> Iterator[str]:
    """Say what the secondary metrics show: one sentence each where there is a verdict, one for the rest."""
    quiet = []
    for comparison, metric in comparisons:
        decimals = metric.decimals([comparison.sd])
        found = [*_found(comparison, metric, decimals, "better"), *_found(comparison, metric, decimals, "worse")]
        if found:
            yield sentence(f"{metric.name} (secondary): {'; '.join(found)}")
        elif comparison.tested:
            quiet.append(metric.name)
    corrected = (
        f"at {alpha(comparisons[0][0])} after Holm's correction over the {counted(comparisons[0][0].n_tests, 'comparison')} "
        "on all secondary metrics"
        if comparisons
        else ""
    )
    if quiet:
        rest = listed(quiet)
        yield f"On {rest} (secondary) no setting can be told from the one it is compared with {corrected}."
    elif comparisons and any(comparison.tested for comparison, _ in comparisons):
        yield f"Secondary metrics are judged {corrected}."


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


def coverage(planned: Mapping[str, Sequence[int]], complete: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Say how many of the planned trials (setting → seeds) the table rests on, and name the settings that lack some."""
    counts = {setting: len(complete.get(setting, ())) for setting in planned}
    n_done, n_planned = sum(counts.values()), sum(map(len, planned.values()))
    if n_done < n_planned:
        short = [f"'{name}' {n} of {len(planned[name])}" for name, n in counts.items() if n < len(planned[name])]
        yield f"The table rests on {n_done} of {n_planned} planned trials ({listed(short)})."
    if len(set(counts.values()) - {0}) > 1:
        yield "Δ is adjusted for the seeds that a setting lacks, and so is not the difference of the means shown."


def outside(n_runs: int) -> Iterator[str]:
    """Say how many complete runs are left out because the plan does not list them."""
    if n_runs:
        yield f"{counted(n_runs, 'complete run')} outside the plan {'is' if n_runs == 1 else 'are'} not used."


def identical(groups: Iterable[Sequence[str]]) -> Iterator[str]:
    """Name settings whose scores are the same."""
    for labels in groups:
        yield f"{quoted(labels)} scored exactly the same on every seed: check that the change reaches the network."


def partners(comparison: Comparison, contrasts: Iterable[Contrast] = ()) -> str:
    """Name the setting that contrasts have in common, by default those of the rows."""
    found = {c.against for c in contrasts or comparison.rows.values()} or {comparison.reference}
    return f"'{found.pop()}'" if len(found) == 1 else "the setting it is compared with"


def alpha(comparison: Comparison) -> str:
    """Return the family-wise error."""
    return percent(1 - comparison.level)


def _race(race: Mapping[str, int | None]) -> str:
    left = [label for label, dropped in race.items() if dropped is None]
    if len(left) == 1:
        return f"The race left {quoted(left)}: every other setting fell behind and was dropped."
    return f"Still in the race: {quoted(left)}." if left else "Nothing is left in the race."


def _sign_flips(comparison: Comparison) -> Iterator[str]:
    """Say where a test that supposes no normal errors sees it otherwise."""
    limit = 1 - comparison.level
    for contrast in comparison.tested:
        p = contrast.p_sign_flip
        if p is None:
            continue
        if contrast.verdict in {"better", "worse"} and p >= limit:
            yield f"The sign-flip test does not confirm the difference of '{contrast.setting}' (p {_equals(p)})."
        elif contrast.verdict == "inconclusive" and p < limit / comparison.n_tests:
            yield f"The sign-flip test finds a difference of '{contrast.setting}' (p {_equals(p)}): look at its scores."


def _same_function(contrast: Contrast) -> str:
    return f"'{contrast.setting}' and '{contrast.against}' compute the same function"


def _measured(contrast: Contrast, metric: Metric, decimals: int) -> str:
    estimate = contrast.estimate
    if estimate is None or estimate.low is None or estimate.high is None:
        return "Δ unknown"
    low, high = (fixed(end * metric.scale, decimals, signed=True) for end in (estimate.low, estimate.high))
    return f"Δ = {metric.difference(estimate.value, decimals)} [{low}, {high}], p {_equals(contrast.p_adjusted)}"


def _equals(p: float | None) -> str:
    shown = probability(p)
    return shown.replace("<", "< ") if "<" in shown else f"= {shown}"


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


def _open(contrasts: Sequence[Contrast]) -> str:
    """Name what is inconclusive, with the seeds that it lacks in brackets."""
    if len(contrasts) > FEW:
        return f"the other {len(contrasts)} settings" + (f" ({lacking})" if (lacking := _range(contrasts)) else "")
    return listed(
        [f"'{c.setting}'{f' ({n})' if n else ''}" for c, n in zip(contrasts, _lacking(contrasts), strict=True)]
    )


def _seeds_for(contrasts: Sequence[Contrast]) -> str:
    """Say how many more seeds a list of inconclusive contrasts would take."""
    lacking = [(c.setting, n) for c, n in zip(contrasts, _lacking(contrasts), strict=True) if n]
    if len(lacking) > FEW or len({c.more_seeds for c in contrasts}) == 1:
        return _range(contrasts)
    return listed([f"{n} for '{setting}'" for setting, n in lacking])


def _lacking(contrasts: Sequence[Contrast]) -> list[str]:
    """Say of each how many more seeds it would take; empty if none, or if that is not known."""
    found = ["" if c.detectable is None or c.more_seeds == 0 else _about(c.more_seeds) for c in contrasts]
    first = next((i for i, said in enumerate(found) if said), None)
    return [f"{said} seed{'' if said == _about(1) else 's'}" if i == first else said for i, said in enumerate(found)]


def _range(contrasts: Sequence[Contrast]) -> str:
    counts = sorted(MOST_SEEDS + 1 if c.more_seeds is None else c.more_seeds for c in contrasts if c.detectable)
    if not counts or counts[-1] == 0:
        return ""
    low, high = (None if n > MOST_SEEDS else n for n in (counts[0], counts[-1]))
    if low == high:
        return f"{_about(low)} seed{'' if low == 1 else 's'}"
    return f"about {low} to {f'{high:,}' if high else _about(None).removesuffix(' more')} more seeds"


def _about(n: int | None) -> str:
    return f"more than {MOST_SEEDS:,} more" if n is None else f"about {n:,} more"


def _sought(comparison: Comparison, contrasts: Sequence[Contrast], metric: Metric, decimals: int) -> str:
    """Return the effect that further seeds would find; empty if none are lacking."""
    if not any(_lacking(contrasts)):
        return ""
    return (
        "as large as observed" if comparison.practical is None else f"of {metric.size(comparison.practical, decimals)}"
    )


def _untested(comparison: Comparison, metric: Metric, decimals: int) -> str:
    measured = [c for c in comparison.contrasts if c.estimate is not None]
    if not measured:
        return sentence(f"Nothing can be compared with {partners(comparison)} yet: {_reasons(comparison.contrasts)}")
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


def _power(comparison: Comparison, metric: Metric, decimals: int) -> str:
    """Say how large an effect would have been found; the least sensitive comparison counts."""
    weakest = max(comparison.tested, key=lambda c: c.detectable or 0.0)
    if weakest.detectable is None:
        return ""
    size = metric.size(weakest.detectable, decimals)
    return (
        f": with {counted(weakest.n, 'seed')} an effect of {size} or more would have been found with 80 % probability"
    )


def _correction(comparison: Comparison) -> str:
    if comparison.correction == "sequential":
        return "correction for all looks and comparisons"
    return f"{METHODS[comparison.correction]} correction"
