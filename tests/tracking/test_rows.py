"""Runs read by tables and by MLflow's interface."""

import math

import pytest

from ablate.study import RunState
from ablate.tracking import Records
from ablate.tracking.rows import KEYS, Interface, Tables


@pytest.fixture
def varied(place, study_of, trials_of, run_of, begun, write, in_mlflow):
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
    numbers = list(tables.experiments())
    assert isinstance(tables, Tables)

    both = [reader.trials(numbers, lambda _: True, params=True) for reader in (tables, interface)]

    assert len(both[0]) == 13
    assert plain(both[0]) == plain(both[1])
    assert {row.state for row in both[0]} == set(RunState)
    ids = [row.run_id for row in both[0]]
    assert repr(tables.histories(ids, "accuracy")) == repr(interface.histories(ids, "accuracy"))
    assert tables.values(ids, [*KEYS, "nobody.has"]) == interface.values(ids, [*KEYS, "nobody.has"])
    n_deleted = 0
    for number in numbers:
        attempts = tables.attempts(number)
        n_deleted += list(attempts.values()).count("DELETED")
        assert attempts == interface.attempts(number)
        for attempt in [*attempts, "none"]:
            found = [[row.run_id for row in reader.of_attempt(number, attempt)] for reader in (tables, interface)]
            assert found[0] == found[1]
    assert n_deleted == 1


def test_tables_and_interface_find_the_same_experiments_and_parents(varied, study_of, begun):
    begun(varied, study_of("gone"))
    records = Records(varied, "one")
    tables, interface = records._rows, Interface(records._client)
    records._client.delete_experiment(tables.experiment("gone").number)
    number = tables.experiment("one").number
    first = tables.parent(number)
    records._client.create_run(number, first.started - 1, {"ablate.kind": "study"})
    records._client.create_run(number, first.started + 1, {"ablate.kind": "study"})

    assert set(tables.experiments().values()) == {"Default", "one", "two"}
    assert tables.experiments() == interface.experiments()
    for name in ("one", "two", "gone", "none"):
        assert tables.experiment(name) == interface.experiment(name)
    assert (tables.experiment("gone").stage, tables.experiment("none")) == ("deleted", None)
    for each in tables.experiments():
        assert tables.parent(each) == interface.parent(each)
    assert tables.parent(number).started == first.started - 1
    assert (first.tags["ablate.kind"], tables.parent(number).tags.get("ablate.path")) == ("study", None)
    assert tables.parent("0") is None


def test_with_workspaces_mlflow_itself_is_asked(varied, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "false")

    records = Records(varied, "one")

    assert isinstance(records._rows, Interface)
    assert len(records.frame()[0]) == 6
