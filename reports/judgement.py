"""From differences and standard errors to p-values, corrected for how many there are, intervals and verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special, stats

from reports.errors import ResultsError
from reports.frame import check_level
from reports.power import detectable, more_seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reports.comparison import Contrast, Verdict

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rules:
    """What a verdict goes by: the direction of the metric, the difference that matters, the level."""

    higher_is_better: bool
    practical: float | None
    level: float

    @property
    def alpha(self) -> float:
        """The family-wise error."""
        return 1 - self.level

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.practical is not None and not 0 < self.practical < np.inf:
            raise ResultsError(
                f"practical is {self.practical}; the smallest difference that matters is a positive number"
            )


@dataclass(frozen=True)
class Difference:
    """A difference with its error.

    Attributes:
        value: the difference, in the metric's unit.
        variance: of one score around the model, in the squared unit; the standard error is `se`.
        unit: variance of the difference over `variance`; balanced: 2/n.
        df: degrees of freedom of `variance`.
        per_seed: what one more seed on every setting adds to `df`.
    """

    value: float
    variance: float
    unit: float
    df: float
    per_seed: float

    @property
    def se(self) -> float:
        """The standard error of the difference."""
        return float(np.sqrt(self.variance * self.unit))

    @property
    def t(self) -> float:
        """The difference in standard errors."""
        return self.value / self.se

    @property
    def p(self) -> float:
        """Two-sided, for this difference alone."""
        return float(2 * special.stdtr(self.df, -abs(self.t)))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the t-interval, not corrected for the number of comparisons."""
        half = float(special.stdtrit(self.df, (1 + level) / 2)) * self.se
        return self.value - half, self.value + half

    def p_equivalent(self, practical: float) -> float:
        """Return the p-value of two one-sided tests at ± `practical` (Schuirmann 1987)."""
        return float(special.stdtr(self.df, (abs(self.value) - practical) / self.se))

    def after(self, n: int) -> tuple[float, float]:
        """Return the standard error and its degrees of freedom after `n` more seeds on every setting.

        In a balanced design the precision 1 / `unit` is half the number of seeds: each further one adds half.
        """
        return math.sqrt(self.variance / (1 / self.unit + n / 2)), self.df + n * self.per_seed


def holm(p: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (as statsmodels' `multipletests`, which collects garbage for 70 ms a call)."""
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    return [float(value) for value in np.minimum(adjusted, 1.0)[np.argsort(order)]]


def bonferroni(p: Sequence[float], n: int) -> list[float]:
    """Return p-values corrected for `n` comparisons."""
    return [min(1.0, n * value) for value in p]


def dunnett(errors: Sequence[Difference], covariance: Array) -> list[float]:
    """Return p-values of Dunnett's test: of the largest |t| among contrasts with this covariance, up to a factor.

    Dunnett (1955), with the correlations that the design gives the contrasts. The integral is a quasi-Monte Carlo one
    with a fixed start, good to 2e-4 for up to 20 contrasts; the bounds that hold for every correlation are exact.

    Raises:
        ResultsError: if some contrasts follow from others, so that they have no joint density.
    """
    scale = 1 / np.sqrt(np.diag(covariance))
    correlation = covariance * np.outer(scale, scale)
    m = len(errors)
    if np.linalg.eigvalsh(correlation)[0] < 1e-9:
        raise ResultsError("Dunnett's correction needs contrasts none of which follows from others; use Holm's")
    adjusted = []
    for error in errors:
        edge = np.full(m, abs(error.t))
        inside = stats.multivariate_t.cdf(
            edge, np.zeros(m), correlation, error.df, lower_limit=-edge, maxpts=25_000, random_state=0
        )
        adjusted.append(float(np.clip(1 - inside, error.p, min(1.0, m * error.p))))
    return adjusted


def judge(draft: Contrast, error: Difference, rules: Rules, *, p_adjusted: float, n_tests: int) -> Contrast:
    """Add to a contrast its interval, p-values, power and verdict: an effect first, equality only where there is none.

    Power is that of a test at the Bonferroni level alpha / `n_tests`, a little less than that of the correction used.
    """
    practical, level = rules.practical, rules.alpha / n_tests
    p_equivalent = error.p_equivalent(practical) if practical is not None else None
    verdict = concluded(error.value, rules, is_found=p_adjusted < rules.alpha, p_equivalent=p_equivalent)
    lacking = None
    if verdict == "inconclusive":
        lacking = more_seeds(practical or error.value, alpha=level, error=error.after)
    return replace(
        with_interval(draft, error, rules.level),
        p=error.p,
        p_adjusted=p_adjusted,
        p_equivalent=p_equivalent,
        detectable=error.se * detectable(error.df, level),
        more_seeds=lacking,
        verdict=verdict,
    )


def concluded(value: float, rules: Rules, *, is_found: bool, p_equivalent: float | None) -> Verdict:
    """Return what one may say of a difference; `is_found` if it is significant."""
    if is_found:
        return "better" if (value > 0) == rules.higher_is_better else "worse"
    if p_equivalent is not None and p_equivalent < rules.alpha:
        return "equivalent"
    return "inconclusive"


def with_interval(draft: Contrast, error: Difference, level: float) -> Contrast:
    """Return the contrast with the t-interval of its difference."""
    if draft.estimate is None:
        return draft
    low, high = error.interval(level)
    return replace(draft, estimate=replace(draft.estimate, low=low, high=high))


def p_sign_flip(differences: Array) -> float:
    """Return the two-sided p-value of the mean difference if each seed's could as well have the other sign.

    All sign patterns up to 13 seeds, else 9,999 at random from a fixed generator.
    """
    test = stats.permutation_test(
        (differences,),
        lambda d, axis: np.mean(d, axis=axis),
        permutation_type="samples",
        n_resamples=9_999,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)
