"""Paired contrasts between settings: which differences are effects, and which could be noise.

The model is `score = setting + seed + error`, fitted by least squares to whatever complete runs exist. Its residual
variance is pooled over all settings: with few seeds that is what gives the comparisons their power. The price is the
assumption that all settings vary alike, so a guard looks for settings that do not, or that crash, and then moderates
every variance towards the contrast's own ("robust mode"). With six settings and mild differences between variances
the family-wise error stays at 5 to 6 %; with three seeds and one setting three times as noisy as the others it can
reach 7.5 %, because the guard sees too little then. With three settings and fewer than ten seeds the guard never
fires: a pair's own variance is then at most twice the pooled one, and the family-wise error about 6 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

from reports.comparison import NO_RUN, Comparison, Contrast, Estimate
from reports.errors import ResultsError, unknown
from reports.fit import ROUNDING, Fit, correlation, fit_seeds, score_matrix
from reports.frame import check, complete_seeds, failed_seeds
from reports.judgement import Difference, Rules, bonferroni, dunnett, holm, judge, p_sign_flip
from reports.language import said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from reports.language import Said
    from reports.sequential import Looks

Pair = tuple[str, str]

GUARD = 0.90  # at .95 the guard hardly ever fires with three seeds
PRIOR_DF = 4.0  # weight of the pooled variance in robust mode, in degrees of freedom
NO_DUNNETT = "with moderated variances Dunnett's joint distribution does not hold"
SEEDS_FOR_D_Z = 5  # with fewer, a standardised difference is mostly noise
SEEDS_FOR_SIGN_FLIP = 10  # with fewer, the smallest p-value there can be is no small one


def compare(
    frame: pd.DataFrame,
    *,
    metric: str,
    reference: str,
    against: Mapping[str, str] | None = None,
    settings: Sequence[str] | None = None,
    higher_is_better: bool = True,
    practical: float | None = None,
    level: float = 0.95,
    correction: Literal["holm", "dunnett"] = "holm",
    calibration: Sequence[Pair] = (),
    looks: Looks | None = None,
    until: Literal["decided", "best"] = "decided",
    seeds: Sequence[int] | None = None,
) -> Comparison:
    """Contrast each setting with the reference, or with the setting that `against` names for it.

    Args:
        frame: the runs.
        metric: the column of scores.
        reference: the setting that others are compared with unless `against` says otherwise.
        against: setting → its partner.
        settings: the planned labels, in the order wanted; rows of others are left out, and one without runs gets a
            contrast with a reason. Without it: the settings of the frame, sorted.
        higher_is_better: the direction of the metric.
        practical: the smallest difference that matters, in the metric's unit; without it no contrast is ever called
            equivalent.
        level: one minus the family-wise error, and the level of the intervals.
        correction: for the family of comparisons. Dunnett's is a little stronger; where variances are moderated its
            joint distribution does not hold, and Holm's is used.
        calibration: A/A pairs. The second minus the first is a contrast outside the family, tested at
            (1 - level) / pairs; where it is all that the second is compared with, it is no comparison of the family.
        looks: when adaptive seeds were looked at. The p-values are then those of `reports.sequential.decide` and the
            variances pooled, whatever the guard says; intervals take no notice of the looks.
        until: what the adaptive seeds were for; a race for the best tests nothing.
        seeds: the study's seeds in their order, as `looks` counts them; sorted without it.

    Raises:
        ResultsError: if the frame is not fit to report, or a setting is unknown.
    """
    check(frame, metrics=[metric])
    rules = Rules(higher_is_better, practical, level)
    labels = _labels(frame, settings, reference)
    family = _pairs(labels, reference, against, calibration)
    twins = [(second, first) for first, second in calibration]
    study = _measured(_rows_of(frame, labels), metric, [*family, *twins], rules, adaptive=looks is not None)
    measured, checks = study.measured[: len(family)], study.measured[len(family) :]
    base = replace(
        _comparison(study, metric, reference, rules),
        calibration=_judged(checks, bonferroni([e.p for _, e in checks if e], len(checks)), rules, n_tests=len(checks)),
    )
    if looks is not None:
        from reports.adaptive import allocated  # noqa: PLC0415  # what few studies need

        scores = score_matrix(_rows_of(frame, labels), metric, without=(), seeds=seeds)
        return allocated(base, measured, scores, rules, looks=looks, until=until)
    errors = [error for _, error in measured if error is not None]
    p_adjusted, fallback = holm([error.p for error in errors]), None
    if correction == "dunnett" and study.robust is not None:
        fallback = NO_DUNNETT
    elif correction == "dunnett" and errors:
        weights = [study.fit.weights(draft.setting, draft.against) for draft, error in measured if error is not None]
        p_adjusted = dunnett(errors, study.fit.unit_covariance(np.array(weights)))
    return replace(
        base,
        contrasts=_judged(measured, p_adjusted, rules, n_tests=len(errors)),
        correction=correction if fallback is None else "holm",
        fallback=fallback,
        n_tests=len(errors),
    )


def compare_secondary(
    frame: pd.DataFrame,
    *,
    higher_is_better: Mapping[str, bool],
    reference: str,
    against: Mapping[str, str] | None = None,
    settings: Sequence[str] | None = None,
    level: float = 0.95,
    calibration: Sequence[Pair] = (),
) -> tuple[Comparison, ...]:
    """Compare on several metrics, as `compare` does, with all their contrasts corrected together by Holm's method.

    `higher_is_better` gives each metric its direction. A/A pairs are in no comparison of theirs.

    Raises:
        ResultsError: if the frame is not fit to report, or a setting is unknown.
    """
    check(frame, metrics=higher_is_better)
    labels = _labels(frame, settings, reference)
    pairs, frame = _pairs(labels, reference, against, calibration), _rows_of(frame, labels)
    rules = {metric: Rules(higher, None, level) for metric, higher in higher_is_better.items()}
    studies = {metric: _measured(frame, metric, pairs, rules[metric]) for metric in rules}
    p = [error.p for study in studies.values() for _, error in study.measured if error is not None]
    adjusted = iter(holm(p))
    return tuple(
        replace(
            _comparison(study, metric, reference, rules[metric]),
            contrasts=_judged(study.measured, adjusted, rules[metric], n_tests=len(p)),
            n_tests=len(p),
        )
        for metric, study in studies.items()
    )


def compare_pairs(
    frame: pd.DataFrame,
    *,
    metric: str,
    settings: Sequence[str],
    pairs: Sequence[Pair] | None = None,
    higher_is_better: bool = True,
    practical: float | None = None,
    level: float = 0.95,
) -> Comparison:
    """Contrast the first with the second of each pair, corrected together by Holm's method.

    Without `pairs` all settings are contrasted with each other: of each two, the later in `settings` with the earlier.

    Raises:
        ResultsError: if the frame is not fit to report.
    """
    check(frame, metrics=[metric])
    rules = Rules(higher_is_better, practical, level)
    if pairs is None:
        pairs = [(later, earlier) for earlier, later in combinations(settings, 2)]
    study = _measured(_rows_of(frame, settings), metric, pairs, rules)
    errors = [error for _, error in study.measured if error is not None]
    return replace(
        _comparison(study, metric, settings[0], rules),
        contrasts=_judged(study.measured, holm([error.p for error in errors]), rules, n_tests=len(errors)),
        n_tests=len(errors),
    )


@dataclass(frozen=True)
class _Study:
    """One metric, measured but not judged: contrasts with their errors, None where one is not to be tested."""

    fit: Fit
    measured: tuple[tuple[Contrast, Difference | None], ...]
    failed: Mapping[str, tuple[int, ...]]
    robust: Said | None


def _measured(
    frame: pd.DataFrame, metric: str, pairs: Iterable[Pair], rules: Rules, *, adaptive: bool = False
) -> _Study:
    failed, done = failed_seeds(frame), complete_seeds(frame)
    fit = fit_seeds(score_matrix(frame, metric, without=failed))
    drafts = [_described(fit, _draft(fit, done, failed, pair), rules) for pair in pairs]
    robust = _robust_cause(fit, drafts, failed)
    moderate = robust is not None and not adaptive
    return _Study(fit, tuple(_measure(fit, draft, moderate=moderate) for draft in drafts), failed, robust)


def _comparison(study: _Study, metric: str, reference: str, rules: Rules) -> Comparison:
    """Return the comparison without its contrasts."""
    return Comparison(
        metric=metric,
        reference=reference,
        higher_is_better=rules.higher_is_better,
        practical=rules.practical,
        level=rules.level,
        contrasts=(),
        sd=study.fit.sd if study.fit.df else None,
        df=study.fit.df,
        rho=correlation(study.fit.scores),
        mistrust=study.robust if any(error is not None for _, error in study.measured) else None,
        n_seeds=study.fit.scores.shape[1],
        failed=study.failed,
    )


def _labels(frame: pd.DataFrame, settings: Sequence[str] | None, reference: str) -> list[str]:
    labels = list(settings) if settings is not None else sorted(set(frame["setting"].tolist()))
    for label in labels:
        if labels.count(label) > 1:
            raise ResultsError(f"setting {label!r} is listed twice")
    if reference not in labels:
        raise ResultsError(unknown("setting", reference, labels) + ", asked for as the reference")
    return labels


def _pairs(
    labels: Sequence[str], reference: str, against: Mapping[str, str] | None, calibration: Sequence[Pair]
) -> list[Pair]:
    """Return the comparisons of the family, each a setting and its partner."""
    against = against or {}
    for what, pairs in (("a contrast", against.items()), ("an A/A pair", calibration)):
        for pair in pairs:
            for label in pair:
                if label not in labels:
                    raise ResultsError(unknown("setting", label, labels) + f", asked for in {what}")
            if pair[0] == pair[1]:
                raise ResultsError(f"setting {pair[0]!r} would be contrasted with itself, asked for in {what}")
    if reference in against:
        raise ResultsError(
            f"the reference {reference!r} is contrasted with nothing; it was given {against[reference]!r}"
        )
    twins = {second: first for first, second in calibration}
    if reference in twins:
        raise ResultsError(
            f"the reference {reference!r} must stand first in an A/A pair; before it stands {twins[reference]!r}"
        )
    partners = twins | dict(against)
    pairs = [(label, partners.get(label, reference)) for label in labels if label != reference]
    return [(label, partner) for label, partner in pairs if (partner, label) not in set(calibration)]


def _rows_of(frame: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    others = set(frame["setting"].tolist()) - set(labels)
    return frame[frame["setting"].isin(list(labels))] if others else frame


def _draft(fit: Fit, done: Mapping[str, Sequence[int]], failed: Mapping[str, Sequence[int]], pair: Pair) -> Contrast:
    """Estimate one difference, and say why it cannot be tested where it cannot."""
    setting, other = pair
    n = len(set(done.get(setting, ())) & set(done.get(other, ())))
    draft = Contrast(setting, other, n)
    for label in pair:
        if (lack := _lack(label, done, failed, own=label == setting)) is not None:
            return replace(draft, untested=lack)
    weights = fit.weights(*pair)
    if not fit.estimable(weights):
        return replace(
            draft, untested=said("not estimable: no chain of shared seeds links it with {other!r}", other=other)
        )
    draft = replace(draft, estimate=Estimate(fit.value(weights), None, None, n))
    if n == 0:
        return replace(draft, untested=said("no seed shared with {other!r}: noise unknown", other=other))
    if n == 1:
        return replace(draft, untested=said("one seed shared with {other!r}: noise unknown", other=other))
    if fit.sd == 0:
        return replace(draft, untested=said("scores do not vary"))
    return draft


def _lack(
    label: str, done: Mapping[str, Sequence[int]], failed: Mapping[str, Sequence[int]], *, own: bool
) -> Said | None:
    """Say why a setting has no scores to compare; None if it has. The reason names it unless it is the row's own."""
    if label in failed:
        counts = {"n": len(failed[label]), "attempted": len(failed[label]) + len(done.get(label, ()))}
        if own:
            return said("{n}/{attempted} runs diverged or crashed", **counts)
        return said("{n}/{attempted} runs of {label!r} diverged or crashed", **counts, label=label)
    if label not in done:
        return NO_RUN if own else said("no complete run of {label!r}", label=label)
    return None


def _described(fit: Fit, draft: Contrast, rules: Rules) -> Contrast:
    """Add what the paired differences say without a model."""
    if draft.estimate is None or draft.n == 0:
        return draft
    pairs = fit.pairs(draft.setting, draft.against)
    draft = replace(draft, wins=int((pairs > 0 if rules.higher_is_better else pairs < 0).sum()))
    if draft.untested is not None:
        return draft
    sd = float(pairs.std(ddof=1))
    varies = sd > ROUNDING * float(np.abs(pairs).max())
    return replace(
        draft,
        d_z=float(pairs.mean()) / sd if draft.n >= SEEDS_FOR_D_Z and varies else None,
        p_sign_flip=p_sign_flip(pairs) if draft.n >= SEEDS_FOR_SIGN_FLIP else None,
    )


def _robust_cause(fit: Fit, drafts: list[Contrast], failed: Mapping[str, tuple[int, ...]]) -> Said | None:
    """Return why the pooled variance is not to be trusted, or None."""
    guarded = [draft for draft in drafts if draft.untested is None and draft.n >= 3]
    if guarded and failed:
        return said("a run failed")
    for draft in guarded:
        ratio = fit.own_variance(draft.setting, draft.against) / fit.sd**2
        if ratio > special.fdtri(draft.n - 1, fit.df, GUARD):
            return said(
                "{setting!r} minus {other!r} varies more than the rest", setting=draft.setting, other=draft.against
            )
    return None


def _measure(fit: Fit, draft: Contrast, *, moderate: bool) -> tuple[Contrast, Difference | None]:
    """Give one draft its error, or none where it is not tested."""
    if draft.untested is not None or draft.estimate is None:
        return draft, None
    if moderate and draft.n < 3:
        few = said("two seeds shared with {other!r}: too few for moderated variances", other=draft.against)
        return replace(draft, untested=few), None
    variance, df, per_seed = fit.sd**2, float(fit.df), len(fit.counts) - 1.0
    if moderate:
        df, per_seed = draft.n - 1 + PRIOR_DF, 1.0
        own = fit.own_variance(draft.setting, draft.against)
        variance = (PRIOR_DF * variance + (draft.n - 1) * own) / df
    unit = fit.unit_variance(fit.weights(draft.setting, draft.against))
    return draft, Difference(draft.estimate.value, variance, unit, df, per_seed)


def _judged(
    measured: Iterable[tuple[Contrast, Difference | None]], p_adjusted: Iterable[float], rules: Rules, *, n_tests: int
) -> tuple[Contrast, ...]:
    """Judge each contrast that has an error; `p_adjusted` are theirs, in this order."""
    adjusted = iter(p_adjusted)
    return tuple(
        draft if error is None else judge(draft, error, rules, p_adjusted=next(adjusted), n_tests=n_tests)
        for draft, error in measured
    )
