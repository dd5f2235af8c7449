"""The race, and which runs come next."""

import numpy as np
import pandas as pd

from reports.sequential import (
    Looks,
    Rule,
    decide,
    matrix,
    race,
    wanted,
)

LABELS = ("none", "se", "eca", "cbam")


PAIRS = tuple((label, "none") for label in LABELS[1:])


LOOKS = Looks(2, 5)


RULE = Rule(LOOKS, PAIRS)


def drawn(random_state, *, worth=(0.0, 0.0, 0.0, 0.0), n=5, sd=1.0):
    rng = np.random.default_rng(random_state)
    scores = np.asarray(worth)[:, None] + rng.normal(size=n) + sd * rng.normal(size=(len(worth), n))
    return pd.DataFrame(scores, index=list(LABELS[: len(worth)]))


def conduct(scores, rule, *, fails=()):
    """Run what is wanted until nothing is; return the scores that were run, what failed, and the rounds."""
    run, failed, rounds = scores * np.nan, set(), []
    while cells := wanted(run, rule, failed=failed):
        rounds.append(cells)
        for label, i in cells:
            if (label, i) in fails:
                failed.add(label)
            else:
                run.loc[label, i] = scores.loc[label, i]
    return run, failed, rounds


def counts(run):
    return run.notna().sum(axis=1).to_dict()


def test_a_race_drops_by_one_sided_tests_against_the_leader():
    scores = matrix({"none": [5.0, 7.0], "se": [6.0, 10.0]})
    by_hand = (1 - 2 / np.pi * np.arctan(2)) / 2  # 0.148: differences 1 and 3

    assert race(scores, Looks(2, 2), higher_is_better=True) == {"none": None, "se": None}
    assert race(scores, Looks(2, 2), higher_is_better=True, level=1 - by_hand - 1e-9) == {"none": 2, "se": None}
    assert race(scores, Looks(2, 2), higher_is_better=True, level=1 - by_hand + 1e-9) == {"none": None, "se": None}
    assert race(scores, Looks(2, 2), higher_is_better=False, level=0.8) == {"none": None, "se": 2}


def test_what_is_dropped_stays_out_whatever_its_later_scores():
    scores = drawn(0, worth=(0, 0, 5, 5), sd=0.5)
    dropped = race(scores, LOOKS, higher_is_better=True)
    scores.loc["none", 3:] = 100.0

    assert dropped["none"] == dropped["se"] == 2
    assert race(scores, LOOKS, higher_is_better=True) == dropped


def test_equal_scores_and_failed_settings_are_never_dropped():
    scores = drawn(0, worth=(0, 1, 2, 9), sd=0.1)
    scores.loc["cbam", 1:] = np.nan
    still_in = dict.fromkeys(LABELS)

    assert race(drawn(0) * 0, LOOKS, higher_is_better=True) == still_in
    assert race(scores, LOOKS, higher_is_better=True) == still_in  # its second seed is waited for
    dropped = race(scores, LOOKS, higher_is_better=True, failed={"cbam"})
    assert dropped == {"none": 2, "se": 2, "eca": None, "cbam": None}
    assert race(scores.iloc[:, :0], LOOKS, higher_is_better=True, failed=set(LABELS)) == still_in


def test_all_settings_begin_and_those_that_are_open_go_on_with_their_partners():
    scores = drawn(1, worth=(0, 30, 0, 1.5))
    run, _, rounds = conduct(scores, RULE)
    found = decide(run, PAIRS, LOOKS)

    assert rounds[0] == [(label, i) for i in (0, 1) for label in LABELS]
    assert found["se"].look == 2
    assert counts(run)["se"] == 2
    assert counts(run)["none"] == max(counts(run)[label] for label in LABELS[1:])
    for label in LABELS[1:]:
        assert counts(run)[label] == (found[label].look or LOOKS.last)


def test_what_is_left_of_a_round_is_wanted_while_it_is_under_way():
    scores = drawn(1).iloc[:, :2]
    scores.iloc[0, 1] = scores.iloc[2, 0] = np.nan

    assert wanted(scores, RULE) == [("eca", 0), ("none", 1)]


def test_no_round_is_begun_that_would_exceed_the_cap():
    scores = drawn(3, worth=(0, 1, 1, 1))
    whole, _, rounds = conduct(scores, RULE)
    sizes = np.cumsum([len(cells) for cells in rounds])

    assert len(sizes) > 1
    for cap, expected in ((sizes[1], sizes[1]), (sizes[1] - 1, sizes[0]), (7, 0), (10_000, sizes[-1])):
        capped, _, _ = conduct(scores, Rule(LOOKS, PAIRS, max_runs=int(cap)))
        assert sum(counts(capped).values()) == expected
    assert sum(counts(whole).values()) == sizes[-1]


def test_failed_runs_count_towards_the_cap_and_end_their_comparison():
    scores = drawn(3, worth=(0, 1, 1, 1))
    run, failed, rounds = conduct(scores, RULE, fails={("se", 2)})
    made = sum(len(cells) for cells in rounds)

    assert failed == {"se"}
    assert counts(run)["se"] == 2
    assert counts(run)["none"] > 3
    for cap, same in ((made, True), (made - 1, False)):
        again, _, _ = conduct(scores, Rule(LOOKS, PAIRS, max_runs=cap), fails={("se", 2)})
        assert again.equals(run) == same
    run, _, rounds = conduct(scores, RULE, fails={("se", 0)})  # its second seed came through all the same
    again, _, _ = conduct(scores, Rule(LOOKS, PAIRS, max_runs=sum(map(len, rounds))), fails={("se", 0)})
    assert len(rounds) > 1
    assert again.equals(run)


def test_nothing_is_wanted_once_the_reference_has_failed():
    _, _, rounds = conduct(drawn(1), RULE, fails={("none", 1)})

    assert len(rounds) == 1


def test_a_race_goes_on_without_its_reference_and_ends_when_one_is_left():
    rule = Rule(LOOKS, PAIRS, until="best")
    _, _, rounds = conduct(drawn(1, sd=3), rule, fails={("none", 1)})
    one_left, _, _ = conduct(drawn(1, worth=(0, 9, 0, 0), sd=0.1), rule)

    assert len(rounds) > 1
    assert {label for cells in rounds[1:] for label, _ in cells} <= {"se", "eca", "cbam"}
    assert counts(one_left) == dict.fromkeys(LABELS, 2)


def test_a_twin_gets_all_seeds_of_its_partner_and_decides_nothing():
    scores = drawn(3, worth=(0, 1, 1, 1))
    alone, _, _ = conduct(scores, RULE)
    for until in ("decided", "best"):
        scores.loc["control"] = 100.0  # it would lead a race that it took part in
        run, _, _ = conduct(scores, Rule(LOOKS, PAIRS, until=until, twins=(("none", "control"),)))
        assert counts(run)["control"] == counts(run)["none"]
        if until == "decided":
            assert run.drop(index="control").equals(alone)
    run, _, _ = conduct(scores, Rule(LOOKS, PAIRS, twins=(("none", "control"),)), fails={("control", 1)})
    assert counts(run) == counts(alone) | {"control": 1}
