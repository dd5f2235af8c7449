"""What the comparison says, in sentences."""

import re

import numpy as np
import pytest
from hypothesis import strategies as st

from reports.sequential import Looks
from reports.tables import Metric


def column(table, header):
    return [row[table.columns.index(header)] for row in table.rows]


def text_of(table):
    return " ".join([table.caption, *table.notes])


def test_the_answer_comes_first(table, five_blocks):
    note = table(five_blocks).notes[0]

    assert note == (
        "'se' (+0.40 pp) and 'CBAM_k7' (+1.92 pp) are better than 'none' at 5 % after Holm's correction; "
        "'coordinate(reduction=8)' (−0.84 pp) is worse than 'none'."
    )


def test_nothing_found_says_what_would_have_been_found(table):
    scores = {"none": [0.90, 0.92, 0.91], "se": [0.92, 0.90, 0.91], "eca": [0.91, 0.91, 0.92]}

    shown = table(scores)

    assert re.fullmatch(
        r"No setting differs from 'none' at 5 % after Holm's correction: with 3 seeds an effect of \d\.\d\d pp or more "
        r"would have been found with 80 % probability\.",
        shown.notes[0],
    )
    assert "Inconclusive does not mean equal" in shown.notes[1]
    assert set(column(shown, "verdict")) == {"–", "inconclusive"}


def test_one_detectable_difference_for_all_stands_in_the_caption(table):
    shown = table({"none": [0.80, 0.82, 0.84], "a": [0.83, 0.85, 0.84], "b": [0.79, 0.82, 0.82]})

    assert "detectable" not in shown.columns
    assert re.search(r"A true difference of \d\.\d\d pp is found with 80 % probability\.", shown.caption)


def test_one_seed_gives_no_conclusion(table):
    shown = table({"none": [0.9], "se": [0.92], "eca": [0.89]})

    assert shown.notes[0].startswith("No conclusion: with one seed noise and effect cannot be told apart")
    assert "'se' (+2.00 pp)" in shown.notes[0]
    assert column(shown, "Δ pp") == ["reference", "+2.00", "−1.00"]
    assert set(column(shown, "p (Holm)")) == {"–"}


def test_two_seeds_are_called_a_screening(table):
    assert "Two seeds are a screening" in text_of(table({"none": [0.9, 0.91], "se": [0.92, 0.925]}))


def test_scores_that_do_not_vary_are_said_not_to(table):
    notes = table({"none": [0.9] * 3, "se": [0.9] * 3}).notes

    assert notes[0] == "No conclusion, because no comparison could be tested: scores do not vary ('se')."
    assert any("'none' and 'se' scored exactly the same on every seed" in note for note in notes)


def test_seed_pairing_that_buys_nothing_is_mentioned(table):
    scores = {"none": [0.90, 0.92, 0.91, 0.93], "se": [0.93, 0.90, 0.92, 0.91]}

    assert "Pairing by seed bought nothing here" in text_of(table(scores))


CLOSE = {"none": [0.901, 0.907, 0.896, 0.912, 0.899], "se": [0.904, 0.905, 0.897, 0.914, 0.902]}


def test_inconclusive_settings_say_how_many_more_seeds_they_take(table, five_blocks):
    shown = table(five_blocks | {"se": CLOSE["se"]})
    se, eca = (int(shown.frame["more_seeds"][row]) for row in (1, 2))

    assert shown.notes[1].startswith(
        f"Inconclusive for 'se' (about {se} more seeds) and 'eca' (about {eca} more), which does not show equality: "
        "with 5 seeds an effect of 0."
    )
    assert shown.notes[1].endswith(
        " pp or more would have been found with 80 % probability, and with so many more seeds one as large as observed."
    )
    assert shown.frame["more_seeds"].isna().tolist() == [True, False, False, True, True]


def test_more_seeds_find_the_practical_difference_where_there_is_one(table):
    shown = table(CLOSE, practical=0.0004)
    n = int(shown.frame["more_seeds"][1])

    assert shown.notes[2] == f"To find an effect of 0.04 pp with 80 % probability would take about {n} more seeds."


def test_a_difference_of_nothing_takes_more_than_a_thousand_seeds(table):
    shown = table({"none": [0.9, 0.91, 0.92], "se": [0.91, 0.9, 0.92], "eca": [0.9, 0.93, 0.92]})

    assert "would take more than 1,000 more seeds for 'se' and about" in shown.notes[2]


def test_many_inconclusive_settings_give_the_range_of_seeds(table, five_blocks):
    rng = np.random.default_rng(0)
    more = {f"s{i}": [score + rng.normal(0, 0.001) for score in five_blocks["none"]] for i in range(5)}

    counts = (shown := table(five_blocks | more)).frame["more_seeds"].dropna()

    high = f"{int(counts.max()):,}" if len(counts) == 6 else "more than 1,000"
    assert f"for the other 6 settings (about {int(counts.min())} to {high} more seeds)" in shown.notes[1]


def test_enough_seeds_are_not_asked_for(table):
    scores = {"none": [0.9, 0.91, 0.92, 0.9], "se": [0.903, 0.9135, 0.923, 0.9025], "eca": [0.9, 0.91, 0.922, 0.9]}
    shown = table(scores, practical=0.0029)

    assert shown.frame["verdict"].tolist()[1:] == ["better", "equivalent"]
    assert "more seeds" not in text_of(shown)


def test_dunnetts_correction_is_named(table, five_blocks):
    shown = table(five_blocks, correction="dunnett")

    assert "p (Dunnett)" in shown.columns
    assert "at 5 % after Dunnett's correction" in shown.notes[0]
    assert "corrected over 4 comparisons by Dunnett's method" in shown.caption


def test_dunnetts_correction_that_does_not_hold_is_said_to_be_holms(table, five_blocks):
    shown = table(five_blocks | {"eca": [0.899, None, 0.893, None, 0.901]}, correction="dunnett")

    assert "p (Holm)" in shown.columns
    assert (
        "The correction is Holm's, although Dunnett's was asked for: with moderated variances Dunnett's joint "
        "distribution does not hold." in shown.notes
    )


def with_loss(runs, scores, shift):
    frame = runs(scores)
    noise = np.random.default_rng(1).normal(0, 0.002, len(frame))
    frame["loss"] = [1 - a + shift.get(s, 0) for a, s in zip(frame["accuracy"], frame["setting"], strict=True)] + noise
    frame["f1"] = frame["accuracy"].mean() + np.random.default_rng(2).normal(0, 0.01, len(frame))
    return frame


def test_secondary_metrics_with_a_verdict_have_a_sentence_and_the_rest_one_together(table, runs):
    frame = with_loss(runs, CLOSE, {"se": 0.05})

    shown = table(frame, secondary=[Metric("loss", higher_is_better=False), Metric("f1")])

    assert any(
        re.fullmatch(r"loss \(secondary\): 'se' \(\+0\.0\d+\) is worse than 'none'\.", note) for note in shown.notes
    )
    assert (
        "On f1 (secondary) no setting can be told from the one it is compared with at 5 % after Holm's correction over "
        "the 2 comparisons on all secondary metrics." in shown.notes
    )
    assert shown.frame["loss_verdict"].tolist()[1] == "worse"
    assert shown.frame["loss_delta"][1] == pytest.approx(0.048, abs=0.003)
    assert shown.frame["loss_low"][1] < shown.frame["loss_delta"][1] < shown.frame["loss_high"][1]
    assert shown.frame["loss_p_adjusted"][1] < 0.05 < shown.frame["f1_p_adjusted"][1]


def test_where_every_secondary_metric_has_a_verdict_the_correction_is_named(table, runs):
    shown = table(with_loss(runs, CLOSE, {"se": 0.05}), secondary=[Metric("loss", higher_is_better=False)])

    assert (
        "Secondary metrics are judged at 5 % after Holm's correction over the 1 comparison on all secondary metrics."
        in shown.notes
    )


CONTROL = {"control": [0.9005, 0.9069, 0.8967, 0.9116, 0.8997]}


def test_an_a_a_pair_that_agrees_has_a_row_and_a_note(table, five_blocks):
    shown = table(five_blocks | CONTROL, calibration=[("none", "control")])

    assert column(shown, "verdict")[-1] == "A/A"
    assert shown.frame["verdict"].tolist()[-1] == "A/A"
    assert re.search(
        r"A/A check: 'control' and 'none' compute the same function; Δ = .0\.\d\d pp \[.*\], p = 0\.\d{3}: as it should be\.",
        text_of(shown),
    )
    assert "corrected over 4 comparisons" in shown.caption
    assert "An A/A pair is none of these comparisons and corrected for A/A pairs alone." in shown.caption


def test_an_a_a_pair_that_differs_is_the_first_warning(table, five_blocks):
    control = {"control": [score + 0.02 for score in CONTROL["control"]]}

    shown = table(five_blocks | control, calibration=[("none", "control")], marks=["Selected on the test split"])

    assert shown.notes[0].startswith(
        "Warning: the A/A check failed: 'control' and 'none' compute the same function, yet Δ = +2.0"
    )
    assert shown.notes[0].endswith("differences of this size are no effects here; do not trust the verdicts below.")
    assert shown.notes[1] == "Selected on the test split."
    assert column(shown, "verdict")[-1] == "A/A failed"


def test_an_a_a_pair_that_was_not_run_says_so(table, five_blocks):
    shown = table(five_blocks, settings=[*five_blocks, "control"], calibration=[("none", "control")])

    assert (
        "A/A check: 'control' and 'none' compute the same function, but are not tested: no complete run." in shown.notes
    )


def test_a_twin_of_another_setting_shows_its_partner(table, five_blocks):
    shown = table(five_blocks | CONTROL, calibration=[("eca", "control")])

    assert column(shown, "vs row") == ["–", "1", "1", "1", "1", "3"]


def test_marks_come_first_and_stand_in_the_caption_too(table, five_blocks):
    mark = "Selected on the test split, as asked by select: test: these scores are too good"

    shown = table(five_blocks, marks=[mark], scored_on="Scored on the test split of digits: 1,497 images")

    assert shown.notes[0] == f"{mark}."
    assert shown.caption.endswith(f"Scored on the test split of digits: 1,497 images. {mark}.")


ADAPTIVE = {
    "none": [0.800, 0.822, 0.811, 0.803],
    "good": [0.851, 0.870, ..., ...],
    "near": [0.803, 0.820, 0.813, 0.803],
}


ALLOCATED = {"none": range(4), "good": range(2), "near": range(4)}


def test_adaptive_seeds_state_their_rule(table, runs):
    frame = runs(ADAPTIVE).assign(loss=lambda rows: 1 - rows["accuracy"])

    shown = table(frame, looks=Looks(2, 4), planned_seeds=ALLOCATED, secondary=[Metric("loss")])

    assert "p (sequential)" in shown.columns
    assert shown.notes[:2] == (
        "'good' (+4.96 pp) is better than 'none' at 5 % after correction for all looks and comparisons.",
        "Inconclusive for 'near', which does not show equality.",
    )
    assert "Seeds were allocated adaptively: from 2 to 4, until decided." in shown.caption
    assert "p: two-sided, adjusted for all looks and comparisons." in shown.caption
    assert "naive 95 % t-interval" in shown.caption
    assert "80 %" not in text_of(shown)
    assert "Two seeds are a screening" not in text_of(shown)


def test_a_race_shows_who_is_left(table):
    shown = table(ADAPTIVE, looks=Looks(2, 4), until="best", planned_seeds=ALLOCATED)

    assert column(shown, "verdict") == ["dropped at 2 seeds", "in the race", "dropped at 2 seeds"]
    assert shown.notes[0] == "The race left 'good': every other setting fell behind and was dropped."
    assert "A race selects and tests nothing." in shown.caption
    assert not any(header.startswith("p ") for header in shown.columns)
    assert column(shown, "Δ pp")[1] == "+4.96"


def test_a_race_that_is_not_over_names_who_is_still_in(table):
    shown = table(CLOSE, looks=Looks(2, 5), until="best")

    assert shown.notes[0] == "Still in the race: 'none' and 'se'."


def test_the_guard_under_adaptive_seeds_is_told_of(table):
    shown = table(
        ADAPTIVE | {"bad": [0.7, None, ..., ...]}, looks=Looks(2, 4), planned_seeds=ALLOCATED | {"bad": [0, 1]}
    )

    assert (
        "The variances are pooled, because seeds were allocated adaptively, although a run failed: the verdicts are "
        "less sure than they look." in shown.notes
    )


def test_ten_seeds_have_a_sign_flip_test_that_may_disagree(table):
    base = np.random.default_rng(4).normal(0.9, 0.004, 10)
    outlier = base + np.array([0.0001, -0.0001, 0.0001, -0.0001, 0.0001, -0.0001, 0.0001, -0.0001, 0.0001, 0.05])
    steady = base + np.linspace(0.0009, 0.0011, 10)
    shown = table({"none": list(base), "odd": list(outlier), "sure": list(steady)})

    assert shown.frame["p_sign_flip"][2] == pytest.approx(2 / 1024)
    assert shown.frame["verdict"][2] == "inconclusive"
    assert "The sign-flip test finds a difference of 'sure' (p = 0.002): look at its scores." in shown.notes


score = st.one_of(st.none(), st.just(...), st.integers(0, 50).map(lambda hits: hits / 50))


def test_of_many_better_settings_the_largest_are_named(table):
    noise = [0.004, -0.004, 0.002, -0.003, 0.001]
    scores = {"none": [0.5 + one for one in noise]} | {
        f"s{i}": [0.6 + 0.01 * i + (1 if i % 2 else -1) * one for one in noise] for i in range(12)
    }

    answer = table(scores).notes[0]

    assert answer.startswith(
        "'s11' (+21.00 pp), 's10' (+20.00 pp), 's9' (+19.00 pp), 's8' (+18.00 pp) and 8 more are better"
    )
