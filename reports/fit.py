"""The model of paired seeds: `score = setting + seed + error`, by least squares on whatever complete runs exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import linalg
from statsmodels.regression.linear_model import OLS  # its `api` takes a second more

from reports.frame import complete

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Residuals below this share of the largest score are rounding: additive scores leave about 1e-16 of it.
ROUNDING = 1e-10


@dataclass(frozen=True)
class Fit:
    """The model M1. `unit` is the covariance of the coefficients over the residual variance."""

    scores: pd.DataFrame  # settings × seeds, NaN where there is no complete run
    basis: Array  # orthonormal, of the row space of the design: (setting and seed effects, rank)
    coefficients: Array  # (rank,)
    unit: Array  # (rank, rank)
    sd: float
    df: int

    def weights(self, setting: str, other: str) -> Array:
        """Return the contrast as weights of the setting and seed effects."""
        weights = np.zeros(len(self.basis))
        labels = list(self.scores.index)
        weights[[labels.index(setting), labels.index(other)]] = 1, -1
        return weights

    def estimable(self, weights: Array) -> bool:
        """Whether the runs determine the contrast: it lies in the row space of the design."""
        return bool(np.allclose(self.basis @ (weights @ self.basis), weights, atol=1e-8))

    def value(self, weights: Array) -> float:
        """Return the estimated contrast."""
        return float(weights @ self.basis @ self.coefficients)

    def unit_variance(self, weights: Array) -> float:
        """Return the variance of the estimated contrast over the residual variance; balanced: 2/n."""
        within = weights @ self.basis
        return float(within @ self.unit @ within)

    def own_variance(self, setting: str, other: str) -> float:
        """Return half the variance of the paired differences: what `sd` squared would be from this pair alone."""
        pair = (self.scores.loc[setting] - self.scores.loc[other]).dropna()
        return float(np.var(pair.to_numpy(dtype=float), ddof=1)) / 2


def score_matrix(frame: pd.DataFrame, metric: str, *, without: Mapping[str, tuple[int, ...]]) -> pd.DataFrame:
    """Return settings × seeds. A setting that failed is left out: its surviving seeds are a selection."""
    rows = complete(frame)
    rows = rows[~rows["setting"].isin(list(without))]
    rows = pd.DataFrame(
        {
            "setting": rows["setting"].astype(str),
            "seed": rows["seed"].astype(int),
            "score": pd.to_numeric(rows[metric]).astype(float),
        }
    )
    # Sorted by label and seed, so that the order of the rows cannot change a digit.
    return rows.pivot_table(index="setting", columns="seed", values="score").sort_index().sort_index(axis=1)


def fit_seeds(scores: pd.DataFrame) -> Fit:
    """Fit one effect per setting and per seed, in the row space of the design: there the coefficients are unique."""
    y = scores.to_numpy(dtype=float)
    setting, seed = np.nonzero(np.isfinite(y))
    if not len(setting):
        return Fit(scores, np.zeros((0, 0)), np.zeros(0), np.zeros((0, 0)), 0.0, 0)
    design = np.hstack([np.eye(y.shape[0])[setting], np.eye(y.shape[1])[seed]])  # (runs, settings + seeds)
    basis = linalg.orth(design.T)
    observed = y[setting, seed]
    fitted = OLS(observed - observed.mean(), design @ basis).fit()
    df = len(observed) - basis.shape[1]
    sd = float(np.sqrt(fitted.ssr / df)) if df else 0.0
    if sd <= ROUNDING * float(np.abs(observed).max()):
        sd = 0.0
    return Fit(
        scores=scores,
        basis=basis,
        coefficients=np.asarray(fitted.params, dtype=float),
        unit=np.asarray(fitted.normalized_cov_params, dtype=float),
        sd=sd,
        df=df,
    )


def correlation(scores: pd.DataFrame) -> float | None:
    """Return the correlation that sharing a seed gives, from the mean squares of seeds and residuals."""
    y = scores.dropna(axis=1).to_numpy(dtype=float)
    k, n = y.shape
    if k < 2 or n < 2:
        return None
    residual = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + y.mean()
    between = float(k * np.var(y.mean(axis=0), ddof=1))
    within = float((residual**2).sum() / ((k - 1) * (n - 1)))
    total = between + (k - 1) * within
    if total <= (ROUNDING * float(np.abs(y).max())) ** 2:
        return None
    return max(0.0, (between - within) / total)
