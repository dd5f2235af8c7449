"""Planted truth, end to end: a training function with known effects, through the whole of `ablate.run`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from truth.simulation import Crowd, Figure, mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from ablate.study import Recipe
    from ablate.train import Progress
    from truth.simulation import Array

# What is planted, as fractions: what a level adds to the score, and what a pair of levels adds beyond that.
LEVELS = {
    "learning_rate": {0.1: 0.0, 0.2: 0.010, 0.3: 0.0},
    "label_smoothing": {0.0: 0.0, 0.1: -0.008},
    "weight_decay": {0.0: 0.0, 0.1: 0.0},
}
TOGETHER = ("learning_rate", 0.3), ("label_smoothing", 0.1), 0.012
SEEDS, ERRORS = 0.002, 0.002  # standard deviations of what a seed adds to all settings, and of a score's own noise

STUDY = """\
network: {{resnet: {{depth: 8, width: 1}}}}
data: {{digits: {{train: 20}}}}
slots:
  recipe.learning_rate: [0.1, 0.2, 0.3]
  recipe.label_smoothing: [0.0, 0.1]
  recipe.weight_decay: [0.0, 0.1]
reference: {{recipe.learning_rate: 0.1, recipe.label_smoothing: 0.0, recipe.weight_decay: 0.0}}
design: {design}
seeds: {seeds}
recipe: {{epochs: 1}}
metric: accuracy
keep: none
"""
N_SEEDS = {"one-at-a-time": 3, "factorial": 2}


def expected(levels: Mapping[str, float]) -> float:
    """Return the score of a setting without noise."""
    *both, more = TOGETHER
    together = more * all(levels[slot] == level for slot, level in both)
    return 0.8 + sum(LEVELS[slot][level] for slot, level in levels.items()) + together


def average(slot: str, level: float) -> float:
    """Return the mean score, without noise, of all combinations that hold a level."""
    combinations = [dict(zip(LEVELS, levels, strict=True)) for levels in product(*LEVELS.values())]
    return float(np.mean([expected(setting) for setting in combinations if setting[slot] == level]))


def train(network: object, data: object, recipe: Recipe, seed: int) -> Iterator[Progress]:  # noqa: ARG001  # its shape
    """Yield the planted score with noise that is drawn from the seed, and from the setting and the seed."""
    from ablate.train import Progress  # noqa: PLC0415  # torch, which other rows do not need

    levels = {slot: float(getattr(recipe, slot)) for slot in LEVELS}
    setting = [round(1000 * level) for level in levels.values()]
    noise = SEEDS * np.random.default_rng(seed).normal() + ERRORS * np.random.default_rng([seed, *setting]).normal()
    yield Progress(1, {"accuracy": expected(levels) + noise}, {})


@dataclass(frozen=True)
class Case:
    """A design, and the folder where its studies are recorded, a store for each process."""

    design: str
    folder: str


def recovered(case: Case, rng: np.random.Generator) -> dict[str, float]:
    """Run one study with seeds of its own; return which planted effects its tables recover."""
    import ablate  # noqa: PLC0415  # torch and MLflow, which other rows do not need

    seeds = rng.choice(1_000_000, N_SEEDS[case.design], replace=False)
    folder = Path(case.folder, str(os.getpid()))
    folder.mkdir(exist_ok=True)
    path = folder / f"{case.design}-{'-'.join(map(str, seeds))}.yml"
    path.write_text(STUDY.format(design=case.design, seeds=seeds.tolist()), encoding="utf-8")
    result = ablate.run(path, train=train, workers=0, runs=folder / "runs", quiet=True)
    slots = next((_slots(table.frame) for table in result.tables if table.key == "effects"), {})
    return _settings(result.table.frame) | slots


def _settings(table: pd.DataFrame) -> dict[str, float]:
    """Say how the contrasts of settings with the reference, which stands first, agree with what is planted."""
    levels = [{slot: float(row[f"slot.recipe.{slot}"]) for slot in LEVELS} for _, row in table.iterrows()]
    planted = np.array([expected(setting) - expected(levels[0]) for setting in levels[1:]])
    rows = table.iloc[1:]
    called = rows["verdict"].map({"better": 1.0, "worse": -1.0}).fillna(0.0)
    return agreement(planted, rows["low"], rows["high"], called)


def _slots(table: pd.DataFrame) -> dict[str, float]:
    """Say how the average effects of the slots' levels agree with what is planted, and whether the interaction is seen."""
    rows = table[table["delta"].notna()]
    slot, level = rows["slot"].str.removeprefix("recipe."), rows["choice"].astype(float)
    planted = np.array([average(*one) - average(one[0], min(LEVELS[one[0]])) for one in zip(slot, level, strict=True)])
    called = np.sign(rows["delta"]).where(rows["p_adjusted"] < 0.05, 0.0)
    # An effect at the reference is given where an interaction is in the model.
    seen = rows["at_reference"][(slot == TOGETHER[0][0]) & (level == TOGETHER[0][1])].notna().all()
    told = agreement(planted, rows["low"], rows["high"], called)
    return {f"slots {name}": value for name, value in told.items()} | {"interaction": float(seen)}


def agreement(
    planted: Array, low: pd.Series[float], high: pd.Series[float], called: pd.Series[float]
) -> dict[str, float]:
    """Return shares of effects whose intervals hold them and that are called by their sign; any null one that is called."""
    effects = np.round(planted, 9)
    is_real, inside = effects != 0, (low <= effects) & (effects <= high)
    return {
        "inside": float(inside[is_real].mean()),
        "null inside": float(inside[~is_real].mean()),
        "called": float((called == np.sign(effects))[is_real].mean()),
        "null called": float((called != 0)[~is_real].any()),
    }


def planted(crowd: Crowd) -> Iterator[Figure]:
    """Does every planted effect lie in its interval, and are null ones silent?"""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for design in N_SEEDS:
            told = crowd.repeat(recovered, Case(design, folder), 150)
            kinds = {"": "settings", "slots ": "slots, averaged"} if "interaction" in told else {"": "settings"}
            for kind, name in kinds.items():
                yield mean(
                    f"planted, {design}, {name}: effects inside their intervals", told[f"{kind}inside"], least=0.95
                )
                yield mean("… null effects inside their intervals", told[f"{kind}null inside"], least=0.95)
                yield mean("… effects called better or worse as they are", told[f"{kind}called"])
                yield mean("… a study with a null effect called better or worse", told[f"{kind}null called"], most=0.05)
            if "interaction" in told:
                yield mean(f"planted, {design}: the interaction is seen", told["interaction"])
