"""A search on its way, driven by hand: no training, real Optuna."""

from dataclasses import replace

import pytest

import ablate
from ablate.selection import Earlier, Selection
from ablate.study import Cost, Run, RunState, Trial

STUDY = """\
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 300}}
slots:
  attention: [none, se, eca, cbam, coordinate]
  norm: [batch, layer, instance]
reference: {attention: none, norm: batch}
design: {search: {settings: 8, sampler: random, prune: PRUNE}, confirm: {top: 2, seeds: 2}}
seeds: 2
recipe: {epochs: 4}
"""
BEST = {"attention=eca, norm=layer", "attention=eca"}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read(prune="none"):
        (tmp_path / "mine.yml").write_text(STUDY.replace("PRUNE", prune), "utf-8")
        return ablate.read_study("mine.yml")

    return read


def trial_of(setting, seed):
    return Trial(setting, seed, f"{setting.label}/{seed}", held_out=True)


def confirming(study, chosen):
    """Return what a search would confirm, and note what it has chosen."""

    def confirm(best):
        chosen.extend(setting.label for setting in best)
        return [Trial(setting, 7, f"confirm {setting.label}") for setting in (study.reference, *best)]

    return confirm


def scored(trial, *, state=RunState.COMPLETE, level=None, epochs=4):
    level = level if level is not None else (0.8 if "eca" in trial.setting.label else 0.5) + 0.01 * trial.seed
    curve = tuple(level + 0.001 * epoch for epoch in range(epochs))
    return Run(trial, state, {"accuracy": curve}, cost=Cost(10, 20))


def drive(selection, answer=scored):
    """Give one trial after the other its answer, and return those that were asked for."""
    asked = []
    while (trial := selection.next()) is not None:
        asked.append(trial)
        selection.ended(answer(trial))
    return asked


def test_every_setting_is_tried_on_every_seed_and_the_best_are_confirmed_on_others(study):
    content, chosen = study(), []
    asked = drive(Selection(content, trial_of=trial_of, earlier=(), confirm=confirming(content, chosen)))

    searched = [trial for trial in asked if trial.held_out]
    assert len(searched) == 16
    assert len({trial.identity for trial in asked}) == len(asked) == 19
    assert searched[0].setting == content.reference
    assert all("eca" in label for label in chosen[:1])
    assert "reference" not in chosen
    assert [trial.setting.label for trial in asked[16:]] == ["reference", *chosen]


def test_nothing_is_confirmed_before_the_last_seed_is_known(study):
    content, chosen = study(), []
    selection = Selection(content, trial_of=trial_of, earlier=(), confirm=confirming(content, chosen))
    running = []
    while (trial := selection.next()) is not None and trial.held_out:
        running.append(trial)
        if len(running) == 2:
            selection.ended(scored(running.pop(0)))

    assert trial is None
    assert chosen == []
    selection.ended(scored(running.pop()))
    drive(selection)
    assert len(chosen) == 2


def test_the_seeds_of_a_setting_come_one_after_the_other(study):
    content = study()
    selection = Selection(content, trial_of=trial_of, earlier=(), confirm=lambda _: ())
    first, second = selection.next(), selection.next()

    assert first.setting != second.setting
    selection.ended(scored(first))
    assert selection.next() == trial_of(first.setting, 1)


def test_a_setting_that_failed_is_never_chosen_and_its_other_seeds_are_not_tried(study):
    content, chosen = study(), []

    def answer(trial):
        broken = trial.held_out and "eca" in trial.setting.label
        return scored(trial, state=RunState.FAILED if broken else RunState.COMPLETE)

    asked = drive(Selection(content, trial_of=trial_of, earlier=(), confirm=confirming(content, chosen)), answer)

    assert not any("eca" in label for label in chosen)
    assert all(trial.seed == 0 for trial in asked if trial.held_out and "eca" in trial.setting.label)


def test_what_falls_behind_is_stopped_on_the_way_and_the_reference_never(study):
    content = study("median")
    selection = Selection(content, trial_of=trial_of, earlier=(), confirm=lambda _: ())
    stopped = []
    while (trial := selection.next()) is not None:
        level = 0.9 if trial.setting == content.reference else 0.8 - 0.1 * len(stopped)
        bad = len(selection.trials) > 12  # the later settings are worse than all before
        partial = scored(trial, state=RunState.RUNNING, level=0.1 if bad else level, epochs=3)
        if selection.heard(partial):
            stopped.append(trial.setting.label)
            selection.ended(replace(partial, state=RunState.PRUNED))
        else:
            selection.ended(scored(trial, level=0.1 if bad else level))

    assert stopped
    assert "reference" not in stopped
    assert len({trial.setting for trial in selection.trials}) == 8


def test_a_search_that_is_taken_up_again_asks_for_nothing_twice(study):
    content = study()
    first = Selection(content, trial_of=trial_of, earlier=(), confirm=lambda _: ())
    known = []
    for _ in range(7):
        trial = first.next()
        run = scored(trial)
        first.ended(run)
        known.append(Earlier(trial, run.state, run.curves, run.cost))
    half = next(one.trial.setting for one in known if one.trial.seed == 0 and known[-1].trial == one.trial)

    chosen = []
    again = Selection(content, trial_of=trial_of, earlier=known, confirm=confirming(content, chosen))
    asked = [trial for trial in drive(again) if trial.held_out]

    assert asked[0] == trial_of(half, 1)  # what had begun comes first
    assert not {trial.identity for trial in asked} & {one.trial.identity for one in known}
    assert len(asked) + len(known) == 16
    assert len(chosen) == 2


def test_of_several_attempts_at_a_trial_the_complete_one_counts_and_failed_ones_are_tried_again(study):
    content = study()
    trial = trial_of(content.reference, 0)
    run = scored(trial)
    attempts = [
        Earlier(trial, RunState.KILLED, {"accuracy": (0.1,)}, None),
        Earlier(trial, RunState.COMPLETE, run.curves, run.cost),
        Earlier(trial_of(content.reference, 1), RunState.FAILED, {}, None),
    ]

    asked = drive(Selection(content, trial_of=trial_of, earlier=attempts, confirm=lambda _: ()))

    assert asked[0] == trial_of(content.reference, 1)
    assert trial not in asked


def test_a_setting_that_fell_behind_at_the_end_of_a_seed_is_not_taken_up_again(study):
    content = study("median")
    first = Selection(content, trial_of=trial_of, earlier=(), confirm=lambda _: ())
    known = []
    while (trial := first.next()) is not None:
        level = 0.1 if len({one.trial.setting for one in known}) > 4 else None
        run = scored(trial, level=level)
        known.append(Earlier(trial, run.state, run.curves, run.cost, fell_behind=first.ended(run)))
    assert any(one.fell_behind for one in known)

    assert drive(Selection(content, trial_of=trial_of, earlier=known, confirm=lambda _: ())) == []


def test_an_attempt_that_was_killed_does_not_hide_that_the_next_was_pruned(study):
    content = study("median")
    trial = trial_of(content.complete({"norm": content.slot("norm").choices[1]}), 0)
    attempts = [
        Earlier(trial, RunState.KILLED, {"accuracy": (0.1,)}, None),
        Earlier(trial, RunState.PRUNED, {"accuracy": (0.1, 0.1)}, None),
    ]

    asked = drive(Selection(content, trial_of=trial_of, earlier=attempts, confirm=lambda _: ()))

    assert trial not in asked


def test_a_cost_that_is_an_objective_is_measured_where_an_earlier_call_has_not(study):
    content = study()
    search = replace(content.design.search, objectives=("accuracy", "latency_ms"))
    content = replace(content, design=replace(content.design, search=search))
    trial = trial_of(content.reference, 0)
    earlier = [Earlier(trial, RunState.COMPLETE, scored(trial).curves, Cost(10, 20))]
    selection = Selection(content, trial_of=trial_of, earlier=earlier, confirm=lambda _: ())

    assert selection.next() == trial


def test_a_pruned_setting_stays_pruned(study):
    content = study("median")
    first = trial_of(content.complete({"norm": content.slot("norm").choices[1]}), 0)

    asked = drive(
        Selection(
            content, trial_of=trial_of, confirm=lambda _: (),
            earlier=[Earlier(first, RunState.PRUNED, {"accuracy": (0.1, 0.1)}, None)],
        )
    )  # fmt: skip

    assert first.setting not in {trial.setting for trial in asked}
