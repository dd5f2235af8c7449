"""What is written of a run: whole, once, and to its end where the writing broke off."""

from dataclasses import replace

import mlflow
import pytest

from ablate.errors import StoreError
from ablate.study import RunState
from ablate.tracking import Records
from ablate.tracking.ledger import FORMAT


def test_a_curve_longer_than_a_call_may_be_is_recorded_whole(place, study_of, trials_of, run_of, begun, write):
    study = study_of()
    records = begun(place, study)
    curve = [i / 3000 for i in range(3000)]
    write(records, study, run_of(trials_of(study)[0], scores=curve))

    (found,) = records.selected("accuracy", held_out=False)
    assert found.curves["accuracy"] == curve


def test_what_is_written_twice_is_there_once(place, study_of, trials_of, run_of, begun, in_mlflow):
    study = study_of()
    records = begun(place, study)
    entry = records.entry(run_of(trials_of(study)[0]), study)

    records.write(entry, first=True)
    records.write(entry)
    Records(place, "one").write(entry)

    assert len(in_mlflow(place)[1]) == 1


@pytest.mark.parametrize("state", [RunState.COMPLETE, RunState.PRUNED, RunState.FAILED])
def test_a_record_whose_writing_broke_off_is_completed(place, state, study_of, trials_of, run_of, begun, in_mlflow):
    study = study_of()
    records = begun(place, study)
    run = run_of(trials_of(study)[0], state, error="Traceback\nE: x" if state is RunState.FAILED else "", weights=b"w")
    records.progress(records.entry(replace(run, state=RunState.RUNNING, error=""), study))

    Records(place, "one").write(records.entry(run, study))

    client, (record,) = in_mlflow(place)
    assert record.info.status == {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[state]
    assert record.data.tags.get("ablate.error") == ("E: x" if state is RunState.FAILED else None)
    assert [point.step for point in client.get_metric_history(record.info.run_id, "loss")] == [1, 2, 3]
    assert record.data.metrics["seconds"] == 2.0
    assert list(place.artifacts.rglob("weights.pt"))


def test_a_result_that_waited_while_its_record_was_closed_as_killed_is_not_lost(
    place, study_of, trials_of, run_of, begun
):
    study = study_of()
    records = begun(place, study)
    run = run_of(trials_of(study)[0])
    records.progress(records.entry(replace(run, state=RunState.RUNNING), study))
    later = begun(place, study)

    later.write(records.entry(run, study))

    assert list(later.completed(["none 0"], share=False)) == ["none 0"]


def test_progress_writes_each_epoch_once_and_nothing_after_the_end(
    place, study_of, trials_of, run_of, begun, in_mlflow
):
    study = study_of()
    records = begun(place, study)
    run = run_of(trials_of(study)[0])
    for n in (1, 2, 2, 3):
        so_far = {name: curve[:n] for name, curve in run.curves.items()}
        records.progress(records.entry(replace(run, state=RunState.RUNNING, curves=so_far), study))
        client, (record,) = in_mlflow(place)
        assert [point.step for point in client.get_metric_history(record.info.run_id, "accuracy")] == [*range(1, n + 1)]
        assert record.info.status == "RUNNING"
    write_again = records.entry(run, study)
    records.write(write_again)
    records.progress(records.entry(replace(run, state=RunState.RUNNING, curves={"accuracy": [0.0] * 9}), study))

    client, (record,) = in_mlflow(place)
    assert record.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(record.info.run_id, "accuracy")] == [1, 2, 3]


def test_a_running_record_that_was_deleted_in_mlflow_comes_back_with_its_result(
    place, study_of, trials_of, run_of, begun, in_mlflow
):
    study = study_of()
    records = begun(place, study)
    run = run_of(trials_of(study)[0])
    records.progress(records.entry(replace(run, state=RunState.RUNNING), study))
    client, (record,) = in_mlflow(place)
    client.delete_run(record.info.run_id)

    records.write(records.entry(run, study))

    assert records.completed(["none 0"], share=False)["none 0"]["accuracy"] == pytest.approx(0.7)


def test_a_study_of_a_newer_ablate_is_refused(place, study_of, begun):
    study = study_of()
    begun(place, study)
    client = mlflow.MlflowClient(tracking_uri=place.address)
    number = client.get_experiment_by_name("one").experiment_id
    assert client.get_experiment(number).tags["ablate.format"] == str(FORMAT)
    client.set_experiment_tag(number, "ablate.format", str(FORMAT + 1))

    with pytest.raises(StoreError, match=r"study 'one' in .* was written by a newer ablate"):
        Records(place, "one")
    assert Records(place, "two").completed(["none 0"], share=True) == {}
