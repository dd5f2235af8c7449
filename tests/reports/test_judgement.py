"""Corrections for several comparisons, and verdicts."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from reports import ResultsError
from reports.judgement import Difference, Rules, concluded, dunnett, p_sign_flip


def differences(t, df):
    return [Difference(value, 1.0, 1.0, df, 1.0) for value in t]


def shared(m):
    """Return the covariance of m balanced contrasts with one reference."""
    return 0.5 * np.eye(m) + 0.5


# Two-sided 5 % points of Dunnett's test for m comparisons, from his tables (Biometrics 1964).
@pytest.mark.parametrize(
    ("m", "df", "point"), [(1, 10, 2.23), (2, 10, 2.57), (3, 20, 2.54), (5, 20, 2.73), (4, 20, 2.65)]
)
def test_dunnetts_p_is_five_percent_at_his_tabulated_points(m, df, point):
    (p, *_) = dunnett(differences([point, *[0.1] * (m - 1)], df), shared(m))

    assert p == pytest.approx(0.05, abs=0.0015)


def test_dunnett_never_asks_for_more_than_bonferroni_nor_less_than_one_test():
    errors = differences([0.2, 1.7, 3.1], 8)
    for error, p in zip(errors, dunnett(errors, shared(3)), strict=True):
        assert error.p <= p <= min(1.0, 3 * error.p)


def test_dunnett_gives_the_same_every_time_and_refuses_contrasts_that_follow_from_others():
    errors = differences([1.0, 2.0], 8)

    assert dunnett(errors, shared(2)) == dunnett(errors, shared(2))
    with pytest.raises(ResultsError, match="use Holm's"):
        dunnett(errors, np.ones((2, 2)))


def test_the_sign_flip_test_is_exact_for_few_seeds():
    rng = np.random.default_rng(0)
    x = rng.normal(0.5, 1, 10)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 10)).reshape(10, -1)
    expected = np.mean(np.abs(signs.T @ x) >= abs(x.sum()) - 1e-12)

    assert p_sign_flip(x) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "is_found", "p_equivalent", "verdict"),
    [
        (0.1, True, None, "better"), (-0.1, True, 0.01, "worse"), (0.1, False, 0.01, "equivalent"),
        (0.1, False, 0.2, "inconclusive"), (0.1, False, None, "inconclusive"),
    ],
)  # fmt: skip
def test_an_effect_comes_before_equality(value, is_found, p_equivalent, verdict):
    assert concluded(value, Rules(True, 0.2, 0.95), is_found=is_found, p_equivalent=p_equivalent) == verdict


def test_equivalence_is_tested_at_both_margins():
    error = Difference(0.1, 0.04, 0.5, 12, 1.0)
    t = [(0.1 + 0.3) / error.se, (0.1 - 0.3) / error.se]

    assert error.p_equivalent(0.3) == pytest.approx(max(stats.t.sf(t[0], 12), stats.t.cdf(t[1], 12)))


def test_unequal_groups_agree_with_scipys_dunnett():
    rng = np.random.default_rng(0)
    groups = [rng.normal(0.3 * i, 1, n) for i, n in enumerate((5, 4, 9, 6))]
    sizes = np.array([len(group) for group in groups])
    expected = stats.dunnett(*groups[1:], control=groups[0], random_state=rng)
    df = sizes.sum() - 4
    variance = sum(((group - group.mean()) ** 2).sum() for group in groups) / df
    covariance = np.diag(1 / sizes[1:]) + 1 / sizes[0]
    errors = [
        Difference(group.mean() - groups[0].mean(), variance, unit, df, 1.0)
        for group, unit in zip(groups[1:], np.diag(covariance), strict=True)
    ]

    assert [error.t for error in errors] == pytest.approx(list(expected.statistic))
    assert dunnett(errors, covariance) == pytest.approx(list(expected.pvalue), abs=1e-3)


@pytest.mark.parametrize("margin", [0.3, 1.0, 3.0])
def test_equivalence_is_that_of_statsmodels(margin):
    rng = np.random.default_rng(1)
    one, other = rng.normal(0, 1, 12), rng.normal(0.4, 1, 12)
    error = Difference((one - other).mean(), (one - other).var(ddof=1) / 2, 2 / 12, 11, 1.0)

    assert error.p_equivalent(margin) == pytest.approx(ttost_paired(one, other, -margin, margin)[0], abs=1e-12)


def test_the_error_shrinks_as_a_balanced_design_grows():
    error = Difference(0.01, 0.003**2, 2 / 5, 20, 5)

    assert error.after(0) == (pytest.approx(error.se), 20)
    assert error.after(7) == (pytest.approx(0.003 * np.sqrt(2 / 12)), 55)
