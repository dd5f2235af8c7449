"""Runs of another folder of records, copied."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from ablate.errors import StoreError
from ablate.place import Place
from ablate.study import RunState
from ablate.tracking import Records, studies


def hashes(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_adopting_copies_all_that_has_ended_and_leaves_the_other_folder_as_it_is(
    place, empty, tmp_path, study_of, trials_of, run_of, begun, write, in_mlflow, identities
):
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


def test_a_run_that_was_deleted_here_is_not_adopted_again(
    place, tmp_path, study_of, trials_of, run_of, begun, write, in_mlflow
):
    study = study_of()
    write(begun(place, study), study, *map(run_of, trials_of(study)))
    here = Place(tmp_path / "here")
    Records(here, "one").adopt(place)
    client, found = in_mlflow(here)
    client.delete_run(found[0].info.run_id)

    assert Records(here, "one").adopt(place) == 0


def test_all_studies_of_a_folder_are_adopted_unless_one_is_named(
    place, tmp_path, study_of, trials_of, run_of, begun, write
):
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


def test_an_adoption_that_broke_off_goes_on(place, tmp_path, study_of, trials_of, run_of, begun, write, in_mlflow):
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
