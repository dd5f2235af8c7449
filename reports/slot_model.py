"""The linear model of slots: what it is fitted to, its fit, and the F-tests of its terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from reports.factors import Factor, matrix
from reports.fit import ROUNDING, fit_seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Row = dict[str, str]
Pair = tuple[str, str]


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
    """

    rows: list[Row]
    y: Array
    weights: Array
    nuisance: Array
    pure: tuple[float, int] = (0.0, 0)

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

    columns: Array
    terms: tuple[tuple[str, ...], ...]
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


def solve(columns: Array, terms: tuple[tuple[str, ...], ...], data: Data) -> Model:
    """Fit columns, and those of the seeds, by weighted least squares; of many solutions the smallest."""
    x = np.column_stack([columns, data.nuisance])
    root = np.sqrt(data.weights)
    offset = float(np.average(data.y, weights=data.weights)) if len(data.y) else 0.0
    weighted, y = x * root[:, None], (data.y - offset) * root
    unit = np.linalg.pinv(weighted.T @ weighted, rcond=ROUNDING, hermitian=True).astype(np.float64)
    coefficients = unit @ weighted.T @ y
    coefficients[0] += offset
    rss = float((((data.y - x @ coefficients) * root) ** 2).sum())
    rank = int(np.linalg.matrix_rank(weighted)) if weighted.size else 0
    df = len(y) - rank
    sd = (rss / df) ** 0.5 if df > 0 else 0.0
    if sd <= ROUNDING * float(np.abs(data.y).max(initial=0.0)):
        sd = 0.0
    space = unit @ (weighted.T @ weighted)
    return Model(x, terms, coefficients, unit, space, rss, rank, df, sd)


def fit_slots(data: Data, factors: Sequence[Factor], pairs: Sequence[Pair]) -> Model:
    """Fit the effects of all slots, and the interactions of some pairs."""
    coded = matrix(factors, data.rows, pairs=pairs)
    return solve(coded.columns, coded.terms, data)


def without_terms(model: Model, data: Data, dropped: set[tuple[str, ...]]) -> Model:
    """Fit the model again without some terms."""
    kept = [i for i, term in enumerate(model.terms) if term not in dropped]
    return solve(model.columns[:, kept], tuple(model.terms[i] for i in kept), data)


def f_test(data: Data, full: Model, term: tuple[str, ...], *, pure: tuple[float, int] | None = None) -> Test | None:
    """Test a term beside all others but those that hold it (type II), with the error of the whole model or a pure one."""
    variance, df_error = pure or (full.sd**2, full.df)
    above = {other for other in full.terms if set(term) < set(other)}
    with_, without = without_terms(full, data, above), without_terms(full, data, {*above, term})
    df = with_.rank - without.rank
    if df == 0 or df_error == 0 or variance == 0:
        return None
    gain = max(0.0, without.rss - with_.rss)
    f = gain / df / variance
    p = float(special.fdtrc(df, df_error, f))
    return Test(f, df, df_error, p, gain / (gain + variance * df_error), p, is_pure=pure is not None)
