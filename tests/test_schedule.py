"""The scheduler with real worker processes and training functions that behave badly; nothing is recorded here."""

import gc
import os
import signal
import time
from dataclasses import replace

import pytest

import ablate
from ablate import data, design, identity, pool
from ablate.errors import StudyError
from ablate.job import Job
from ablate.schedule import Fixed, Schedule
from ablate.study import RunState
from ablate.train import Progress

STUDY = """\
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 50}}
slots:
  attention: [none, se, eca]
seeds: 2
recipe: {epochs: 4, batch: 50}
"""


@pytest.fixture
def schedule(tmp_path, monkeypatch):
    """Return a function that makes a schedule of a study's trials; its processes are ended in the end."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yml").write_text(STUDY, "utf-8")
    lanes = []

    def make(training, *, workers=0, agenda=Fixed, deadline=None, **changes):
        study = replace(ablate.read_study("mine.yml"), **changes)
        job = Job(study, design.plan(study), training, tmp_path / "checkpoints")
        trials = identity.trials(study, job.plan, data.fingerprint, training)
        mine = pool.lanes(workers, pin=False)
        lanes.extend(mine)
        for lane in mine:
            lane.start("prepare", job)
        return Schedule(mine, job, agenda(trials), deadline=deadline)

    yield make
    for lane in lanes:
        lane.kill()


def name(run):
    return run.trial.setting.label, run.trial.seed


def ended(runs):
    return [run for run in runs if run.state is not RunState.RUNNING]


def quick(network, data, recipe, seed, resume=None):
    for epoch in range(recipe.epochs):
        yield Progress(epoch + 1, {"accuracy": 0.5 + 0.1 * epoch}, {})


def slow(network, data, recipe, seed, resume=None):
    """Take 0.6 s an epoch, and go on where a checkpoint says."""
    for epoch in range(resume["epoch"] if resume else 0, recipe.epochs):
        time.sleep(0.6)
        yield Progress(epoch + 1, {"accuracy": 0.5 + 0.1 * epoch}, {"epoch": epoch + 1})


def is_squeeze(network):
    return "SqueezeExcite" in repr(network)


def test_trials_run_once_each_in_order_and_leave_nothing_behind(schedule, tmp_path):
    runs = list(schedule(quick).runs())

    assert [name(run) for run in runs] == [(label, seed) for seed in (0, 1) for label in ("none", "se", "eca")]
    assert {run.state for run in runs} == {RunState.COMPLETE}, runs[0].error
    assert len({run.attempt for run in runs}) == 6
    assert not (tmp_path / "checkpoints").exists()


def test_a_long_trial_is_told_of_step_by_step_its_curve_growing(schedule):
    runs = [run for run in schedule(slow, seeds=(0,)).runs() if name(run) == ("none", 0)]

    assert [run.state for run in runs] == [RunState.RUNNING, RunState.COMPLETE]
    assert [len(run.curves["accuracy"]) for run in runs] == [2, 4]
    assert runs[0].seconds < runs[1].seconds


def test_what_stopped_is_taken_up_from_its_last_step(schedule):
    first = schedule(slow, seeds=(0,))
    begun = next(first.runs())
    runs = list(schedule(slow, seeds=(0,)).runs())

    assert len(begun.curves["accuracy"]) == 2
    (complete,) = [run for run in ended(runs) if name(run) == ("none", 0)]
    assert complete.notes == ("went on from epoch 2",)
    assert complete.curves["accuracy"] == pytest.approx([0.5, 0.6, 0.7, 0.8])
    assert complete.seconds > 2.4  # the earlier part is counted


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint_is_found_and_the_trial_starts_again(schedule, tmp_path, damage):
    next(schedule(slow, seeds=(0,)).runs())
    (path,) = (tmp_path / "checkpoints").glob("*.pt")
    content = bytearray(path.read_bytes())
    content[-9] ^= 4
    path.write_bytes(content if damage == "flipped" else content[:100])

    runs = ended(schedule(slow, seeds=(0,)).runs())

    assert [run.state for run in runs] == [RunState.COMPLETE] * 3
    assert "started again, because its checkpoint is damaged" in runs[0].notes[0]
    assert len(runs[0].curves["accuracy"]) == 4


def test_a_raising_trial_is_tried_again_as_often_as_the_study_says_and_each_attempt_is_told(schedule, tmp_path):
    def raising(network, data, recipe, seed, resume=None):
        with (tmp_path / f"{is_squeeze(network)}-{seed}").open("a") as tries:
            tries.write("x")
        if is_squeeze(network) and (seed == 1 or len((tmp_path / "True-0").read_text()) < 2):
            raise ZeroDivisionError("on purpose")
        yield from quick(network, data, recipe, seed)

    runs = list(schedule(raising, retries=2).runs())

    states = {key: [run.state.value for run in runs if name(run) == key] for key in (("se", 0), ("se", 1), ("eca", 1))}
    assert states == {("se", 0): ["failed", "complete"], ("se", 1): ["failed"] * 3, ("eca", 1): ["complete"]}
    assert len({run.attempt for run in runs}) == len(runs) == 9
    assert all(run.error.strip().endswith("on purpose") for run in runs if run.state is RunState.FAILED)


def test_a_loss_that_is_no_number_ends_its_trial_there_and_is_not_tried_again(schedule):
    def diverging(network, data, recipe, seed, resume=None):
        yield Progress(1, {"accuracy": 0.5}, {"epoch": 1})
        yield Progress(2, {"accuracy": float("nan") if is_squeeze(network) else 0.5}, {"epoch": 2})

    runs = list(schedule(diverging, retries=2, seeds=(0,)).runs())

    (failed,) = [run for run in runs if run.state is RunState.FAILED]
    assert name(failed) == ("se", 0)
    assert "the score 'accuracy' became nan in epoch 2" in failed.error
    assert len(failed.curves["accuracy"]) == 1


def test_a_trial_that_hangs_is_ended_says_where_and_the_others_go_on(schedule):
    def hanging(network, data, recipe, seed, resume=None):
        if is_squeeze(network):
            time.sleep(600)
        yield from quick(network, data, recipe, seed)

    runs = list(schedule(hanging, workers=1, timeout=2.0, seeds=(0,)).runs())

    (failed,) = [run for run in runs if run.state is RunState.FAILED]
    assert name(failed) == ("se", 0)
    assert "in hanging" in failed.error
    assert failed.error.endswith("timeout: it ran longer than the 2 seconds that the study allows a trial")
    assert {name(run) for run in ended(runs)} == {("none", 0), ("se", 0), ("eca", 0)}


def test_without_processes_a_trial_over_its_time_is_ended_after_its_step(schedule):
    runs = ended(schedule(slow, seeds=(0,), timeout=1.0).runs())

    assert {run.state for run in runs} == {RunState.FAILED}
    assert "timeout: it ran longer than the 1 seconds" in runs[0].error


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.slow
def test_a_trial_whose_worker_is_killed_once_goes_on_and_nobody_else_notices(schedule, tmp_path):
    def killed_once(network, data, recipe, seed, resume=None):
        for progress in slow(network, data, recipe, seed, resume):
            yield progress
            if is_squeeze(network) and progress.epoch == 3 and not (tmp_path / "killed").exists():
                (tmp_path / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)

    runs = ended(schedule(killed_once, workers=2, seeds=(0,)).runs())

    by_name = {name(run): run for run in runs}
    assert {run.state for run in runs} == {RunState.COMPLETE}
    assert len(runs) == 3
    assert [note.split(":")[0] for note in by_name["se", 0].notes] == [
        "the worker process died", "went on from epoch 2",
    ]  # fmt: skip
    assert by_name["eca", 0].notes == by_name["none", 0].notes == ()
    assert by_name["se", 0].curves == by_name["none", 0].curves


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_trial_that_kills_its_worker_again_and_again_fails_after_it_had_the_machine_alone(schedule, tmp_path):
    def die(network, data, recipe, seed, resume=None):
        with (tmp_path / "log").open("a") as log:
            log.write(f"{is_squeeze(network)} {seed}\n")
        if is_squeeze(network) and seed == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from quick(network, data, recipe, seed)

    runs = list(schedule(die, workers=2).runs())

    (failed,) = [run for run in runs if run.state is RunState.FAILED]
    assert name(failed) == ("se", 0)
    assert "the worker process died" in failed.error
    assert "3 times" in failed.error
    assert sum(run.state is RunState.COMPLETE for run in runs) == 5
    log = (tmp_path / "log").read_text().splitlines()
    assert log.count("True 0") == 3
    assert log[-1] == "True 0"  # last, when nothing else was left
    assert len(log) == 8  # innocents ran once


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_trial_that_has_nothing_to_go_on_from_and_always_dies_is_not_begun_for_ever(schedule):
    def die_late(network, data, recipe, seed, resume=None):
        for epoch in range(recipe.epochs):
            time.sleep(0.6)
            if epoch == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield Progress(epoch + 1, {"accuracy": 0.5}, {})

    plan = schedule(die_late, workers=1, seeds=(0,))
    plan._agenda = Fixed([plan._agenda.next()])

    (failed,) = ended(plan.runs())

    assert failed.state is RunState.FAILED
    assert "3 times" in failed.error


def test_a_training_function_that_cannot_resume_begins_again(schedule):
    def stubborn(network, data, recipe, seed):
        yield from slow(network, data, recipe, seed)

    next(schedule(stubborn, seeds=(0,)).runs())
    runs = ended(schedule(stubborn, seeds=(0,)).runs())

    assert {run.state for run in runs} == {RunState.COMPLETE}, runs[0].error
    assert runs[0].notes == ()
    assert len(runs[0].curves["accuracy"]) == 4


def test_a_trial_that_writes_to_its_data_fails_and_the_others_see_them_whole(schedule):
    def careless(network, data, recipe, seed, resume=None):
        mean = data.train_inputs.abs().mean().item()
        if is_squeeze(network):
            data.train_inputs.mul_(0.5)
        yield Progress(1, {"accuracy": min(1.0, mean)}, {})

    runs = {name(run): run for run in ended(schedule(careless, seeds=(0,)).runs())}

    assert "changed its data in place" in runs["se", 0].error
    assert runs["eca", 0].curves == runs["none", 0].curves


def test_what_a_worker_has_imported_at_its_start_is_not_searched_for_garbage_after_every_step(schedule):
    def counting(network, data, recipe, seed, resume=None):
        yield Progress(1, {"accuracy": 0.5, "spared": gc.get_freeze_count(), "searched": len(gc.get_objects())}, {})

    (run,) = schedule(counting, workers=1, seeds=(0,), agenda=lambda trials: Fixed(trials[:1])).runs()

    assert run.curves["spared"][0] > 5 * run.curves["searched"][0] > 0


def test_a_deadline_ends_the_runs_and_winding_down_tells_of_what_was_under_way(schedule):
    long = replace(ablate.read_study("mine.yml").recipe, epochs=20)
    plan = schedule(slow, workers=1, seeds=(0,), recipe=long, deadline=time.monotonic() + 600)
    runs = plan.runs()
    first = next(run for run in runs if run.curves)
    plan._deadline = time.monotonic()
    assert list(runs) == []
    assert plan.is_late

    (left,) = list(plan.wind_down(30))

    assert (name(left), left.state) == (name(first), RunState.KILLED)
    assert len(left.curves["accuracy"]) >= len(first.curves["accuracy"])


def test_an_agenda_can_stop_a_trial_after_a_step(schedule):
    class Impatient(Fixed):
        def heard(self, run):
            return run.trial.setting.label == "se"

    runs = ended(schedule(slow, seeds=(0,), agenda=Impatient).runs())

    assert {name(run): run.state.value for run in runs} == {
        ("none", 0): "complete", ("se", 0): "pruned", ("eca", 0): "complete",
    }  # fmt: skip


def test_data_that_change_under_a_study_stop_it(schedule, monkeypatch):
    plan = schedule(quick)
    monkeypatch.setattr(data, "fingerprint", lambda *_, **__: "other")

    with pytest.raises(StudyError, match="the data of digits changed while the study ran: start it again"):
        list(plan.runs())


def test_what_an_own_training_function_yields_must_be_readable_again(schedule):
    def opaque(network, data, recipe, seed, resume=None):
        for progress in slow(network, data, recipe, seed, resume):
            yield Progress(progress.epoch, progress.scores, {"object": object()})

    runs = ended(schedule(opaque, seeds=(0,)).runs())

    assert {run.state for run in runs} == {RunState.FAILED}
    assert "tensors, numbers, texts, lists, tuples and dicts only" in runs[0].error


@pytest.mark.parametrize("workers", [1, 2])
def test_scores_do_not_depend_on_what_ran_before_in_the_process_nor_on_the_lane(schedule, workers):
    small = {"seeds": (0,), "recipe": replace(ablate.read_study("tiny").recipe, epochs=2, batch=25)}
    forward = {name(run): run.curves for run in schedule(None, workers=workers, **small).runs()}
    backward = schedule(None, workers=0, agenda=lambda trials: Fixed(reversed(trials)), **small)

    assert {name(run): run.curves for run in backward.runs()} == forward
