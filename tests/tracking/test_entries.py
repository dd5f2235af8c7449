"""What the record holds of a run, and what it says has changed since."""

import pytest

from ablate.study import Cost
from ablate.tracking import Records

WITH_A_CONDITION = """\
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 50}}
slots:
  conv: [dense, depthwise]
  mix: {choices: [none, pointwise], when: {conv: depthwise}, reference: none}
  recipe.warmup: [0, 1]
seeds: 2
recipe: {epochs: 3}
"""


def test_a_run_is_recorded_with_curves_costs_params_tags_and_files(
    place, study_of, trials_of, run_of, begun, write, in_mlflow
):
    study = study_of()
    records = begun(place, study)
    trial = trials_of(study)[1]
    run = run_of(trial, weights=b"weights", notes=("went on from epoch 2",), cost=Cost(10, 20, 0.5), started=1000.0)
    write(records, study, run)

    client, (record,) = in_mlflow(place)
    assert record.info.status == "FINISHED"
    assert (record.info.start_time, record.info.end_time) == (1_000_000, 1_002_000)
    assert record.data.metrics == pytest.approx(
        {"accuracy": 0.7, "loss": 0.3, "params": 10, "macs": 20, "latency_ms": 0.5, "seconds": 2.0}
    )
    assert [(p.step, p.value) for p in client.get_metric_history(record.info.run_id, "accuracy")] == [
        (1, 0.5), (2, 0.6), (3, 0.7),
    ]  # fmt: skip
    assert {
        "attention": "se",
        "seed": "0",
        "recipe.epochs": "3",
        "network.depth": "8",
    }.items() <= record.data.params.items()
    tags = record.data.tags
    assert (tags["ablate.attempt"], tags["ablate.identity"]) == (run.attempt, "se 0")
    assert (tags["ablate.hardware"], tags["ablate.notes"]) == ("a machine", "went on from epoch 2")
    assert client.get_run(tags["mlflow.parentRunId"]).data.tags["ablate.kind"] == "study"
    (kept,) = place.artifacts.rglob("weights.pt")
    assert kept.read_bytes() == b"weights"


def test_params_name_what_tells_a_trial_from_others_first(place, study_of, trials_of, run_of, begun):
    study = study_of(text=WITH_A_CONDITION)
    records = begun(place, study)
    named = [list(records.entry(run_of(trial), study).params) for trial in trials_of(study)[:2]]

    assert named[0][:4] == ["setting", "conv", "recipe.warmup", "seed"]  # a slot that does not exist is no param
    assert named[1][:5] == ["setting", "conv", "mix", "recipe.warmup", "seed"]
    assert sorted(named[1]) == sorted([*set(named[1])])
    entry = records.entry(run_of(trials_of(study)[1]), study)
    assert (entry.params["setting"], entry.params["seed"]) == ("conv=depthwise", "0")


def test_what_has_changed_since_a_run_is_named(place, study_of, trials_of, run_of, begun, write, usual_text):
    study = study_of()
    write(begun(place, study), study, *map(run_of, trials_of(study)))
    grown = study_of(text=usual_text.replace("epochs: 3", "epochs: 30").replace("train: 50", "train: 60"))
    parts = (("network", "n"), ("recipe", "R"), ("data", "D"), ("file blocks/attention/se.py", "F"), ("training", "t"))

    first, *_ = records_stale = Records(place, "one").stale(grown, trials_of(grown, identity="new", parts=parts))

    assert len(records_stale) == 4
    assert first.reasons == (
        "data: train 50 → 60", "recipe: epochs 3 → 30", "training", "source of blocks/attention/se.py",
    )  # fmt: skip
    assert Records(place, "one").stale(study, trials_of(study)) == []


def test_parts_that_are_too_long_for_a_tag_leave_the_single_files_out(
    place, study_of, trials_of, run_of, begun, write, in_mlflow, usual_parts
):
    study = study_of()
    parts = (*usual_parts, *((f"file blocks/{i}.py", 64 * "0") for i in range(200)))
    records = begun(place, study)
    write(records, study, run_of(trials_of(study, parts=parts)[0]))

    (stale,) = records.stale(study, trials_of(study, identity="new", parts=(("recipe", "R"), *usual_parts[2:])))
    assert stale.reasons[:2] == ("network", "recipe")
    assert len(in_mlflow(place)[1][0].data.tags["ablate.parts"]) < 8000  # PostgreSQL refuses more
