"""The model of paired seeds: `score = setting + seed + error`, by least squares on whatever complete runs exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reports.frame import tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Residuals below this share of the largest score are rounding: additive scores leave about 1e-16 of it.
ROUNDING = 1e-10


@dataclass(frozen=True)
class Fit:
    """The model, with the settings eliminated: what is left to solve is as large as the number of seeds.

    A contrast is given by its weights of the settings, which sum to zero. Balanced designs do not need the seed
    effects: they cancel.

    Attributes:
        scores: settings × seeds, NaN where there is no complete run.
        rows: of each setting, its row.
        counts: runs of each setting.
        means: mean score of each setting.
        shares: (setting, seed), the part of a setting's runs that each seed has.
        seeds: effect of each seed, beside the settings'.
        unit: (seed, seed), covariance of `seeds` over the residual variance; a pseudo-inverse.
        range: (seed, seed), the projector on what the runs tell of the seeds.
        sd: residual standard deviation; 0 without residual degrees of freedom, or where all is rounding.
        df: residual degrees of freedom.
    """

    scores: pd.DataFrame
    rows: Mapping[str, int]
    counts: Array
    means: Array
    shares: Array
    seeds: Array
    unit: Array
    range: Array
    sd: float
    df: int

    def weights(self, setting: str, other: str) -> Array:
        """Return the weights of one setting minus another."""
        weights = np.zeros(len(self.counts))
        weights[self.rows[setting]], weights[self.rows[other]] = 1, -1
        return weights

    def estimable(self, weights: Array) -> bool:
        """Whether the runs determine the contrast: a chain of shared seeds links its settings."""
        seeds = weights @ self.shares
        return bool(np.allclose(seeds @ self.range, seeds, atol=1e-8))

    def value(self, weights: Array) -> float:
        """Return the estimated contrast."""
        return float(weights @ self.means - weights @ self.shares @ self.seeds)

    def unit_variance(self, weights: Array) -> float:
        """Return the variance of the estimated contrast over the residual variance; balanced: 2/n."""
        return float(self.unit_covariance(weights))

    def unit_covariance(self, weights: Array) -> Array:
        """Return the covariance of estimated contrasts, (contrast, setting), over the residual variance."""
        seeds = weights @ self.shares
        covariance: Array = (weights / self.counts) @ weights.T + seeds @ self.unit @ seeds.T
        return covariance

    def pairs(self, setting: str, other: str) -> Array:
        """Return the paired differences, one for each seed that both have."""
        y = self.scores.to_numpy()
        difference: Array = y[self.rows[setting]] - y[self.rows[other]]
        return difference[np.isfinite(difference)]

    def own_variance(self, setting: str, other: str) -> float:
        """Return half the variance of the paired differences: what `sd` squared would be from this pair alone."""
        return float(np.var(self.pairs(setting, other), ddof=1)) / 2


def score_matrix(
    frame: pd.DataFrame, metric: str, *, without: Iterable[str], seeds: Sequence[int] | None = None
) -> pd.DataFrame:
    """Return settings × seeds, `seeds` in the order given, else all there are.

    `without` are the settings that failed: their surviving seeds are a selection.
    """
    skipped = set(without)
    done = {label: scores for label, scores in tally(frame, metric).items() if label not in skipped}
    # Sorted by label and seed, so that the order of the rows cannot change a digit.
    labels = sorted(done)
    seeds = sorted({seed for scores in done.values() for seed in scores}) if seeds is None else list(seeds)
    cells = [[done[label].get(seed, np.nan) for seed in seeds] for label in labels]
    values = np.array(cells, dtype=float).reshape(len(labels), len(seeds))
    return pd.DataFrame(values, index=labels, columns=seeds)


def fit_seeds(scores: pd.DataFrame) -> Fit:
    """Fit one effect per setting and per seed; where the runs leave effects open, the smallest that fit best."""
    y = scores.to_numpy(dtype=float)
    there = np.isfinite(y)
    counts = there.sum(axis=1).astype(float)
    means = np.where(there, y, 0.0).sum(axis=1) / np.maximum(counts, 1)
    shares = there / np.maximum(counts, 1)[:, None]
    deviation = np.where(there, y - means[:, None], 0.0)
    information = np.diag(there.sum(axis=0).astype(float)) - there.T.astype(float) @ shares
    unit = np.linalg.pinv(information, rcond=ROUNDING, hermitian=True)
    seeds = unit @ deviation.sum(axis=0)
    residual = np.where(there, deviation - seeds + (shares @ seeds)[:, None], 0.0)
    projector = information @ unit
    df = int(counts.sum() - (counts > 0).sum() - round(float(np.trace(projector))))
    sd = float(np.sqrt((residual**2).sum() / df)) if df > 0 else 0.0
    if sd <= ROUNDING * float(np.abs(np.where(there, y, 0.0)).max(initial=0.0)):
        sd = 0.0
    rows = {str(label): row for row, label in enumerate(scores.index)}
    return Fit(scores, rows, counts, means, shares, seeds, unit, projector, sd, df)


def correlation(scores: pd.DataFrame) -> float | None:
    """Return the correlation that sharing a seed gives, from the mean squares of seeds and residuals."""
    y = scores.to_numpy(dtype=float)
    y = y[:, np.isfinite(y).all(axis=0)]
    k, n = y.shape
    if k < 2 or n < 2:
        return None
    seed_means = y.mean(axis=0)
    residual = y - seed_means - y.mean(axis=1, keepdims=True) + y.mean()
    between = k * float(((seed_means - seed_means.mean()) ** 2).sum()) / (n - 1)
    within = float((residual**2).sum()) / ((k - 1) * (n - 1))
    total = between + (k - 1) * within
    if total <= (ROUNDING * float(np.abs(y).max())) ** 2:
        return None
    return max(0.0, (between - within) / total)
