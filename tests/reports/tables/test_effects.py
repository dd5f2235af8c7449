"""The table of slots, as it is printed."""

import math

import pytest

from reports.latex import render


def test_it_has_a_row_for_each_choice_and_names_each_slot_once(slots_table):
    made = slots_table()

    assert [row[:2] for row in made.rows] == [
        ("attention", "none"), ("", "se"), ("", "eca"), ("norm", "batch"), ("", "group(groups=4)"),
        ("kernel", "3"), ("", "5"), ("", "7"),
    ]  # fmt: skip
    assert made.columns == (
        "slot", "choice", "adjusted accuracy %", "Δ pp [95 % interval]", "p (Holm)", "raw", "settings", "runs",
    )  # fmt: skip
    assert made.rows[0][3] == "reference"
    assert [row[-2:] for row in made.rows[3:5]] == [("9", "27"), ("9", "27")]


def test_an_effect_is_named_and_what_is_noise_is_not(slots_table):
    notes = slots_table(lambda row: -0.05 * (row["norm"] != "batch")).notes

    assert notes[0].startswith("On average worse at 5 % after Holm's correction: norm 'group(groups=4)' (−")
    assert not any("better" in note for note in notes)
    assert any(note.startswith("Trend over 'kernel': straight p = 0.") for note in notes)


def test_noise_alone_is_said_to_be_none(slots_table):
    assert (
        slots_table().notes[0]
        == "No choice differs on average from its slot's reference at 5 % after Holm's correction."
    )


def test_an_interaction_adds_the_difference_at_the_reference(slots_table):
    made = slots_table(lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se"))

    assert "Δ at reference" in made.columns
    assert any(note.startswith("attention × norm may interact (F(2, 10) = ") for note in made.notes)


def test_an_interaction_of_two_slots_is_seen_by_the_scatter_of_seeds(slots_table):
    made = slots_table(
        lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se"), slots=("attention", "norm"), seeds=4
    )

    (said,) = [note for note in made.notes if "may interact" in note]
    assert "against the scatter between seeds" in said
    assert "Δ at reference" not in made.columns


def test_the_doubts_come_first_but_for_the_marks(slots_table):
    made = slots_table(slots=("attention", "norm"), marks=["Selected on the test part."])

    assert made.notes[0] == "Selected on the test part."
    assert made.notes[1].startswith("Exploratory, no more: fewer than 3 settings hold attention none, ")
    assert made.caption.endswith("Selected on the test part.")


def test_slots_that_are_not_tested_are_named_together_with_the_reason(slots_table):
    def keep_two(frame):
        frame.loc[~frame["setting"].isin(["0", "17"]), "state"] = "running"

    notes = slots_table(edit=keep_two).notes

    assert "Not tested: 'attention', 'norm' and 'kernel' (no degrees of freedom are left for the error)." in notes


def test_runs_that_were_stopped_have_a_column(slots_table):
    def stop(frame):
        frame.loc[:5, "state"] = "pruned"

    made = slots_table(edit=stop)
    assert made.columns[-1] == "stopped"
    assert made.rows[0][-1] == "33 %"


def test_a_setting_that_failed_is_named(slots_table):
    def fail(frame):
        frame.loc[0, "state"] = "failed"

    assert any("1 of" in note and "diverged or crashed" in note for note in slots_table(edit=fail).notes)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_nothing_reads_nan(slots_table, seeds, noise):
    made = slots_table(seeds=seeds, noise=noise, slots=("attention", "norm"))

    text = made.to_text() + made.to_markdown() + render(made)
    assert "nan" not in text.lower()
    assert "None" not in text
    assert made.frame["delta"].map(lambda value: math.isnan(value) or abs(value) < 1).all()


def test_the_caption_says_over_what_it_is_averaged_and_on_what_it_is_scored(slots_table):
    made = slots_table(scored_on="Scored on digits.")

    assert "averaged over the 18 combinations of the slots, each counted alike" in made.caption
    assert (
        "(10 degrees of freedom)"
        in slots_table(lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se")).caption
    )
    assert made.caption.endswith("Scored on digits.")
