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
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import stats

from reports.errors import ResultsError, unknown
from reports.fit import Fit, correlation, fit_seeds, score_matrix
from reports.frame import check, complete_seeds, failed_seeds
from reports.power import detectable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]

GUARD = 0.90  # at .95 the guard hardly ever fires with three seeds
PRIOR_DF = 4.0  # weight of the pooled variance in robust mode, in degrees of freedom


@dataclass(frozen=True)
class Estimate:
    """A difference in the metric's own unit with its interval; `low` and `high` are None where noise is unknown."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Contrast:
    """One setting minus another, paired by seed.

    Attributes:
        n: seeds on which both are complete.
        estimate: None where the runs do not determine the difference.
        p: two-sided, for this contrast alone; `p_holm` is corrected for all contrasts tested.
        p_equivalent: of two one-sided tests at ± the practical difference, for this contrast alone.
        detectable: the smallest true difference found with 80 % probability, in the metric's unit.
        verdict: None where nothing was tested; then `reason` says why.
    """

    setting: str
    against: str
    n: int
    estimate: Estimate | None = None
    p: float | None = None
    p_holm: float | None = None
    p_equivalent: float | None = None
    detectable: float | None = None
    verdict: Verdict | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Comparison:
    """All contrasts of one metric in one study.

    Attributes:
        sd: pooled residual standard deviation, in the metric's unit; None without replicates.
        df: degrees of freedom of `sd`.
        rho: correlation of scores that share a seed, on the seeds that all settings share; None if not computable.
        robust: why the variances are moderated ("a run failed", ...); None if they are pooled.
        n_seeds: seeds that the model rests on.
        failed: seeds that failed, for each setting that has any; such a setting is not compared.
    """

    metric: str
    reference: str
    higher_is_better: bool
    practical: float | None
    level: float
    contrasts: tuple[Contrast, ...]
    sd: float | None
    df: int
    rho: float | None
    robust: str | None
    n_seeds: int
    failed: Mapping[str, tuple[int, ...]]

    @property
    def moderated(self) -> bool:
        """Whether variances are moderated towards each contrast's own."""
        return self.robust is not None

    @property
    def tested(self) -> tuple[Contrast, ...]:
        """The contrasts that have a p-value."""
        return tuple(c for c in self.contrasts if c.p is not None)

    @property
    def screening(self) -> bool:
        """Whether a verdict rests on two seeds only."""
        return any(c.n == 2 for c in self.tested)


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
) -> Comparison:
    """Contrast each setting with the reference, or with the setting that `against` names for it.

    `settings` are the planned labels, in the order wanted; rows of others are left out, and one without runs gets a
    contrast with a reason. Without it: the settings of the frame, sorted. `practical` is the smallest difference
    that matters, in the metric's unit; without it no contrast is ever called equivalent.

    Raises:
        ResultsError: if the frame is not fit to report, or a setting is unknown.
    """
    check(frame, metrics=[metric])
    _check_options(practical, level)
    labels = _labels(frame, settings, reference)
    frame = frame[frame["setting"].isin(labels)]
    failed = failed_seeds(frame)
    scores = score_matrix(frame, metric, without=failed)
    fit = fit_seeds(scores)
    done = complete_seeds(frame)
    drafts = [_draft(fit, done, failed, pair) for pair in _pairs(labels, reference, against)]
    robust = _robust_cause(fit, drafts, failed)
    measured = [_measure(fit, draft, moderate=robust is not None) for draft in drafts]
    family = [error for _, error in measured if error is not None]
    contrasts = _judge(measured, family, higher_is_better=higher_is_better, practical=practical, level=level)
    return Comparison(
        metric=metric,
        reference=reference,
        higher_is_better=higher_is_better,
        practical=practical,
        level=level,
        contrasts=contrasts,
        sd=fit.sd if fit.df else None,
        df=fit.df,
        rho=correlation(scores),
        robust=robust if family else None,
        n_seeds=scores.shape[1],
        failed=failed,
    )


@dataclass(frozen=True)
class _Error:
    """The standard error of one tested contrast, and its degrees of freedom."""

    value: float
    se: float
    df: float

    @property
    def p(self) -> float:
        return float(2 * stats.t.sf(abs(self.value) / self.se, self.df))


def _check_options(practical: float | None, level: float) -> None:
    if not 0 < level < 1:
        raise ResultsError(f"level is {level}; it lies between 0 and 1, for instance 0.95")
    if practical is not None and not 0 < practical < np.inf:
        raise ResultsError(f"practical is {practical}; the smallest difference that matters is a positive number")


def _labels(frame: pd.DataFrame, settings: Sequence[str] | None, reference: str) -> list[str]:
    labels = list(settings) if settings is not None else sorted({str(name) for name in frame["setting"]})
    for label in labels:
        if labels.count(label) > 1:
            raise ResultsError(f"setting {label!r} is listed twice")
    if reference not in labels:
        raise ResultsError(unknown("setting", reference, labels) + ", asked for as the reference")
    return labels


def _pairs(labels: list[str], reference: str, against: Mapping[str, str] | None) -> list[tuple[str, str]]:
    against = against or {}
    for setting, other in against.items():
        for label in (setting, other):
            if label not in labels:
                raise ResultsError(unknown("setting", label, labels) + ", asked for in a contrast")
        if setting == other:
            raise ResultsError(f"setting {setting!r} would be contrasted with itself")
    if reference in against:
        raise ResultsError(
            f"the reference {reference!r} is contrasted with nothing; it was given {against[reference]!r}"
        )
    return [(label, against.get(label, reference)) for label in labels if label != reference]


def _draft(
    fit: Fit, done: Mapping[str, Sequence[int]], failed: Mapping[str, Sequence[int]], pair: tuple[str, str]
) -> Contrast:
    """Estimate one difference, and say why it cannot be tested where it cannot."""
    setting, other = pair
    n = len(set(done.get(setting, ())) & set(done.get(other, ())))
    draft = Contrast(setting, other, n)
    for label in pair:
        whose = "" if label == setting else f" of {label!r}"
        if label in failed:
            attempted = len(failed[label]) + len(done.get(label, ()))
            return replace(draft, reason=f"{len(failed[label])}/{attempted} runs{whose} diverged or crashed")
        if label not in done:
            return replace(draft, reason=f"no complete run{whose}")
    weights = fit.weights(*pair)
    if not fit.estimable(weights):
        return replace(draft, reason=f"not estimable: no chain of shared seeds links it with {other!r}")
    draft = replace(draft, estimate=Estimate(fit.value(weights), None, None, n))
    if n < 2:
        return replace(draft, reason=f"{('no', 'one')[n]} seed shared with {other!r}: noise unknown")
    if fit.sd == 0:
        return replace(draft, reason="scores do not vary")
    return draft


def _robust_cause(fit: Fit, drafts: list[Contrast], failed: Mapping[str, tuple[int, ...]]) -> str | None:
    """Return why the pooled variance is not to be trusted, or None."""
    guarded = [draft for draft in drafts if draft.reason is None and draft.n >= 3]
    if guarded and failed:
        return "a run failed"
    for draft in guarded:
        ratio = fit.own_variance(draft.setting, draft.against) / fit.sd**2
        if ratio > stats.f.ppf(GUARD, draft.n - 1, fit.df):
            return f"{draft.setting!r} minus {draft.against!r} varies more than the rest"
    return None


def _measure(fit: Fit, draft: Contrast, *, moderate: bool) -> tuple[Contrast, _Error | None]:
    """Give one draft its standard error, or none where it is not tested."""
    if draft.reason is not None or draft.estimate is None:
        return draft, None
    if moderate and draft.n < 3:
        return replace(draft, reason=f"two seeds shared with {draft.against!r}: too few for moderated variances"), None
    variance, df = fit.sd**2, float(fit.df)
    if moderate:
        df = draft.n - 1 + PRIOR_DF
        own = fit.own_variance(draft.setting, draft.against)
        variance = (PRIOR_DF * variance + (draft.n - 1) * own) / df
    weights = fit.weights(draft.setting, draft.against)
    se = float(np.sqrt(variance * fit.unit_variance(weights)))
    return draft, _Error(draft.estimate.value, se, df)


def _judge(
    measured: list[tuple[Contrast, _Error | None]],
    family: list[_Error],
    *,
    higher_is_better: bool,
    practical: float | None,
    level: float,
) -> tuple[Contrast, ...]:
    """Add intervals, p-values corrected over the family, the detectable difference and the verdict."""
    alpha = 1 - level
    holm = iter(_holm([error.p for error in family]))
    judged = []
    for contrast, error in measured:
        if error is None or contrast.estimate is None:
            judged.append(contrast)
            continue
        half = float(stats.t.isf(alpha / 2, error.df)) * error.se
        p_holm = float(next(holm))
        p_equivalent = _p_equivalent(error, practical) if practical is not None else None
        verdict: Verdict = "inconclusive"
        if p_holm < alpha:
            verdict = "better" if (error.value > 0) == higher_is_better else "worse"
        elif p_equivalent is not None and p_equivalent < alpha:
            verdict = "equivalent"
        judged.append(
            replace(
                contrast,
                estimate=replace(contrast.estimate, low=error.value - half, high=error.value + half),
                p=error.p,
                p_holm=p_holm,
                p_equivalent=p_equivalent,
                detectable=error.se * detectable(error.df, alpha / len(family)),
                verdict=verdict,
            )
        )
    return tuple(judged)


def _holm(p: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (as statsmodels' `multipletests`, which collects garbage for 70 ms a call)."""
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    return [float(value) for value in np.minimum(adjusted, 1.0)[np.argsort(order)]]


def _p_equivalent(error: _Error, practical: float) -> float:
    lower = stats.t.sf((error.value + practical) / error.se, error.df)
    upper = stats.t.cdf((error.value - practical) / error.se, error.df)
    return float(max(lower, upper))
