"""What it buys that settings share a seed and its starting tensors: real training on real images."""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from truth.simulation import Crowd, Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

STUDY = """\
network: {{resnet: {{depth: 8, width: 16}}}}
data: {data}
slots:
  attention: [none, se, eca]
reference: {{attention: none}}
seeds: {seeds}
recipe: {{epochs: {epochs}, batch: 64, optimizer: sgd, learning_rate: 0.1, schedule: cosine{augment}}}
metric: accuracy
keep: none
"""
STUDIES = {
    "digits": {"data": "{digits: {train: 300}}", "epochs": 20, "augment": ""},
    "fashion-mnist": {"data": "{fashion-mnist: {train: 2000}}", "epochs": 3, "augment": ", augment: flip"},
}
N_SEEDS = {"digits": 24, "fashion-mnist": 11}  # its test part is seven times as large, and scored after every epoch


def scores(name: str, n_seeds: int, workers: int) -> pd.DataFrame:
    """Train one study in a folder that goes again; return settings × seeds, in percent."""
    import ablate  # noqa: PLC0415  # torch and MLflow, which other rows do not need
    from reports.fit import score_matrix  # noqa: PLC0415  # beside it

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, f"{name}.yml")
        path.write_text(STUDY.format(**STUDIES[name], seeds=n_seeds), encoding="utf-8")
        result = ablate.run(path, workers=workers, runs=Path(folder, "runs"), quiet=True)
        return 100 * score_matrix(result.frame, "accuracy", without={})


def correlated(scores: pd.DataFrame) -> float:
    """Return the correlation of scores that share a seed; 0 where it cannot be told from none."""
    from reports.fit import correlation  # noqa: PLC0415  # statsmodels, late as the others

    return correlation(scores) or 0.0


def variances(scores: pd.DataFrame) -> tuple[float, float]:
    """Return the variance of Δ from shared seeds and from different ones, the mean over all pairs of settings.

    Different seeds: those of one setting are shifted against the other's, by every number of places in turn.
    """
    shared, different = [], []
    for one, other in combinations(scores.to_numpy(), 2):
        shared.append(np.var(one - other, ddof=1))
        different += [np.var(one - np.roll(other, shift), ddof=1) for shift in range(1, len(one))]
    return float(np.mean(shared)), float(np.mean(different))


def ratio(scores: pd.DataFrame) -> float:
    """Return the variance of Δ from shared seeds over that from different ones."""
    shared, different = variances(scores)
    return shared / different


def jackknife(statistic: Callable[[pd.DataFrame], float], scores: pd.DataFrame) -> float:
    """Return the standard error of a figure over seeds: what leaving out each in turn makes of it."""
    n = scores.shape[1]
    left = [statistic(scores.drop(columns=seed)) for seed in scores.columns]
    return float(np.sqrt((n - 1) * np.var(left)))


def pairing(crowd: Crowd) -> Iterator[Figure]:
    """How far do scores that share a seed agree, and how much smaller does that make the variance of Δ?"""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for name in STUDIES:
        if name == "fashion-mnist" and "ABLATE_DATA" not in os.environ:
            print("fashion-mnist is left out: ABLATE_DATA is not set", file=sys.stderr)
            continue
        found = scores(name, min(N_SEEDS[name], crowd.studies or N_SEEDS[name]), crowd.workers)
        n = found.shape[1]
        shared, different = variances(found)
        rho, error = correlated(found), jackknife(correlated, found)
        yield Figure(f"{name}: correlation of scores that share a seed", rho, error, n, unit="")
        yield Figure(f"{name}: variance of Δ from shared seeds, pp²", shared, None, n, unit="")
        yield Figure(f"{name}: variance of Δ from different seeds, pp²", different, None, n, unit="")
        yield Figure(f"{name}: the first over the second", ratio(found), jackknife(ratio, found), n, unit="")
