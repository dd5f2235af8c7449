"""Runs as a data frame."""

from dataclasses import replace

import pytest

from ablate.study import Cost, RunState


def test_the_trials_of_a_search_have_a_frame_of_their_own(place, study_of, trials_of, run_of, begun, write):
    study = study_of()
    trials = trials_of(study)
    tried = [replace(trial, identity=f"held out {trial.identity}", held_out=True) for trial in trials[:2]]
    records = begun(place, study, trials, selection=tried)
    write(records, study, run_of(trials[0]), run_of(tried[0], scores=(0.9,)), run_of(tried[1], RunState.PRUNED))

    assert len(records.frame()[0]) == 1
    frame, n_stale = records.frame(selection=True)
    assert (frame["state"].tolist(), n_stale) == (["complete", "pruned"], 0)
    assert frame["accuracy"].isna().tolist() == [False, True]
    first, second = records.selected("accuracy")
    assert (first.params["attention"], first.seed, first.cost) == ("none", 0, Cost(10, 20))
    assert first.curves["accuracy"] == [0.9]
    assert (second.state, second.curves["accuracy"], second.curves["loss"]) == (
        RunState.PRUNED, [0.5, 0.6, 0.7], [pytest.approx(0.3)],
    )  # fmt: skip
    assert [one.identity for one in records.selected("accuracy", held_out=False)] == [trials[0].identity]
