"""Slots as factors of a linear model: their levels, when they exist, and the columns that stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from reports.errors import ResultsError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

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

    def of(self, *terms: Term) -> Array:
        """Return the columns of some terms: (row, column)."""
        return self.columns[:, [term in terms for term in self.terms]]


def complete(factors: Sequence[Factor], chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the levels chosen, with the reference elsewhere; slots that do not exist beside them fall away."""
    row: dict[str, str] = {}
    for factor in factors:
        if factor.exists(row):
            row[factor.name] = chosen.get(factor.name, factor.reference)
    return row


def grid(factors: Sequence[Factor]) -> list[dict[str, str]]:
    """Return every combination that exists, once, the last factor varying fastest."""
    found: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for levels in product(*(factor.levels for factor in factors)):
        row = complete(factors, dict(zip((factor.name for factor in factors), levels, strict=True)))
        found.setdefault(tuple(row.items()), row)
    return list(found.values())


def matrix(
    factors: Sequence[Factor], rows: Sequence[Mapping[str, str]], *, pairs: Iterable[tuple[str, str]] = ()
) -> Matrix:
    """Return an intercept, main effects and the interactions of some pairs, in treatment coding.

    A slot that is absent has zeros: its levels are compared inside the parent levels where it exists, and the levels
    of its parents at its reference. Columns of an interaction that no combination can fill are left out.
    """
    values: dict[tuple[Term, str], Array] = {((), ""): np.ones(len(rows))}
    for factor in factors:
        for level in factor.others:
            values[(factor.name,), level] = np.array([float(row.get(factor.name) == level) for row in rows])
    by_name = {factor.name: factor for factor in factors}
    for one, two in pairs:
        for first, second in product(by_name[one].others, by_name[two].others):
            if _can_meet(factors, {one: first, two: second}):
                both = values[(one,), first] * values[(two,), second]
                values[(one, two), f"{first}, {second}"] = both
    return Matrix(np.column_stack(list(values.values())), tuple(term for term, _ in values))


def _can_meet(factors: Sequence[Factor], chosen: Mapping[str, str]) -> bool:
    """Tell whether two levels can stand in one setting, whatever the other slots hold.

    A child's levels do not meet the parent levels that exclude it; levels of the parent under which it exists do.
    """
    wanted = dict(chosen)
    for factor in reversed(factors):
        if factor.name in wanted:
            for parent, labels in factor.when:
                if wanted.setdefault(parent, min(labels)) not in labels:
                    return False
    return True
