import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import ResultsError
from reports.latex import render
from reports.sequential import Looks
from reports.tables import Metric

GOLDEN = Path(__file__).parent / "golden"


def column(table, header):
    return [row[table.columns.index(header)] for row in table.rows]


def text_of(table):
    return " ".join([table.caption, *table.notes])


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


def with_loss(runs, scores, shift):
    frame = runs(scores)
    noise = np.random.default_rng(1).normal(0, 0.002, len(frame))
    frame["loss"] = [1 - a + shift.get(s, 0) for a, s in zip(frame["accuracy"], frame["setting"], strict=True)] + noise
    frame["f1"] = frame["accuracy"].mean() + np.random.default_rng(2).normal(0, 0.01, len(frame))
    return frame


CONTROL = {"control": [0.9005, 0.9069, 0.8967, 0.9116, 0.8997]}


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


def test_rows_of_one_slot_stand_together(analysis, runs):
    from reports.tables import comparison_table

    choices = {
        "reference": {"norm": "batch", "conv": "dense"},
        "norm=layer": {"norm": "layer", "conv": "dense"},
        "norm=group": {"norm": "group", "conv": "dense"},
        "conv=grouped": {"norm": "batch", "conv": "grouped"},
        "conv=depthwise": {"norm": "batch", "conv": "depthwise"},
    }
    frame = runs({label: [0.9, 0.91] for label in choices})

    def breaks(labels):
        plan = {"settings": labels, "choices": choices, "reference": "reference"}
        return comparison_table(analysis(frame, **plan)).breaks

    assert breaks(list(choices)) == {1, 3}
    assert breaks(["reference", "norm=layer", "norm=group"]) == frozenset()
    assert breaks(["reference", "norm=layer", "conv=grouped"]) == frozenset()
