"""How large an effect a t-test finds, and how many more seeds it would take."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from scipy import optimize, special

if TYPE_CHECKING:
    from collections.abc import Callable

POWER = 0.8

# Beyond it nobody runs more seeds, and the figure says nothing.
MOST_SEEDS = 1000


@lru_cache(maxsize=4096)
def detectable(df: float, alpha: float) -> float:
    """Return the true difference, in standard errors, that a two-sided t-test finds with 80 % probability."""
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    return float(optimize.brentq(lambda shift: power(shift, critical, df) - POWER, 0.0, 2 * critical + 10))


def power(shift: float, critical: float, df: float) -> float:
    """Return P(|T| > critical) for a noncentral t with `shift` >= 0."""
    near, far = 1 - special.nctdtr(df, shift, critical), 1 - special.nctdtr(df, -shift, critical)
    # SciPy has no value for the far tail in places where it is below 1e-12.
    return min(1.0, max(0.0, float(near if math.isnan(far) else near + far)))  # rounding


def more_seeds(difference: float, *, alpha: float, error: Callable[[int], tuple[float, float]]) -> int | None:
    """Return how many more seeds find `difference` with 80 % probability; None if more than 1,000.

    `error` gives the standard error and its degrees of freedom after so many more seeds; both must improve with
    them. The figure takes the noise seen so far for the true one, and so is a rough one.
    """

    def found(n: int) -> bool:
        se, df = error(n)
        return abs(difference) >= se * detectable(df, alpha)

    if not found(MOST_SEEDS):
        return None
    low, high = -1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
