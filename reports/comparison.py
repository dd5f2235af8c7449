"""The nouns of a comparison: an estimate, a contrast with its verdict, and all contrasts of one metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reports.language import said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports.language import Said
    from reports.sequential import Looks

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]
Correction = Literal["holm", "dunnett", "sequential"]
NO_RUN = said("no complete run")


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
        wins: seeds of those on which the setting is strictly better.
        d_z: mean of the paired differences over their standard deviation; None with fewer than five seeds.
        p: two-sided, for this contrast alone; `p_adjusted` is corrected for all contrasts tested.
        p_equivalent: of two one-sided tests at ± the practical difference, for this contrast alone.
        p_sign_flip: of the sign-flip test, for this contrast alone; None with fewer than ten seeds.
        detectable: the smallest true difference found with 80 % probability, in the metric's unit.
        more_seeds: of an inconclusive contrast, about how many more seeds on every setting would find the difference
            that matters with 80 % probability: the practical one, without it one as large as observed; None if more
            than 1,000. It takes the noise, and without a practical difference the effect, for what they seem to be.
        given_up: with adaptive seeds, the number of seeds after which it was unlikely ever to be decided.
        verdict: None where nothing was tested; then `untested` says why.
    """

    setting: str
    against: str
    n: int
    estimate: Estimate | None = None
    wins: int | None = None
    d_z: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    p_equivalent: float | None = None
    p_sign_flip: float | None = None
    detectable: float | None = None
    more_seeds: int | None = None
    given_up: int | None = None
    verdict: Verdict | None = None
    untested: Said | None = None

    @property
    def reason(self) -> str | None:
        """Why nothing was tested, in English; None where something was."""
        return None if self.untested is None else self.untested.english


@dataclass(frozen=True)
class Comparison:
    """All contrasts of one metric in one study.

    Attributes:
        contrasts: the family of comparisons, corrected together.
        calibration: A/A contrasts, outside the family: of settings that compute the same function.
        sd: pooled residual standard deviation, in the metric's unit; None without replicates.
        df: degrees of freedom of `sd`.
        rho: correlation of scores that share a seed, on the seeds that all settings share; None if not computable.
        mistrust: why the variances are moderated ("a run failed", ...), or would be if seeds were not allocated
            adaptively; None if there is no cause.
        n_seeds: seeds that the model rests on.
        failed: seeds that failed, for each setting that has any; such a setting is not compared.
        correction: what corrects for several comparisons.
        fallback: why that is Holm's method although Dunnett's was asked for.
        n_tests: how many comparisons are corrected together.
        looks: when adaptive seeds were looked at; None if seeds were fixed.
        race: of a race, the number of seeds at which each setting was dropped; None: still in. None if it was none.
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
    mistrust: Said | None
    n_seeds: int
    failed: Mapping[str, tuple[int, ...]]
    calibration: tuple[Contrast, ...] = ()
    correction: Correction = "holm"
    fallback: str | None = None
    n_tests: int = 0
    looks: Looks | None = None
    race: Mapping[str, int | None] | None = None

    @property
    def robust(self) -> str | None:
        """The cause of mistrust in equal variances, in English; None without one."""
        return None if self.mistrust is None else self.mistrust.english

    @property
    def moderated(self) -> bool:
        """Whether variances are moderated towards each contrast's own."""
        return self.mistrust is not None and self.looks is None

    @property
    def tested(self) -> tuple[Contrast, ...]:
        """The contrasts of the family that have a p-value."""
        return tuple(c for c in self.contrasts if c.p is not None)

    @property
    def screening(self) -> bool:
        """Whether a verdict rests on two seeds only, though nothing was planned to stop there."""
        return self.looks is None and any(c.n == 2 for c in self.tested)

    @property
    def rows(self) -> dict[str, Contrast]:
        """The contrast that the row of each setting shows: of the family, or else an A/A one."""
        return {contrast.setting: contrast for contrast in (*self.calibration, *self.contrasts)}
