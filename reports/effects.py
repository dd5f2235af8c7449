"""The nouns of slot effects: a level of a slot, a slot, and all slots of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports.factors import Pair
    from reports.language import Said
    from reports.slot_model import Test

DOUBTFUL = 0.1  # an interaction with a smaller p, corrected over all that are tested, stays in the model


@dataclass(frozen=True)
class Level:
    """One choice of a slot.

    Attributes:
        mean: adjusted, over all combinations that exist, each counted alike; None if the settings do not determine it.
        raw: mean of the settings that hold it.
        delta: adjusted difference from the slot's reference level; `low` and `high` its interval.
        p: of the difference, two-sided; `p_adjusted` after Holm's correction over the levels of all slots.
        at_reference: the difference where all other slots are at their reference; None where it is the same.
        pruned: share of the level's runs that were stopped early.
    """

    name: str
    n_settings: int
    n_runs: int
    pruned: float = 0.0
    mean: float | None = None
    raw: float | None = None
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    at_reference: float | None = None


@dataclass(frozen=True)
class SlotEffect:
    """One slot.

    Attributes:
        test: of all its levels together (type II); None where they cannot be tested, then `untested` says why.
        linear: p of a straight trend over the slot's numbers, on their logarithm if all are positive; `quadratic` that
            of a bend. None where the slot has fewer than three numbers.
    """

    name: str
    reference: str
    levels: tuple[Level, ...]
    test: Test | None = None
    linear: float | None = None
    quadratic: float | None = None
    untested: Said | None = None

    @property
    def reason(self) -> str | None:
        """Why it was not tested, in English; None where it was."""
        return None if self.untested is None else self.untested.english


@dataclass(frozen=True)
class Effects:
    """The slots of a study.

    Attributes:
        interactions: of each pair of slots its test; None where it is not estimable.
        kept: pairs that are in the model, as their interaction has p < .1 after correction.
        sd: what settings deviate from the model by, for one seed; None without degrees of freedom.
        n_grid: combinations that the adjusted means are taken over.
        doubts: why these figures are no more than that; empty if nothing speaks against them.
        blocked: whether seeds and slots are fitted together, since settings do not share seeds.
        failed: seeds that failed, by setting; these settings are left out.
    """

    metric: str
    higher_is_better: bool
    level: float
    slots: tuple[SlotEffect, ...]
    interactions: Mapping[Pair, Test | None]
    kept: tuple[Pair, ...]
    sd: float | None
    df: int
    n_settings: int
    n_runs: int
    n_grid: int
    doubts: tuple[Said, ...]
    blocked: bool
    failed: Mapping[str, tuple[int, ...]]

    @property
    def exploratory(self) -> tuple[str, ...]:
        """The doubts in English."""
        return tuple(doubt.english for doubt in self.doubts)
