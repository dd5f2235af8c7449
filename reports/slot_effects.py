"""What each slot does over a set of settings, also one that a search chose unevenly.

Seed effects are taken out, the seeds of a setting are averaged, and a linear model of the slots is fitted to the means,
weighted by their seeds. Its error is what settings deviate from the model, so that interactions which are not in it
widen the intervals: on single runs as if they were independent, nominal 95 % intervals hold the truth in 68 to 83 % of
studies only. Where settings do not share seeds, as in a fractional design with seeds as blocks, seeds and slots are
fitted together.

The average of the runs that hold a level mixes its effect with the company it was tried in; it is given as `raw`, beside
the adjusted mean, and is no effect.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import special

from reports.comparison import NO_RUN
from reports.effects import DOUBTFUL, Effects, Level, SlotEffect
from reports.errors import ResultsError, unknown
from reports.factors import (
    Combinations,
    Factor,
    Matrix,
    crossed,
    families,
    grid,
    independent_pairs,
    matrix,
    meetings,
    occurring,
)
from reports.fit import score_matrix
from reports.frame import check, check_level, failed_seeds
from reports.judgement import holm
from reports.language import said
from reports.slot_model import Data, Model, Test, f_test, solve, without_terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from reports.language import Said

    Array = NDArray[np.float64]

Pair = tuple[str, str]
Key = TypeVar("Key")

FEWEST_SETTINGS = 3  # of a level
MOST_PRUNED = 1 / 3  # of the runs
LARGEST_CONDITION = 30.0  # of the dummies of all slots and seeds, centred and scaled to unit length
LEAST_PER_CELL = 2  # settings
ZERO = 1e-8


def slot_effects(
    frame: pd.DataFrame,
    *,
    factors: Sequence[Factor],
    metric: str,
    settings: Mapping[str, Mapping[str, str]],
    higher_is_better: bool = True,
    level: float = 0.95,
) -> Effects:
    """Estimate what each slot does, averaged over the others.

    Args:
        frame: runs, one row each.
        factors: the slots, parents first; those that do not vary get a reason and no figures.
        metric: the column of scores.
        settings: of each label the level of every slot that exists. Runs of other settings are left out.
        higher_is_better: whether a larger score is better.
        level: of the intervals.

    Raises:
        ResultsError: if the frame is not fit to report, or a setting lacks a slot that exists, has one that does not,
            or a level that is not one of its slot.
    """
    check(frame, metrics=[metric])
    check_level(level)
    _check_settings(factors, settings)
    frame = frame[frame["setting"].isin(list(settings))]
    failed = failed_seeds(frame)
    scores = score_matrix(frame, metric, without=failed)
    data = Data.of(scores, [dict(settings[label]) for label in scores.index])
    there = [occurring(factor, data.rows) for factor in factors]
    varied = [factor for factor in there if len(factor.levels) > 1]
    main = matrix(there, data.rows)
    tests = _interactions(data, there, main, independent_pairs(there))
    corrected = _corrected({pair: test for pair, test in tests.items() if test})
    kept = _kept(data, there, main, corrected)
    model = solve(crossed(there, main, kept), data)
    space = Combinations(there, [(family, grid(family)) for family in families(there)], kept, data.nuisance.shape[1])
    pruned = _pruned(frame, settings)
    slots = [_slot(factor, space, data, model, level=level, pruned=pruned) for factor in factors]
    return Effects(
        metric=metric,
        higher_is_better=higher_is_better,
        level=level,
        slots=_adjusted(slots),
        interactions={pair: corrected.get(pair) for pair in tests},
        kept=kept,
        sd=model.sd if model.df else None,
        df=model.df,
        n_settings=len(set(data.settings)),
        n_runs=int(data.weights.sum()),
        n_grid=prod(len(rows) for _, rows in space.families),
        doubts=tuple(_doubts(data, varied, slots, pruned)),
        blocked=data.nuisance.shape[1] > 0,
        failed=failed,
    )


# -- interactions ------------------------------------------------------------------------------------------------


def _interactions(
    data: Data, factors: Sequence[Factor], main: Matrix, pairs: Sequence[Pair]
) -> dict[Pair, Test | None]:
    """Test each interaction beside the effects of all slots; None if the settings do not determine it.

    The error is what settings deviate from the model by if every two levels stand in two settings or more; else what
    seeds scatter by, if there is that.
    """
    base = solve(main, data)
    distinct = list(dict(zip(data.settings, data.rows, strict=True)).values())
    open_ = {
        term[0]
        for term, weights in zip(main.terms, np.eye(len(base.space)), strict=False)
        if term and not base.estimable(weights)
    }
    tests: dict[Pair, Test | None] = {}
    for one, two in pairs:
        cells = Counter((row[one], row[two]) for row in distinct if one in row and two in row)
        least = 0 if {one, two} & open_ else min((cells[cell] for cell in meetings(factors, one, two)), default=0)
        model = _beyond(base, crossed(factors, main, [(one, two)]), data) if least else None
        if model is None:
            tests[one, two] = None
            continue
        is_pure = least < LEAST_PER_CELL or model.df == 0
        tests[one, two] = f_test(model, model, base, pure=data.pure if is_pure else None)
    return tests


def _kept(data: Data, factors: Sequence[Factor], main: Matrix, tests: Mapping[Pair, Test]) -> tuple[Pair, ...]:
    """Return the doubtful interactions, the most certain first, as many as the settings determine together."""
    kept: tuple[Pair, ...] = ()
    model = solve(main, data)
    for pair in sorted(tests, key=lambda pair: tests[pair].p):
        if tests[pair].p_adjusted < DOUBTFUL:
            larger = _beyond(model, crossed(factors, main, (*kept, pair)), data)
            if larger is not None and larger.df > 0:
                kept, model = (*kept, pair), larger
    return kept


def _beyond(model: Model, coded: Matrix, data: Data) -> Model | None:
    """Fit a larger model; None if the settings do not determine all that it has beyond the other."""
    larger = solve(coded, data)
    added = coded.columns.shape[1] - model.coded.columns.shape[1]
    return larger if larger.rank - model.rank == added else None


# -- one slot ----------------------------------------------------------------------------------------------------


def _slot(
    factor: Factor, space: Combinations, data: Data, model: Model, *, level: float, pruned: Mapping[Pair, float]
) -> SlotEffect:
    levels = [_count(factor.name, name, data, pruned) for name in factor.levels]
    seen = next(other for other in space.factors if other.name == factor.name)
    if len(seen.levels) < 2:
        untested = said("it does not vary") if data.rows else NO_RUN
        return SlotEffect(factor.name, factor.reference, tuple(levels), untested=untested)
    weights = space.means(seen)
    levels = [_estimated(one, weights, seen.reference, model, level) for one in levels]
    if any(seen.name in pair for pair in space.pairs):
        levels = [_at_reference(one, space.means(seen, at_reference=True), seen.reference, model) for one in levels]
    above = {term for term in model.coded.terms if seen.name in term and term != (seen.name,)}
    with_ = without_terms(model, data, above) if above else model
    test = f_test(model, with_, without_terms(model, data, {*above, (seen.name,)}))
    linear, quadratic = _trends(seen, weights, model)
    return SlotEffect(
        seen.name, seen.reference, tuple(levels), test, linear, quadratic,
        untested=None if test else _untested(model, levels),
    )  # fmt: skip


def _untested(model: Model, levels: Sequence[Level]) -> Said:
    if model.df == 0:
        return said("no degrees of freedom are left for the error")
    if model.sd == 0:
        return said("scores do not deviate from the model")
    if any(one.delta is None for one in levels):
        return said("its levels cannot be told from other slots")
    return said("it has no effect of its own")


def _count(slot: str, name: str, data: Data, pruned: Mapping[Pair, float]) -> Level:
    held = [i for i, row in enumerate(data.rows) if row.get(slot) == name]
    n_settings = len({data.settings[i] for i in held})
    raw = float(np.mean(data.y[held])) if held else None
    return Level(name, n_settings, int(data.weights[held].sum()), pruned.get((slot, name), 0.0), raw=raw)


def _estimated(one: Level, weights: Mapping[str, Array], reference: str, model: Model, level: float) -> Level:
    """Add the adjusted mean and the difference from the reference, where the settings determine them."""
    if one.name not in weights:
        return one
    if model.estimable(weights[one.name]):
        one = replace(one, mean=float(weights[one.name] @ model.coefficients))
    difference = weights[one.name] - weights[reference]
    if one.name == reference or not model.estimable(difference):
        return one
    delta = float(difference @ model.coefficients)
    one = replace(one, delta=delta)
    if model.df == 0 or model.sd == 0:
        return one
    se = model.variance(difference) ** 0.5
    half = float(special.stdtrit(model.df, (1 + level) / 2)) * se
    return replace(one, low=delta - half, high=delta + half, p=_two_sided(delta / se, model.df))


def _at_reference(one: Level, weights: Mapping[str, Array], reference: str, model: Model) -> Level:
    if one.delta is None:
        return one
    difference = weights[one.name] - weights[reference]
    return replace(one, at_reference=float(difference @ model.coefficients)) if model.estimable(difference) else one


def _trends(factor: Factor, weights: Mapping[str, Array], model: Model) -> tuple[float | None, float | None]:
    """Return the p-values of a straight and of a bent trend over the numbers of a slot."""
    numbers = _numbers(factor)
    if numbers is None or len(set(numbers)) < 3 or model.df == 0 or model.sd == 0:
        return None, None
    x = np.array(numbers) - np.mean(numbers)
    straight = x / np.linalg.norm(x)
    bent = x**2 - (x**2).mean() - (x**2 @ straight) * straight
    means = np.array([weights[name] for name in factor.levels])
    found: list[float | None] = []
    for coefficients in (straight, bent):
        contrast = coefficients @ means
        if np.linalg.norm(coefficients) < ZERO or not model.estimable(contrast):
            found.append(None)
        else:
            t = float(contrast @ model.coefficients) / model.variance(contrast) ** 0.5
            found.append(_two_sided(t, model.df))
    return found[0], found[1]


def _numbers(factor: Factor) -> list[float] | None:
    """Return the numbers of a slot's levels, as logarithms to base 2 if all are positive."""
    if factor.numbers is None:
        return None
    numbers = list(factor.numbers)
    return [float(np.log2(number)) for number in numbers] if min(numbers) > 0 else numbers


def _two_sided(t: float, df: int) -> float:
    return float(2 * special.stdtr(df, -abs(t)))


# -- all of them -------------------------------------------------------------------------------------------------


def _pruned(frame: pd.DataFrame, settings: Mapping[str, Mapping[str, str]]) -> dict[Pair, float]:
    """Return the share of pruned runs of each level, and under ("", "") of all."""
    counts: dict[Pair, list[int]] = {}
    for label, state in zip(frame["setting"], frame["state"], strict=True):
        if state in ("complete", "pruned"):
            for key in (*settings[label].items(), ("", "")):
                counts.setdefault(key, []).append(state == "pruned")
    return {key: sum(found) / len(found) for key, found in counts.items()}


def _adjusted(slots: Sequence[SlotEffect]) -> tuple[SlotEffect, ...]:
    """Correct the p-values of all slots together, and those of all levels."""
    tests = _corrected({slot.name: slot.test for slot in slots if slot.test})
    levels = {(slot.name, one.name): one.p for slot in slots for one in slot.levels if one.p is not None}
    adjusted = dict(zip(levels, holm(list(levels.values())), strict=True))
    return tuple(
        replace(
            slot,
            test=tests.get(slot.name),
            levels=tuple(replace(one, p_adjusted=adjusted.get((slot.name, one.name))) for one in slot.levels),
        )
        for slot in slots
    )


def _corrected(tests: Mapping[Key, Test]) -> dict[Key, Test]:
    adjusted = holm([test.p for test in tests.values()])
    return {key: replace(test, p_adjusted=p) for (key, test), p in zip(tests.items(), adjusted, strict=True)}


def _doubts(
    data: Data, factors: Sequence[Factor], slots: Sequence[SlotEffect], pruned: Mapping[Pair, float]
) -> list[Said]:
    """Say why the figures are exploratory."""
    if not factors:
        return []
    coded = matrix(factors, data.rows).columns[:, 1:]
    columns = np.column_stack([coded - coded.mean(axis=0), data.nuisance])
    doubts = []
    rank = int(np.linalg.matrix_rank(columns))
    if rank < columns.shape[1]:
        doubts.append(said("the settings do not determine the effects of all slots"))
    else:
        condition = float(np.linalg.cond(columns / np.linalg.norm(columns, axis=0)))
        if condition > LARGEST_CONDITION:
            doubts.append(
                said(
                    "slots changed together too often to be told apart (condition number {condition:.0f})",
                    condition=condition,
                )
            )
    names = {factor.name: factor.levels for factor in factors}
    few = [
        f"{slot.name} {one.name}"
        for slot in slots
        for one in slot.levels
        if one.name in names.get(slot.name, ()) and one.n_settings < FEWEST_SETTINGS
    ]
    if few:
        shown = {"n": FEWEST_SETTINGS, "choices": ", ".join(few[:4])}
        doubts.append(
            said("fewer than {n} settings hold {choices} and {more} more", **shown, more=len(few) - 4)
            if len(few) > 4
            else said("fewer than {n} settings hold {choices}", **shown)
        )
    if pruned.get(("", ""), 0.0) > MOST_PRUNED:
        share = 100 * pruned["", ""]
        doubts.append(said("{share:.0f} % of the runs were stopped early, those that did badly", share=share))
    return doubts


def _check_settings(factors: Sequence[Factor], settings: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse factors that are not in order, and settings that are not complete."""
    before: set[str] = set()
    for factor in factors:
        for parent, _ in factor.when:
            if parent not in before:
                raise ResultsError(
                    f"slot {factor.name!r} exists under levels of {parent!r}, which must stand before it"
                )
        if factor.name in before:
            raise ResultsError(f"slot {factor.name!r} is there twice")
        before.add(factor.name)
    named = {slot for row in settings.values() for slot in row}
    for label, row in settings.items():
        for factor in (one for one in factors if one.name in named):
            name = row.get(factor.name)
            if name is not None and name not in factor.levels:
                raise ResultsError(f"setting {label!r}: {unknown(f'level of {factor.name!r}', name, factor.levels)}")
            if factor.exists(row) and name is None:
                raise ResultsError(f"setting {label!r} has no level of {factor.name!r}")
            if name is not None and not factor.exists(row):
                wanted = " and ".join(f"{parent} {' or '.join(sorted(of))}" for parent, of in factor.when)
                raise ResultsError(f"setting {label!r} has {factor.name} {name!r}, which exists with {wanted} only")
