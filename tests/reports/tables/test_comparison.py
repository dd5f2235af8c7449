import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import ResultsError
from reports.formats import count, fixed, magnitude, milliseconds, probability
from reports.latex import render
from reports.sequential import Looks
from reports.tables import Metric

GOLDEN = Path(__file__).parent / "golden"


def column(table, header):
    return [row[table.columns.index(header)] for row in table.rows]


def text_of(table):
    return " ".join([table.caption, *table.notes])


@pytest.mark.parametrize(
    ("name", "show"),
    [("attention.txt", lambda t: t.to_text()), ("attention.md", lambda t: t.to_markdown()), ("attention.tex", render)],
)
def test_table_is_the_golden_file(table, five_blocks, name, show):
    """Run with UPDATE_GOLDEN=1 to write the files anew, then read them."""
    shown = show(table(five_blocks, practical=0.005))
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(shown, encoding="utf-8")

    assert shown == (GOLDEN / name).read_text(encoding="utf-8")


def test_a_typical_table_fits_a_terminal(table, five_blocks):
    lines = table(five_blocks).to_text().splitlines()

    assert max(map(len, lines)) <= 110


def test_caption_and_notes_wrap_at_the_width_asked_for(table, five_blocks):
    shown = table(five_blocks)

    prose = [
        line for line in shown.to_text(60).splitlines() if not line.startswith((*five_blocks, "attention  ", "--"))
    ]

    assert max(map(len, prose)) <= 60


def test_figures_are_in_percent_and_the_frame_in_fractions(table, five_blocks):
    shown = table(five_blocks)

    assert column(shown, "accuracy %")[0] == "90.30 ± 0.64"
    assert shown.frame["mean"][0] == pytest.approx(0.903)
    assert shown.frame["delta"][3] == pytest.approx(0.0192)
    expected = {
        "mean",
        "sd",
        "delta",
        "low",
        "high",
        "p",
        "p_adjusted",
        "detectable",
        "verdict",
        "n",
        "params",
        "macs",
        "latency_ms",
    }
    assert expected <= set(shown.frame.columns)


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


def test_failed_runs_are_counted_and_their_setting_is_not_compared(table, five_blocks):
    shown = table(five_blocks | {"eca": [0.899, None, 0.893, None, 0.901]})

    assert shown.rows[2][1].endswith(" †")
    assert shown.rows[2][2:4] == ("–", "–")
    assert column(shown, "verdict")[2] == "2/5 failed"
    assert "† 'eca': 2 of 5 runs diverged or crashed (seeds 1 and 3)" in text_of(shown)
    assert "The table rests on 23 of 25 planned trials ('eca' 3 of 5)." in shown.notes
    assert "Robust mode, because a run failed" in text_of(shown)


def test_all_failed_is_a_table_of_dashes_that_says_so(table):
    shown = table({"none": [None] * 3, "se": [None] * 3})

    assert shown.notes[0] == "Nothing can be compared with 'none' yet: 3/3 runs diverged or crashed ('se')."
    assert set(shown.rows[1][1:]) == {"–", "3/3 failed", "0"}


def test_a_failed_reference_is_named(table, five_blocks):
    shown = table(five_blocks | {"none": [None, 0.9, 0.9, 0.9, 0.9]})

    assert "1/5 runs of 'none' diverged or crashed ('se', 'eca', 'CBAM_k7' and" in shown.notes[0]


def test_a_planned_setting_without_runs_has_a_row_of_dashes(table, five_blocks):
    shown = table(five_blocks, settings=[*five_blocks, "later"])

    assert shown.rows[-1][0] == "later"
    assert set(shown.rows[-1][1:]) == {"–", "0"}
    assert "The table rests on 25 of 30 planned trials ('later' 0 of 5)." in shown.notes
    assert "'later' is not" not in text_of(shown)


def test_means_over_different_seeds_are_not_to_be_subtracted(table):
    shown = table({"none": [0.90, 0.91, 0.95, 0.96], "se": [0.91, 0.925, ..., ...]})

    assert column(shown, "Δ pp [95 % interval]")[1].startswith("+1.25")
    assert "Δ is adjusted for the seeds that a setting lacks" in text_of(shown)


def test_a_study_that_has_not_begun_has_a_table_too(table, runs, five_blocks):
    shown = table(runs(five_blocks).iloc[:0], settings=["none", "se"], planned_seeds=range(5))

    assert shown.notes[0] == "Nothing can be compared with 'none' yet: no complete run ('se')."
    assert "The table rests on 0 of 10 planned trials ('none' 0 of 5 and 'se' 0 of 5)." in shown.notes


def test_a_frame_that_went_through_csv_gives_the_same_table(table, runs, five_blocks, tmp_path):
    frame = runs(five_blocks)
    frame.to_csv(tmp_path / "runs.csv", index=False)

    assert table(pd.read_csv(tmp_path / "runs.csv", keep_default_na=False)) == table(frame)


def test_runs_outside_the_plan_are_left_out_and_counted(table, five_blocks):
    wanted = {name: five_blocks[name][:3] for name in ("none", "se")}

    shown = table(five_blocks, settings=["none", "se"], planned_seeds=range(3))

    assert shown.rows == table(wanted).rows
    assert "19 complete runs outside the plan are not used." in shown.notes


def test_seed_pairing_that_buys_nothing_is_mentioned(table):
    scores = {"none": [0.90, 0.92, 0.91, 0.93], "se": [0.93, 0.90, 0.92, 0.91]}

    assert "Pairing by seed bought nothing here" in text_of(table(scores))


def test_secondary_metrics_have_a_mean_and_no_test(table, runs, five_blocks):
    frame = runs(five_blocks)
    frame["psnr"] = 30 + frame["accuracy"]

    shown = table(frame, secondary=[Metric("psnr", unit="dB")])

    assert column(shown, "psnr dB")[0] == "30.9030 ± 0.0064"
    assert sum("interval" in header for header in shown.columns) == 1
    assert shown.frame["psnr_mean"][0] == pytest.approx(30.903)


def test_a_metric_that_is_no_fraction_is_shown_as_it_is(table, runs):
    frame = runs({"none": [31.1, 31.4, 31.0], "se": [31.9, 32.3, 31.7]}, metric="psnr")

    shown = table(frame, metric=Metric("psnr", unit="dB"))

    assert "Δ dB [95 % interval]" in shown.columns
    assert column(shown, "psnr dB")[0].startswith("31.16")


def test_lower_is_better_for_a_loss(table, runs):
    frame = runs({"none": [0.5, 0.51, 0.52], "se": [0.4, 0.411, 0.419]}, metric="loss")

    shown = table(frame, metric=Metric("loss", higher_is_better=False))

    assert column(shown, "verdict") == ["–", "better"]
    assert "lower is better" in shown.caption


def with_slots(runs, rows):
    frame = runs({label: [0.9 + 0.01 * i, 0.91, 0.92] for i, label in enumerate(rows)}).drop(columns="slot.attention")
    for slot in ("conv", "mix", "norm"):
        frame[f"slot.{slot}"] = [rows[label].get(slot) for label in frame["setting"]]
    return frame


SLOTS = {
    "none": {"conv": "dense", "norm": "batch"},
    "conv=depthwise": {"conv": "depthwise", "mix": "none", "norm": "batch"},
    "conv=depthwise, mix=pointwise": {"conv": "depthwise", "mix": "pointwise", "norm": "batch"},
}


def test_several_slots_are_columns_where_they_vary_and_an_absent_slot_is_a_dash(table, runs):
    shown = table(with_slots(runs, SLOTS), slots=["conv", "mix", "norm"])

    assert shown.columns[:2] == ("conv", "mix")
    assert [row[:2] for row in shown.rows] == [("dense", "–"), ("depthwise", "none"), ("depthwise", "pointwise")]
    assert "norm" not in shown.columns


def test_settings_are_named_where_their_slots_do_not_tell_them_apart(table, runs):
    shown = table(with_slots(runs, SLOTS), slots=["conv", "norm"])

    assert shown.columns[:2] == ("setting", "conv")


def test_the_partner_is_a_column_when_it_is_not_always_the_reference(table, runs):
    shown = table(
        with_slots(runs, SLOTS),
        slots=["conv", "mix"],
        against={"conv=depthwise": "none", "conv=depthwise, mix=pointwise": "conv=depthwise"},
    )

    assert column(shown, "vs row") == ["–", "1", "2"]
    assert "difference from the setting it is compared with" in shown.caption


def test_user_notes_come_last_as_sentences(table, five_blocks):
    assert table(five_blocks, notes=["pilot,\nnot the paper"]).notes[-1] == "pilot, not the paper."


def test_markdown_escapes_what_would_break_the_table(table):
    shown = table({"none": [0.9, 0.91], "a|b *c*_d <e>": [0.9, 0.92]}).to_markdown()

    assert r"| a\|b \*c\*\_d \<e> |" in shown


def test_chinese_labels_are_aligned_by_the_columns_they_take(table):
    lines = table({"none": [0.9, 0.91], "注意力": [0.9, 0.92]}).to_text().splitlines()
    none, chinese = (next(line for line in lines if line.startswith(start)) for start in ("none", "注意力"))

    assert none.index("±") == chinese.index("±") + 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": "norm"}, "the frame holds study 'attention', not 'norm'"),
        ({"reference": "nine"}, "unknown setting 'nine'; did you mean 'none'"),
        ({"slots": ["atention"]}, "unknown column 'slot.atention'; did you mean 'slot.attention'"),
        ({"metric": Metric("acc")}, "unknown column 'acc'"),
        ({"secondary": [Metric("loss")]}, "unknown column 'loss'"),
        ({"metric": Metric("params", unit="fraction")}, "column 'params' holds 77850; a fraction lies between 0 and 1"),
    ],
)
def test_bad_input_is_a_sentence(table, five_blocks, change, message):
    with pytest.raises(ResultsError, match=message):
        table(five_blocks, **change)


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


def test_settings_may_have_different_planned_seeds(table):
    scores = {"none": [0.90, 0.91, 0.95, 0.96], "se": [0.91, 0.925, 0.93, ...]}

    shown = table(scores, planned_seeds={"none": [0, 1, 2, 3], "se": [0, 1]})

    assert column(shown, "n") == ["4", "2"]
    assert "1 complete run outside the plan is not used." in shown.notes
    assert "planned trials" not in text_of(shown)
    assert (
        "The table rests on 6 of 7 planned trials ('se' 2 of 3)."
        in table(scores | {"se": [0.91, 0.925, ..., ...]}, planned_seeds={"none": range(4), "se": range(3)}).notes
    )


def test_a_setting_without_planned_seeds_is_named(table, five_blocks):
    with pytest.raises(ResultsError, match=r"unknown setting 'se' .* in the planned seeds"):
        table(five_blocks, planned_seeds={name: range(5) for name in five_blocks if name != "se"})


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


def test_wins_stand_in_the_frame(table, five_blocks):
    shown = table(five_blocks)

    assert shown.frame["wins"].tolist()[1:] == ["5 of 5 seeds", "1 of 5 seeds", "5 of 5 seeds", "0 of 5 seeds"]
    assert shown.frame["d_z"].notna().tolist() == [False, True, True, True, True]


def test_equal_scores_of_any_two_settings_are_named_once(table, five_blocks):
    shown = table(five_blocks | {"again": five_blocks["se"], "more": five_blocks["se"]})

    assert (
        "'se', 'again' and 'more' scored exactly the same on every seed: check that the change reaches the network."
        in shown.notes
    )
    twins = table(five_blocks | {"again": five_blocks["se"]}, calibration=[("se", "again")])
    assert "scored exactly the same" not in text_of(twins)


def test_one_setting_with_two_networks_is_refused(table, runs, five_blocks):
    frame = runs(five_blocks)
    frame.loc[0, "params"] = 1

    with pytest.raises(ResultsError, match="setting 'none' has several values in column 'params'"):
        table(frame)


@pytest.mark.parametrize("cost", ["many", np.inf, -1])
def test_a_cost_that_is_no_number_is_refused(table, runs, five_blocks, cost):
    frame = runs(five_blocks).astype({"params": object})
    frame.loc[0, "params"] = cost

    with pytest.raises(ResultsError, match=f"column 'params' holds {cost} for setting 'none'; a cost is a finite"):
        table(frame)


def test_costs_that_were_not_measured_are_dashes(table, runs, five_blocks):
    shown = table(runs(five_blocks).drop(columns="latency_ms").assign(macs=np.nan))

    assert set(column(shown, "ms")) | set(column(shown, "MACs")) == {"–"}


@pytest.mark.parametrize(
    ("show", "value", "expected"),
    [
        (count, 77850, "77,850"), (count, 25_557_032, "25.6 M"), (count, None, "–"),
        (magnitude, 1.234e6, "1.23 M"), (magnitude, 999_600, "1.00 M"), (magnitude, 4.1e9, "4.10 G"),
        (magnitude, 950, "950"), (magnitude, 0, "0"), (magnitude, 3e13, "30.0 T"),
        (milliseconds, 0.84, "0.84"), (milliseconds, 12.34, "12.3"), (milliseconds, 1234.5, "1,234"),
        (probability, 0.0001, "<0.001"), (probability, 0.1324, "0.132"), (probability, 1.0, "1.000"),
    ],
)  # fmt: skip
def test_numbers_are_compact(show, value, expected):
    assert show(value) == expected


def test_differences_carry_a_sign_unless_they_round_to_nothing():
    assert [fixed(x, 2, signed=True) for x in (1.234, -1.234, -0.001, 0.0, float("nan"))] == [
        "+1.23",
        "−1.23",
        "0.00",
        "0.00",
        "–",
    ]


score = st.one_of(st.none(), st.just(...), st.integers(0, 50).map(lambda hits: hits / 50))
frames = st.dictionaries(
    st.sampled_from(["none", "se", "eca", "cbam", "gam"]),
    st.lists(score, min_size=4, max_size=4),
    min_size=1,
    max_size=5,
).filter(lambda scores: any(value is not ... for row in scores.values() for value in row))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    frames,
    st.sampled_from([None, 0.02]),
    st.sampled_from(["fraction", ""]),
    st.sampled_from(["holm", "dunnett"]),
    st.sampled_from([{}, {"looks": Looks(2, 4)}, {"looks": Looks(2, 4), "until": "best"}]),
)
def test_no_table_ever_holds_nan_or_infinity(table, runs, scores, practical, unit, correction, seeds):
    frame = runs(scores).fillna({"accuracy": np.nan})

    shown = table(
        frame.assign(loss=1 - frame["accuracy"]),
        settings=["none", "se", "eca", "cbam", "gam"],
        metric=Metric("accuracy", unit=unit),
        secondary=[Metric("loss", higher_is_better=False)],
        practical=practical,
        planned_seeds=range(4),
        correction=correction,
        calibration=[("none", "gam")],
        **seeds,
    )

    everything = " ".join([shown.to_text(), shown.to_markdown(), render(shown)])
    assert not re.search(r"\b(nan|inf|none type|<na>)\b", everything.replace("'none'", ""), re.IGNORECASE)
    assert len(shown.rows) == 5
    assert all(len(row) == len(shown.columns) for row in shown.rows)
    for _, figures in shown.frame.iterrows():
        words = ["better", "worse", "equivalent", "inconclusive"]
        assert figures["p_adjusted"] <= 1 or figures["verdict"] not in words


def test_a_twin_has_a_row_and_a_sentence_and_a_failed_check_comes_first(table, five_blocks):
    good = table({**five_blocks, "control": five_blocks["none"][::-1]}, calibration=[("none", "control")])
    bad = table({**five_blocks, "control": [s + 0.05 for s in five_blocks["none"]]}, calibration=[("none", "control")])

    assert any("A/A" in row for row in good.rows)
    assert any("A/A check" in note and "as it should be" in note for note in good.notes)
    assert bad.notes[0].startswith("Warning: the A/A check failed")


def test_settings_that_score_the_same_in_everything_are_named_whoever_they_are_compared_with(table, runs, five_blocks):
    scores = {**five_blocks, "twin of se": five_blocks["se"]}
    frame = runs(scores)
    frame["loss"] = 1 - frame["accuracy"]
    said = [note for note in table(frame).notes if "exactly the same" in note]
    assert len(said) == 1
    assert "'se'" in said[0]
    assert "'twin of se'" in said[0]

    frame.loc[frame["setting"] == "se", "loss"] += 0.001
    assert not any("exactly the same" in note for note in table(frame).notes)


def test_marks_come_first_and_stand_in_the_caption(table, five_blocks):
    made = table(five_blocks, marks=["Selected on the test part."], scored_on="Scored on digits.")

    assert made.notes[0] == "Selected on the test part."
    assert "Selected on the test part." in made.caption
    assert "Scored on digits." in made.caption


def test_secondary_metrics_are_one_family_of_their_own(table, runs, five_blocks):
    frame = runs(five_blocks)
    frame["loss"], frame["error"] = 1 - frame["accuracy"], 2 - 2 * frame["accuracy"]
    secondary = [Metric("loss", higher_is_better=False), Metric("error", higher_is_better=False)]
    figures = table(frame, secondary=secondary).frame.set_index("setting")
    alone = table(frame, secondary=secondary[:1]).frame.set_index("setting")

    assert figures.loc["CBAM_k7", "loss_verdict"] == "better"
    assert figures.loc["CBAM_k7", "loss_p_adjusted"] > alone.loc["CBAM_k7", "loss_p_adjusted"]
    assert figures.loc["CBAM_k7", "error_delta"] == pytest.approx(2 * figures.loc["CBAM_k7", "loss_delta"])


def test_the_planned_seeds_of_each_setting_may_differ(table, five_blocks):
    seeds = {name: [0, 1, 2, 3, 4] for name in five_blocks} | {"se": [0, 1]}
    made = table({**five_blocks, "se": five_blocks["se"][:2]}, planned_seeds=seeds)

    assert not any("planned trials" in note for note in made.notes)
