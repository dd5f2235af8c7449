"""The table of comparisons: false verdicts, coverage, power, equivalence and A/A pairs of `reports.contrasts`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from reports.contrasts import compare
from truth.simulation import ERRORS, REFERENCE, SEEDS, Crowd, Figure, Truth, mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

K = 6
EFFECT, MARGIN = 0.5, 0.5  # percentage points
NOISY = (1.5, *(1.0,) * (K - 1))
UNEVEN = 0.2  # share of missing runs


@dataclass(frozen=True)
class Question:
    """A truth, and how `compare` is asked about it."""

    truth: Truth
    practical: float | None = None
    calibration: tuple[tuple[str, str], ...] = ()


def judged(question: Question, rng: np.random.Generator) -> dict[str, float]:
    """Simulate one study; return what is right and wrong in its comparison, as shares of its contrasts.

    false: whether any setting that equals the reference is called better or worse.
    found: of the others, how many are called what they are; `paired` by a t-test of each pair alone.
    covered: how many intervals hold the true difference.
    equivalent: how many are called equivalent.
    flagged: whether an A/A pair is called better or worse.
    """
    truth = question.truth
    frame = truth.frame(rng)
    result = compare(
        frame,
        metric="score",
        reference=REFERENCE,
        settings=truth.labels,
        practical=question.practical,
        calibration=question.calibration,
    )
    null = [contrast for contrast in result.tested if not truth.delta(contrast.setting)]
    real = [contrast for contrast in result.tested if truth.delta(contrast.setting)]
    inside = [
        contrast.estimate.low <= truth.delta(contrast.setting) <= contrast.estimate.high
        for contrast in result.tested
        if contrast.estimate and contrast.estimate.low is not None and contrast.estimate.high is not None
    ]
    return {
        "false": float(any(c.verdict in ("better", "worse") for c in null)) if null else np.nan,
        "found": share([c.verdict == ("better" if truth.delta(c.setting) > 0 else "worse") for c in real]),
        "covered": share(inside),
        "equivalent": share([c.verdict == "equivalent" for c in result.tested]),
        "flagged": share([c.verdict in ("better", "worse") for c in result.calibration]),
    }


def share(hits: Sequence[bool]) -> float:
    """Return the share of true ones; NaN of none."""
    return float(np.mean(hits)) if len(hits) else np.nan


def paired(truth: Truth, rng: np.random.Generator) -> dict[str, float]:
    """Simulate one study; return how many effects separate paired t-tests find, with Holm's correction."""
    scores = truth.scores(rng)
    p = stats.ttest_rel(scores[1:], scores[:1], axis=1).pvalue
    order = np.argsort(p)
    rejected = np.empty(len(p), dtype=bool)
    rejected[order] = np.logical_and.accumulate(p[order] * np.arange(len(p), 0, -1) < 0.05)
    return {"found": share(rejected[np.array(truth.means[1:]) != 0].tolist())}


def false_verdicts(crowd: Crowd) -> Iterator[Figure]:
    """All settings are equal: how often is any called better or worse? The guard and what it does are part of it."""
    errors, seeds = (tuple(sd * times for times in NOISY) for sd in (ERRORS, SEEDS))
    null = Truth((0.0,) * K, 0)
    for name, truth, most in (
        ("equal variances", null, 0.05),
        ("baseline's errors × 1.5", replace(null, errors=errors), 0.06),
        ("baseline's errors and seed effects × 1.5", replace(null, errors=errors, seeds=seeds), 0.06),
    ):
        for n in (3, 5):
            told = crowd.repeat(judged, Question(replace(truth, n=n)), 20_000)
            yield mean(f"a study with a false better/worse, {name}, n = {n}", told["false"], most=most)


def coverage(crowd: Crowd) -> Iterator[Figure]:
    """How many 95 % intervals of Δ hold the true difference?"""
    for n in (3, 5):
        for name, missing in (("balanced", 0.0), (f"{UNEVEN:.0%} of the runs missing", UNEVEN)):
            truth = Truth((0.0, 0.1, 0.3, 0.6, 1.0, -0.2), n, missing=missing)
            told = crowd.repeat(judged, Question(truth), 5_000)
            yield mean(f"95 % intervals of Δ that hold it, {name}, n = {n}", told["covered"], least=0.94, most=0.96)


def power(crowd: Crowd) -> Iterator[Figure]:
    """How often is a difference of half a point found with three seeds, and by separate paired t-tests?"""
    for real in (1, 3, 5):
        truth = Truth((*(0.0,) * (K - real), *(EFFECT,) * real), 3)
        told = crowd.repeat(judged, Question(truth), 5_000)
        alone = crowd.repeat(paired, truth, 5_000)
        yield mean(f"power for {EFFECT} pp in {real} of {K - 1} settings, n = 3", told["found"], least=0.43)
        yield mean("… by separate paired t-tests with Holm", alone["found"])


def equivalence(crowd: Crowd) -> Iterator[Figure]:
    """How often is a setting called equivalent that differs by as much as matters, or by more?"""
    for name, factor in (("at the margin", 1.0), ("at 1.5 margins", 1.5), ("at 0", 0.0)):
        most = 0.05 if factor else None
        for n in (3, 5, 8):
            off = factor * MARGIN
            truth = Truth((0.0, off, -off, off, -off, off), n)
            told = crowd.repeat(judged, Question(truth, practical=MARGIN), 5_000)
            yield mean(f"called equivalent within {MARGIN} pp, truth {name}, n = {n}", told["equivalent"], most=most)


def calibration(crowd: Crowd) -> Iterator[Figure]:
    """How often is an A/A pair flagged, the same function under two labels?"""
    for n in (3, 5):
        truth = Truth((0.0, 0.0, 0.1, 0.3, 0.6, 1.0), n)
        told = crowd.repeat(judged, Question(truth, calibration=((REFERENCE, "s1"),)), 5_000)
        yield mean(f"A/A pairs that are flagged, n = {n}", told["flagged"], most=0.05)
