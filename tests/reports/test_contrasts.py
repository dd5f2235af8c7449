import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports import ResultsError, contrasts
from reports.contrasts import compare

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


def test_golden_numbers_worked_by_hand(runs):
    comparison = compared(runs(BY_HAND))
    a, b = comparison.contrasts

    assert (a.setting, a.estimate.value) == ("a", pytest.approx(0.02))
    assert (b.setting, b.estimate.value) == ("b", pytest.approx(-0.01))
    assert comparison.df == 4
    assert comparison.sd**2 == pytest.approx(30 / 90_000 / 4)
    assert comparison.rho == pytest.approx(0.6875)
    assert a.estimate.high - 0.02 == pytest.approx(2.776445 * math.sqrt(30 / 90_000 / 4 * 2 / 3), rel=1e-6)
    assert a.p == pytest.approx(0.05504, abs=5e-6)  # closed form of t with 4 degrees of freedom at 2.68328
    assert a.p_adjusted == pytest.approx(2 * a.p)
    assert not comparison.moderated
    assert {c.verdict for c in comparison.contrasts} == {"inconclusive"}


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_two_settings_give_the_paired_t_test(runs, n):
    rng = np.random.default_rng(n)
    frame = simulated(runs, rng, effects={"none": (0, 1), "se": (0.002, 1)}, n=n)
    scores = frame.pivot_table(index="seed", columns="setting", values="accuracy")
    expected = stats.ttest_rel(scores["se"], scores["none"])
    low, high = expected.confidence_interval(0.95)

    (contrast,) = compared(frame).contrasts

    assert contrast.p == pytest.approx(expected.pvalue)
    assert contrast.p_adjusted == contrast.p
    assert (contrast.estimate.low, contrast.estimate.high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize(("k", "n"), [(3, 2), (3, 5), (6, 2), (6, 5)])
def test_balanced_designs_have_the_closed_form(runs, k, n, monkeypatch):
    monkeypatch.setattr(contrasts, "GUARD", 1.0)
    rng = np.random.default_rng(k * n)
    frame = simulated(runs, rng, effects={"none": (0, 1)} | {f"s{i}": (0, 1) for i in range(1, k)}, n=n)
    y = frame["accuracy"].to_numpy().reshape(k, n)
    residual = y - y.mean(0) - y.mean(1, keepdims=True) + y.mean()
    variance = (residual**2).sum() / ((k - 1) * (n - 1))

    comparison = compared(frame)

    assert comparison.df == (k - 1) * (n - 1)
    for i, contrast in enumerate(comparison.contrasts, start=1):
        half = stats.t.ppf(0.975, comparison.df) * math.sqrt(variance * 2 / n)
        assert contrast.estimate.value == pytest.approx(y[i].mean() - y[0].mean())
        assert contrast.estimate.high - contrast.estimate.low == pytest.approx(2 * half)


@pytest.mark.parametrize("seed", range(8))
def test_unbalanced_connected_designs_agree_with_the_formula_interface(runs, seed, monkeypatch):
    monkeypatch.setattr(contrasts, "GUARD", 1.0)
    rng = np.random.default_rng(seed)
    names = ["none", "a", "b", "c", "d"]
    frame = simulated(runs, rng, effects=dict.fromkeys(names, (0, 1)), n=6)
    frame = frame.drop(index=rng.choice(30, size=8, replace=False))
    fitted = smf.ols("accuracy ~ C(setting, Treatment('none')) + C(seed)", frame).fit()
    assert fitted.model.rank == fitted.model.exog.shape[1]  # connected
    intervals = fitted.conf_int()

    comparison = compared(frame)

    assert comparison.df == fitted.df_resid
    assert comparison.sd**2 == pytest.approx(fitted.mse_resid)
    for contrast in comparison.contrasts:
        term = f"C(setting, Treatment('none'))[T.{contrast.setting}]"
        assert contrast.estimate.value == pytest.approx(fitted.params[term])
        if contrast.n >= 2:
            assert contrast.p == pytest.approx(fitted.pvalues[term])
            assert contrast.estimate.low == pytest.approx(intervals.loc[term, 0])


scores = st.lists(st.lists(st.integers(0, 3600), min_size=4, max_size=4), min_size=3, max_size=3)


def assert_same(first, second):
    for one, other in zip(first.contrasts, second.contrasts, strict=True):
        assert (one.setting, one.n, one.verdict, one.reason) == (other.setting, other.n, other.verdict, other.reason)
        for name in ("p", "p_adjusted", "detectable"):
            expected = getattr(other, name)
            assert getattr(one, name) == (expected if expected is None else pytest.approx(expected, rel=1e-6, abs=1e-9))
        assert one.estimate.value == pytest.approx(other.estimate.value, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(scores, st.lists(st.integers(-500, 500), min_size=4, max_size=4))
def test_a_constant_added_to_a_seed_changes_nothing(runs, rows, constants):
    # Counts, so that the sums are exact and no verdict hangs on the last digit.
    names = ["none", "a", "b"]
    plain = compared(runs(dict(zip(names, rows, strict=True))))
    moved = compared(
        runs({s: [x + c for x, c in zip(row, constants, strict=True)] for s, row in zip(names, rows, strict=True)})
    )

    assert_same(plain, moved)


@settings(max_examples=30, deadline=None)
@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(runs, rows, random):
    frame = runs(dict(zip(["none", "a", "b"], rows, strict=True)))
    order = list(frame.index)
    random.shuffle(order)

    assert compared(frame) == compared(frame.loc[order])


def test_a_noisy_setting_moderates_the_variances_of_all_contrasts(runs):
    rng = np.random.default_rng(5)
    frame = simulated(runs, rng, effects=dict.fromkeys(["none", "a", "b", "c", "d"], (0, 1)) | {"wild": (0, 12)}, n=5)
    y = frame.pivot_table(index="seed", columns="setting", values="accuracy")

    comparison = compared(frame)

    assert comparison.robust == "'wild' minus 'none' varies more than the rest"
    for contrast in comparison.contrasts:
        own = (y[contrast.setting] - y["none"]).var(ddof=1) / 2
        variance = (4 * comparison.sd**2 + 4 * own) / 8
        t = contrast.estimate.value / math.sqrt(variance * 2 / 5)
        assert contrast.p == pytest.approx(2 * stats.t.sf(abs(t), 8))


def test_three_settings_are_never_noisy_enough_for_the_guard(runs):
    # A pair's own variance is at most twice the pooled one here, so the pooled t-test errs by little.
    rng = np.random.default_rng(6)
    frame = simulated(runs, rng, effects={"none": (0, 1), "a": (0, 1), "wild": (0, 50)}, n=5)

    assert not compared(frame).moderated


def test_a_setting_with_a_failed_run_is_not_compared_and_the_rest_is_moderated(runs):
    comparison = compared(runs(BY_HAND | {"c": [0.9, None, 0.9]}))
    contrast = by_setting(comparison)["c"]

    assert (contrast.estimate, contrast.p, contrast.verdict) == (None, None, None)
    assert contrast.reason == "1/3 runs diverged or crashed"
    assert comparison.failed == {"c": (1,)}
    assert comparison.robust == "a run failed"
    assert by_setting(comparison)["a"].estimate.value == pytest.approx(0.02)
    assert len(comparison.tested) == 2


def test_a_failed_reference_blocks_every_contrast(runs):
    comparison = compared(runs(BY_HAND | {"none": [0.9, 0.9, None]}))

    assert [c.reason for c in comparison.contrasts] == ["1/3 runs of 'none' diverged or crashed"] * 2
    assert comparison.robust is None


def test_one_seed_gives_differences_without_interval_or_p(runs):
    comparison = compared(runs({"none": [0.9], "se": [0.92]}))
    (contrast,) = comparison.contrasts

    assert contrast.estimate.value == pytest.approx(0.02)
    assert (contrast.estimate.low, contrast.p, contrast.detectable, contrast.verdict) == (None, None, None, None)
    assert contrast.reason == "one seed shared with 'none': noise unknown"
    assert (comparison.sd, comparison.df, comparison.rho) == (None, 0, None)


def test_two_seeds_are_screening_and_never_moderated(runs):
    comparison = compared(runs({"none": [0.9, 0.91], "a": [0.9, 0.99], "b": [0.9, 0.911], "c": [None, 0.9]}))

    assert comparison.screening
    assert not comparison.moderated
    assert all(c.p is not None for c in comparison.contrasts if c.setting != "c")


def test_a_setting_with_fewer_seeds_still_counts(runs):
    comparison = compared(runs(BY_HAND | {"c": [0.9, ..., ...]}))

    assert by_setting(comparison)["c"].n == 1
    assert by_setting(comparison)["c"].estimate.value == pytest.approx(0.9 - 0.80667 + 0.82333 - 0.82, abs=0.03)
    assert len(comparison.tested) == 2


def test_settings_that_share_no_chain_of_seeds_are_not_estimable(runs):
    comparison = compared(runs({"none": [0.9, 0.91, ..., ...], "a": [..., ..., 0.9, 0.92], "b": [0.9, 0.92, ..., ...]}))

    assert by_setting(comparison)["a"].estimate is None
    assert by_setting(comparison)["a"].reason == "not estimable: no chain of shared seeds links it with 'none'"
    assert by_setting(comparison)["b"].estimate.value == pytest.approx(0.005)


@pytest.mark.parametrize(
    "scores",
    [
        {"none": [0.9] * 3, "se": [0.9] * 3},
        {"none": [0.9, 0.8, 0.7], "se": [0.93, 0.83, 0.73], "eca": [0.91, 0.81, 0.71]},
    ],
    ids=["identical", "additive"],
)
def test_scores_without_residual_variance_have_no_p(runs, scores):
    comparison = compared(runs(scores))

    assert {(c.p, c.verdict, c.reason) for c in comparison.contrasts} == {(None, None, "scores do not vary")}
    assert comparison.sd == 0


def test_the_better_direction_is_the_metrics_own(runs):
    frame = runs({"none": [0.5, 0.51, 0.52, 0.5], "low": [0.4, 0.411, 0.419, 0.4], "high": [0.6, 0.609, 0.62, 0.6]})

    assert [c.verdict for c in compared(frame).contrasts] == ["better", "worse"]
    assert [c.verdict for c in compared(frame, higher_is_better=False).contrasts] == ["worse", "better"]


def test_equivalence_is_the_two_one_sided_tests_at_the_practical_difference(runs):
    comparison = compared(runs(BY_HAND), practical=0.03)
    a, b = comparison.contrasts
    se = comparison.sd * math.sqrt(2 / 3)

    assert b.p_equivalent == pytest.approx(stats.t.sf((0.03 - 0.01) / se, 4))
    assert (a.verdict, b.verdict) == ("inconclusive", "equivalent")
    assert {c.p_equivalent for c in compared(runs(BY_HAND)).contrasts} == {None}


def test_against_names_another_partner(runs):
    comparison = compared(runs(BY_HAND), against={"b": "a"}, settings=["none", "a", "b"])

    assert [(c.setting, c.against) for c in comparison.contrasts] == [("a", "none"), ("b", "a")]
    assert comparison.contrasts[1].estimate.value == pytest.approx(-0.03)


def test_settings_give_the_order_and_leave_others_out(runs):
    comparison = compared(runs(BY_HAND), settings=["b", "none", "later"])

    assert [(c.setting, c.reason) for c in comparison.contrasts] == [("b", None), ("later", "no complete run")]
    assert comparison.df == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "nine"}, r"unknown setting 'nine'; did you mean 'none'\? .* as the reference"),
        ({"against": {"a": "c"}}, "unknown setting 'c' .* in a contrast"),
        ({"against": {"a": "a"}}, "setting 'a' would be contrasted with itself"),
        ({"against": {"none": "a"}}, "the reference 'none' is contrasted with nothing"),
        ({"settings": ["none", "a", "a"]}, "setting 'a' is listed twice"),
        ({"level": 95}, "level is 95"),
        ({"level": 0.99999}, "level is 0.99999; it lies between 0 and 0.9999"),
        ({"practical": 0.0}, "practical is 0.0"),
        ({"metric": "loss"}, "unknown column 'loss'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(runs, options, message):
    with pytest.raises(ResultsError, match=message):
        compare(runs(BY_HAND), **({"metric": "accuracy", "reference": "none"} | options))


def test_nothing_complete_is_no_error(runs):
    comparison = compared(runs({"none": [None, None], "se": [None, None]}))

    assert [c.reason for c in comparison.contrasts] == ["2/2 runs diverged or crashed"]
    assert comparison.sd is None


def test_an_empty_frame_is_no_error_when_settings_are_planned():
    frame = pd.DataFrame(columns=["study", "setting", "seed", "state", "accuracy"])

    assert compared(frame, settings=["none", "se"]).contrasts[0].reason == "no complete run"


def test_family_wise_error_and_power_are_those_of_the_specification(runs):
    """Six settings, three seeds, σ = 0.3 pp, ρ = 0.5; measured there: 0.034 and 0.45 with the guard."""
    rng = np.random.default_rng(20)
    names = ["a", "b", "c", "d", "e"]
    repeats = 240
    false = [
        any(
            c.verdict != "inconclusive"
            for c in compared(simulated(runs, rng, effects=dict.fromkeys(["none", *names], (0, 1)), n=3)).contrasts
        )
        for _ in range(repeats)
    ]
    found = [
        c.verdict == "better"
        for _ in range(repeats // 3)
        for c in compared(simulated(runs, rng, effects={"none": (0, 1)} | dict.fromkeys(names, (0.005, 1)), n=3)).contrasts
    ]  # fmt: skip

    # Four standard errors; the arms of one table share the reference, so their finds are correlated.
    assert np.mean(false) < 0.035 + 4 * math.sqrt(0.035 / repeats)
    assert 0.30 < np.mean(found) < 0.70


def test_wins_and_the_standardised_difference_come_from_the_pairs(runs):
    frame = runs({"none": [0.9, 0.8, 0.7, 0.6, 0.5], "a": [0.91, 0.8, 0.74, 0.62, 0.47]})
    d = np.array([0.01, 0.0, 0.04, 0.02, -0.03])

    (higher,), (lower,) = compared(frame).contrasts, compared(frame, higher_is_better=False).contrasts

    assert (higher.wins, lower.wins) == (3, 1)
    assert higher.d_z == pytest.approx(d.mean() / d.std(ddof=1))
    assert compared(frame[frame["seed"] < 4]).contrasts[0].d_z is None


AA = BY_HAND | {"control": [0.81, 0.81, 0.84]}


number = st.integers(0, 40).map(lambda hits: hits / 40)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.lists(st.one_of(number, st.none(), st.just(...)), min_size=3, max_size=3), min_size=4, max_size=4),
    st.sampled_from(["holm", "dunnett"]),
    st.sampled_from([None, 0.05]),
)
def test_every_figure_is_finite_and_every_p_a_probability(runs, rows, correction, practical):
    names = ["none", "a", "b", "c"]
    frame = runs(dict(zip(names, rows, strict=True)))
    if frame.empty:
        return

    comparison = compared(
        frame, settings=names, correction=correction, practical=practical, calibration=[("none", "c")]
    )

    for contrast in (*comparison.contrasts, *comparison.calibration):
        probabilities = [contrast.p, contrast.p_adjusted, contrast.p_equivalent, contrast.p_sign_flip]
        assert all(value is None or 0 <= value <= 1 for value in probabilities)
        sizes = [contrast.d_z, contrast.detectable, *(vars(contrast.estimate).values() if contrast.estimate else ())]
        assert all(value is None or math.isfinite(value) for value in sizes)
        assert (contrast.verdict is None) == (contrast.p is None) == (contrast.reason is not None)
        assert contrast.p is None or contrast.p <= contrast.p_adjusted
