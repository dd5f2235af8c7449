"""Runs in a real MLflow store, written as others write them."""

import mlflow
import pytest

from ablate.errors import StoreError
from ablate.place import Place
from ablate.tracking import foreign


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "runs", f"sqlite:///{tmp_path.as_posix()}/other.db")


@pytest.fixture
def client(place):
    return mlflow.MlflowClient(tracking_uri=place.address)


def test_a_run_is_a_row_of_params_last_values_and_tags(place, client):
    run = client.create_run(client.create_experiment("mine"), tags={"team": "vision", "mlflow.note.content": "x"})
    client.log_param(run.info.run_id, "lr", "1e-3")
    for step, value in enumerate((0.1, 0.7, float("nan"))):
        client.log_metric(run.info.run_id, "acc", 0.5 - value, step=step)
        client.log_metric(run.info.run_id, "loss", value, step=step)
    client.log_metric(run.info.run_id, "acc", 0.1 + 0.2, step=3)
    client.set_terminated(run.info.run_id, "KILLED")

    assert foreign.runs(place, "mine") == (
        "mine",
        [
            (
                f"run {run.info.run_id}",
                {
                    "params.lr": "1e-3", "metrics.acc": "0.30000000000000004", "metrics.loss": "nan", "tags.team": "vision",
                    "status": "KILLED", "run_id": run.info.run_id,
                },
            )
        ],
    )  # fmt: skip


def test_a_name_goes_before_the_number_of_another(place, client):
    first = client.create_experiment("first")
    named = client.create_experiment(first)
    client.create_run(named)

    assert foreign.runs(place, "first") == ("first", [])
    assert [len(foreign.runs(place, asked)[1]) for asked in (first, named)] == [1, 1]


def test_deleted_runs_and_experiments_are_not_there(place, client):
    number = client.create_experiment("mine")
    gone, kept = (client.create_run(number).info.run_id for _ in range(2))
    client.delete_run(gone)
    client.delete_experiment(client.create_experiment("gone"))

    assert [at for at, _ in foreign.runs(place, "mine")[1]] == [f"run {kept}"]
    with pytest.raises(StoreError, match=r"unknown experiment: 'gone' \(known: .*mine.*\)"):
        foreign.runs(place, "gone")


@pytest.mark.slow
def test_more_runs_than_a_page_come_in_the_order_they_began(place, client):
    number = client.create_experiment("mine")
    for i in range(1001):
        client.create_run(number, start_time=5000 - i, tags={"i": str(i)})

    found = foreign.runs(place, "mine")[1]

    assert [row["tags.i"] for _, row in found] == [str(i) for i in reversed(range(1001))]
