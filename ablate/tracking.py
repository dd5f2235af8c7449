"""The record: every run is an MLflow run, and MLflow is the only record."""

import contextlib
import hashlib
import json
import logging
import os
import platform
import re
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
# With a server MLflow prints bars and signs that a Chinese Windows terminal cannot show.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow  # after its telemetry is switched off
import sqlalchemy
from mlflow.entities import Experiment, Metric, Param, RunTag, ViewType
from mlflow.entities import Run as Record
from mlflow.exceptions import MlflowException

from ablate.design import Plan
from ablate.errors import StoreError
from ablate.identity import torch_version
from ablate.place import Place
from ablate.study import Cost, Run, RunState, Study, Trial

if TYPE_CHECKING:
    import pandas as pd

# What MLflow says of its own tables while it makes them is no news to a user.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

STATES = {"FINISHED": "complete", "FAILED": "failed", "KILLED": "killed", "RUNNING": "running", "SCHEDULED": "running"}
STATUSES = {RunState.COMPLETE: "FINISHED", RunState.FAILED: "FAILED", RunState.KILLED: "KILLED"}
COSTS = ("params", "macs", "latency_ms", "seconds")
LIBRARIES = ("torch", "numpy", "optuna", "mlflow", "pandas", "scipy", "statsmodels", "joblib")


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def _quick_and_safe(connection: Any, _: Any) -> None:
    """Let SQLite write ahead: half the time per run; a killed process loses nothing, a power cut the last runs."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")


class Records:
    """The runs of one study in one store; the one writer of it.

    Raises:
        StoreError: if the store cannot be opened.
    """

    def __init__(self, place: Place, name: str) -> None:
        self.place = place
        self.name = name
        if place.uri is None:
            place.root.mkdir(parents=True, exist_ok=True)
        try:
            self._client = mlflow.MlflowClient(tracking_uri=place.address)
            self._experiment: Experiment | None = self._client.get_experiment_by_name(name)
        except (MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            raise StoreError(f"the store {place.address} cannot be opened: {_first_line(error)}") from error
        if self._experiment is not None and self._experiment.lifecycle_stage == "deleted":
            raise StoreError(
                f"the experiment {name!r} has been deleted in MLflow: restore it (mlflow experiments restore "
                f"--experiment-id {self._experiment.experiment_id}), or give the study another name"
            )
        self._parent = self._find_parent()
        self._tags: dict[str, str] | None = None

    # -- the study -----------------------------------------------------------------------------------------------

    def check_path(self, study: Study) -> None:
        """Refuse a study whose name another file has taken."""
        taken = self._parent.data.tags.get("ablate.path") if self._parent else None
        if taken is not None and taken != study.path:
            raise StoreError(
                f"a study called {study.name!r} has been run from {taken}; this one is {study.path}: "
                "give it another name, with `name:` in the file or another file name"
            )

    def begin(self, study: Study, plan: Plan, trials: Sequence[Trial], hardware: str = "") -> None:
        """Open the study's parent run and note what is planned; runs that a killed parent left open are closed."""
        experiment = self._experiment or self._create_experiment()
        tags = {
            "ablate.kind": "study", "ablate.path": study.path, "mlflow.note.content": f"{study.question}\n\n{study.notes}".strip(),
            **self._circumstances(hardware), **dict(study.tags),
        }  # fmt: skip
        if self._parent is None:
            self._parent = self._client.create_run(experiment.experiment_id, run_name=study.name, tags=tags)
        else:
            self._client.log_batch(self._parent.info.run_id, tags=[RunTag(k, v) for k, v in tags.items()])
            self._client.update_run(self._parent.info.run_id, status="RUNNING")
        for record in self._trial_records():
            if record.info.status == "RUNNING":
                self._client.set_terminated(record.info.run_id, "KILLED")
        self._write(self._parent, f"{study.name}.yml", study.text.encode())
        self._write(
            self._parent, "plan.json", json.dumps(_planned(study, plan, trials), ensure_ascii=False, indent=1).encode()
        )

    def end(self, *, failed: bool = False, killed: bool = False) -> None:
        """Close the parent run."""
        if self._parent is not None:
            status = "KILLED" if killed else "FAILED" if failed else "FINISHED"
            self._client.set_terminated(self._parent.info.run_id, status)
        if self.place.uri is None:
            # All in one file at rest, so that whoever copies the database copies everything.
            with contextlib.closing(sqlite3.connect(self.place.database)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def plan(self) -> dict[str, Any]:
        """Return what was planned when the study was last run."""
        if self._parent is None:
            raise StoreError(f"study {self.name!r} has not been run here ({self.place.address})")
        planned: dict[str, Any] = json.loads(self._read(self._parent, "plan.json"))
        return planned

    # -- runs ----------------------------------------------------------------------------------------------------

    def record(self, run: Run, study: Study, cost: Cost) -> None:
        """Write a run: one batch, then its end, so that a finished run is always whole."""
        if self._parent is None or self._experiment is None:
            raise StoreError(f"study {study.name!r} has not begun")
        trial = run.trial
        started = round(1000 * run.started)
        tags = {
            "mlflow.parentRunId": self._parent.info.run_id, "ablate.kind": "trial", "ablate.identity": trial.identity,
            "ablate.torch": torch_version(), "ablate.setting": trial.setting.label, **self._circumstances(""),
        }  # fmt: skip
        if run.error:
            tags["ablate.error"] = run.error.strip().splitlines()[-1][:500]
        record = self._client.create_run(
            self._experiment.experiment_id, start_time=started, run_name=f"{trial.setting.label} seed {trial.seed}"[:250],
            tags=tags,
        )  # fmt: skip
        run_id = record.info.run_id
        metrics = [
            Metric(name, value, started, epoch)
            for name, curve in run.curves.items()
            for epoch, value in enumerate(curve, start=1)
        ]
        metrics += [Metric("params", cost.params, started, 0), Metric("macs", cost.macs, started, 0)]
        metrics += [Metric("seconds", run.seconds, started, 0)]
        params = [Param(slot, choice.label) for slot, choice in trial.setting.choices]
        params += [
            Param("seed", str(trial.seed)),
            Param("network", study.network.label),
            Param("data", study.data.label),
            Param("precision", study.precision),
        ]
        params += [Param(f"network.{k}", str(v)) for k, v in study.network.options if k not in trial.setting]
        params += [Param(f"data.{k}", str(v)) for k, v in study.data.options if f"data.{k}" not in trial.setting]
        params += [
            Param(f"recipe.{name}", str(value))
            for name, value in vars(study.recipe_of(trial.setting).filled()).items()
            if f"recipe.{name}" not in trial.setting
        ]
        for first in range(0, len(metrics), 800):  # a batch holds at most 1,000 entries
            self._client.log_batch(run_id, metrics[first : first + 800], params if first == 0 else ())
        if run.weights is not None:
            self._write(record, "weights.pt", run.weights)
        if run.error:
            self._write(record, "traceback.txt", run.error.encode())
        self._client.set_terminated(run_id, STATUSES[run.state], end_time=started + round(1000 * run.seconds))

    def completed(self) -> dict[str, dict[str, float]]:
        """Return the scores of all complete runs that this version of torch made, by the identity of the trial."""
        return {identity: dict(record.data.metrics) for identity, record in self._complete_records().items()}

    def latencies(self, plan: Plan) -> tuple[dict[str, float], dict[str, list[str]]]:
        """Return the latency of settings in milliseconds, and the runs that lack it, both by the setting's label."""
        known: dict[str, float] = {}
        lacking: dict[str, list[str]] = {}
        labels = {setting.label for setting in plan.settings}
        planned = {identity: label for label, _, identity in self.plan()["trials"] if label in labels}
        for identity, record in self._complete_records().items():
            if identity in planned and "latency_ms" in record.data.metrics:
                known[planned[identity]] = record.data.metrics["latency_ms"]
            elif identity in planned:
                lacking.setdefault(planned[identity], []).append(record.info.run_id)
        return known, lacking

    def note_latencies(self, milliseconds: Mapping[str, float], runs: Mapping[str, Iterable[str]]) -> None:
        """Write the latency of settings to their runs, both by the setting's label."""
        now = round(1000 * time.time())
        for label, run_ids in runs.items():
            for run_id in run_ids:
                self._client.log_batch(run_id, [Metric("latency_ms", milliseconds[label], now, 0)])

    def errors(self) -> dict[str, str]:
        """Return the last line of the latest failure by identity."""
        records = sorted(self._trial_records(), key=lambda record: record.info.start_time)
        return {
            record.data.tags["ablate.identity"]: record.data.tags["ablate.error"]
            for record in records
            if "ablate.error" in record.data.tags
        }

    def frame(self) -> tuple["pd.DataFrame", int]:
        """Return the planned trials' runs, one row each, and how many runs are left out because they are stale.

        A run is stale if what it did is no longer what the study asks for, or another torch made it. Of several
        complete runs of one trial (a deleted run that was restored in MLflow after it had been run again) the first
        counts; their scores are equal.
        """
        import pandas as pd  # noqa: PLC0415  # 0.6 s that planning and recording do not need

        planned = self.plan()
        trials = {identity: (label, seed) for label, seed, identity in planned["trials"]}
        rows, stale, seen = [], 0, set()
        for record in sorted(self._trial_records(), key=lambda record: record.info.start_time):
            tags, metrics = record.data.tags, record.data.metrics
            identity = tags.get("ablate.identity", "")
            if identity not in trials or tags.get("ablate.torch") != torch_version():
                stale += 1
                continue
            label, seed = trials[identity]
            state = STATES[record.info.status]
            if state == "complete" and identity in seen:
                continue
            seen |= {identity} if state == "complete" else set()
            scores = {name: value for name, value in metrics.items() if name not in COSTS and state == "complete"}
            rows.append(
                {"study": self.name, "setting": label}
                | {f"slot.{slot}": planned["settings"][label].get(slot) for slot in planned["slots"]}
                | {"seed": seed, "state": state, "scores": scores}
                | {name: metrics.get(name) for name in COSTS}
                | {"started": datetime.fromtimestamp(record.info.start_time / 1000, UTC), "run_id": record.info.run_id}
            )
        order = {label: i for i, label in enumerate(planned["settings"])}
        rows.sort(key=lambda row: (order[row["setting"]], row["seed"], row["started"]))
        declared = [metric["name"] for metric in (planned["metric"], *planned["metrics"])]
        names = dict.fromkeys([*declared, *(name for row in rows for name in row["scores"])])
        columns = [
            "study", "setting", *(f"slot.{slot}" for slot in planned["slots"]), "seed", "state", *names, *COSTS,
            "started", "run_id",
        ]  # fmt: skip
        frame = pd.DataFrame([{**row, **row.pop("scores")} for row in rows], columns=columns)
        for name in (*names, *COSTS):
            frame[name] = frame[name].astype("float64")
        return frame, stale

    def _complete_records(self) -> dict[str, Record]:
        return {
            record.data.tags["ablate.identity"]: record
            for record in self._trial_records()
            if record.info.status == "FINISHED" and record.data.tags.get("ablate.torch") == torch_version()
        }

    def _circumstances(self, hardware: str) -> dict[str, str]:
        """Return what the runs of this call stand on; asked for once."""
        if self._tags is None:
            self._tags = _versions() | ({"ablate.hardware": hardware} if hardware else {})
        return self._tags

    # -- MLflow --------------------------------------------------------------------------------------------------

    def _create_experiment(self) -> Experiment:
        # An address relative to the store's own files: the folder can be moved, and `ablate ui` finds them.
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", self.name).strip("-")
        place = f"mlflow-artifacts:/{slug}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"
        location = None if self.place.by_server else place
        # MLflow's UI shows experiments that do not say so as those of a chat bot.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        identity = self._client.create_experiment(self.name, artifact_location=location, tags=kind)
        self._experiment = self._client.get_experiment(identity)
        return self._experiment

    def _find_parent(self) -> Record | None:
        if self._experiment is None:
            return None
        found = self._client.search_runs(
            [self._experiment.experiment_id], "tags.`ablate.kind` = 'study'", max_results=1, order_by=["start_time ASC"]
        )
        return found[0] if found else None

    def _trial_records(self) -> list[Record]:
        if self._experiment is None:
            return []
        records: list[Record] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment.experiment_id], "tags.`ablate.kind` = 'trial'", ViewType.ACTIVE_ONLY, 1000,
                page_token=token,
            )  # fmt: skip
            records += page
            token = page.token
            if not token:
                return records

    def _write(self, record: Record, name: str, content: bytes) -> None:
        """Keep a file with a run."""
        if self.place.by_server:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name
                path.write_bytes(content)
                self._client.log_artifact(record.info.run_id, str(path))
            return
        path = self._file(record, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".part")
        beside.write_bytes(content)
        beside.replace(path)

    def _read(self, record: Record, name: str) -> str:
        if self.place.by_server:
            with tempfile.TemporaryDirectory() as folder:
                return Path(self._client.download_artifacts(record.info.run_id, name, folder)).read_text("utf-8")
        path = self._file(record, name)
        if not path.is_file():
            raise StoreError(f"study {self.name!r}: {path} is missing; `ablate run` writes it again")
        return path.read_text(encoding="utf-8")

    def _file(self, record: Record, name: str) -> Path:
        inside = (record.info.artifact_uri or "").removeprefix("mlflow-artifacts:/")
        return self.place.artifacts / inside / name


def studies(place: Place) -> list[str]:
    """Return the names of the studies that have been run here."""
    if place.is_new():
        return []
    try:
        client = mlflow.MlflowClient(tracking_uri=place.address)
        return sorted(experiment.name for experiment in client.search_experiments() if experiment.name != "Default")
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError) as error:
        raise StoreError(f"the store {place.address} cannot be read: {_first_line(error)}") from error


def _planned(study: Study, plan: Plan, trials: Sequence[Trial]) -> dict[str, Any]:
    """Return what a report needs to know of a plan, in plain values."""
    return {
        "study": study.name,
        "question": study.question,
        "notes": study.notes,
        "slots": [slot.name for slot in study.slots],
        "settings": {
            setting.label: {name: choice.label for name, choice in setting.choices} for setting in plan.settings
        },
        "reference": plan.reference.label,
        "against": plan.against,
        "estimand": plan.estimand,
        "seeds": list(study.seeds),
        "metric": asdict(study.metric),
        "metrics": [asdict(metric) for metric in study.metrics],
        "practical": study.practical,
        "trials": [[trial.setting.label, trial.seed, trial.identity] for trial in trials],
    }


def _versions() -> dict[str, str]:
    """Return what the run stands on: libraries, Python, system and commit."""
    versions = {f"version.{name}": version(name) for name in LIBRARIES}
    versions |= {"version.ablate": version("ablate"), "version.python": platform.python_version()}
    versions |= {"ablate.system": platform.platform(), "ablate.host": platform.node()}
    commit = _git("rev-parse", "HEAD")
    if commit:
        versions["mlflow.source.git.commit"] = commit
        versions["ablate.uncommitted"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
    return versions


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=False)  # noqa: S607
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
