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


def test_estimates_and_intervals_are_those_of_seeds_that_were_fixed(runs):
    fixed = compare(runs(SCORES), metric="accuracy", reference="none")

    assert [c.estimate for c in compared(runs).contrasts] == [c.estimate for c in fixed.contrasts]
    assert {(c.detectable, c.more_seeds) for c in compared(runs).contrasts} == {(None, None)}


def test_a_setting_that_is_not_decided_can_be_equivalent(runs):
    assert [c.verdict for c in compared(runs, practical=0.02).contrasts] == ["equivalent", "better"]


def test_the_looks_go_by_the_order_of_the_studys_seeds(runs, table):
    order = [7, 3, 11, 0, 5, 2]
    frame = runs(SCORES).assign(seed=lambda rows: rows["seed"].map(dict(enumerate(order))))
    seeds = {name: order[: sum(score is not ... for score in scores)] for name, scores in SCORES.items()}

    moved = compare(frame, metric="accuracy", reference="none", looks=LOOKS, seeds=order)
    made = table(frame, looks=LOOKS, planned_seeds=seeds)

    expected = [c.p_adjusted for c in compared(runs).contrasts]
    assert [c.p_adjusted for c in moved.contrasts] == expected
    assert made.frame.set_index("setting")["p_adjusted"][["eca", "se"]].tolist() == expected


def test_variances_stay_pooled_and_the_guard_is_only_told_of(runs, table):
    rng = np.random.default_rng(5)
    noise = dict.fromkeys(("none", "a", "b", "c", "d"), 0.001) | {"wild": 0.05}
    frame = runs({name: list(0.9 + rng.normal(0, sd, 4)) for name, sd in noise.items()})

    found = compare(frame, metric="accuracy", reference="none", looks=Looks(2, 4))

    assert found.robust == "'wild' minus 'none' varies more than the rest"
    assert not found.moderated
    estimate = found.contrasts[0].estimate
    assert estimate.high - estimate.value == pytest.approx(2.131450 * found.sd * np.sqrt(2 / 4))  # t, 15 degrees
    assert any("less sure than they look" in note for note in table(frame, looks=Looks(2, 4)).notes)


def test_a_failed_setting_is_not_compared_but_counts_as_a_comparison(runs):
    frame = runs(SCORES | {"bad": [0.7, None, ..., ..., ..., ...]})

    found = compare(frame, metric="accuracy", reference="none", looks=LOOKS)

    assert {c.setting: c.reason for c in found.contrasts}["bad"] == "1/2 runs diverged or crashed"
    assert found.n_tests == 3


def test_before_the_first_look_nothing_is_tested(runs):
    found = compare(runs(SCORES), metric="accuracy", reference="none", looks=Looks(7, 9), seeds=range(9))

    assert {(c.reason, c.verdict) for c in found.contrasts} == {("no look has been taken yet", None)}


def test_a_twin_takes_no_part_in_a_race(runs, table):
    frame = runs(SCORES | {"twin": SCORES["eca"]})
    pairs = [("eca", "twin")]

    found = compare(frame, metric="accuracy", reference="none", looks=LOOKS, until="best", calibration=pairs)
    made = table(frame, looks=LOOKS, until="best", calibration=pairs)

    assert list(found.race) == ["none", "eca", "se"]
    assert {c.reason for c in found.contrasts} == {"a race tests nothing"}
    assert "Δ pp" in made.columns
    assert not any(header.startswith("p ") for header in made.columns)
    assert made.rows[-1][made.columns.index("verdict")] == "A/A"


def test_secondary_metrics_are_not_tested_where_the_primary_one_chose_the_seeds(runs, table):
    frame = runs(SCORES).assign(loss=lambda rows: 1 - rows["accuracy"])

    made = table(frame, looks=LOOKS, secondary=[Metric("loss", higher_is_better=False)])

    assert made.frame["loss_verdict"].isna().all()
    assert "80 %" not in " ".join([made.caption, *made.notes])
