"""Seeds added one by one until a question is settled, by rules that allow for how often one looks.

After each seed from the first look to the last the model `score = setting + seed + error` is fitted to the runs so far.
`decide` then says which settings are better or worse than their partner (verdicts that hold for all comparisons and all
looks together), `race` which are still in the running for the best, and `wanted` which runs come next.

Every setting has a prefix of the study's seeds: its scores count up to the first that is missing. A look is taken once
all settings that are still asked for have their score; what is added to the scores of others changes nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import special

from reports.errors import ResultsError
from reports.fit import fit_seeds
from reports.frame import check_level

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FUTILE = 0.10  # conditional power below which a comparison is given up
# Simulated studies of the null distribution: a probability near 5 % is then good to 2.5 % of itself. Of large studies
# there are fewer, so that simulating them takes a second or two.
REPLICATES, LEAST_REPLICATES, MOST_SCORES = 30_000, 2_000, 10_000_000


@dataclass(frozen=True)
class Looks:
    """A look after each seed from the `first` to the `last`, counted from 1.

    Raises:
        ResultsError: unless 2 <= first <= last.
    """

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 2 <= self.first <= self.last:
            raise ResultsError(
                f"looks from seed {self.first} to seed {self.last}: the first comes after 2 seeds or more, as one seed "
                "shows no noise, and the last not before the first"
            )

    def weight(self, n: int) -> float:
        """Return the share of the significance level of the last look that is spent at `n` seeds."""
        return float(((n - 1) / (self.last - 1)) ** 2)


@dataclass(frozen=True)
class Decision:
    """Where a comparison stands.

    Attributes:
        p: adjusted for all comparisons and looks; None where nothing was tested: no look yet, or scores do not vary.
        look: the number of seeds at which it was decided or given up; None while it is open.
        state: `decided` is better or worse; `futile` is unlikely ever to be either.
    """

    p: float | None
    look: int | None
    state: Literal["decided", "futile", "open"]


@dataclass(frozen=True)
class Rule:
    """How seeds are added.

    Attributes:
        pairs: each setting, and the one that it is compared with.
        until: `decided` asks `decide` who goes on, `best` asks `race`.
        twins: a setting, and one that computes the same and gets all its seeds; a twin in no pair is a check alone.
        max_runs: no round is begun that would make it more runs in all.
    """

    looks: Looks
    pairs: tuple[tuple[str, str], ...]
    until: Literal["decided", "best"] = "decided"
    twins: tuple[tuple[str, str], ...] = ()
    higher_is_better: bool = True
    level: float = 0.95
    max_runs: int | None = None


def matrix(rows: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Return settings × seeds from each setting's scores in the order of the seeds, NaN where it has fewer."""
    return pd.DataFrame.from_dict(dict(rows), orient="index", dtype=float)


# -- which runs come next ----------------------------------------------------------------------------------------


def wanted(scores: pd.DataFrame, rule: Rule, *, failed: Collection[str] = ()) -> list[tuple[str, int]]:
    """Return the runs to make next, as setting and position in the list of seeds; none if the study has ended.

    All settings get the seeds up to the first look. Then one seed after the other goes to those that `decide` leaves
    open and their partners, or to those that are still in the `race`. While a round is under way it returns the rest.

    Args:
        scores: settings × seeds as for `decide`, with a row for every planned setting, also one without scores.
        rule: how seeds are added.
        failed: settings with a run that failed: they get no more seeds, and nothing can be said of their comparisons.
    """
    first, last = rule.looks.first, rule.looks.last
    has = np.zeros((len(scores), last), dtype=bool)
    y = scores.to_numpy(dtype=float)[:, :last]
    has[:, : y.shape[1]] = np.isfinite(y)
    counts = dict(zip(scores.index, _leading(has), strict=True))
    asked, n = set(counts) - set(failed), first
    if all(counts[label] >= first for label in asked):
        asked = _going_on(scores, rule, failed)
        n = 1 + min((counts[label] for label in asked), default=last)
    if n > last:
        return []
    runs = [
        (label, i) for i in range(n) for row, label in enumerate(scores.index) if label in asked and not has[row, i]
    ]
    # A failed setting had all seeds of its first round, or one after those that came through.
    n_made = has[~scores.index.isin(list(failed))].sum() + sum(max(first, counts[label] + 1) for label in failed)
    return runs if rule.max_runs is None or n_made + len(runs) <= rule.max_runs else []


def _going_on(scores: pd.DataFrame, rule: Rule, failed: Collection[str]) -> set[str]:
    """Return the settings that get the next seed."""
    pairs = [pair for pair in rule.pairs if not set(pair) & set(failed)]
    if rule.until == "best":
        racing = list(_labels(rule.pairs))
        dropped = race(
            scores.loc[racing], rule.looks, higher_is_better=rule.higher_is_better, failed=failed, level=rule.level
        )
        asked = {label for label in racing if dropped[label] is None and label not in failed}
        asked = asked if len(asked) > 1 else set()
    else:
        decisions = decide(scores, rule.pairs, rule.looks, failed=failed, level=rule.level)
        asked = {label for pair in pairs if decisions[pair[0]].state == "open" for label in pair}
    return asked | {twin for label, twin in rule.twins if label in asked and twin not in failed}


# -- verdicts ----------------------------------------------------------------------------------------------------


def decide(
    scores: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    looks: Looks,
    *,
    failed: Collection[str] = (),
    level: float = 0.95,
) -> dict[str, Decision]:
    """Say which settings differ from their partner, allowing for every look and every comparison.

    At a look with n seeds a pair has the p-value p(n) of its two-sided pooled t-test, and the ratio
    p(n) / ((n-1)/(last-1))²: little is spent early. Its evidence is its smallest ratio over the looks while it is open.
    For a set S of comparisons let T(S) be the smallest ratio in S over all looks if nothing in S differs: it depends
    neither on the size of the noise nor on the seeds, so that its distribution is simulated once for all studies of
    this form. That nothing in S differs is rejected if P(T(S) <= the smallest ratio seen in S) <= 1 - level.

    A pair is decided if every set that holds it is rejected. That is a closed test, and bounds the family-wise error
    (Marcus, Peritz & Gabriel, Biometrika 1976). The more S holds, the smaller is T(S): of all sets whose smallest ratio
    is the i-th in order, the one with everything from the i-th on is rejected last. So it is enough to go down the
    ordered ratios with that set for each, and the p-value of a pair is the largest on the way to it.

    A pair is given up as futile if it would be decided at the last look with a probability below 10 %, should its
    difference go on as it is. The thresholds allow for no such stop, so that giving up only makes false verdicts fewer.
    A pair that would be decided if it stood alone waits for the others, and is not given up.

    Args:
        scores: settings × seeds, in the order of the study's seeds; NaN where there is no complete run. Settings in no
            pair do not matter.
        pairs: all that were planned: each setting and its partner. One that lacks a row of `scores` counts as a
            comparison, but is not in the result.
        looks: when one looks.
        failed: settings whose scores end because a run failed: nothing waits for them.
        level: one minus the family-wise error.

    Raises:
        ResultsError: if a setting stands twice in the scores or the pairs, or the level is none.
    """
    check_level(level)
    _check_once([setting for setting, _ in pairs], "pairs")
    labels = _labels(pairs)
    rows = _Rows.of(scores, labels, failed)
    form = len(labels), tuple((labels.index(one), labels.index(other)) for one, other in pairs), looks
    found = {j: Decision(None, None, "open") for j, pair in enumerate(pairs) if rows.place.keys() >= set(pair)}
    ratios, p = np.full(len(pairs), np.inf), np.ones(len(pairs))
    for n in range(looks.first, looks.last + 1):
        tested = [j for j, at in found.items() if at.state == "open" and not rows.are_lost(pairs[j], n)]
        asked = {label for j in tested for label in pairs[j]}
        if not tested or not rows.look(asked, n):
            break
        sd, df = rows.noise()
        if sd == 0:
            continue
        t = np.array([rows.difference(*pairs[j], n) for j in tested]) / (sd * np.sqrt(2 / n))
        ratios[tested] = np.minimum(ratios[tested], 2 * special.stdtr(df, -np.abs(t)) / looks.weight(n))
        p = step_down(ratios, null(*form))
        found |= {
            j: Decision(None, n, "decided") for j, at in found.items() if at.state == "open" and p[j] <= 1 - level
        }
        if n < looks.last:
            undecided = tuple(j for j in range(len(pairs)) if j not in found or found[j].state != "decided")
            at_last = critical(*form, undecided, level=level) if undecided else 0.0
            needed = -special.stdtrit(df + (len(asked) - 1) * (looks.last - n), at_last / 2)
            hopeless = conditional_power(t, n / looks.last, needed) < FUTILE
            for j in np.array(tested)[hopeless]:
                if ratios[j] >= critical(*form, (j,), level=level):  # it is not decided, nor does it wait for others
                    found[j] = Decision(None, n, "futile")
    return {pairs[j][0]: replace(at, p=float(p[j]) if np.isfinite(ratios[j]) else None) for j, at in found.items()}


def conditional_power(t: Array, share: float, needed: float) -> Array:
    """Return the probability that each |t| exceeds `needed` at the last look if its difference goes on as it is.

    At the share f of the seeds the t of the last look is taken as normal, with mean t/sqrt(f) and variance 1 - f: the
    estimates of the difference and of the noise stand for the truth (Lan & Wittes, Biometrics 1988).
    """
    ahead, spread = np.abs(t) / np.sqrt(share), np.sqrt(1 - share)
    return np.asarray(special.ndtr((ahead - needed) / spread) + special.ndtr((-ahead - needed) / spread))


# -- the null distribution ---------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def null(k: int, pairs: tuple[tuple[int, int], ...], looks: Looks) -> Array:
    """Simulate the smallest ratio of each pair over all looks where no setting differs: (pairs, replicates).

    The model is balanced: k settings, seeds, and normal errors. Seed effects and the size of the errors fall out, and
    so they are left out. The same call gives the same values, whenever it is made.
    """
    n_replicates = min(REPLICATES, max(LEAST_REPLICATES, MOST_SCORES // (k * looks.last)))
    rng = np.random.default_rng(0)
    one, other = np.array(pairs).T
    sums, squares = np.zeros((k, n_replicates)), np.zeros((k, n_replicates))
    smallest = np.full((len(pairs), n_replicates), np.inf)
    for n in range(1, looks.last + 1):
        scores = rng.standard_normal((k, n_replicates))
        scores -= scores.mean(axis=0)
        sums += scores
        squares += scores**2
        if n >= looks.first:
            df = (k - 1) * (n - 1)
            variance = (squares - sums**2 / n).sum(axis=0) / df
            t = (sums[one] - sums[other]) / n / np.sqrt(2 * variance / n)
            np.minimum(smallest, 2 * special.stdtr(df, -np.abs(t)) / looks.weight(n), out=smallest)
    return smallest


@lru_cache(maxsize=4096)
def critical(
    k: int, pairs: tuple[tuple[int, int], ...], looks: Looks, among: tuple[int, ...], *, level: float = 0.95
) -> float:
    """Return the ratio below which the smallest of the pairs `among` rejects: a quantile of their null distribution.

    Where all settings are compared with one reference it depends on the number of pairs alone: the constant a(m).
    """
    smallest = np.sort(null(k, pairs, looks)[list(among)].min(axis=0))
    n_below = int((1 - level) * (len(smallest) + 1))
    return float(smallest[n_below - 1]) if n_below else 0.0


def step_down(ratios: Array, simulated: Array) -> Array:
    """Return each pair's adjusted p-value: the largest on the way down the ordered ratios to it.

    The p-value of a step is the simulated probability that the smallest ratio among the pairs from there on is as small
    or smaller; the study itself counts as one of the simulated, so that it is never 0.
    """
    order = np.argsort(ratios, kind="stable")
    smallest = np.full(simulated.shape[1], np.inf)
    p = np.empty(len(ratios))
    for j in order[::-1]:
        np.minimum(smallest, simulated[j], out=smallest)
        p[j] = (1 + np.count_nonzero(smallest <= ratios[j])) / (1 + len(smallest))
    p[order] = np.maximum.accumulate(p[order])
    return p


# -- the race ----------------------------------------------------------------------------------------------------


def race(
    scores: pd.DataFrame,
    looks: Looks,
    *,
    higher_is_better: bool,
    failed: Collection[str] = (),
    level: float = 0.95,
) -> dict[str, int | None]:
    """Return for each setting the number of seeds at which it was dropped; None if it is still in.

    At each look a setting is dropped if the leader is better by a one-sided pooled t-test at 1 - level, uncorrected:
    a race selects, it proves nothing. What is dropped stays out. The arguments are those of `decide`.

    Raises:
        ResultsError: if a setting stands twice in the scores, or the level is none.
    """
    check_level(level)
    rows = _Rows.of(scores, scores.index, failed)
    sign = 1 if higher_is_better else -1
    dropped: dict[str, int | None] = dict.fromkeys(rows.place)
    for n in range(looks.first, looks.last + 1):
        racing = [label for label, at in dropped.items() if at is None and not rows.are_lost((label,), n)]
        if len(racing) < 2 or not rows.look(racing, n):
            break
        sd, df = rows.noise()
        leader = max(racing, key=lambda label: sign * rows.difference(label, racing[0], n))
        for label in racing if sd > 0 else ():
            t = sign * rows.difference(leader, label, n) / (sd * np.sqrt(2 / n))
            if special.stdtr(df, -t) < 1 - level:
                dropped[label] = n
    return dropped


# -- the scores --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """The scores as a rule sees them, one seed after the other.

    Attributes:
        counts: how many seeds each setting has before the first that is missing.
        seen: on how many it has been looked at so far; these are in the model.
    """

    place: dict[str, int]
    scores: Array  # (settings, seeds)
    counts: NDArray[np.int_]
    seen: NDArray[np.int_]
    failed: frozenset[str]

    @classmethod
    def of(cls, scores: pd.DataFrame, labels: Iterable[str], failed: Collection[str]) -> _Rows:
        """Return the rows with these labels that there are."""
        _check_once(scores.index, "scores")
        present = [label for label in labels if label in scores.index]
        y = scores.loc[present].to_numpy(dtype=float)
        place = {label: i for i, label in enumerate(present)}
        return cls(place, y, _leading(np.isfinite(y)), np.zeros(len(present), dtype=int), frozenset(failed))

    def are_lost(self, labels: Iterable[str], n: int) -> bool:
        """Tell whether one of them failed before it had n scores."""
        return any(label in self.failed and self.counts[self.place[label]] < n for label in labels)

    def look(self, labels: Iterable[str], n: int) -> bool:
        """See n scores of each setting; answer whether there are so many."""
        places = [self.place[label] for label in labels]
        if (self.counts[places] < n).any():
            return False
        self.seen[places] = n
        return True

    def noise(self) -> tuple[float, int]:
        """Return the residual standard deviation of what has been seen, and its degrees of freedom."""
        seen = np.arange(self.scores.shape[1]) < self.seen[:, None]
        return _noise(np.where(seen, self.scores, np.nan)[:, : self.seen.max()].tobytes(), len(self.scores))

    def difference(self, one: str, other: str, n: int) -> float:
        """Return the difference that the model estimates between two settings with the same n seeds: of their means."""
        pair = self.scores[[self.place[one], self.place[other]], :n]
        return float(pair[0].mean() - pair[1].mean())


@lru_cache(maxsize=256)
def _noise(scores: bytes, n_settings: int) -> tuple[float, int]:
    """Fit the model; later looks repeat the earlier ones, so that most fits are known."""
    fit = fit_seeds(pd.DataFrame(np.frombuffer(scores).reshape(n_settings, -1)))
    return fit.sd, fit.df


def _leading(has: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Count what each row has before the first gap."""
    return np.asarray(has.cumprod(axis=1).sum(axis=1))


def _labels(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return every setting of the pairs once, in order."""
    return list(dict.fromkeys(label for pair in pairs for label in pair))


def _check_once(labels: Iterable[str], where: str) -> None:
    for label, n in Counter(labels).items():
        if n > 1:
            raise ResultsError(f"setting {label!r} stands {n} times in the {where}; each stands there once")
