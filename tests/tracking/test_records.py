"""The record of one study: what a killed parent left, which runs count, and what comes back."""

import hashlib
import math
import platform
from dataclasses import replace

import mlflow
import pytest

from ablate import design
from ablate.job import Examination
from ablate.study import FELL_BEHIND, Cost, RunState
from ablate.tracking import Records


def test_beginning_closes_what_a_killed_parent_left_and_says_how_far_it_had_come(
    place, study_of, trials_of, run_of, begun, write, in_mlflow
):
    study = study_of()
    records = begun(place, study)
    first, second, third, fourth = trials_of(study)
    running = [run_of(trial, RunState.RUNNING) for trial in (first, second)]
    for run in running:
        records.progress(records.entry(run, study))
    write(records, study, run_of(first), run_of(third, RunState.KILLED, scores=(0.1,)), run_of(fourth, RunState.FAILED))

    assert Records(place, "one").begin(study) == {second.identity: 3, third.identity: 1}
    assert sorted(record.info.status for record in in_mlflow(place)[1]) == ["FAILED", "FINISHED", *3 * ["KILLED"]]


def test_a_trial_that_failed_after_it_was_killed_is_not_one_that_was_interrupted(
    place, study_of, trials_of, run_of, begun, write
):
    study = study_of()
    records = begun(place, study)
    first, second, *_ = trials_of(study)
    write(records, study, run_of(first, RunState.KILLED), run_of(first, RunState.FAILED, scores=(0.1,)))
    write(records, study, run_of(second, RunState.FAILED), run_of(second, RunState.KILLED, scores=(0.1, 0.2)))

    assert Records(place, "one").begin(study) == {second.identity: 2}


@pytest.mark.parametrize(("ends", "n_interrupted"), [({}, 0), ({"failed": True}, 1), ({"killed": True}, 1)])
def test_a_study_that_has_run_to_its_end_leaves_nothing_interrupted(
    place, study_of, trials_of, run_of, begun, write, ends, n_interrupted
):
    study = study_of()
    records = begun(place, study)
    write(records, study, run_of(trials_of(study)[0], RunState.KILLED))  # of a setting, say, that was taken out then
    records.end(**ends)

    assert len(Records(place, "one").begin(study)) == n_interrupted


def test_a_record_that_a_lost_answer_left_twice_is_removed(place, study_of, trials_of, run_of, begun, in_mlflow):
    study = study_of()
    records = begun(place, study)
    entry = records.entry(run_of(trials_of(study)[0]), study)
    records.progress(replace(entry, status="RUNNING", ended=None))
    records.write(entry, first=True)  # as MLflow's own client does when it repeats a call whose answer was lost
    assert len(in_mlflow(place)[1]) == 2

    assert Records(place, "one").begin(study) == {}
    assert [record.info.status for record in in_mlflow(place)[1]] == ["FINISHED"]


def test_complete_runs_of_other_studies_count_where_that_is_asked_for(
    place, study_of, trials_of, run_of, begun, write, identities
):
    one, two = study_of("one"), study_of("two")
    trials = trials_of(one)
    write(begun(place, one), one, run_of(trials[0], scores=(0.1,)), run_of(trials[1], RunState.PRUNED))
    records = begun(place, two)
    write(records, two, run_of(trials[2], scores=(0.3,)), run_of(trials[1], RunState.FAILED))

    assert set(records.completed(identities(trials), share=False)) == {trials[2].identity}
    assert {
        identity: scores["accuracy"] for identity, scores in records.completed(identities(trials), share=True).items()
    } == {trials[0].identity: 0.1, trials[2].identity: 0.3}
    assert records.completed([], share=True) == {}
    frame, n_stale = records.frame()
    assert frame[["setting", "seed", "state"]].to_numpy().tolist() == [
        ["none", 0, "complete"], ["none", 1, "complete"], ["se", 0, "failed"],
    ]  # fmt: skip
    assert (set(frame["study"]), n_stale) == ({"two"}, 0)

    write(records, two, run_of(trials[0], scores=(0.2,)))
    assert records.completed([trials[0].identity], share=True)[trials[0].identity]["accuracy"] == 0.2
    assert set(records.frame()[0]["run_id"]) == {row.run_id for row in records._own()}

    alone = replace(two, share=False)
    records.planned(alone, design.plan(two), trials)
    assert records.frame()[0]["state"].tolist() == ["complete", "complete", "failed"]
    begun(place, one)
    assert len(Records(place, "one").frame()[0]) == 3


def test_a_run_of_another_torch_is_no_result(place, study_of, trials_of, run_of, begun):
    study = study_of()
    records = begun(place, study)
    trial = trials_of(study)[0]
    entry = records.entry(run_of(trial), study)
    records.write(replace(entry, tags={**entry.tags, "ablate.torch": "1.0"}))

    assert records.completed([trial.identity], share=True) == {}
    assert records.frame()[1] == 1
    (stale,) = records.stale(study, trials_of(study))
    assert (stale.setting, stale.seed) == ("none", 0)
    assert stale.reasons[0].startswith("torch 1.0 → 2.")


def test_latency_is_noted_with_the_runs_that_lack_it(place, study_of, trials_of, run_of, begun, write):
    study = study_of()
    trials = trials_of(study)
    records = begun(place, study)
    write(records, study, run_of(trials[0], cost=Cost(1, 2, 0.5)), run_of(trials[1]), run_of(trials[2]))

    known, lacking = records.latencies(design.plan(study))
    assert known == {"none": 0.5}
    assert {label: len(runs) for label, runs in lacking.items()} == {"none": 1, "se": 1}
    records.note_latencies({"none": 0.5, "se": 0.7}, lacking)

    assert records.frame()[0]["latency_ms"].tolist() == [0.5, 0.5, 0.7]
    assert records.latencies(design.plan(study))[1] == {}


def test_the_study_comes_back_as_its_file_was(place, study_of, begun):
    study = study_of()
    begun(place, study)

    assert Records(place, "one").study() == study


def test_what_was_found_in_a_network_is_noted_once_with_a_run_of_its_setting(
    place, study_of, trials_of, run_of, begun, write
):
    study = study_of()
    records = begun(place, study)
    write(records, study, *map(run_of, trials_of(study)))

    known, lacking = records.networks()
    assert (known, set(lacking)) == ({}, {"none", "se"})
    found = {label: Examination((f"{label} is odd",), (0.1, 2.0), 0.5) for label in lacking}
    records.note_networks(found, lacking)

    known, lacking = Records(place, study.name).networks()
    assert lacking == {}
    assert known["se"] == {"notes": ["se is odd"], "scale": [0.1, 2.0], "logits": 0.5}


def test_a_setting_that_fell_behind_is_read_as_one(place, study_of, trials_of, run_of, begun, write):
    study = study_of()
    records = begun(place, study)
    none, se = trials_of(study)[:2]
    write(records, study, run_of(none), run_of(se, notes=(FELL_BEHIND,)))

    behind = {one.identity: one.fell_behind for one in records.selected("accuracy", held_out=False)}
    assert behind == {none.identity: False, se.identity: True}


def test_a_plan_says_what_a_report_needs_of_slots_pairs_and_rules(place, study_of, begun):
    records = begun(place, study_of(), split="Scored on digits.")
    planned = records.plan()

    assert planned["design"] == "one-at-a-time"
    assert planned["factors"] == [
        {"name": "attention", "levels": ["none", "se"], "reference": "none", "when": {}, "values": None}
    ]
    assert planned["split"] == "Scored on digits."
    assert (planned["adaptive"], planned["calibration"], planned["selects"]) == (None, [], False)


def test_curves_are_those_of_the_complete_runs_of_a_frame_in_its_order(
    place, study_of, trials_of, run_of, begun, write
):
    study = study_of()
    none, se, none_1, se_1 = trials_of(study)
    records = begun(place, study)
    write(
        records, study, run_of(se, scores=(0.1, 0.2)), run_of(none, scores=(0.3, math.nan, 0.5)),
        run_of(none_1, RunState.FAILED), run_of(se_1, RunState.PRUNED),
    )  # fmt: skip
    frame, _ = records.frame()

    curves = records.curves(frame)

    assert curves.columns.tolist() == ["setting", "seed", "epoch", "value"]
    assert curves.dtypes.astype(str).tolist() == [str(frame["setting"].dtype), "int64", "int64", "float64"]
    assert repr(curves.to_numpy().tolist()) == repr([
        ["none", 0, 1, 0.3], ["none", 0, 2, math.nan], ["none", 0, 3, 0.5], ["se", 0, 1, 0.1], ["se", 0, 2, 0.2],
    ])  # fmt: skip
    assert records.curves(frame[frame["state"] != "complete"]).empty


def test_curves_of_runs_that_another_study_shares_are_read_too(place, study_of, trials_of, run_of, begun, write):
    one, two = study_of("one"), study_of("two")
    write(begun(place, one), one, run_of(trials_of(one)[0]))
    records = begun(place, two)

    assert records.curves(records.frame()[0])["value"].tolist() == [0.5, 0.6, 0.7]


def test_provenance_lists_what_the_runs_that_count_stand_on_each_value_that_there_is(
    place, study_of, trials_of, run_of, begun
):
    study = study_of()
    records = begun(place, study)
    stood_on = [
        {"mlflow.source.git.commit": "b", "ablate.uncommitted": "true", "version.others": "numpy 2.0, pandas 3.0"},
        {"mlflow.source.git.commit": "a", "ablate.uncommitted": "false", "version.others": "numpy 2.1, pandas 3.0"},
        {"mlflow.source.git.commit": "c", "ablate.hardware": "of a run that does not count"},
    ]
    states = (RunState.COMPLETE, RunState.COMPLETE, RunState.FAILED)
    for trial, tags, state in zip(trials_of(study), stood_on, states, strict=False):
        entry = records.entry(run_of(trial, state), study)
        records.write(replace(entry, tags={**entry.tags, **tags}))
    frame, _ = records.frame()

    found = records.provenance(frame)

    assert (found["path"], found["study_file"]) == (study.path, study.text)
    assert found["study_hash"] == hashlib.sha256(study.text.encode()).hexdigest()
    assert (found["commits"], found["uncommitted"]) == (["a", "b"], True)
    assert (found["versions"]["numpy"], found["versions"]["pandas"]) == (["2.0", "2.1"], ["3.0"])
    assert found["versions"]["python"] == [platform.python_version()]
    assert (found["hardware"], found["systems"]) == (["a machine"], [platform.platform()])
    assert platform.node() not in [value for values in found["versions"].values() for value in values]
    run_ids = frame.set_index(["setting", "seed"])["run_id"]
    assert found["run_ids"] == {"none": {0: run_ids["none", 0]}, "se": {0: run_ids["se", 0]}}


def test_runs_that_did_not_note_what_they_stood_on_have_no_provenance_but_their_file(
    place, study_of, trials_of, run_of, begun
):
    study = study_of()
    records = begun(place, study)
    entry = records.entry(run_of(trials_of(study)[0]), study)
    noted = ("ablate.", "mlflow.note")
    tags = {
        k: v for k, v in entry.tags.items() if k.startswith(noted) and k not in ("ablate.hardware", "ablate.system")
    }
    tags.pop("ablate.uncommitted", None)
    records.write(replace(entry, tags=tags))

    found = records.provenance(records.frame()[0])

    assert {name: found[name] for name in ("commits", "uncommitted", "versions", "hardware", "systems")} == {
        "commits": [], "uncommitted": False, "versions": {}, "hardware": [], "systems": [],
    }  # fmt: skip


def test_a_report_is_kept_with_the_study_in_place_of_an_earlier_one(place, study_of, begun):
    records = begun(place, study_of())
    records.put_report({"index.html": b"<p>first</p>", "tables/a.tex": b"a", "figures/b.svg": b"b"})
    records.put_report({"index.html": "<p>注意力</p>".encode(), "tables/c.tex": b"c"})

    client = mlflow.MlflowClient(tracking_uri=place.address)
    number = client.get_experiment_by_name("one").experiment_id
    (parent,) = client.search_runs([number], "tags.`ablate.kind` = 'study'")
    kept = place.artifacts / parent.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    files = {p.relative_to(kept).as_posix(): p.read_bytes() for p in kept.rglob("*") if p.is_file()}
    assert set(files) == {"one.yml", "plan.json", "report/index.html", "report/tables/c.tex"}
    assert files["report/index.html"].decode() == "<p>注意力</p>"
    assert [path.name for path in kept.rglob("*") if path.is_dir()] == ["report", "tables"]


def test_a_study_says_in_mlflow_what_it_is_and_says_more_when_more_is_planned(place, study_of, trials_of, begun):
    study = study_of()
    records = begun(place, study)
    records.planned(
        study, design.plan(study), [*trials_of(study), replace(trials_of(study)[0], seed=2, identity="new")]
    )

    client = mlflow.MlflowClient(tracking_uri=place.address)
    number = client.get_experiment_by_name("one").experiment_id
    (parent,) = client.search_runs([number], "tags.`ablate.kind` = 'study'")
    assert "5 trials are planned so far" in parent.data.tags["mlflow.note.content"]
