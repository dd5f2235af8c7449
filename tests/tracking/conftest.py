"""Studies, trials and runs for the tests of `ablate.tracking`, and real MLflow stores for them."""

import itertools
import shutil
import sqlite3
import uuid
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from ablate import design
from ablate.config import parse_study
from ablate.place import Place
from ablate.study import Cost, Run, RunState, Trial
from ablate.tracking import Records

TEXT = """\
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 50}}
slots: {attention: [none, se]}
seeds: 2
recipe: {epochs: 3}
"""
CLOCK = itertools.count(1000.0)  # no two runs start at once
PARTS = (("network", "n"), ("recipe", "r"), ("data", "d"), ("file blocks/attention/se.py", "f"))


@pytest.fixture(scope="session")
def usual_text():
    """The file of a study, where a test does not bring its own."""
    return TEXT


@pytest.fixture(scope="session")
def usual_parts():
    """The parts of a trial's identity, where a test does not bring its own."""
    return PARTS


@pytest.fixture(scope="session")
def study_of():
    """Return a function that reads a study."""

    def make(name="one", text=TEXT):
        return parse_study(text, path=Path(f"{name}.yml"))

    return make


@pytest.fixture(scope="session")
def trials_of():
    """Return a function that plans the trials of a study; keywords override what they are."""

    def make(study, **changes):
        return [
            replace(Trial(setting, seed, f"{setting.label} {seed}", parts=PARTS), **changes)
            for seed in study.seeds
            for setting in design.plan(study).settings
        ]

    return make


@pytest.fixture(scope="session")
def run_of():
    """Return a function that makes a run of a trial."""

    def make(trial, state=RunState.COMPLETE, scores=(0.5, 0.6, 0.7), **more):
        curves = {"accuracy": list(scores), "loss": [1 - score for score in scores]}
        filled = {"attempt": uuid.uuid4().hex, "started": next(CLOCK), "seconds": 2.0, "cost": Cost(10, 20)}
        return Run(trial, state, curves, **(filled | more))

    return make


@pytest.fixture(scope="session")
def identities():
    """Return a function that lists the identities of trials."""

    def make(trials):
        return [trial.identity for trial in trials]

    return make


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def begun(trials_of):
    """Return a function that opens the record of a study and notes its plan."""

    def begin(place, study, trials=None, **more):
        records = Records(place, study.name)
        records.begin(study, "a machine")
        records.planned(study, design.plan(study), trials_of(study) if trials is None else trials, **more)
        return records

    return begin


@pytest.fixture(scope="session")
def write():
    """Return a function that records runs that have ended."""

    def write_all(records, study, *runs):
        for run in runs:
            records.write(records.entry(run, study), first=True)

    return write_all


@pytest.fixture(scope="session")
def in_mlflow():
    """Return a function that asks MLflow itself for the runs of a study's trials."""

    def ask(place, name="one", view=1):
        client = mlflow.MlflowClient(tracking_uri=place.address)
        number = client.get_experiment_by_name(name).experiment_id
        return client, client.search_runs([number], "tags.`ablate.kind` = 'trial'", view)

    return ask
