"""Which trials adaptive seeds ask for, in whatever order they end."""

import random
from pathlib import Path

import numpy as np
import pytest

from ablate import config, design
from ablate.allocation import Allocation
from ablate.study import Run, RunState, Trial

TEXT = """
network: resnet
data: digits
slots: {attention: [none, se, eca, cbam]}
"""
NOISE = {
    label: np.random.default_rng(i).normal(0, 0.003, 9)
    for i, label in enumerate(["none", "se", "eca", "cbam", "control"])
}
WORTH = {"none": 0.9, "se": 0.95, "eca": 0.9, "cbam": 0.903, "control": 0.9}


def study_of(seeds="{from: 2, to: 6}", more=""):
    return config.parse_study(f"{TEXT}seeds: {seeds}\n{more}", path=Path("s.yml"))


def trial_of(setting, seed):
    return Trial(setting, seed, f"{setting.label} {seed}")


def score(trial):
    return WORTH[trial.setting.label] + NOISE[trial.setting.label][trial.seed]


def conduct(study, *, known=(), order=None, fails=(), stop_after=None):
    """Run what an agenda asks for, several at a time, and return it; trials end in a random order."""
    agenda = Allocation(study, design.plan(study), trial_of=trial_of, known={t.identity: score(t) for t in known})
    rng, running, ended = random.Random(order), [], []
    while not (agenda.is_done() and not running):
        while len(running) < 3 and (trial := agenda.next()):
            running.append(trial)
        if stop_after is not None and len(ended) >= stop_after:
            break
        trial = running.pop(rng.randrange(len(running)))
        ended.append(trial)
        state = RunState.FAILED if trial.identity in fails else RunState.COMPLETE
        agenda.ended(Run(trial, state, {"accuracy": [score(trial)]}))
    return agenda, ended


def counts(agenda):
    return {label: sum(t.setting.label == label for t in agenda.trials) for label in ("none", "se", "eca", "cbam")}


def test_all_settings_begin_with_the_first_seeds_and_the_clear_ones_end_early():
    agenda, ended = conduct(study_of())

    assert {t.identity for t in ended} == {t.identity for t in agenda.trials}
    assert counts(agenda)["se"] < 6
    assert counts(agenda)["none"] == max(counts(agenda).values())
    for label, n in counts(agenda).items():
        assert [t.seed for t in agenda.trials if t.setting.label == label] == list(range(n))


@pytest.mark.parametrize("order", range(5))
def test_the_order_in_which_trials_end_does_not_matter(order):
    assert conduct(study_of(), order=order)[0].trials == conduct(study_of())[0].trials


@pytest.mark.parametrize("stop_after", range(1, 14, 3))
def test_a_study_that_was_interrupted_asks_for_what_it_would_have_asked_for(stop_after):
    whole, _ = conduct(study_of())
    _, done = conduct(study_of(), order=1, stop_after=stop_after)
    again, rest = conduct(study_of(), known=done)

    assert again.trials == whole.trials
    assert not {t.identity for t in done} & {t.identity for t in rest}


def test_what_is_complete_is_not_asked_for_and_nothing_is_left():
    agenda, _ = conduct(study_of())
    again, ended = conduct(study_of(), known=agenda.trials)

    assert ended == []
    assert again.is_done()
    assert again.next() is None


def test_a_cap_ends_the_study_before_a_round_that_would_exceed_it():
    agenda, _ = conduct(study_of("{from: 2, to: 6, max_runs: 9}"))

    assert len(agenda.trials) == 8
    assert agenda.most == 9


def test_a_setting_that_fails_gets_no_more_seeds_and_holds_nothing_up():
    agenda, _ = conduct(study_of(), fails={"eca 1"})

    assert counts(agenda)["eca"] == 2
    assert counts(agenda)["none"] > 2


def test_without_its_reference_nothing_can_be_decided():
    agenda, _ = conduct(study_of(), fails={"none 0"})

    assert set(counts(agenda).values()) == {2}


def test_a_twin_gets_the_seeds_of_its_first():
    agenda, _ = conduct(study_of(more="calibration: [[none, control]]\n"))

    assert sum(t.setting.label == "control" for t in agenda.trials) == counts(agenda)["none"]


def test_a_race_ends_when_one_is_left():
    agenda, _ = conduct(study_of("{from: 2, to: 6, until: best}"))

    assert counts(agenda) == {"none": 2, "se": 2, "eca": 2, "cbam": 2}


def test_steps_that_are_compared_with_each_other_keep_their_partners_going():
    more = "design: {cumulative: [{attention: se}, {attention: cbam}]}\n"
    agenda, _ = conduct(study_of(more=more))

    assert counts(agenda)["se"] >= counts(agenda)["cbam"]
    assert counts(agenda)["eca"] == 0
