import math

import numpy as np
import pytest
from scipy import integrate, stats

from reports.power import MOST_SEEDS, detectable, more_seeds, power


def by_integration(shift, critical, df):
    """Return the power by integrating over the estimated standard deviation."""
    spread = stats.chi(df, scale=1 / np.sqrt(df))

    def found(s):
        return (stats.norm.sf(critical * s - shift) + stats.norm.cdf(-critical * s - shift)) * spread.pdf(s)

    edge = min(float(spread.isf(1e-12)), (shift + 9) / critical)
    return integrate.quad(found, 0.0, edge, limit=200, points=[min(edge, shift / critical)])[0]


@pytest.mark.parametrize(
    ("n", "rho", "expected", "separate"),
    [
        (2, 0.0, 1.55, None), (2, 0.5, 1.10, 17.3), (2, 0.8, 0.69, None),
        (3, 0.0, 1.01, None), (3, 0.5, 0.71, 2.20), (3, 0.8, 0.45, None),
        (4, 0.0, 0.82, None), (4, 0.5, 0.58, 1.12), (4, 0.8, 0.37, None),
        (5, 0.0, 0.71, None), (5, 0.5, 0.50, 0.79), (5, 0.8, 0.32, None),
        (8, 0.0, 0.54, None), (8, 0.5, 0.38, 0.48), (8, 0.8, 0.24, None),
        (10, 0.0, 0.48, None), (10, 0.5, 0.34, 0.40), (10, 0.8, 0.21, None),
    ],
)  # fmt: skip
def test_detectable_differences_are_those_of_the_specification(n, rho, expected, separate):
    se = 0.3 * math.sqrt((1 - rho) * 2 / n)  # σ = 0.3 pp, 6 settings, 5 comparisons

    assert se * detectable(5 * (n - 1), 0.05 / 5) == pytest.approx(expected, abs=0.0051)
    if separate is not None:
        assert se * detectable(n - 1, 0.05 / 5) == pytest.approx(separate, abs=0.05 if n == 2 else 0.0051)


@pytest.mark.parametrize("df", [2, 5, 20, 200])
def test_detectable_difference_has_the_power_of_scipys_noncentral_t(df):
    critical = stats.t.isf(0.025, df)
    shift = detectable(df, 0.05)

    assert stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("df", [1, 2, 7])
def test_power_is_the_integral_over_the_estimated_standard_deviation(df):
    critical = stats.t.isf(0.005, df)

    for shift in (0.0, 0.5, 3.0, 1.3 * critical):
        assert power(shift, critical, df) == pytest.approx(by_integration(shift, critical, df), abs=1e-7)


@pytest.mark.parametrize("df", [1, 2, 3, 5, 7, 10, 40, 4000])
def test_power_grows_with_the_difference_and_is_never_nan(df):
    # SciPy's noncentral t is NaN in places: at 4,000 degrees of freedom, level 1e-4 and 1.154 of the critical value.
    for alpha in (0.5, 0.05, 0.05 / 19, 1e-4):
        critical = stats.t.isf(alpha / 2, df)
        powers = [power(share * critical, critical, df) for share in np.linspace(0, 2.5, 40)]

        assert powers == sorted(powers)
        assert powers[0] == pytest.approx(alpha, rel=1e-6)
        assert powers[-1] <= 1


def balanced(k, n, sd):
    return lambda more: (sd * math.sqrt(2 / (n + more)), (k - 1) * (n + more - 1))


@pytest.mark.parametrize(("difference", "n"), [(0.005, 3), (-0.005, 3), (0.003, 5), (0.001, 2)])
def test_more_seeds_are_the_fewest_that_reach_the_power(difference, n):
    error = balanced(6, n, 0.003)
    alpha = 0.05 / 5

    def power_after(more):
        se, df = error(more)
        return power(abs(difference) / se, stats.t.isf(alpha / 2, df), df)

    found = more_seeds(difference, alpha=alpha, error=error)

    assert power_after(found) >= 0.8
    assert found == 0 or power_after(found - 1) < 0.8


def test_an_effect_that_is_found_already_needs_no_more_seeds():
    assert more_seeds(0.1, alpha=0.05, error=balanced(3, 5, 0.001)) == 0


@pytest.mark.parametrize("difference", [0.0, 1e-6])
def test_more_seeds_than_anybody_runs_are_none(difference):
    assert more_seeds(difference, alpha=0.05, error=balanced(3, 5, 0.003)) is None
    assert MOST_SEEDS == 1000
