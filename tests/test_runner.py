"""The runner on real stores, with training functions that behave badly."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

import ablate
from ablate import reporting, runner, summary
from ablate.errors import StoreError, StudyError
from ablate.place import Place
from ablate.train import Progress

STUDY = """\
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 50}}
slots:
  attention: [none, se, eca]
seeds: 2
recipe: {epochs: 3, batch: 50}
share: false   # all tests of this module use one store, and each its own study
"""
TIES = {"none": 0.5, "se": 0.6, "eca": 0.7}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One store for all studies of this module: MLflow takes 2 s to make one."""
    return tmp_path_factory.mktemp("records") / "runs"


@pytest.fixture
def study(tmp_path, monkeypatch, request):
    """Return a function that writes a study, under a name of this test's own, and reads it."""
    monkeypatch.chdir(tmp_path)

    own_name = request.node.name.partition("[")[0][:60]

    def write(text=STUDY, name=own_name):
        path = tmp_path / f"{name}.yml"
        path.write_text(text, "utf-8")
        return ablate.read_study(path.name)

    return write


def quick(network, data, recipe, seed, resume=None):
    """Yield scores that tell the settings apart, without training."""
    kind = next((name for name in ("SqueezeExcite", "EfficientChannel") if name in repr(network)), "Nothing")
    level = {"Nothing": 0.5, "SqueezeExcite": 0.6, "EfficientChannel": 0.7}[kind]
    for epoch in range(recipe.epochs):
        yield Progress(epoch + 1, {"accuracy": level + 0.01 * seed + 0.001 * epoch}, {})


def run(study, runs, train=quick, workers=0):
    return ablate.run(study, train=train, workers=workers, runs=runs, quiet=True)


def test_a_training_function_of_ones_own_makes_the_scores(study, runs):
    frame = run(study(), runs).frame

    assert frame.set_index(["setting", "seed"])["accuracy"].to_dict() == pytest.approx(
        {(label, seed): level + 0.01 * seed + 0.002 for label, level in TIES.items() for seed in (0, 1)}
    )


def test_adding_a_choice_or_a_seed_runs_only_what_is_missing(study, runs):
    run(study(STUDY.replace("se, eca", "se")), runs)
    grown = study(STUDY.replace("seeds: 2", "seeds: 3"))
    outcome = runner.run_study(grown, Place(runs), workers=0, training=quick)

    assert (outcome.n_planned, outcome.n_already_complete, len(outcome.runs)) == (9, 4, 5)
    assert {(r.trial.setting.label, r.trial.seed) for r in outcome.runs} == {
        ("none", 2), ("se", 2), ("eca", 0), ("eca", 1), ("eca", 2),
    }  # fmt: skip


def test_a_changed_recipe_makes_earlier_runs_stale_kept_and_unused(study, runs):
    run(study(), runs)

    result = run(study(STUDY.replace("epochs: 3", "epochs: 4")), runs)

    assert len(result.frame) == 6
    assert result.frame["accuracy"].min() == pytest.approx(0.503)
    assert "6 earlier runs are left out" in result.table.to_text()


def test_a_setting_that_is_taken_out_leaves_the_table_and_comes_back_without_training(study, runs):
    run(study(), runs)
    fewer = run(study(STUDY.replace("se, eca", "se")), runs)
    outcome = runner.run_study(study(), Place(runs), workers=0, training=quick)

    assert set(fewer.frame["setting"]) == {"none", "se"}
    assert outcome.runs == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_crashing_trial_fails_with_its_traceback_and_the_others_go_on(study, runs, workers):
    def crash(network, data, recipe, seed, resume=None):
        if seed == 1 and "SqueezeExcite" in repr(network):
            raise ZeroDivisionError("on purpose")
        yield Progress(1, {"accuracy": 0.5}, {})

    content = study(name=f"crashing-{workers}")
    outcome = runner.run_study(content, Place(runs), workers=workers, training=crash)

    (failed,) = outcome.failed
    assert (failed.trial.setting.label, failed.trial.seed) == ("se", 1)
    assert "in crash" in failed.error
    assert failed.error.strip().endswith("ZeroDivisionError: on purpose")
    assert len(outcome.runs) == 6
    frame = reporting.report(Place(runs), content.name).frame
    assert frame["state"].value_counts().to_dict() == {"complete": 5, "failed": 1}
    assert frame.loc[frame["state"] == "failed", "accuracy"].isna().all()
    (kept,) = [p for p in (runs / "artifacts").rglob("traceback.txt") if content.name in str(p)]
    assert "ZeroDivisionError: on purpose" in kept.read_text("utf-8")


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ({"accuracy": math.nan}, "the score 'accuracy' became nan in epoch 1"),
        ({"accuracy": math.inf}, "the score 'accuracy' became inf in epoch 1"),
        ({"acuracy": 0.5}, "yielded no score 'accuracy' (yielded: acuracy)"),
        ({"accuracy": 0.5, "params": 3.0}, "a score cannot be called 'params'"),
        ({"accuracy": 97.0}, "it is a fraction from 0 to 1, not a percentage"),
        ({"accuracy": 0.5, "val//x": 1.0}, "a score cannot be called 'val//x'"),
        ({"accuracy": 0.5, "slot.attention": 1.0}, "a score cannot be called 'slot.attention'"),
        ({}, "yielded no score 'accuracy' (yielded: none at all)"),
    ],
)
def test_scores_that_are_none_make_a_failed_run(study, runs, scores, says):
    def bad(network, data, recipe, seed, resume=None):
        yield Progress(1, scores, {})

    outcome = runner.run_study(study(name=f"bad-scores-{abs(hash(says))}"), Place(runs), workers=0, training=bad)

    assert len(outcome.failed) == 6
    assert says in outcome.failed[0].error


def test_a_score_that_is_not_in_every_epoch_is_no_score(study, runs):
    def early(network, data, recipe, seed, resume=None):
        yield Progress(1, {"accuracy": 0.9}, {})
        yield Progress(2, {"other": 0.1}, {})

    outcome = runner.run_study(study(), Place(runs), workers=0, training=early)

    assert len(outcome.failed) == 6
    assert "every epoch yields the same scores: first accuracy; then other" in outcome.failed[0].error


def test_a_training_function_that_exits_fails_its_trial_alone(study, runs):
    def leave(network, data, recipe, seed, resume=None):
        yield Progress(1, {"accuracy": 0.5}, {})
        if seed == 1:
            sys.exit(3)

    outcome = runner.run_study(study(), Place(runs), workers=0, training=leave)

    assert {run.trial.seed for run in outcome.failed} == {1}
    assert len(outcome.runs) == 6


def test_latency_that_an_earlier_call_could_not_come_to_is_measured_by_the_next(study, runs, monkeypatch):
    content = study()
    with monkeypatch.context() as patch:
        patch.setattr(runner._Call, "_measure_latencies", lambda *_: None)
        runner.run_study(content, Place(runs), workers=0, training=quick)

    assert (run(content, runs).frame["latency_ms"] > 0).all()


def test_the_database_at_rest_is_one_file_that_holds_everything(study, runs, tmp_path):
    content = study()
    run(content, runs)
    shutil.copytree(runs / "artifacts", tmp_path / "copy" / "artifacts")
    shutil.copy(runs / "mlflow.db", tmp_path / "copy" / "mlflow.db")

    assert len(reporting.report(Place(tmp_path / "copy"), content.name).frame) == 6


def test_a_diverging_recipe_is_a_failed_run_with_the_epoch(study, runs):
    content = study(STUDY.replace("epochs: 3", "epochs: 3, learning_rate: 1000000.0").replace("seeds: 2", "seeds: 1"))

    outcome = runner.run_study(content, Place(runs), workers=0)

    assert len(outcome.failed) == 3
    assert re.search(r"DivergedError: the .*loss.* became (nan|inf) in epoch \d", outcome.failed[0].error)
    table = reporting.report(Place(runs), content.name).table.to_text()
    assert "nan" not in table.lower()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_trial_that_kills_its_worker_fails_alone_and_innocents_are_complete(study, runs):
    def die(network, data, recipe, seed, resume=None):
        if seed == 1 and "SqueezeExcite" in repr(network):
            os.kill(os.getpid(), signal.SIGKILL)
        yield Progress(1, {"accuracy": 0.5}, {})

    outcome = runner.run_study(study(), Place(runs), workers=2, training=die)

    (failed,) = outcome.failed
    assert (failed.trial.setting.label, failed.trial.seed) == ("se", 1)
    assert "the worker process died" in failed.error
    assert len({(r.trial.setting.label, r.trial.seed) for r in outcome.runs}) == len(outcome.runs) == 6


@pytest.mark.slow
def test_scores_are_bit_equal_for_any_number_of_workers(study, runs):
    text = STUDY.replace("train: 50", "train: 200").replace("none, se, eca", "none, se")
    curves = {}
    for workers in (0, 1, 2):
        outcome = runner.run_study(study(text, name=f"bits-{workers}"), Place(runs), workers=workers)
        assert outcome.failed == []
        curves[workers] = {(r.trial.setting.label, r.trial.seed): r.curves for r in outcome.runs}

    assert curves[0] == curves[1] == curves[2]


def test_nothing_trains_when_two_settings_compute_the_same_network(study, runs):
    content = study(STUDY.replace("attention: [none, se, eca]", "conv: [dense, {grouped: {groups: [1, 2]}}]"))
    started = []

    def note(network, data, recipe, seed, resume=None):
        started.append(seed)
        yield Progress(1, {"accuracy": 0.5}, {})

    with pytest.raises(StudyError, match=r"'dense' and 'grouped\(groups=1\)' compute the same network"):
        runner.run_study(content, Place(runs), workers=0, training=note)
    assert started == []


def test_all_settings_that_cannot_be_built_are_named_together(study, runs):
    content = study(STUDY.replace("attention: [none, se, eca]", "norm: [batch, {group: {groups: [3, 5]}}]"))

    with pytest.raises(StudyError) as caught:
        runner.run_study(content, Place(runs), workers=0)

    assert len(caught.value.problems) == 2
    assert "group(groups=3)" in caught.value.problems[0]
    assert "16" in caught.value.problems[0]


def test_the_same_name_from_another_file_is_refused(study, runs, tmp_path):
    content = study()
    run(content, runs)

    with pytest.raises(
        StoreError, match=r"has been run from .*\.yml; this one is elsewhere\.yml: give it another name"
    ):
        run(replace(content, path="elsewhere.yml"), runs)


def test_a_study_that_is_being_run_is_refused_with_the_process_that_runs_it(study, runs):
    content = study()
    holder = textwrap.dedent(f"""
        import sys
        from ablate.lease import lease
        from pathlib import Path
        with lease(Path({str(runs / content.name)!r}), {content.name!r}):
            print("held", flush=True)
            sys.stdin.read()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().strip() == "held"
        with pytest.raises(StoreError, match=f"is being run by process {process.pid} on "):
            run(content, runs)
        process.kill()  # the lease of a killed process is free at once

    assert len(run(content, runs).frame) == 6


def test_runs_that_a_killed_parent_left_open_are_closed_as_killed_and_done_again(study, runs):
    import mlflow

    content = study()
    run(content, runs)
    client = mlflow.MlflowClient(tracking_uri=Place(runs).address)
    experiment = client.get_experiment_by_name(content.name)
    record = client.search_runs([experiment.experiment_id], "tags.`ablate.kind` = 'trial'")[0]
    client.update_run(record.info.run_id, status="RUNNING")

    outcome = runner.run_study(content, Place(runs), workers=0, training=quick)

    assert len(outcome.runs) == 1
    assert client.get_run(record.info.run_id).info.status == "KILLED"
    frame = reporting.report(Place(runs), content.name).frame
    assert frame["state"].value_counts().to_dict() == {"complete": 6, "killed": 1}


def test_an_interrupted_trial_that_another_study_has_completed_misses_no_checkpoint(study, runs):
    import mlflow

    text = STUDY.replace("epochs: 3", "epochs: 4").replace(", eca]", "]").replace("seeds: 2", "seeds: 1")
    text = text.replace("share: false", "")
    first, second = (study(text, name=name) for name in ("interrupted", "another"))
    runner.run_study(first, Place(runs), workers=0)
    client = mlflow.MlflowClient(tracking_uri=Place(runs).address)
    experiment = client.get_experiment_by_name(first.name)
    record = client.search_runs([experiment.experiment_id], "tags.`ablate.kind` = 'trial'")[0]
    parent = client.search_runs([experiment.experiment_id], "tags.`ablate.kind` = 'study'")[0]
    for one in (record, parent):
        client.update_run(one.info.run_id, status="KILLED")
    assert len(runner.run_study(second, Place(runs), workers=0).runs) == 1

    outcome = runner.run_study(study(text.replace("seeds: 1", "seeds: 2"), "interrupted"), Place(runs), workers=0)

    assert len(outcome.runs) == 2
    assert outcome.n_restarted == 0


def test_a_run_deleted_in_mlflow_is_simply_run_again(study, runs):
    import mlflow

    content = study()
    run(content, runs)
    client = mlflow.MlflowClient(tracking_uri=Place(runs).address)
    experiment = client.get_experiment_by_name(content.name)
    record = client.search_runs([experiment.experiment_id], "tags.`ablate.kind` = 'trial'")[0]
    client.delete_run(record.info.run_id)

    assert len(runner.run_study(content, Place(runs), workers=0, training=quick).runs) == 1


def test_progress_counts_and_names_the_best_so_far(study, runs):
    heard = []

    runner.run_study(study(), Place(runs), workers=0, training=quick, listen=heard.append)

    assert [progress.n_complete for progress in heard] == list(range(7))
    assert heard[0].best is None
    assert heard[-1].best == ("eca", pytest.approx(0.707))
    assert heard[-1].seconds_left == 0


def test_weights_are_kept_for_the_first_seed_unless_the_study_says_otherwise(study, runs):
    for keep, n in (("", 3), ("keep: weights\n", 6), ("keep: none\n", 0)):
        content = study(STUDY + keep, name=f"keeping-{n}")
        run(content, runs)
        assert len([p for p in (runs / "artifacts").rglob("weights.pt") if content.name in str(p)]) == n


def test_latency_is_measured_once_a_setting_and_noted_with_every_run(study, runs):
    frame = run(study(), runs).frame

    assert frame.groupby("setting")["latency_ms"].nunique().to_dict() == {"eca": 1, "none": 1, "se": 1}
    assert (frame["latency_ms"] > 0).all()


def test_the_plan_of_the_last_run_is_kept_as_plain_json(study, runs):
    content = study()
    run(content, runs)
    (path,) = [p for p in (runs / "artifacts").rglob("plan.json") if content.name[:40] in str(p)]

    planned = json.loads(path.read_text("utf-8"))

    assert planned["reference"] == "none"
    assert planned["against"] == {"se": "none", "eca": "none"}
    assert len(planned["trials"]) == 6


SEARCH = (
    STUDY
    + """\
design: {search: {settings: 3, objectives: [accuracy, latency_ms]}, confirm: {top: 1, seeds: 2}}
"""
)


def test_a_search_chooses_on_held_out_data_confirms_on_other_seeds_and_is_not_repeated(study, runs, tmp_path):
    log = tmp_path / "log"

    def noting(network, data, recipe, seed, resume=None):
        with log.open("a") as file:
            file.write(f"{seed} {len(data.train_targets)} {len(data.test_targets)}\n")
        yield from quick(network, data, recipe, seed)

    content = study(SEARCH)
    outcome = runner.run_study(content, Place(runs), workers=0, training=noting)

    seen = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    selecting = [sizes for seed, *sizes in seen if seed in (0, 1)]
    confirming = [sizes for seed, *sizes in seen if seed in (2, 3)]
    assert selecting == [[40, 10]] * 6
    assert confirming == [[50, 1747]] * 4
    assert outcome.failed == []
    result = reporting.report(Place(runs), content.name)
    assert result.table.frame["setting"].iloc[0] == "none"
    assert set(result.frame["seed"]) == {2, 3}
    assert set(result.slots.runs["seed"]) == {0, 1}
    assert result.slots.runs["latency_ms"].notna().all()
    assert "Pareto front on the held-out part" in str(result)

    again = runner.run_study(content, Place(runs), workers=0, training=noting)
    assert again.runs == []
    assert again.n_already_complete == 10


def test_a_search_is_exported_as_an_optuna_study(study, runs, tmp_path):
    from optuna import load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    content = study(SEARCH.replace("[accuracy, latency_ms]", "[accuracy]"))
    runner.run_study(content, Place(runs), workers=0, training=quick)
    summary.export(Place(runs), content.name, tmp_path / "journal.log")

    loaded = load_study(
        study_name=content.name, storage=JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
    )
    scores = {trial.params["attention"]: trial.value for trial in loaded.trials}
    assert scores == pytest.approx({"none": 0.507, "se": 0.607, "eca": 0.707})
    assert [len(trial.intermediate_values) for trial in loaded.trials] == [6, 6, 6]


@pytest.mark.slow
def test_settings_that_share_their_choices_are_exported_apart_each_complete(study, runs, tmp_path):
    from optuna import load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    text = STUDY.replace("seeds: 2", "seeds: {from: 2, to: 3}").replace("[none, se, eca]", "[none, se]")
    content = study(text + "match: {by: params, show: both}\ncalibration: [[none, control]]\n")
    frame = run(content, runs).frame
    summary.export(Place(runs), content.name, tmp_path / "journal.log")

    loaded = load_study(
        study_name=content.name, storage=JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
    )
    means = frame.groupby("setting")["accuracy"].mean()
    assert {trial.user_attrs["setting"]: trial.value for trial in loaded.trials} == pytest.approx(means.to_dict())
    assert set(means.index) == {"none", "se", "se, matched", "control"}


def test_adaptive_seeds_stop_where_the_answer_is_clear_and_are_not_asked_for_again(study, runs):
    def noisy(network, data, recipe, seed, resume=None):
        for progress in quick(network, data, recipe, 0):
            noise = math.sin(1000 * progress.scores["accuracy"] * (seed + 1)) * 0.002
            yield Progress(progress.epoch, {"accuracy": progress.scores["accuracy"] + noise}, {})

    text = STUDY.replace("seeds: 2", "seeds: {from: 2, to: 6}") + "calibration: [[none, control]]\n"
    result = run(study(text), runs, train=noisy)
    again = run(study(text), runs, train=noisy)

    assert len(result.frame) < 24
    assert set(result.table.frame["verdict"].dropna()) >= {"better"}
    assert "Seeds were allocated adaptively" in result.table.caption
    assert any("A/A check" in note for note in result.table.notes)
    assert again.frame["run_id"].tolist() == result.frame["run_id"].tolist()


def test_a_race_selects_on_held_out_images_and_says_so(study, runs):
    n_scored = []

    def counting(network, data, recipe, seed, resume=None):
        n_scored.append(len(data.test_targets))
        yield from quick(network, data, recipe, seed)

    result = run(study(STUDY.replace("seeds: 2", "seeds: {from: 2, to: 3, until: best}")), runs, train=counting)

    assert set(n_scored) == {10}
    assert "held-out fifth" in result.table.caption
    assert result.table.frame["p"].isna().all()


@pytest.mark.slow
def test_selecting_on_the_test_part_leaves_a_mark_in_the_table(study, runs):
    text = STUDY.replace("seeds: 2", "seeds: {from: 2, to: 3, until: best}\nselect: test")
    result = run(study(text), runs)

    assert result.table.notes[0].startswith("Selected on the test part")
    assert "Selected on the test part" in result.table.caption


def test_the_twin_of_a_setting_starts_from_other_weights_and_sees_the_same_images(study, runs):
    def weigh(network, data, recipe, seed, resume=None):
        weights = sum(p.abs().sum().item() for p in network.parameters())
        for epoch in range(recipe.epochs):
            yield Progress(epoch + 1, {"accuracy": 0.5 + weights % 1 / 10}, {})

    frame = run(study(STUDY + "calibration: [[none, control]]\n"), runs, train=weigh).frame
    scores = frame.set_index(["setting", "seed"])["accuracy"]

    assert scores["none", 0] != scores["control", 0]


def test_a_fraction_runs_so_many_trials_and_tells_slots_apart(study, runs):
    text = STUDY.replace("attention: [none, se, eca]", "attention: [none, se, eca]\n  kernel: [3, 5]")
    text = text.replace("seeds: 2", "seeds: 2\ndesign: {fractional: {runs: 8}}")
    result = run(study(text), runs)

    assert len(result.frame) == 8
    assert [table.key for table in result.tables] == ["effects"]
    slots = result.table.frame.set_index(["slot", "choice"])["delta"]
    assert slots["attention", "se"] == pytest.approx(0.1, abs=0.01)
    assert slots["kernel", "5"] == pytest.approx(0.0, abs=0.01)


def test_a_factorial_has_a_second_table_of_its_slots(study, runs, tmp_path):
    text = STUDY.replace("attention: [none, se, eca]", "attention: [none, se, eca]\n  kernel: [3, 5, 7]")
    result = run(study(text.replace("seeds: 2", "seeds: 2\ndesign: factorial")), runs)

    assert len(result.frame) == 18
    effects = next(table for table in result.tables if table.key == "effects")
    assert effects.frame.set_index(["slot", "choice"]).loc[("attention", "eca"), "delta"] == pytest.approx(0.2)
    assert {"ablation-preamble.tex", "comparison.tex", "effects.tex", "effects.csv"} <= set(reporting.files(result))


@pytest.mark.slow
def test_matched_settings_stand_beside_themselves_with_their_widths(study, runs):
    text = STUDY.replace("[none, se, eca]", "[none, se]") + "match: {by: params, show: both}\n"
    result = run(study(text), runs)

    figures = result.table.frame.set_index("setting")
    assert list(figures.index) == ["none", "se", "se, matched"]
    assert figures.loc["se, matched", "slot.width"] is not None
    sizes = figures["params"]
    assert abs(sizes["se, matched"] - sizes["none"]) < abs(sizes["se"] - sizes["none"])
    assert any("instead of 16-32-64" in note for note in result.table.notes)


@pytest.mark.slow
def test_a_search_that_selects_on_the_test_part_is_marked_and_not_repeated(study, runs):
    text = STUDY.replace(
        "seeds: 2",
        "seeds: 1\nselect: test\ndesign:\n  search: {settings: 3, sampler: random}\n  confirm: {top: 1, seeds: 2}",
    )
    result = run(study(text), runs)
    again = run(study(text), runs)

    assert again.frame["run_id"].tolist() == result.frame["run_id"].tolist()
    assert again.slots.runs["run_id"].tolist() == result.slots.runs["run_id"].tolist()
    assert len(result.slots.runs) == 3
    assert result.table.notes[0].startswith("Selected on the test part")
    assert "scored on the test part" in result.found
