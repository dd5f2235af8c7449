"""Slot effects, against statsmodels on random designs and against numbers worked by hand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.anova import anova_lm

from reports import ResultsError
from reports.factors import Factor, complete, grid
from reports.slot_effects import slot_effects

A = Factor("a", ("x", "y"), "x")
B = Factor("b", ("1", "3", "5"), "1", numbers=(1.0, 2.0, 4.0))
D = Factor("c", ("no", "yes"), "no")
CHILD = Factor("child", ("p", "q"), "p", when=(("a", frozenset({"y"})),))


def label(row):
    return ", ".join(f"{slot}={name}" for slot, name in row.items())


def frame_of(scores, *, seeds=(0,), state="complete"):
    """Return runs: one list of scores for each setting, as many as seeds; None is a run that is not there."""
    rows = [
        {"study": "s", "setting": setting, "seed": seed, "state": state, "accuracy": score}
        for setting, values in scores.items()
        for seed, score in zip(seeds, values, strict=False)
        if score is not None
    ]
    return pd.DataFrame(rows)


def estimated(rows, scores, factors, **more):
    """Estimate effects from settings and their scores, a list for each."""
    labels = {label(row): row for row in rows}
    frame = frame_of(dict(zip(labels, scores, strict=True)), seeds=range(max(map(len, scores))))
    return slot_effects(frame, factors=factors, metric="accuracy", settings=labels, **more)


def by_level(effects, slot):
    (found,) = [one for one in effects.slots if one.name == slot]
    return {level.name: level for level in found.levels}


def random_study(rng, factors, *, n_settings, n_seeds, missing=0.0):
    rows = grid(factors)
    rows = [rows[i] for i in sorted(rng.choice(len(rows), size=min(n_settings, len(rows)), replace=False))]
    scores = rng.normal(0.9, 0.01, (len(rows), n_seeds))
    kept = [[None if i and rng.random() < missing else float(x) for i, x in enumerate(row)] for row in scores]
    return rows, kept


def test_two_slots_with_two_levels_by_hand():
    rows = [{"a": a, "c": c} for a, c in product("xy", ("no", "yes"))]
    found = estimated(rows, [[0.80], [0.86], [0.84], [0.92]], [A, D])

    y, yes = by_level(found, "a")["y"], by_level(found, "c")["yes"]
    assert y.delta == pytest.approx(0.05)  # (0.04 + 0.06) / 2
    assert yes.delta == pytest.approx(0.07)  # (0.06 + 0.08) / 2
    assert by_level(found, "a")["x"].mean == pytest.approx(0.83)
    # Each setting deviates by 0.005 from the additive model: SS 4 · 0.005², one degree of freedom, SE 0.01.
    assert found.df == 1
    assert found.sd == pytest.approx(0.01)
    assert y.high - y.delta == pytest.approx(12.7062047 * 0.01)
    assert {slot.name: slot.test.f for slot in found.slots} == pytest.approx({"a": 25.0, "c": 49.0})
    assert {slot.name: slot.test.share for slot in found.slots} == pytest.approx({"a": 25 / 26, "c": 49 / 50})


def test_a_straight_trend_over_the_logarithm_of_a_number_by_hand():
    rows = [{"b": b, "c": c} for b in ("1", "3", "5") for c in ("no", "yes")]
    found = estimated(rows, [[0.1], [0.12], [0.2], [0.19], [0.3], [0.32]], [B, D])
    slot = found.slots[0]

    # Means 0.11, 0.195, 0.31: straight 0.2 / √2, bent 0.03 / √6; the error has 2 degrees of freedom.
    t = np.array([0.2 / 2**0.5, 0.03 / 6**0.5]) / (found.sd / 2**0.5)
    assert [slot.linear, slot.quadratic] == pytest.approx(list(2 * stats.t.sf(np.abs(t), 2)))


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_balanced_seeds_give_what_statsmodels_gives_on_the_means(n_seeds):
    rng = np.random.default_rng(1)
    for _ in range(5):
        rows, scores = random_study(rng, [A, B, D], n_settings=10, n_seeds=n_seeds)
        found = estimated(rows, scores, [A, B, D])
        if found.kept:
            continue
        table = pd.DataFrame(rows).assign(y=[np.mean(row) for row in scores])
        fitted = smf.ols("y ~ C(a) + C(b) + C(c)", table).fit()
        assert by_level(found, "b")["5"].delta == pytest.approx(fitted.params["C(b)[T.5]"], abs=1e-9)
        low, high = fitted.conf_int().loc["C(a)[T.y]"]
        assert (by_level(found, "a")["y"].low, by_level(found, "a")["y"].high) == pytest.approx((low, high), abs=1e-9)
        expected = anova_lm(fitted, typ=2)
        for slot in found.slots:
            assert slot.test.f == pytest.approx(expected.loc[f"C({slot.name})", "F"], rel=1e-9)
            assert slot.test.p == pytest.approx(expected.loc[f"C({slot.name})", "PR(>F)"], rel=1e-9)
            squares = expected.loc[[f"C({slot.name})", "Residual"], "sum_sq"]
            assert slot.test.share == pytest.approx(squares.iloc[0] / squares.sum(), rel=1e-9)


def test_missing_seeds_are_adjusted_for_and_settings_weigh_as_many_seeds_as_they_have():
    rng = np.random.default_rng(2)
    for _ in range(5):
        rows, scores = random_study(rng, [A, B, D], n_settings=11, n_seeds=4, missing=0.3)
        found = estimated(rows, scores, [A, B, D])
        if found.kept:
            continue
        runs = pd.DataFrame(
            [
                {"setting": label(row), "seed": s, "y": y}
                for row, of in zip(rows, scores, strict=True)
                for s, y in enumerate(of)
                if y is not None
            ]
        )
        seeds = smf.ols("y ~ C(setting) + C(seed)", runs).fit().params.filter(like="seed").to_numpy()
        seeds = np.array([0.0, *seeds]) - np.mean([0.0, *seeds])
        runs["y"] -= seeds[runs["seed"]]
        means = runs.groupby("setting", sort=False)["y"].agg(["mean", "size"])
        table = pd.DataFrame(rows).assign(y=means["mean"].to_numpy(), n=means["size"].to_numpy())
        fitted = smf.wls("y ~ C(a) + C(b) + C(c)", table, weights=table["n"]).fit()
        every = pd.DataFrame(grid([A, B, D]))
        assert by_level(found, "b")["3"].mean == pytest.approx(fitted.predict(every.assign(b="3")).mean(), abs=1e-9)
        assert by_level(found, "b")["3"].delta == pytest.approx(fitted.params["C(b)[T.3]"], abs=1e-9)
        assert by_level(found, "b")["3"].p == pytest.approx(fitted.pvalues["C(b)[T.3]"], rel=1e-7)


def test_seeds_that_no_settings_share_are_fitted_together_with_the_slots():
    rng = np.random.default_rng(3)
    rows = grid([A, B, D])
    seeds = [i % 2 for i in range(len(rows))]
    rng.shuffle(seeds)
    y = rng.normal(0.9, 0.01, len(rows))
    frame = pd.DataFrame(
        [
            {"study": "s", "setting": label(row), "seed": seed, "state": "complete", "accuracy": score}
            for row, seed, score in zip(rows, seeds, y, strict=True)
        ]
    )
    found = slot_effects(frame, factors=[A, B, D], metric="accuracy", settings={label(row): row for row in rows})
    table = pd.DataFrame(rows).assign(y=y, seed=seeds)
    fitted = smf.ols("y ~ C(a) + C(b) + C(c) + C(seed)", table).fit()

    assert found.blocked
    if not found.kept:
        assert found.df == fitted.df_resid
        assert by_level(found, "a")["y"].delta == pytest.approx(fitted.params["C(a)[T.y]"], abs=1e-9)


def test_an_interaction_that_stays_in_the_model_is_averaged_over_all_combinations():
    rng = np.random.default_rng(4)
    rows = grid([A, B, D])
    values = [[0.8 + 0.1 * (row["a"] == "y") * (row["c"] == "yes") + 0.001 * rng.normal()] for row in rows]
    found = estimated(rows, values, [A, B, D])
    table = pd.DataFrame(rows).assign(y=[value for (value,) in values])
    fitted = smf.ols("y ~ C(a) * C(c) + C(b)", table).fit()

    assert found.kept == (("a", "c"),)
    y = by_level(found, "a")["y"]
    predicted = [fitted.predict(table.assign(a=name)).mean() for name in ("x", "y")]
    assert y.delta == pytest.approx(predicted[1] - predicted[0], abs=1e-9)
    assert y.at_reference == pytest.approx(fitted.params["C(a)[T.y]"], abs=1e-9)
    expected = anova_lm(fitted, typ=2)
    assert {slot.name: slot.test.f for slot in found.slots}["a"] == pytest.approx(expected.loc["C(a)", "F"], rel=1e-9)
    assert found.interactions["a", "c"].p == pytest.approx(expected.loc["C(a):C(c)", "PR(>F)"], rel=1e-6)


def test_a_factorial_of_two_slots_tests_their_interaction_against_the_scatter_of_seeds():
    rng = np.random.default_rng(6)
    rows, n_seeds = grid([A, B]), 4
    scores = [list(0.8 + 0.02 * (row["a"] == "y") * (row["b"] == "5") + rng.normal(0, 0.01, n_seeds)) for row in rows]
    found = estimated(rows, scores, [A, B])
    runs = pd.DataFrame(
        [{**row, "seed": s, "y": y} for row, of in zip(rows, scores, strict=True) for s, y in enumerate(of)]
    )
    expected = anova_lm(smf.ols("y ~ C(a) * C(b) + C(seed)", runs).fit(), typ=2)
    test = found.interactions["a", "b"]

    assert test.is_pure
    assert (test.df, test.df_error) == (2, 15)
    assert test.f == pytest.approx(expected.loc["C(a):C(b)", "F"], rel=1e-9)
    assert test.p == pytest.approx(expected.loc["C(a):C(b)", "PR(>F)"], rel=1e-9)
    assert found.kept == ()
    assert found.df == 2


def test_a_slot_inside_another_is_compared_there_and_its_parent_at_its_reference():
    rows = grid([A, CHILD, B])
    worth = {"x": 0.0, "y": 0.02}
    values = [
        [0.8 + worth[row["a"]] + 0.05 * (row.get("child") == "q") + 0.001 * i % 0.003] for i, row in enumerate(rows)
    ]
    found = estimated(rows, values, [A, CHILD, B])

    assert by_level(found, "child")["q"].delta == pytest.approx(0.05, abs=0.003)
    assert by_level(found, "a")["y"].delta == pytest.approx(0.02, abs=0.003)
    assert ("a", "child") not in found.interactions


def test_adjusted_means_are_those_of_predictions_for_every_combination_that_exists():
    rng = np.random.default_rng(7)
    third = Factor("c", ("no", "yes", "both"), "no")
    factors = [A, CHILD, B, third]
    worth = {"yes": 0.1, "both": -0.05}
    rows = [row for i, row in enumerate(grid(factors)) if i % 10]
    y = [0.01 * rng.standard_normal() + worth.get(row["c"], 0) * (row["b"] == "5") for row in rows]
    found = estimated(rows, [[score] for score in y], factors)
    table = pd.DataFrame(rows).assign(q=[row.get("child") == "q" for row in rows], y=y)
    fitted = smf.ols("y ~ C(a) + q + C(b) * C(c, Treatment('no'))", table).fit()

    def predicted(chosen):
        frame = pd.DataFrame(chosen).assign(q=[row.get("child") == "q" for row in chosen])
        return fitted.predict(frame).mean()

    assert found.kept == (("b", "c"),)
    assert found.n_grid == 27
    for slot in factors:
        beside = [row for row in grid(factors) if row.get(slot.name) == slot.reference]
        for name, level in by_level(found, slot.name).items():
            expected = predicted([complete(factors, {**row, slot.name: name}) for row in beside])
            assert level.mean == pytest.approx(expected, abs=1e-9)
    five = by_level(found, "b")["5"]
    assert five.at_reference == pytest.approx(fitted.params["C(b)[T.5]"], abs=1e-9)
    assert by_level(found, "a")["y"].at_reference is None


def test_the_effect_at_the_reference_is_that_beside_the_references_of_its_family_too():
    kid = Factor("kid", ("1", "2"), "2", when=CHILD.when)
    rows = grid([A, CHILD, kid, B])
    worth = {("q", "1"): 0.1, ("q", "2"): 0.02}
    scores = [[worth.get((row.get("child"), row.get("kid")), 0.0) + 1e-4 * (i % 5)] for i, row in enumerate(rows)]
    found = estimated(rows, scores, [A, CHILD, kid, B])

    assert found.kept == (("child", "kid"),)
    assert by_level(found, "child")["q"].delta == pytest.approx(0.06, abs=1e-3)
    assert by_level(found, "child")["q"].at_reference == pytest.approx(0.02, abs=1e-3)


def test_a_slot_that_cannot_be_told_from_another_does_not_hide_the_interactions_of_the_rest():
    twin = Factor("twin", ("x", "y"), "x")
    rows = [{**row, "twin": row["a"]} for row in grid([A, B, D])]
    found = estimated(rows, [[0.01 * (i % 5)] for i in range(len(rows))], [A, B, D, twin])

    assert {pair for pair, test in found.interactions.items() if test} == {("b", "c")}
    assert {slot.name: slot.reason for slot in found.slots}["a"] == "its levels cannot be told from other slots"
    assert by_level(found, "a")["x"].mean is None


def test_an_interaction_that_cannot_be_told_from_one_in_the_model_stays_out_of_it():
    names = ["a", "b", "c", "d", "e"]
    factors = [Factor(name, ("0", "1"), "0") for name in names]
    rows = [dict(zip(names, (*row, str(sum(map(int, row[:3])) % 2)), strict=True)) for row in product("01", repeat=4)]
    rng = np.random.default_rng(8)
    scores = [[0.1 * (row["a"] == row["b"]) + 0.01 * rng.standard_normal()] for row in rows]
    found = estimated(rows, scores, factors)  # c × e looks like a × b

    assert found.kept in ((("a", "b"),), (("c", "e"),))
    assert found.interactions["a", "b"].f == pytest.approx(found.interactions["c", "e"].f)


def test_raw_means_mix_a_level_with_the_company_it_keeps():
    rows = [{"a": "x", "c": "no"}, {"a": "x", "c": "no", "b": "3"}, {"a": "y", "c": "yes"}, {"a": "y", "c": "no"}]
    rows = [{"b": "1", **row} for row in rows]
    found = estimated(rows, [[0.80], [0.80], [0.90], [0.80]], [A, B, D])

    assert by_level(found, "a")["y"].raw - by_level(found, "a")["x"].raw == pytest.approx(0.05)
    assert by_level(found, "a")["y"].delta == pytest.approx(0.0, abs=1e-9)


def test_what_settings_do_not_determine_has_no_figures_but_a_reason():
    rows = [{"a": "x", "c": "no"}, {"a": "y", "c": "yes"}]
    found = estimated(rows, [[0.8, 0.81], [0.9, 0.91]], [A, B, D])

    assert by_level(found, "a")["y"].delta is None
    assert found.exploratory[0] == "the settings do not determine the effects of all slots"
    assert {slot.name: slot.reason for slot in found.slots} == {
        "a": "no degrees of freedom are left for the error", "b": "it does not vary",
        "c": "no degrees of freedom are left for the error",
    }  # fmt: skip


def test_few_settings_at_a_level_and_many_pruned_runs_make_it_exploratory():
    rows = grid([A, D])
    labels = {label(row): row for row in rows}
    frame = frame_of({key: [0.8, 0.82] for key in labels}, seeds=(0, 1))
    frame.loc[[1, 3, 5], "state"] = "pruned"
    found = slot_effects(frame, factors=[A, D], metric="accuracy", settings=labels)

    assert "fewer than 3 settings hold a x, a y, c no, c yes" in found.exploratory
    assert any("38 % of the runs were stopped early" in doubt for doubt in found.exploratory)
    assert by_level(found, "a")["x"].pruned == 0.5


def test_a_setting_with_a_failed_seed_is_left_out():
    rows = grid([A, B])
    labels = {label(row): row for row in rows}
    frame = frame_of({key: [0.8, 0.82] for key in labels}, seeds=(0, 1))
    frame.loc[0, "state"] = "failed"
    found = slot_effects(frame, factors=[A, B], metric="accuracy", settings=labels)

    assert found.failed == {"a=x, b=1": (0,)}
    assert found.n_settings == 5


def test_constant_scores_have_differences_and_no_p_value():
    found = estimated(grid([A, B, D]), [[0.5]] * 12, [A, B, D])

    assert by_level(found, "a")["y"].delta == pytest.approx(0.0)
    assert by_level(found, "a")["y"].p is None
    assert found.slots[0].reason == "scores do not deviate from the model"


def test_no_complete_run_is_a_reason():
    rows = grid([A, D])
    labels = {label(row): row for row in rows}
    frame = frame_of({key: [0.8] for key in labels}, state="running")
    found = slot_effects(frame, factors=[A, D], metric="accuracy", settings=labels)

    assert [slot.reason for slot in found.slots] == ["no complete run", "no complete run"]
    assert (found.n_settings, found.df, found.sd) == (0, 0, None)


def test_a_level_that_is_not_declared_is_refused():
    with pytest.raises(ResultsError, match=r"setting 'a=z': unknown level of 'a' 'z' \(known: x, y\)"):
        estimated([{"a": "z"}, {"a": "x"}], [[0.1], [0.2]], [A])


@pytest.mark.parametrize(
    ("rows", "factors", "said"),
    [
        ([{"a": "x"}, {"a": "y", "c": "no"}], [A, D], "setting 'a=x' has no level of 'c'"),
        (
            [{"a": "x", "child": "p"}], [A, CHILD],
            "setting 'a=x, child=p' has child 'p', which exists with a y only",
        ),
        ([{"child": "p"}], [CHILD], "slot 'child' exists under levels of 'a', which must stand before it"),
        ([{"a": "x"}], [A, A], "slot 'a' is there twice"),
    ],
)  # fmt: skip
def test_settings_that_are_not_complete_are_refused(rows, factors, said):
    with pytest.raises(ResultsError) as caught:
        estimated(rows, [[0.5]] * len(rows), factors)
    assert str(caught.value) == said


def test_a_frame_without_the_metric_is_refused():
    with pytest.raises(ResultsError, match="unknown column 'f1'"):
        slot_effects(frame_of({"a=x": [0.5]}), factors=[A], metric="f1", settings={"a=x": {"a": "x"}})


def test_one_setting_has_a_mean_and_no_effect():
    found = estimated([{"a": "x", "c": "no"}], [[0.5, 0.6]], [A, D])

    assert [slot.reason for slot in found.slots] == ["it does not vary", "it does not vary"]
    assert by_level(found, "a")["x"].raw == pytest.approx(0.55)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 3), st.sampled_from([0.0, 0.5]))
def test_no_figure_is_ever_no_number(seed, n_settings, n_seeds, missing):
    rows, scores = random_study(
        np.random.default_rng(seed), [A, CHILD, B], n_settings=n_settings, n_seeds=n_seeds, missing=missing
    )
    found = estimated(rows, scores, [A, CHILD, B])

    figures = [value for slot in found.slots for one in slot.levels for value in vars(one).values()]
    figures += [value for slot in found.slots if slot.test for value in vars(slot.test).values()]
    assert all(np.isfinite(value) for value in figures if isinstance(value, float))
    for slot in found.slots:
        assert slot.test is not None or slot.reason


@pytest.mark.slow
@pytest.mark.parametrize("interaction", [0.0, 0.2])
def test_intervals_hold_the_average_effect_in_95_percent_of_random_studies(interaction):
    rng = np.random.default_rng(5)
    factors = [A, B, D, Factor("d", ("0", "1", "2", "3"), "0")]
    rows = grid(factors)
    hits = []
    for _ in range(300):
        truth = interaction * rng.standard_normal((2, 4))
        truth -= truth.mean(axis=1, keepdims=True)  # the average effect of `a` is zero
        chosen = [rows[i] for i in rng.choice(len(rows), 24, replace=False)]
        values = [[truth["xy".index(row["a"]), int(row["d"])] + 0.3 * rng.standard_normal()] for row in chosen]
        y = by_level(estimated(chosen, values, factors), "a")["y"]
        hits.append(y.low <= 0 <= y.high)

    assert 0.91 <= np.mean(hits) <= 0.985
