"""How large an effect a t-test finds."""

from functools import lru_cache

import numpy as np
from scipy import integrate, optimize, stats

POWER = 0.8


@lru_cache(maxsize=256)
def detectable(df: float, alpha: float) -> float:
    """Return the true difference, in standard errors, that a two-sided t-test finds with 80 % probability."""
    critical = float(stats.t.isf(alpha / 2, df))
    return float(optimize.brentq(lambda shift: power(shift, critical, df) - POWER, 0.0, 2 * critical + 10))


def power(shift: float, critical: float, df: float) -> float:
    """Return P(|T| > critical) for a noncentral t.

    Integrated over the estimated standard deviation: SciPy's `nct` returns NaN at one degree of freedom.
    """
    spread = stats.chi(df, scale=1 / np.sqrt(df))

    def found(s: float) -> float:
        return float((stats.norm.sf(critical * s - shift) + stats.norm.cdf(-critical * s - shift)) * spread.pdf(s))

    # Most of the mass of `found` lies below s = (shift + 9) / critical; beyond it the test finds nothing.
    edge = min(float(spread.isf(1e-12)), (shift + 9) / critical)
    return float(integrate.quad(found, 0.0, edge, limit=200, points=[min(edge, shift / critical)])[0])
