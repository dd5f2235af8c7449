"""The table of slots, as it is printed."""

import math

import numpy as np
import pandas as pd
import pytest

from reports.effects import slot_effects
from reports.factors import Factor, grid
from reports.formats import Metric
from reports.latex import render
from reports.tables.effects import effects_table

ATTENTION = Factor("attention", ("none", "se", "eca"), "none")
NORM = Factor("norm", ("batch", "group(groups=4)"), "batch")
KERNEL = Factor("kernel", ("3", "5", "7"), "3", numbers=(3.0, 5.0, 7.0))
ACCURACY = Metric("accuracy", higher_is_better=True, unit="fraction")


def table(worth=lambda _: 0.0, *, factors=(ATTENTION, NORM, KERNEL), seeds=3, noise=0.008, edit=lambda _: None, **more):
    rng = np.random.default_rng(0)
    rows = {str(i): row for i, row in enumerate(grid(factors))}
    frame = pd.DataFrame(
        [
            {
                "study": "s", "setting": label, "seed": seed, "state": "complete",
                "accuracy": 0.85 + worth(row) + noise * rng.normal(),
            }
            for label, row in rows.items()
            for seed in range(seeds)
        ]
    )  # fmt: skip
    edit(frame)
    effects = slot_effects(frame, factors=factors, metric="accuracy", settings=rows)
    return effects_table(effects, study="demo", question="Which?", metric=ACCURACY, **more)


def test_it_has_a_row_for_each_choice_and_names_each_slot_once():
    made = table()

    assert [row[:2] for row in made.rows] == [
        ("attention", "none"), ("", "se"), ("", "eca"), ("norm", "batch"), ("", "group(groups=4)"),
        ("kernel", "3"), ("", "5"), ("", "7"),
    ]  # fmt: skip
    assert made.columns == (
        "slot", "choice", "adjusted accuracy %", "Δ pp [95 % interval]", "p (Holm)", "raw", "settings", "runs",
    )  # fmt: skip
    assert made.rows[0][3] == "reference"
    assert [row[-2:] for row in made.rows[3:5]] == [("9", "27"), ("9", "27")]


def test_an_effect_is_named_and_what_is_noise_is_not():
    notes = table(lambda row: -0.05 * (row["norm"] != "batch")).notes

    assert notes[0].startswith("On average worse at 5 % after Holm's correction: norm 'group(groups=4)' (−")
    assert not any("better" in note for note in notes)
    assert any(note.startswith("Trend over 'kernel': straight p = 0.") for note in notes)


def test_noise_alone_is_said_to_be_none():
    assert table().notes[0] == "No choice differs on average from its slot's reference at 5 % after Holm's correction."


def test_an_interaction_adds_the_difference_at_the_reference():
    made = table(lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se"))

    assert "Δ at reference" in made.columns
    assert any(note.startswith("attention × norm may interact (F(2, 10) = ") for note in made.notes)


def test_an_interaction_of_two_slots_is_seen_by_the_scatter_of_seeds():
    made = table(
        lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se"), factors=(ATTENTION, NORM), seeds=4
    )

    (said,) = [note for note in made.notes if "may interact" in note]
    assert "against the scatter between seeds" in said
    assert "Δ at reference" not in made.columns


def test_the_doubts_come_first_but_for_the_marks():
    made = table(factors=(ATTENTION, NORM), marks=["Selected on the test part."])

    assert made.notes[0] == "Selected on the test part."
    assert made.notes[1].startswith("Exploratory, no more: fewer than 3 settings hold attention none, ")
    assert made.caption.endswith("Selected on the test part.")


def test_slots_that_are_not_tested_are_named_together_with_the_reason():
    def keep_two(frame):
        frame.loc[~frame["setting"].isin(["0", "17"]), "state"] = "running"

    notes = table(edit=keep_two).notes

    assert "Not tested: 'attention', 'norm' and 'kernel' (no degrees of freedom are left for the error)." in notes


def test_runs_that_were_stopped_have_a_column():
    def stop(frame):
        frame.loc[:5, "state"] = "pruned"

    made = table(edit=stop)
    assert made.columns[-1] == "stopped"
    assert made.rows[0][-1] == "33 %"


def test_a_setting_that_failed_is_named():
    def fail(frame):
        frame.loc[0, "state"] = "failed"

    assert any("1 of" in note and "diverged or crashed" in note for note in table(edit=fail).notes)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_nothing_reads_nan(seeds, noise):
    made = table(seeds=seeds, noise=noise, factors=(ATTENTION, NORM))

    text = made.to_text() + made.to_markdown() + render(made)
    assert "nan" not in text.lower()
    assert "None" not in text
    assert made.frame["delta"].map(lambda value: math.isnan(value) or abs(value) < 1).all()


def test_the_caption_says_over_what_it_is_averaged_and_on_what_it_is_scored():
    made = table(scored_on="Scored on digits.")

    assert "averaged over the 18 combinations of the slots, each counted alike" in made.caption
    assert (
        "(10 degrees of freedom)"
        in table(lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se")).caption
    )
    assert made.caption.endswith("Scored on digits.")
