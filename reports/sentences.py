"""What the comparison says, in sentences: the answer, and what a careful reader must know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.comparison import NO_RUN
from reports.formats import (
    MOST_NAMED,
    clauses,
    counted,
    fixed,
    listed,
    paragraph,
    percent,
    probability,
    quoted,
    sentence,
    some,
)
from reports.language import tr
from reports.more_seeds import seeds_for, sought, unsettled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reports.comparison import Comparison, Contrast, Verdict
    from reports.formats import Metric


METHODS = {"holm": "Holm's", "dunnett": "Dunnett's"}
RELATIONS = {"better": "better than", "worse": "worse than", "equivalent": "equivalent to"}


def answer(comparison: Comparison, metric: Metric, decimals: int) -> Iterator[str]:
    """Give the answer in one sentence, then what stays open in another."""
    if not comparison.contrasts:
        yield tr("There is nothing to compare: the table holds one setting.")
        return
    if comparison.race is not None:
        yield _race(comparison.race)
        return
    if not comparison.tested:
        yield _untested(comparison, metric, decimals)
        return
    found = [*_found(comparison, metric, decimals, "better"), *_found(comparison, metric, decimals, "worse")]
    level = tr("at {alpha} after {correction}", alpha=alpha(comparison), correction=_correction(comparison))
    power = _power(comparison, metric, decimals)
    equal = list(_found(comparison, metric, decimals, "equivalent"))
    open_ones = [c for c in comparison.tested if c.verdict == "inconclusive"]
    if found:
        yield sentence(clauses([tr("{found} {level}", found=found[0], level=level), *found[1:]]))
    elif open_ones:
        others = partners(comparison, comparison.tested)
        yield sentence(tr("No setting differs from {others} {level}{power}", others=others, level=level, power=power))
    if equal:
        margin = metric.size(comparison.practical or 0.0, decimals)
        yield sentence(tr("{found} within ±{margin}", found=clauses(equal), margin=margin))
    aim = sought(comparison, open_ones, metric, decimals)
    if open_ones and found:
        more = tr(", and with so many more seeds one {sought}", sought=aim) if aim else ""
        yield sentence(
            tr("Inconclusive for {settings}, which does not show equality{power}{more}",
               settings=unsettled(open_ones), power=power, more=more)
        )  # fmt: skip
    elif open_ones:
        yield tr(
            "Inconclusive does not mean equal: smaller effects, in either direction, are compatible with these scores."
        )
        if aim:
            yield tr(
                "To find an effect {sought} with 80 % probability would take {seeds}.",
                sought=aim, seeds=seeds_for(open_ones),
            )  # fmt: skip


def cautions(comparison: Comparison) -> Iterator[str]:
    """Say what limits the verdicts: few seeds, unequal variances, useless pairing, contrasts that were not tested."""
    if comparison.screening:
        yield tr("Two seeds are a screening: run more before a claim rests on them.")
    if comparison.moderated:
        yield tr(
            "Robust mode, because {reason}: each variance is moderated towards the contrast's own, "
            "and all comparisons are treated alike.",
            reason=comparison.mistrust,
        )
    elif comparison.mistrust is not None and comparison.race is None:
        yield tr(
            "The variances are pooled, because seeds were allocated adaptively, although {reason}: "
            "the verdicts are less sure than they look.",
            reason=comparison.mistrust,
        )
    for n in sorted({c.given_up for c in comparison.contrasts if c.given_up is not None}):
        names = quoted(c.setting for c in comparison.contrasts if c.given_up == n)
        seeds = counted(n, "seed")
        yield tr("Given up after {seeds}, as unlikely ever to be decided: {settings}.", seeds=seeds, settings=names)
    if comparison.fallback is not None:
        yield tr(
            "The correction is Holm's, although Dunnett's was asked for: {reason}.", reason=tr(comparison.fallback)
        )
    if comparison.rho is not None and comparison.rho <= 0.1 and comparison.n_seeds >= 3:
        yield tr(
            "Pairing by seed bought nothing here (correlation between settings {correlation}): "
            "the seed moves the settings independently.",
            correlation=fixed(comparison.rho, 2),
        )
    yield from _sign_flips(comparison)
    for contrast in comparison.contrasts:
        blocked = contrast.setting not in comparison.failed and contrast.untested not in (None, NO_RUN)
        if blocked and comparison.tested:
            yield tr(
                "'{setting}' is not tested against '{other}': {reason}.",
                setting=contrast.setting, other=contrast.against, reason=contrast.untested,
            )  # fmt: skip


def alarms(comparison: Comparison, metric: Metric, decimals: int) -> Iterator[str]:
    """Warn of A/A pairs that differ: these sentences come before all others."""
    for contrast in comparison.calibration:
        if contrast.verdict in {"better", "worse"}:
            yield tr(
                "Warning: the A/A check failed: {same}, yet {measured}: "
                "differences of this size are no effects here; do not trust the verdicts below.",
                same=_same_function(contrast), measured=_measured(contrast, metric, decimals),
            )  # fmt: skip


def checks(comparison: Comparison, metric: Metric, decimals: int) -> Iterator[str]:
    """Say how the other A/A pairs came out."""
    for contrast in comparison.calibration:
        same = _same_function(contrast)
        if contrast.verdict is None:
            yield tr("A/A check: {same}, but are not tested: {reason}.", same=same, reason=contrast.untested)
        elif contrast.verdict not in {"better", "worse"}:
            measured = _measured(contrast, metric, decimals)
            yield tr("A/A check: {same}; {measured}: as it should be.", same=same, measured=measured)


def secondary(comparisons: Sequence[tuple[Comparison, Metric]]) -> Iterator[str]:
    """Say what the secondary metrics show: one sentence each where there is a verdict, one for the rest."""
    if not comparisons:
        return
    quiet = []
    for comparison, metric in comparisons:
        decimals = metric.decimals([comparison.sd])
        found = [*_found(comparison, metric, decimals, "better"), *_found(comparison, metric, decimals, "worse")]
        if found:
            yield sentence(tr("{metric} (secondary): {found}", metric=metric.name, found=clauses(found)))
        elif comparison.tested:
            quiet.append(metric.name)
    first = comparisons[0][0]
    corrected = tr(
        "at {alpha} after Holm's correction over the {comparisons} on all secondary metrics",
        alpha=alpha(first), comparisons=counted(first.n_tests, "comparison"),
    )  # fmt: skip
    if quiet:
        yield tr(
            "On {metrics} (secondary) no setting can be told from the one it is compared with {corrected}.",
            metrics=listed(quiet), corrected=corrected,
        )  # fmt: skip
    elif any(comparison.tested for comparison, _ in comparisons):
        yield tr("Secondary metrics are judged {corrected}.", corrected=corrected)


def failures(failed: Mapping[str, Sequence[int]], complete: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Name the settings that failed, with their seeds."""
    for setting, seeds in failed.items():
        attempted = len(seeds) + len(complete.get(setting, ()))
        which = listed([str(seed) for seed in seeds])
        said = tr(
            "† '{setting}': {n} of {runs} diverged or crashed ({seeds}); "
            "a failed run is never a score, so the setting is not compared.",
            setting=setting, n=len(seeds), runs=counted(attempted, "run"),
            seeds=tr("seeds {seeds}", seeds=which) if len(seeds) > 1 else tr("seed {seed}", seed=which),
        )  # fmt: skip
        kept = tr("Its mean is that of the seeds that survived, and so a selection.") if setting in complete else ""
        yield paragraph([said, kept])


def coverage(planned: Mapping[str, Sequence[int]], complete: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Say how many of the planned trials (setting → seeds) the table rests on, and name the settings that lack some."""
    counts = {setting: len(complete.get(setting, ())) for setting in planned}
    n_done, n_planned = sum(counts.values()), sum(map(len, planned.values()))
    if n_done < n_planned:
        short = [
            tr("'{setting}' {n} of {planned}", setting=name, n=n, planned=len(planned[name]))
            for name, n in counts.items()
            if n < len(planned[name])
        ]
        yield tr(
            "The table rests on {n} of {planned} planned trials ({settings}).",
            n=n_done, planned=n_planned, settings=listed(short),
        )  # fmt: skip
    if len(set(counts.values()) - {0}) > 1:
        yield tr("Δ is adjusted for the seeds that a setting lacks, and so is not the difference of the means shown.")


def outside(n_runs: int) -> Iterator[str]:
    """Say how many complete runs are left out because the plan does not list them."""
    runs = counted(n_runs, "complete run")
    if n_runs == 1:
        yield tr("{runs} outside the plan is not used.", runs=runs)
    elif n_runs:
        yield tr("{runs} outside the plan are not used.", runs=runs)


def identical(groups: Iterable[Sequence[str]]) -> Iterator[str]:
    """Name settings whose scores are the same."""
    for labels in groups:
        yield tr(
            "{settings} scored exactly the same on every seed: check that the change reaches the network.",
            settings=quoted(labels),
        )


def partners(comparison: Comparison, contrasts: Iterable[Contrast] = ()) -> str:
    """Name the setting that contrasts have in common, by default those of the rows."""
    found = {c.against for c in contrasts or comparison.rows.values()} or {comparison.reference}
    return quoted(found) if len(found) == 1 else tr("the setting it is compared with")


def alpha(comparison: Comparison) -> str:
    """Return the family-wise error."""
    return percent(1 - comparison.level)


def _race(race: Mapping[str, int | None]) -> str:
    left = [label for label, dropped in race.items() if dropped is None]
    if len(left) == 1:
        return tr("The race left {setting}: every other setting fell behind and was dropped.", setting=quoted(left))
    if not left:
        return tr("Nothing is left in the race.")
    return tr("Still in the race: {settings}.", settings=quoted(left))


def _sign_flips(comparison: Comparison) -> Iterator[str]:
    """Say where a test that supposes no normal errors sees it otherwise."""
    limit = 1 - comparison.level
    for contrast in comparison.tested:
        p = contrast.p_sign_flip
        if p is None:
            continue
        shown = {"setting": contrast.setting, "p": _equals(p)}
        if contrast.verdict in {"better", "worse"} and p >= limit:
            yield tr("The sign-flip test does not confirm the difference of '{setting}' (p {p}).", **shown)
        elif contrast.verdict == "inconclusive" and p < limit / comparison.n_tests:
            yield tr("The sign-flip test finds a difference of '{setting}' (p {p}): look at its scores.", **shown)


def _same_function(contrast: Contrast) -> str:
    return tr("'{setting}' and '{other}' compute the same function", setting=contrast.setting, other=contrast.against)


def _measured(contrast: Contrast, metric: Metric, decimals: int) -> str:
    estimate = contrast.estimate
    if estimate is None or estimate.low is None or estimate.high is None:
        return tr("Δ unknown")
    low, high = (fixed(end * metric.scale, decimals, signed=True) for end in (estimate.low, estimate.high))
    return tr(
        "Δ = {difference} [{low}, {high}], p {p}",
        difference=metric.difference(estimate.value, decimals), low=low, high=high, p=_equals(contrast.p_adjusted),
    )  # fmt: skip


def _equals(p: float | None) -> str:
    shown = probability(p)
    return shown.replace("<", "< ") if "<" in shown else f"= {shown}"


def _found(comparison: Comparison, metric: Metric, decimals: int, verdict: Verdict) -> Iterator[str]:
    """Say which settings have this verdict, one clause for each setting that they are compared with."""
    by_partner: dict[str, list[Contrast]] = {}
    for contrast in comparison.tested:
        if contrast.verdict == verdict:
            by_partner.setdefault(contrast.against, []).append(contrast)
    for partner, contrasts in by_partner.items():
        if len(contrasts) > MOST_NAMED:  # the largest; the table has them all
            contrasts.sort(key=lambda c: abs(c.estimate.value) if c.estimate is not None else 0.0, reverse=True)
        names = [_with_difference(contrast, metric, decimals) for contrast in contrasts]
        values = {"settings": some(names), "relation": tr(RELATIONS[verdict]), "other": partner}
        if len(names) == 1:
            yield tr("{settings} is {relation} '{other}'", **values)
        else:
            yield tr("{settings} are {relation} '{other}'", **values)


def _with_difference(contrast: Contrast, metric: Metric, decimals: int) -> str:
    value = contrast.estimate.value if contrast.estimate is not None else 0.0
    return tr("'{setting}' ({note})", setting=contrast.setting, note=metric.difference(value, decimals))


def _untested(comparison: Comparison, metric: Metric, decimals: int) -> str:
    measured = [c for c in comparison.contrasts if c.estimate is not None]
    if not measured:
        others, reasons = partners(comparison), _reasons(comparison.contrasts)
        return sentence(tr("Nothing can be compared with {others} yet: {reasons}", others=others, reasons=reasons))
    if all(c.n < 2 for c in measured):
        largest = max(measured, key=lambda c: abs(c.estimate.value) if c.estimate is not None else 0.0)
        return tr(
            "No conclusion: with one seed noise and effect cannot be told apart, not even for the largest "
            "difference, {largest}.",
            largest=_with_difference(largest, metric, decimals),
        )
    reasons = _reasons(measured)
    return sentence(tr("No conclusion, because no comparison could be tested: {reasons}", reasons=reasons))


def _reasons(contrasts: Iterable[Contrast]) -> str:
    settings: dict[str, list[str]] = {}
    for contrast in contrasts:
        settings.setdefault(str(contrast.untested), []).append(contrast.setting)
    return clauses(
        tr("{reason} ({settings})", reason=reason, settings=quoted(names)) for reason, names in settings.items()
    )


def _power(comparison: Comparison, metric: Metric, decimals: int) -> str:
    """Say how large an effect would have been found; the least sensitive comparison counts."""
    weakest = max(comparison.tested, key=lambda c: c.detectable or 0.0)
    if weakest.detectable is None:
        return ""
    return tr(
        ": with {seeds} an effect of {size} or more would have been found with 80 % probability",
        seeds=counted(weakest.n, "seed"), size=metric.size(weakest.detectable, decimals),
    )  # fmt: skip


def _correction(comparison: Comparison) -> str:
    if comparison.correction == "sequential":
        return tr("correction for all looks and comparisons")
    return tr("{method} correction", method=tr(METHODS[comparison.correction]))
