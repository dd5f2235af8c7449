"""Corrections for several comparisons, and what more seeds would find."""

import math

import numpy as np
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reports import ResultsError, contrasts
from reports.contrasts import compare
from reports.judgement import p_sign_flip
from reports.power import detectable, more_seeds

# Worked by hand: settings 3, seeds 3; residuals in units of 1/300 are -1 -2 3, 2 1 -3, -1 1 0.
BY_HAND = {"none": [0.80, 0.82, 0.84], "a": [0.83, 0.85, 0.84], "b": [0.79, 0.82, 0.82]}


def simulated(runs, rng, *, effects, n, sd=0.003, rho=0.5):
    """Return a frame with seed effects; `effects` are true means and standard deviations by setting."""
    shared = rng.normal(0, sd * math.sqrt(rho), n)
    scale = sd * math.sqrt(1 - rho)
    return runs({s: list(0.9 + mean + shared + rng.normal(0, scale * f, n)) for s, (mean, f) in effects.items()})


def compared(frame, **options):
    return compare(frame, **({"metric": "accuracy", "reference": "none"} | options))


def by_setting(comparison):
    return {contrast.setting: contrast for contrast in comparison.contrasts}


def test_correction_over_the_family_is_holms(runs):
    frame = simulated(
        runs, np.random.default_rng(1), effects={"none": (0, 1)} | {f"s{i}": (0.001 * i, 1) for i in range(6)}, n=5
    )
    tested = compared(frame).contrasts

    expected = multipletests([c.p for c in tested], method="holm")[1]

    assert [c.p_adjusted for c in tested] == pytest.approx(list(expected))


def test_detectable_difference_of_a_comparison_uses_its_own_family(runs, monkeypatch):
    monkeypatch.setattr(contrasts, "GUARD", 1.0)
    comparison = compared(runs(BY_HAND))

    expected = comparison.sd * math.sqrt(2 / 3) * detectable(4, 0.025)

    assert [c.detectable for c in comparison.contrasts] == pytest.approx([expected] * 2)


def test_dunnett_asks_for_less_than_holm_for_the_largest_difference(runs, five_blocks):
    holm, dunnett = (
        compare(runs(five_blocks), metric="accuracy", reference="none", correction=how) for how in ("holm", "dunnett")
    )
    largest = min(holm.contrasts, key=lambda contrast: contrast.p).setting
    p = {c.setting: c.p_adjusted for c in dunnett.contrasts}[largest]

    assert p <= min(c.p_adjusted for c in holm.contrasts)
    assert dunnett.correction == "dunnett"


def test_an_inconclusive_contrast_says_how_many_more_seeds_it_would_take(runs, five_blocks):
    found = compare(runs(five_blocks), metric="accuracy", reference="none")
    for contrast in found.contrasts:
        assert (contrast.more_seeds is not None) == (contrast.verdict == "inconclusive")


def test_dunnetts_correction_uses_the_correlations_of_the_design(runs, monkeypatch):
    monkeypatch.setattr(contrasts, "GUARD", 1.0)
    names = ["none", "a", "b", "c"]
    frame = simulated(runs, np.random.default_rng(3), effects=dict.fromkeys(names, (0, 1)), n=5)
    frame = frame.drop(index=[3, 6, 12])
    fitted = smf.ols("accuracy ~ C(setting, Treatment('none')) + C(seed)", frame).fit()
    terms = [f"C(setting, Treatment('none'))[T.{name}]" for name in names[1:]]
    covariance = fitted.cov_params().loc[terms, terms].to_numpy()
    scale = np.sqrt(np.diag(covariance))

    comparison = compared(frame, correction="dunnett")

    for contrast, t in zip(comparison.contrasts, fitted.tvalues[terms], strict=True):
        edge = np.full(3, abs(t))
        law = stats.multivariate_t(shape=covariance / np.outer(scale, scale), df=fitted.df_resid, seed=1)
        assert contrast.p_adjusted == pytest.approx(1 - law.cdf(edge, lower_limit=-edge), abs=5e-4)


def test_dunnett_gives_way_to_holm_where_variances_are_moderated(runs):
    frame = runs(BY_HAND | {"c": [0.9, None, 0.9]})

    asked, usual = compared(frame, correction="dunnett"), compared(frame)

    assert asked.correction == "holm"
    assert asked.fallback == "with moderated variances Dunnett's joint distribution does not hold"
    assert asked.contrasts == usual.contrasts
    assert usual.fallback is None


def test_settings_compared_with_each_other_have_no_dunnett_but_steps_along_a_path_do(runs):
    with pytest.raises(ResultsError, match="Dunnett's correction needs contrasts none of which follows from others"):
        compared(runs(BY_HAND), against={"a": "b", "b": "a"}, correction="dunnett")

    path = compared(runs(BY_HAND), against={"b": "a"}, settings=["none", "a", "b"], correction="dunnett")
    assert all(c.p < c.p_adjusted < 2 * c.p for c in path.contrasts)


def test_more_seeds_go_by_the_pooled_variance_and_the_family(runs, monkeypatch):
    monkeypatch.setattr(contrasts, "GUARD", 1.0)
    variance = 30 / 90_000 / 4

    def error(more):
        return math.sqrt(variance * 2 / (3 + more)), 2 * (2 + more)

    expected = [more_seeds(difference, alpha=0.025, error=error) for difference in (0.02, 0.01)]
    assert [c.more_seeds for c in compared(runs(BY_HAND)).contrasts] == expected
    practical = more_seeds(0.005, alpha=0.025, error=error)
    assert [c.more_seeds for c in compared(runs(BY_HAND), practical=0.005).contrasts] == [practical] * 2


def test_moderated_variances_gain_one_degree_of_freedom_a_seed(runs):
    frame = runs(BY_HAND | {"c": [0.9, None, 0.9]})
    a = by_setting(compared(frame))["a"]
    half = a.estimate.high - a.estimate.value
    variance = (half / stats.t.isf(0.025, 6)) ** 2 / (2 / 3)

    def error(more):
        return math.sqrt(variance * 2 / (3 + more)), 6 + more

    for practical in (0.012, 0.015, 0.018, 0.02):
        found = by_setting(compared(frame, practical=practical))["a"].more_seeds
        assert found == more_seeds(practical, alpha=0.025, error=error)


def test_ten_seeds_are_tested_by_sign_flips_too(runs):
    frame = simulated(runs, np.random.default_rng(8), effects={"none": (0, 1), "a": (0.002, 1)}, n=10)
    y = frame.pivot_table(index="seed", columns="setting", values="accuracy")

    assert compared(frame).contrasts[0].p_sign_flip == p_sign_flip((y["a"] - y["none"]).to_numpy())
    assert compared(frame[frame["seed"] < 9]).contrasts[0].p_sign_flip is None
