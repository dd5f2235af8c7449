"""What a comparison says of seeds that were added one by one."""

import numpy as np
import pytest

from reports.contrasts import compare
from reports.sequential import Looks, decide, matrix
from reports.tables import Metric

LOOKS = Looks(2, 6)
NOISE = np.random.default_rng(3).normal(0, 0.002, (3, 6))
SCORES = {
    "none": list(0.900 + NOISE[0]),
    "se": [*(0.950 + NOISE[1])[:3], ..., ..., ...],
    "eca": [*(0.9005 + NOISE[2])[:2], ..., ..., ...],
}


def compared(runs, **more):
    return compare(runs(SCORES), metric="accuracy", reference="none", looks=LOOKS, **more)


def test_verdicts_follow_from_the_looks_and_not_from_one_test(runs):
    found = compared(runs)
    rows = {name: [np.nan if x is ... else x for x in [*of, *[...] * (6 - len(of))]] for name, of in SCORES.items()}
    decisions = decide(matrix(rows), [("eca", "none"), ("se", "none")], LOOKS)

    by_name = {contrast.setting: contrast for contrast in found.contrasts}
    assert found.correction == "sequential"
    assert by_name["se"].verdict == "better"
    assert by_name["eca"].verdict == "inconclusive"
    assert {name: one.p_adjusted for name, one in by_name.items()} == {name: d.p for name, d in decisions.items()}
    assert by_name["eca"].given_up == decisions["eca"].look


def test_what_was_given_up_is_said_with_the_rule(runs, table):
    made = table(runs(SCORES), looks=LOOKS)

    assert any("Given up after 2 seeds, as unlikely ever to be decided: 'eca'" in note for note in made.notes)
    assert "Seeds were allocated adaptively: from 2 to 6, until decided." in made.caption
    assert "p (sequential)" in made.columns


def test_a_race_tests_nothing_and_says_who_is_left(runs, table):
    found = compared(runs, until="best")
    made = table(runs(SCORES), looks=LOOKS, until="best")

    assert found.race["se"] is None
    assert all(contrast.p is None and contrast.verdict is None for contrast in found.contrasts)
    assert "'se'" in made.notes[0]
    assert any("dropped" in cell for row in made.rows for cell in row)


@pytest.mark.parametrize("correction", ["holm", "dunnett"])
def test_secondary_metrics_do_not_change_the_primary_one(runs, table, correction):
    scores = {name: [x for x in of if x is not ...][:2] for name, of in SCORES.items()}
    frame = runs(scores)
    frame["loss"] = 1 - frame["accuracy"]
    alone = table(frame, correction=correction).frame
    beside = table(frame, correction=correction, secondary=[Metric("loss", higher_is_better=False)]).frame

    assert alone["p_adjusted"].tolist()[1:] == pytest.approx(beside["p_adjusted"].tolist()[1:], nan_ok=True)
    assert {"loss_delta", "loss_p_adjusted", "loss_verdict"} <= set(beside.columns)
