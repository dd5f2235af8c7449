"""Slots as factors of a linear model: their levels, when they exist, and the columns that stand for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, combinations
from typing import TYPE_CHECKING

import numpy as np

from reports.errors import ResultsError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Pair = tuple[str, str]
Term = tuple[str, ...]  # (): the intercept; one name: a main effect; two: their interaction


@dataclass(frozen=True)
class Factor:
    """A slot and its levels.

    Attributes:
        reference: the level that others are compared with; of a slot that exists under a condition also the one at
            which the levels of its parents are compared.
        when: for each parent, the levels under which this slot exists; parents stand before it.
        numbers: of an ordered slot, the number that each level stands for.
    """

    name: str
    levels: tuple[str, ...]
    reference: str
    when: tuple[tuple[str, frozenset[str]], ...] = ()
    numbers: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(set(self.levels)) < len(self.levels):
            raise ResultsError(f"{self.name!r} has a level twice: {', '.join(self.levels)}")
        if self.numbers is not None and len(self.numbers) != len(self.levels):
            raise ResultsError(f"{self.name!r} has {len(self.levels)} levels and {len(self.numbers)} numbers for them")
        if self.reference not in self.levels:
            raise ResultsError(unknown(f"level of {self.name!r}", self.reference, self.levels))

    @property
    def others(self) -> tuple[str, ...]:
        """The levels but the reference, one column each."""
        return tuple(level for level in self.levels if level != self.reference)

    def exists(self, row: Mapping[str, str]) -> bool:
        """Tell whether the slot exists beside these levels of its parents."""
        return all(row.get(parent) in labels for parent, labels in self.when)


@dataclass(frozen=True)
class Matrix:
    """Columns for rows of levels.

    Attributes:
        columns: (row, column).
        terms: of each column, what it belongs to.
    """

    columns: Array
    terms: tuple[Term, ...]


def complete(factors: Sequence[Factor], chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the levels chosen, with the reference elsewhere; slots that do not exist beside them fall away."""
    row: dict[str, str] = {}
    for factor in factors:
        if factor.exists(row):
            row[factor.name] = chosen.get(factor.name, factor.reference)
    return row


def grid(factors: Sequence[Factor]) -> list[dict[str, str]]:
    """Return every combination that exists, once, the last factor varying fastest."""
    rows: list[dict[str, str]] = [{}]
    for factor in factors:
        rows = [
            {**row, **more}
            for row in rows
            for more in ([{factor.name: level} for level in factor.levels] if factor.exists(row) else [{}])
        ]
    return rows


def families(factors: Sequence[Factor]) -> list[list[Factor]]:
    """Return the factors in groups, parents with their children: every combination of one group goes with all others."""
    found: list[list[Factor]] = []
    for factor in factors:
        parents = {parent for parent, _ in factor.when}
        related = [group for group in found if parents & {one.name for one in group}]
        found = [group for group in found if group not in related] + [[*chain(*related), factor]]
    return found


def meetings(factors: Sequence[Factor], one: str, two: str) -> set[tuple[str, str]]:
    """Return the levels of two slots that can stand in one setting."""
    wanted = {one, two}
    above: list[Factor] = []
    for factor in reversed(factors):
        if factor.name in wanted:
            above.insert(0, factor)
            wanted.update(parent for parent, _ in factor.when)
    return {(row[one], row[two]) for row in grid(above) if one in row and two in row}


def matrix(factors: Sequence[Factor], rows: Sequence[Mapping[str, str]], *, pairs: Sequence[Pair] = ()) -> Matrix:
    """Return an intercept, main effects and the interactions of some pairs, in treatment coding.

    A slot that is absent has zeros: its levels are compared inside the parent levels where it exists, and the levels
    of its parents at its reference. Columns of an interaction that no combination can fill are left out.
    """
    columns = [np.ones((len(rows), 1))]
    for factor in factors:
        index: dict[str | None, int] = {level: i for i, level in enumerate(factor.others)}
        held = np.array([index.get(row.get(factor.name), -1) for row in rows], dtype=int)
        columns.append((held[:, None] == np.arange(len(index))).astype(float))
    return crossed(factors, Matrix(np.hstack(columns), _main_terms(factors)), pairs)


def crossed(factors: Sequence[Factor], main: Matrix, pairs: Sequence[Pair]) -> Matrix:
    """Add the interactions of some pairs to the columns of the main effects."""
    products = _products(factors, pairs)
    columns = [main.columns[:, i] * main.columns[:, j] for _, i, j in products]
    return Matrix(np.column_stack([main.columns, *columns]), main.terms + tuple(pair for pair, _, _ in products))


def average(
    factors: Sequence[Factor], rows: Sequence[Sequence[Mapping[str, str]]], *, pairs: Sequence[Pair] = ()
) -> Array:
    """Return the mean row of `matrix` over all combinations of one row of each family, without listing them.

    What different families add is independent over the combinations: means of products are products of means.
    """
    parts = [matrix(factors, of).columns[:, 1:] for of in rows]
    means = np.array([part.mean(axis=0) for part in parts])
    total = means.sum(axis=0)
    within = sum((part.T @ part / len(part) for part in parts), -means.T @ means)
    second = np.outer(total, total) + within
    return np.array([1.0, *total, *(second[i - 1, j - 1] for _, i, j in _products(factors, pairs))])


def occurring(factor: Factor, rows: Sequence[Mapping[str, str]]) -> Factor:
    """Return the factor with the levels that occur; where the reference does not, with the first that does."""
    there = {row[factor.name] for row in rows if factor.name in row}
    levels = tuple(name for name in factor.levels if name in there) or (factor.reference,)
    numbers = None
    if factor.numbers is not None:
        known = dict(zip(factor.levels, factor.numbers, strict=True))
        numbers = tuple(known[name] for name in levels)
    reference = factor.reference if factor.reference in levels else levels[0]
    return replace(factor, levels=levels, reference=reference, numbers=numbers)


def independent_pairs(factors: Sequence[Factor]) -> list[Pair]:
    """Return the pairs of slots that can interact: they can meet, and neither decides whether the other exists."""
    by_name = {factor.name: factor for factor in factors}

    def above(factor: Factor) -> set[str]:
        parents = {parent for parent, _ in factor.when}
        return parents.union(*(above(by_name[parent]) for parent in parents if parent in by_name))

    return [
        (a.name, b.name)
        for a, b in combinations(factors, 2)
        if min(len(a.levels), len(b.levels)) > 1
        and a.name not in above(b)
        and b.name not in above(a)
        and meetings(factors, a.name, b.name)
    ]


@dataclass(frozen=True)
class Combinations:
    """All combinations that exist: any row of one family of slots beside any row of the others.

    Attributes:
        pairs: the interactions in the model.
        n_seeds: columns of the seeds in the model.
    """

    factors: Sequence[Factor]
    families: Sequence[tuple[Sequence[Factor], list[dict[str, str]]]]
    pairs: Sequence[Pair]
    n_seeds: int

    def means(self, factor: Factor, *, at_reference: bool = False) -> dict[str, Array]:
        """Return for each level the weights of the coefficients in its mean over the combinations of the other slots.

        Slots that exist under a level of this one are left out of these: its levels are compared at their references.
        With `at_reference` the mean is over a single combination, the one that is nearest to all references.
        """
        found = {}
        for level in factor.levels:
            rows = []
            for family, all_rows in self.families:
                if factor in family:
                    beside = _beside(factor, family, all_rows)
                    if at_reference:
                        beside = [min(beside, key=partial(_distance, family))]
                    rows.append([complete(family, {**row, factor.name: level}) for row in beside])
                else:
                    rows.append([complete(family, {})] if at_reference else all_rows)
            coded = average(self.factors, rows, pairs=self.pairs)
            found[level] = np.concatenate([coded, np.zeros(self.n_seeds)])  # over the seeds: zero
        return found


def _beside(factor: Factor, family: Sequence[Factor], rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return the combinations of the other slots beside which this one exists, without those that it decides on."""
    inside = {factor.name}
    for other in family:
        if any(parent in inside for parent, _ in other.when):
            inside.add(other.name)
    rest = [
        tuple((slot, name) for slot, name in row.items() if slot not in inside) for row in rows if factor.exists(row)
    ]
    return [dict(row) for row in dict.fromkeys(rest)]


def _distance(factors: Sequence[Factor], row: dict[str, str]) -> int:
    return sum(row.get(factor.name, factor.reference) != factor.reference for factor in factors)


def _main_terms(factors: Sequence[Factor]) -> tuple[Term, ...]:
    return ((), *((factor.name,) for factor in factors for _ in factor.others))


def _products(factors: Sequence[Factor], pairs: Sequence[Pair]) -> list[tuple[Pair, int, int]]:
    """Return for each column of an interaction the two columns that it is the product of."""
    columns = [(), *((factor.name, level) for factor in factors for level in factor.others)]
    found = []
    for one, two in pairs:
        meeting = meetings(factors, one, two)
        for i, first in enumerate(columns):
            for j, second in enumerate(columns):
                if first and second and (first[0], second[0]) == (one, two) and (first[1], second[1]) in meeting:
                    found.append(((one, two), i, j))
    return found
