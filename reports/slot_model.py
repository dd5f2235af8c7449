"""The linear model of slots: what it is fitted to, its fit, and the F-tests of its terms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from reports.factors import Matrix
from reports.fit import ROUNDING, fit_seeds

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Row = dict[str, str]


@dataclass(frozen=True)
class Test:
    """An F-test.

    Attributes:
        df: degrees of freedom of the effect, `df_error` those of the error.
        share: partial eta squared.
        p_adjusted: after Holm's correction over its kind: slots, or interactions.
        is_pure: whether the error is what seeds scatter by alone, since no settings are left to deviate from the model.
    """

    f: float
    df: int
    df_error: int
    p: float
    share: float
    p_adjusted: float
    is_pure: bool = False


@dataclass(frozen=True)
class Data:
    """What the model is fitted to: means of settings, or single runs with columns for their seeds.

    Attributes:
        rows: the levels of each.
        y: scores, (row,).
        weights: seeds that each stands for, (row,).
        nuisance: columns of the seeds, (row, seeds - 1), summing to zero; none where these are taken out before.
        pure: what the seeds of a setting scatter by, as a variance, and its degrees of freedom.
        settings: of each row a number that equal levels share.
    """

    rows: list[Row]
    y: Array
    weights: Array
    nuisance: Array
    pure: tuple[float, int] = (0.0, 0)

    @cached_property
    def settings(self) -> list[int]:
        """Number the settings: rows with the same levels have the same number."""
        numbers: dict[frozenset[tuple[str, str]], int] = {}
        return [numbers.setdefault(frozenset(row.items()), len(numbers)) for row in self.rows]

    @classmethod
    def of(cls, scores: pd.DataFrame, rows: list[Row]) -> Data:
        """Take out the seed effects where settings share seeds; else keep the runs, with their seeds."""
        y = scores.to_numpy(dtype=float)
        if not y.size:
            return cls([], np.zeros(0), np.zeros(0), np.zeros((0, 0)))
        fitted = fit_seeds(scores)
        is_linked = round(float(np.trace(fitted.range))) == y.shape[1] - 1
        if is_linked:
            effects = fitted.seeds - fitted.seeds.mean()
            means = np.nansum(np.where(np.isfinite(y), y - effects, 0.0), axis=1) / fitted.counts
            return cls(rows, means, fitted.counts, np.zeros((len(rows), 0)), (fitted.sd**2, fitted.df))
        setting, seed = np.nonzero(np.isfinite(y))
        indicator = np.eye(y.shape[1])[seed]
        columns = indicator[:, 1:] - indicator[:, :1]
        return cls([rows[i] for i in setting], y[setting, seed], np.ones(len(setting)), columns)


@dataclass(frozen=True)
class Model:
    """A weighted least-squares fit; columns of the seeds come last."""

    coded: Matrix
    coefficients: Array
    unit: Array  # covariance of the coefficients over the residual variance, a pseudo-inverse
    space: Array  # projector on what the rows tell of the coefficients
    rss: float
    rank: int
    df: int
    sd: float

    def estimable(self, weights: Array) -> bool:
        """Tell whether the rows determine the sum of the coefficients with these weights."""
        return bool(np.allclose(weights @ self.space, weights, atol=1e-6))

    def variance(self, weights: Array) -> float:
        """Return the variance of such a sum."""
        return float(weights @ self.unit @ weights) * self.sd**2


def solve(coded: Matrix, data: Data) -> Model:
    """Fit columns, and those of the seeds, by weighted least squares; of many solutions the smallest."""
    x = np.column_stack([coded.columns, data.nuisance])
    root = np.sqrt(data.weights)
    offset = float(np.average(data.y, weights=data.weights)) if len(data.y) else 0.0
    weighted, y = x * root[:, None], (data.y - offset) * root
    information = weighted.T @ weighted
    unit = np.linalg.pinv(information, rcond=ROUNDING, hermitian=True).astype(np.float64)
    coefficients = unit @ (weighted.T @ y)
    rss = float(((y - weighted @ coefficients) ** 2).sum())
    coefficients[0] += offset
    space = unit @ information
    rank = round(float(np.trace(space)))
    df = len(y) - rank
    sd = (rss / df) ** 0.5 if df > 0 else 0.0
    if sd <= ROUNDING * float(np.abs(data.y).max(initial=0.0)):
        sd = 0.0
    return Model(coded, coefficients, unit, space, rss, rank, df, sd)


def without_terms(model: Model, data: Data, dropped: set[tuple[str, ...]]) -> Model:
    """Fit the model again without some terms."""
    kept = [term not in dropped for term in model.coded.terms]
    return solve(Matrix(model.coded.columns[:, kept], tuple(compress(model.coded.terms, kept))), data)


def f_test(full: Model, with_: Model, without: Model, *, pure: tuple[float, int] | None = None) -> Test | None:
    """Test what one model has beyond another, with the error of the whole model or a pure one."""
    variance, df_error = pure or (full.sd**2, full.df)
    df = with_.rank - without.rank
    if df == 0 or df_error == 0 or variance == 0:
        return None
    gain = max(0.0, without.rss - with_.rss)
    f = gain / df / variance
    p = float(special.fdtrc(df, df_error, f))
    return Test(f, df, df_error, p, gain / (gain + variance * df_error), p, is_pure=pure is not None)
