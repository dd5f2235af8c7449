"""The record on real MLflow stores."""

import hashlib
import itertools
import math
import os
import shutil
import sqlite3
import subprocess
import time
import uuid
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from ablate import design
from ablate.config import parse_study
from ablate.errors import AwayError, StoreError
from ablate.place import Place
from ablate.study import Cost, Run, RunState, Trial
from ablate.tracking import Records, studies
from ablate.tracking.ledger import FORMAT
from ablate.tracking.rows import Interface, Tables

TEXT = """\
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 50}}
slots: {attention: [none, se]}
seeds: 2
recipe: {epochs: 3}
"""
CLOCK = itertools.count(1000.0)  # no two runs start at once
PARTS = (("network", "n"), ("recipe", "r"), ("data", "d"), ("file blocks/attention/se.py", "f"))


def study_of(name="one", text=TEXT):
    return parse_study(text, path=Path(f"{name}.yml"))


def trials_of(study, **changes):
    return [
        replace(Trial(setting, seed, f"{setting.label} {seed}", parts=PARTS), **changes)
        for seed in study.seeds
        for setting in design.plan(study).settings
    ]


def run_of(trial, state=RunState.COMPLETE, scores=(0.5, 0.6, 0.7), **more):
    curves = {"accuracy": list(scores), "loss": [1 - score for score in scores]}
    filled = {"attempt": uuid.uuid4().hex, "started": next(CLOCK), "seconds": 2.0, "cost": Cost(10, 20)}
    return Run(trial, state, curves, **(filled | more))


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A folder with an empty store: MLflow takes 2 s to make one."""
    root = tmp_path_factory.mktemp("empty") / "runs"
    Records(Place(root), "nothing")
    with sqlite3.connect(root / "mlflow.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return root


@pytest.fixture
def place(empty, tmp_path):
    (tmp_path / "runs").mkdir()
    shutil.copyfile(empty / "mlflow.db", tmp_path / "runs" / "mlflow.db")
    return Place(tmp_path / "runs")


def begun(place, study, trials=None, **more):
    records = Records(place, study.name)
    records.begin(study, "a machine")
    records.planned(study, design.plan(study), trials_of(study) if trials is None else trials, **more)
    return records


def write(records, study, *runs):
    for run in runs:
        records.write(records.entry(run, study), first=True)


def in_mlflow(place, name="one", view=1):
    client = mlflow.MlflowClient(tracking_uri=place.address)
    number = client.get_experiment_by_name(name).experiment_id
    return client, client.search_runs([number], "tags.`ablate.kind` = 'trial'", view)


def identities(trials):
    return [trial.identity for trial in trials]


# -- writing ---------------------------------------------------------------------------------------------------------


def test_a_run_is_recorded_with_curves_costs_params_tags_and_files(place):
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
    assert (tags["ablate.hardware"], tags["mlflow.note.content"]) == ("a machine", "went on from epoch 2")
    assert client.get_run(tags["mlflow.parentRunId"]).data.tags["ablate.kind"] == "study"
    (kept,) = place.artifacts.rglob("weights.pt")
    assert kept.read_bytes() == b"weights"


def test_a_curve_longer_than_a_call_may_be_is_recorded_whole(place):
    study = study_of()
    records = begun(place, study)
    curve = [i / 3000 for i in range(3000)]
    write(records, study, run_of(trials_of(study)[0], scores=curve))

    (found,) = records.selected("accuracy", held_out=False)
    assert found.curves["accuracy"] == curve


def test_what_is_written_twice_is_there_once(place):
    study = study_of()
    records = begun(place, study)
    entry = records.entry(run_of(trials_of(study)[0]), study)

    records.write(entry, first=True)
    records.write(entry)
    Records(place, "one").write(entry)

    assert len(in_mlflow(place)[1]) == 1


@pytest.mark.parametrize("state", [RunState.COMPLETE, RunState.PRUNED, RunState.FAILED])
def test_a_record_whose_writing_broke_off_is_completed(place, state):
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


def test_a_result_that_waited_while_its_record_was_closed_as_killed_is_not_lost(place):
    study = study_of()
    records = begun(place, study)
    run = run_of(trials_of(study)[0])
    records.progress(records.entry(replace(run, state=RunState.RUNNING), study))
    later = begun(place, study)

    later.write(records.entry(run, study))

    assert list(later.completed(["none 0"], share=False)) == ["none 0"]


def test_progress_writes_each_epoch_once_and_nothing_after_the_end(place):
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


def test_a_running_record_that_was_deleted_in_mlflow_comes_back_with_its_result(place):
    study = study_of()
    records = begun(place, study)
    run = run_of(trials_of(study)[0])
    records.progress(records.entry(replace(run, state=RunState.RUNNING), study))
    client, (record,) = in_mlflow(place)
    client.delete_run(record.info.run_id)

    records.write(records.entry(run, study))

    assert records.completed(["none 0"], share=False)["none 0"]["accuracy"] == pytest.approx(0.7)


def test_beginning_closes_what_a_killed_parent_left_and_says_how_far_it_had_come(place):
    study = study_of()
    records = begun(place, study)
    first, second, third, fourth = trials_of(study)
    running = [run_of(trial, RunState.RUNNING) for trial in (first, second)]
    for run in running:
        records.progress(records.entry(run, study))
    write(records, study, run_of(first), run_of(third, RunState.KILLED, scores=(0.1,)), run_of(fourth, RunState.FAILED))

    assert Records(place, "one").begin(study) == {second.identity: 3, third.identity: 1}
    assert sorted(record.info.status for record in in_mlflow(place)[1]) == ["FAILED", "FINISHED", *3 * ["KILLED"]]


def test_a_trial_that_failed_after_it_was_killed_is_not_one_that_was_interrupted(place):
    study = study_of()
    records = begun(place, study)
    first, second, *_ = trials_of(study)
    write(records, study, run_of(first, RunState.KILLED), run_of(first, RunState.FAILED, scores=(0.1,)))
    write(records, study, run_of(second, RunState.FAILED), run_of(second, RunState.KILLED, scores=(0.1, 0.2)))

    assert Records(place, "one").begin(study) == {second.identity: 2}


def test_a_record_that_a_lost_answer_left_twice_is_removed(place):
    study = study_of()
    records = begun(place, study)
    entry = records.entry(run_of(trials_of(study)[0]), study)
    records.progress(replace(entry, status="RUNNING", ended=None))
    records.write(entry, first=True)  # as MLflow's own client does when it repeats a call whose answer was lost
    assert len(in_mlflow(place)[1]) == 2

    assert Records(place, "one").begin(study) == {}
    assert [record.info.status for record in in_mlflow(place)[1]] == ["FINISHED"]


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def varied(place):
    """Two studies with runs in every state, one with a score that is no number, one deleted."""
    for name in ("one", "two"):
        study = study_of(name)
        records = begun(place, study)
        first, second, third, fourth = trials_of(study)
        write(
            records, study, run_of(first), run_of(second, RunState.PRUNED), run_of(third, scores=(0.5, math.nan)),
            run_of(fourth, RunState.FAILED, error="E: x"), run_of(fourth, RunState.KILLED), run_of(first),
        )  # fmt: skip
        records.progress(records.entry(run_of(fourth, RunState.RUNNING), study))
    client, found = in_mlflow(place, "two")
    client.delete_run(found[0].info.run_id)
    return place


def plain(rows):
    """Return rows as text, as nan is not equal to itself."""
    return [
        repr(
            (
                row.run_id,
                row.experiment,
                row.status,
                row.started,
                *map(sorted, (row.tags.items(), row.metrics.items(), row.params.items())),
            )
        )
        for row in rows
    ]


def test_tables_and_interface_give_the_same(varied):
    records = Records(varied, "one")
    tables, interface = records._rows, Interface(records._client)
    numbers = list(records._ledger.store.experiments())
    assert isinstance(tables, Tables)

    both = [reader.trials(numbers, lambda _: True, params=True) for reader in (tables, interface)]

    assert len(both[0]) == 13
    assert plain(both[0]) == plain(both[1])
    assert {row.state for row in both[0]} == set(RunState)
    ids = [row.run_id for row in both[0]]
    assert repr(tables.histories(ids, "accuracy")) == repr(interface.histories(ids, "accuracy"))
    n_deleted = 0
    for number in numbers:
        attempts = tables.attempts(number)
        n_deleted += list(attempts.values()).count("DELETED")
        assert attempts == interface.attempts(number)
        for attempt in [*attempts, "none"]:
            found = [[row.run_id for row in reader.of_attempt(number, attempt)] for reader in (tables, interface)]
            assert found[0] == found[1]
    assert n_deleted == 1


def test_complete_runs_of_other_studies_count_where_that_is_asked_for(place):
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


def test_a_run_of_another_torch_is_no_result(place, monkeypatch):
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


def test_what_has_changed_since_a_run_is_named(place):
    study = study_of()
    write(begun(place, study), study, *map(run_of, trials_of(study)))
    grown = study_of(text=TEXT.replace("epochs: 3", "epochs: 30").replace("train: 50", "train: 60"))
    parts = (("network", "n"), ("recipe", "R"), ("data", "D"), ("file blocks/attention/se.py", "F"), ("training", "t"))

    first, *_ = records_stale = Records(place, "one").stale(grown, trials_of(grown, identity="new", parts=parts))

    assert len(records_stale) == 4
    assert first.reasons == (
        "data: train 50 → 60", "recipe: epochs 3 → 30", "training", "source of blocks/attention/se.py",
    )  # fmt: skip
    assert Records(place, "one").stale(study, trials_of(study)) == []


def test_parts_that_are_too_long_for_a_tag_leave_the_single_files_out(place):
    study = study_of()
    parts = (*PARTS, *((f"file blocks/{i}.py", 64 * "0") for i in range(200)))
    records = begun(place, study)
    write(records, study, run_of(trials_of(study, parts=parts)[0]))

    (stale,) = records.stale(study, trials_of(study, identity="new", parts=(("recipe", "R"), *PARTS[2:])))
    assert stale.reasons[:2] == ("network", "recipe")
    assert len(in_mlflow(place)[1][0].data.tags["ablate.parts"]) < 8000  # PostgreSQL refuses more


def test_the_trials_of_a_search_have_a_frame_of_their_own(place):
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


def test_latency_is_noted_with_the_runs_that_lack_it(place):
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


def test_the_study_comes_back_as_its_file_was(place):
    study = study_of()
    begun(place, study)

    assert Records(place, "one").study() == study


# -- other folders ---------------------------------------------------------------------------------------------------


def hashes(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_adopting_copies_all_that_has_ended_and_leaves_the_other_folder_as_it_is(place, empty, tmp_path):
    study = study_of()
    records = begun(place, study)
    first, second, third, fourth = trials_of(study)
    write(records, study, run_of(first, weights=b"w"), run_of(second, RunState.PRUNED), run_of(third))
    records.progress(records.entry(run_of(fourth, RunState.RUNNING), study))
    assert Path(f"{place.database}-wal").stat().st_size > 0  # most of it is not in the database's own file yet
    before = hashes(place.root)
    here = Place(tmp_path / "here")

    assert Records(here, "one").adopt(place, "one") == 3
    assert Records(here, "one").adopt(place, "one") == 0

    assert hashes(place.root) == before
    ours, theirs = Records(here, "one"), Records(place, "one")
    for read in (
        lambda r: r.completed(identities(trials_of(study)), share=False),
        lambda r: r.selected("loss", held_out=False),
    ):
        assert read(ours) == read(theirs)
    columns = ["setting", "seed", "state", "accuracy", "seconds", "started"]
    assert ours.frame()[0][columns].equals(theirs.frame()[0][columns].query("state != 'running'"))
    (kept,) = here.artifacts.rglob("weights.pt")
    assert kept.read_bytes() == b"w"
    for a, b in zip(in_mlflow(here)[1], [r for r in in_mlflow(place)[1] if r.info.status != "RUNNING"], strict=True):
        assert (a.info.start_time, a.info.end_time, a.info.run_name) == (
            b.info.start_time,
            b.info.end_time,
            b.info.run_name,
        )
        assert (a.data.params, a.data.metrics) == (b.data.params, b.data.metrics)
        assert {k: v for k, v in a.data.tags.items() if k != "mlflow.parentRunId"} == {
            k: v for k, v in b.data.tags.items() if k != "mlflow.parentRunId"
        }


def test_a_run_that_was_deleted_here_is_not_adopted_again(place, tmp_path):
    study = study_of()
    write(begun(place, study), study, *map(run_of, trials_of(study)))
    here = Place(tmp_path / "here")
    Records(here, "one").adopt(place)
    client, found = in_mlflow(here)
    client.delete_run(found[0].info.run_id)

    assert Records(here, "one").adopt(place) == 0


def test_all_studies_of_a_folder_are_adopted_unless_one_is_named(place, tmp_path):
    for name in ("one", "two"):
        study = study_of(name)
        write(begun(place, study), study, run_of(trials_of(study)[0]))
    here = Place(tmp_path / "here")

    assert Records(here, "one").adopt(place) == 2
    assert studies(here) == ["one", "two"]
    with pytest.raises(StoreError, match=r"unknown study in .*runs: 'onne'; did you mean 'one'\?"):
        Records(here, "one").adopt(place, "onne")
    with pytest.raises(StoreError, match=r"nothing has been run in .*nowhere: .*mlflow.db does not exist"):
        Records(here, "one").adopt(Place(tmp_path / "nowhere"))


def test_an_adoption_that_broke_off_goes_on(place, tmp_path):
    study = study_of()
    records = begun(place, study)
    run = run_of(trials_of(study)[0])
    write(records, study, run)
    here = Place(tmp_path / "here")
    broken = Records(here, "one")
    broken.progress(records.entry(replace(run, state=RunState.RUNNING), study))
    broken.begin(study)  # closes it as killed

    assert broken.adopt(place) == 1
    assert [record.info.status for record in in_mlflow(here)[1]] == ["FINISHED"]


@pytest.fixture
def read_only(place):
    """The folder of records on a disk that cannot be written."""
    study = study_of()
    write(begun(place, study), study, *map(run_of, trials_of(study)))
    root = place.root
    if os.name != "posix":
        pytest.skip("needs a file system that can be made read-only")
    if os.geteuid() == 0:  # whom no permission stops
        subprocess.run(["mount", "--bind", root, root], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", root, root], check=True)
    else:
        root.chmod(0o500)
        place.database.chmod(0o400)
    yield place
    if os.geteuid() == 0:
        subprocess.run(["umount", root], check=True)
    else:
        root.chmod(0o700)


def test_a_read_only_folder_can_be_read_and_adopted_but_not_run_in(read_only, tmp_path):
    records = Records(read_only, "one")

    assert len(records.frame()[0]) == 4
    assert studies(read_only) == ["one"]
    with pytest.raises(StoreError, match="runs cannot be written: it is read-only"):
        records.begin(study_of())
    assert Records(Place(tmp_path / "here"), "one").adopt(read_only) == 4


# -- stores that cannot be used --------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_said_at_once(tmp_path):
    place = Place(tmp_path / "runs")
    place.root.mkdir()
    place.database.write_bytes(b"this is no database" * 100)

    clock = time.monotonic()
    with pytest.raises(StoreError, match=r"mlflow.db cannot be read or written: .*file is not a database"):
        Records(place, "one")
    assert time.monotonic() - clock < 5


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("ffffffffffff", r"was written by a newer MLflow \(its schema is ffffffffffff, unknown to MLflow 3"),
        ("451aebb31d03", r"was written by an older MLflow .*`mlflow db upgrade sqlite:"),
    ],
)
def test_a_store_of_another_mlflow_is_refused_and_left_alone(place, schema, says):
    with sqlite3.connect(place.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [schema])
    connection.close()

    with pytest.raises(StoreError, match=says):
        Records(place, "one")


def test_a_study_of_a_newer_ablate_is_refused(place):
    study = study_of()
    begun(place, study)
    client = mlflow.MlflowClient(tracking_uri=place.address)
    number = client.get_experiment_by_name("one").experiment_id
    assert client.get_experiment(number).tags["ablate.format"] == str(FORMAT)
    client.set_experiment_tag(number, "ablate.format", str(FORMAT + 1))

    with pytest.raises(StoreError, match=r"study 'one' in .* was written by a newer ablate"):
        Records(place, "one")
    assert Records(place, "two").completed(["none 0"], share=True) == {}


def test_a_store_that_needs_a_driver_says_so(tmp_path):
    with pytest.raises(StoreError, match=r"needs a driver that is not installed: No module named 'psycopg"):
        Records(Place(tmp_path, "postgresql://nobody@127.0.0.1:9/none"), "one")


def test_an_absent_server_is_known_within_ten_seconds(tmp_path):
    clock = time.monotonic()

    with pytest.raises(AwayError, match=r"the store http://127.0.0.1:9 cannot be reached: .*refused"):
        Records(Place(tmp_path, "http://127.0.0.1:9"), "one")
    assert time.monotonic() - clock < 10


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a few megabytes."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        if "CI" in os.environ:
            pytest.fail("CI must run this: it needs root to mount a small disk")
        pytest.skip("needs root to mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_said_and_what_was_recorded_is_still_there(small_disk, empty):
    place = Place(small_disk / "runs")
    place.root.mkdir()
    shutil.copyfile(empty / "mlflow.db", place.database)
    study = study_of()
    records = begun(place, study)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 1_000_000)
    written = []

    def fill():
        for i in range(500):
            write(records, study, run_of(trials_of(study, identity=f"trial {i}")[0], scores=[0.1] * 50))
            written.append(f"trial {i}")

    with pytest.raises(StoreError, match=r"runs cannot be written: no space left on the disk"):
        fill()
    filler.unlink()

    assert len(written) > 3
    again = Records(place, "one")
    assert set(again.completed([f"trial {i}" for i in range(500)], share=False)) == set(written)
    write(again, study, run_of(trials_of(study)[0]))
