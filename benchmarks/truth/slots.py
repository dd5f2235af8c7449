"""Slot effects from settings that TPE has sampled unevenly: do their intervals hold the truth?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reports.factors import Factor
from reports.slot_effects import slot_effects
from truth.comparisons import share
from truth.simulation import SIGMA, Crowd, Figure, mean, root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ablate.study import Study
    from reports.effects import Effects
    from truth.simulation import Array

LEVELS = {"attention": 4, "norm": 3, "act": 3, "conv": 3, "mix": 2}  # 216 combinations
EFFECTS = 0.3  # standard deviation of a level's effect, in percentage points, as the noise of a run


@dataclass(frozen=True)
class Searched:
    """A search.

    Attributes:
        settings: how many TPE proposes.
        interactions: standard deviation of what each pair of levels adds beyond their effects, in percentage points.
    """

    settings: int
    interactions: float


def factors() -> list[Factor]:
    """Return the slots with levels named by numbers, the reference first."""
    return [Factor(name, tuple(str(i) for i in range(n)), "0") for name, n in LEVELS.items()]


def surface(interactions: float, rng: np.random.Generator) -> Array:
    """Draw what each combination scores without noise: an axis a slot."""
    scores = np.full(tuple(LEVELS.values()), 90.0)
    for size, sd in ((1, EFFECTS), (2, interactions)):
        for slots in combinations(range(len(LEVELS)), size):
            shape = [n if i in slots else 1 for i, n in enumerate(LEVELS.values())]
            scores = scores + sd * rng.standard_normal(shape)
    return scores


def search(n: int) -> Study:
    """Return a study that searches `n` settings on one seed."""
    from ablate.study import Choice, Design, Slot, Study  # noqa: PLC0415  # not where no search is simulated
    from ablate.study import Search as Rule  # noqa: PLC0415

    choices = {name: tuple(Choice(i, label=str(i)) for i in range(levels)) for name, levels in LEVELS.items()}
    slots = tuple(Slot(name, of, of[0]) for name, of in choices.items())
    design = Design("search", search=Rule(settings=n, sampler="tpe"))
    return Study("truth", Choice("none"), Choice("none"), slots, design=design, seeds=(0,))


def searched(case: Searched, rng: np.random.Generator) -> dict[str, float]:
    """Let TPE search one study; return how many intervals of slot effects hold the truth, and the errors.

    The truth is the average over all combinations, each counted alike.
    """
    from ablate.search import Search  # noqa: PLC0415  # Optuna, which other rows do not need

    truth = surface(case.interactions, rng)
    proposals = Search(search(case.settings))
    rows, settings = [], {}
    while setting := proposals.propose():
        levels = {slot: str(choice) for slot, choice in setting.choices}
        score = float(truth[tuple(map(int, levels.values()))] + SIGMA * rng.standard_normal())
        proposals.tell(setting, {"accuracy": score})
        settings[setting.label] = levels
        rows.append({"setting": setting.label, "seed": 0, "score": score})
    frame = pd.DataFrame(rows).assign(study="truth", state="complete")
    effects = slot_effects(frame, factors=factors(), metric="score", settings=settings)
    return _compared(effects, truth)


def _compared(effects: Effects, truth: Array) -> dict[str, float]:
    """Return the share of intervals that hold the true difference, and squared errors of adjusted and raw means."""
    covered, adjusted, raw = [], [], []
    for axis, slot in enumerate(effects.slots):
        true = truth.mean(axis=tuple(i for i in range(truth.ndim) if i != axis))
        reference, *others = slot.levels
        for level in others:
            delta = float(true[int(level.name)] - true[0])
            if level.delta is None or level.low is None or level.high is None:
                continue
            covered.append(level.low <= delta <= level.high)
            adjusted.append((level.delta - delta) ** 2)
            if level.raw is not None and reference.raw is not None:
                raw.append((level.raw - reference.raw - delta) ** 2)
    return {"covered": share(covered), "adjusted": float(np.mean(adjusted)), "raw": float(np.mean(raw))}


def slots(crowd: Crowd) -> Iterator[Figure]:
    """Do 95 % intervals of slot effects hold the truth where TPE chose the settings?"""
    for interactions in (0.0, 0.1):
        for n in (40, 100, 200):
            told = crowd.repeat(searched, Searched(n, interactions), 80)
            name = f"{n} settings by TPE, interactions {interactions} pp:"
            yield mean(f"{name} 95 % intervals of slot effects that hold them", told["covered"], least=0.9)
            for kind in ("adjusted", "raw"):
                yield root(f"… error of {kind} means, pp", told[kind])
