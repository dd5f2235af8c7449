"""Seeds added one by one: what they save against five seeds for all, and whether what is said stays true."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reports.contrasts import compare
from reports.sequential import Looks, Rule, wanted
from truth.comparisons import K, share
from truth.simulation import ERRORS, REFERENCE, SIGMA, Crowd, Figure, Truth, frame, mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.comparison import Comparison
    from truth.simulation import Array

FIXED = 5  # seeds of every setting in the design that it is compared with
VERDICTS, RACE = Looks(2, 7), Looks(2, FIXED)
NEAR = 0.1  # percentage points: as good as the best
NULL = Truth((0.0,) * K, VERDICTS.last)
UNEQUAL = replace(NULL, means=(0.0, 0.0, 0.0, 0.2, 0.4, 0.8))


@dataclass(frozen=True)
class Case:
    """A truth; the means of its last settings are drawn anew from U(0, 1) for each study, as many as `drawn` says."""

    truth: Truth
    drawn: int = 0

    def study(self, rng: np.random.Generator) -> Truth:
        """Return the truth of one study."""
        kept = self.truth.means[: len(self.truth.means) - self.drawn]
        return replace(self.truth, means=(*kept, *rng.uniform(size=self.drawn).tolist()))


def added(scores: Array, labels: tuple[str, ...], rule: Rule) -> Array:
    """Run what the rule wants, round by round; return scores (setting, seed), NaN where nothing was run."""
    run = pd.DataFrame(np.nan, index=list(labels), columns=range(scores.shape[1]))
    while cells := wanted(run, rule):
        for label, seed in cells:
            run.loc[label, seed] = scores[labels.index(label), seed]
    return run.to_numpy()


def pairs(truth: Truth) -> tuple[tuple[str, str], ...]:
    """Return each setting with the reference."""
    return tuple((label, REFERENCE) for label in truth.labels[1:])


def decided(case: Case, rng: np.random.Generator) -> dict[str, float]:
    """Judge the same scores with seeds added until every verdict is decided, and with five seeds for all."""
    truth = case.study(rng)
    scores = truth.scores(rng)
    run = added(scores, truth.labels, Rule(VERDICTS, pairs(truth)))
    asked = partial(compare, metric="score", reference=REFERENCE, settings=truth.labels)
    adaptive = asked(frame(truth.labels, run), looks=VERDICTS)
    fixed = asked(frame(truth.labels, scores[:, :FIXED]))
    told = {"runs": float(np.isfinite(run).sum()) / (FIXED * len(scores))}
    for name, result in (("adaptive", adaptive), ("fixed", fixed)):
        told |= {f"{what}, {name}": value for what, value in _judged(result, truth).items()}
    return told


def _judged(result: Comparison, truth: Truth) -> dict[str, float]:
    verdicts = {contrast.setting: contrast.verdict for contrast in result.contrasts}
    deltas = {label: truth.delta(label) for label in truth.labels[1:]}
    null = [verdicts[label] in ("better", "worse") for label, delta in deltas.items() if not delta]
    real = [verdicts[label] == ("better" if delta > 0 else "worse") for label, delta in deltas.items() if delta]
    return {"false": float(any(null)) if null else np.nan, "found": share(real)}


def raced(case: Case, rng: np.random.Generator) -> dict[str, float]:
    """Choose from the same scores by a race, and as the best mean of five seeds for all."""
    truth = case.study(rng)
    scores = truth.scores(rng)
    run = added(scores, truth.labels, Rule(RACE, pairs(truth), until="best"))
    result = compare(
        frame(truth.labels, run), metric="score", reference=REFERENCE, settings=truth.labels, looks=RACE, until="best"
    )
    left = [label for label, dropped in (result.race or {}).items() if dropped is None]
    chosen = max(left, key=lambda label: float(np.nanmean(run[truth.labels.index(label)])))
    best = truth.labels[int(scores[:, :FIXED].mean(axis=1).argmax())]
    good = {label for label in truth.labels if truth.means[truth.labels.index(label)] >= max(truth.means) - NEAR}
    return {
        "runs": float(np.isfinite(run).sum()) / (FIXED * len(scores)),
        "right, adaptive": float(chosen in good),
        "right, fixed": float(best in good),
    }


def verdicts(crowd: Crowd) -> Iterator[Figure]:
    """How many runs do verdicts save against five seeds for all, at what power and with how many false ones?"""
    noisy = replace(NULL, errors=(1.5 * ERRORS, *(ERRORS,) * (K - 1)))
    for name, case, saved, holds in (
        ("0, .1, .3, .6, 1", Case(replace(NULL, means=(0.0, 0.0, 0.1, 0.3, 0.6, 1.0))), 0.18, True),
        ("0, 0, .2, .4, .8", Case(UNEQUAL), 0.18, True),
        ("from U(0, 1)", Case(NULL, drawn=K - 1), 0.18, True),
        ("0, 0, .2, .4, .8 and ρ = 0", Case(replace(UNEQUAL, seeds=0.0, errors=SIGMA)), 0.18, True),
        ("none", Case(NULL), 0.38, True),
        ("none, baseline's errors × 1.5", Case(noisy), 0.38, False),
    ):
        told = crowd.repeat(decided, case, 2_500)
        yield mean(f"seeds until decided, effects {name}: runs saved", 1 - told["runs"], least=saved)
        if told["found, adaptive"].notna().any():
            gained = told["found, adaptive"] - told["found, fixed"]
            yield mean("… power", told["found, adaptive"])
            yield mean("… power less that of five seeds for all", gained, least=0.0)
        if told["false, adaptive"].notna().any():
            yield mean("… a study with a false better/worse", told["false, adaptive"], most=0.05 if holds else None)
            yield mean("… with five seeds for all", told["false, fixed"])


def race(crowd: Crowd) -> Iterator[Figure]:
    """How often does a race choose one of the best, and with how many runs less than five seeds for all?"""
    for name, case in (
        ("from U(0, 1)", Case(replace(NULL, n=FIXED), drawn=K)),
        ("0, 0, .1, .3, .6, 1", Case(Truth((0.0, 0.0, 0.1, 0.3, 0.6, 1.0), FIXED))),
        ("0, .3, .5, .8, .9, 1", Case(Truth((0.0, 0.3, 0.5, 0.8, 0.9, 1.0), FIXED))),
    ):
        told = crowd.repeat(raced, case, 4_000)
        yield mean(f"race, truths {name}: choice within {NEAR} pp of the best", told["right, adaptive"], least=0.92)
        yield mean("… with five seeds for all", told["right, fixed"])
        yield mean("… runs saved", 1 - told["runs"], least=0.34)
