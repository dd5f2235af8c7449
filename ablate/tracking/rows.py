"""Runs as they are read from a store: by its tables where they can be reached, else by MLflow's interface."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import select

from ablate.identity import torch_version
from ablate.study import RunState
from ablate.tracking.schema import EXPERIMENT_TAGS, EXPERIMENTS, LATEST, METRICS, PARAMS, RUNS, TAGS

if TYPE_CHECKING:
    import mlflow
    from mlflow.entities import Run as Record

STATES = {
    "FINISHED": RunState.COMPLETE, "FAILED": RunState.FAILED, "KILLED": RunState.KILLED, "RUNNING": RunState.RUNNING,
    "SCHEDULED": RunState.RUNNING,
}  # fmt: skip
PARTS = "ablate.parts"
HELD_OUT = "ablate.held-out"
NETWORK = "ablate.network"  # what was found when the network that starts was looked at, as JSON
# The tags that are read of every run; PARTS, which is long, only where it is asked for.
KEYS = (
    "ablate.kind", "ablate.identity", "ablate.torch", "ablate.setting", "ablate.attempt", "ablate.error", "ablate.state",
    "ablate.fell-behind", HELD_OUT, NETWORK,
)  # fmt: skip
TORCH = torch_version()  # asked once: it takes as long as reading a hundred runs
CHUNK = 500  # runs a query: databases limit how many values one may name
ACTIVE, ALL = 1, 3  # MLflow's ViewType


@dataclass(frozen=True)
class Experiment:
    """What holds the runs of one study; its stage is active or deleted."""

    number: str
    stage: str
    tags: dict[str, str]


@dataclass(frozen=True)
class Head:
    """A run without its values: when it ran, in milliseconds since 1970, and the address of its files."""

    run_id: str
    experiment: str
    status: str
    started: int
    ended: int | None
    address: str
    tags: dict[str, str]


@dataclass(slots=True)
class Row:
    """One run of a trial as it stands in the store; `started` in milliseconds since 1970."""

    run_id: str
    experiment: str
    status: str
    started: int
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> RunState:
        """How the run stands; MLflow knows no pruned runs, so a tag says so."""
        if self.tags.get("ablate.state") == RunState.PRUNED and self.status != "RUNNING":
            return RunState.PRUNED
        return STATES[self.status]

    @property
    def is_ours(self) -> bool:
        """Whether this version of torch made it."""
        return self.tags.get("ablate.torch") == TORCH

    @property
    def counts(self) -> bool:
        """Whether its scores do."""
        return self.is_ours and self.state is RunState.COMPLETE

    @property
    def identity(self) -> str:
        """The identity of its trial."""
        return self.tags.get("ablate.identity", "")


Wanted = Callable[[Row], bool]
Query = Any
Histories = dict[str, list[tuple[int, float]]]


class Tables:
    """Reads the tables themselves: ten times as fast as MLflow's interface, which gives the same."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine

    def experiments(self) -> dict[str, str]:
        """Return the names of the experiments that are not deleted, by their number."""
        query: Query = select(EXPERIMENTS.c.experiment_id, EXPERIMENTS.c.name)
        found = self._ask(query.where(EXPERIMENTS.c.lifecycle_stage == "active"))
        return {str(number): name for number, name in found}

    def experiment(self, name: str) -> Experiment | None:
        """Return the experiment of a name, deleted or not; None if there is none."""
        query: Query = select(EXPERIMENTS.c.experiment_id, EXPERIMENTS.c.lifecycle_stage)
        for number, stage in self._ask(query.where(EXPERIMENTS.c.name == name)):
            tags: Query = select(EXPERIMENT_TAGS.c.key, EXPERIMENT_TAGS.c.value)
            own = self._ask(tags.where(EXPERIMENT_TAGS.c.experiment_id == number))
            return Experiment(str(number), stage, dict(map(tuple, own)))
        return None

    def parent(self, experiment: str) -> Head | None:
        """Return the run that those of a study hang under, the first if there are several; None if there is none."""
        query: Query = (
            select(RUNS.c.run_uuid, RUNS.c.status, RUNS.c.start_time, RUNS.c.end_time, RUNS.c.artifact_uri)
            .join(TAGS, TAGS.c.run_uuid == RUNS.c.run_uuid)
            .where(TAGS.c.key == "ablate.kind", TAGS.c.value == "study")
            .where(RUNS.c.experiment_id == int(experiment), RUNS.c.lifecycle_stage == "active")
            .order_by(RUNS.c.start_time)
            .limit(1)
        )
        for run_id, status, started, ended, address in self._ask(query):
            own: Query = select(TAGS.c.key, TAGS.c.value)
            tags = dict(map(tuple, self._ask(own.where(TAGS.c.run_uuid == run_id))))
            return Head(run_id, experiment, status, started, ended, address or "", tags)
        return None

    def trials(
        self, experiments: Sequence[str], wanted: Wanted, *, metrics: bool = True, params: bool = False
    ) -> list[Row]:
        """Return the runs of trials, the earliest first.

        Args:
            experiments: the numbers of those to look through.
            wanted: tells by a run's tags whether it is.
            metrics: whether to read the latest values.
            params: whether to read what was logged of the trial, and the parts of its identity.
        """
        query: Query = (
            select(RUNS.c.run_uuid, RUNS.c.experiment_id, RUNS.c.status, RUNS.c.start_time, TAGS.c.key, TAGS.c.value)
            .join(TAGS, TAGS.c.run_uuid == RUNS.c.run_uuid)
            .where(RUNS.c.experiment_id.in_([int(number) for number in experiments]))
            .where(RUNS.c.lifecycle_stage == "active", TAGS.c.key.in_(KEYS))
        )
        rows: dict[str, Row] = {}
        for run_id, experiment, status, started, key, value in self._ask(query):
            if run_id not in rows:
                rows[run_id] = Row(run_id, str(experiment), status, started)
            rows[run_id].tags[key] = value
        rows = {row.run_id: row for row in _of_trials(rows.values(), wanted)}
        if metrics:
            self.measure(rows.values())
        if params:
            for run_id, key, value in self._ask(
                select(PARAMS.c.run_uuid, PARAMS.c.key, PARAMS.c.value), PARAMS.c.run_uuid, rows
            ):
                rows[run_id].params[key] = value
            parts = select(TAGS.c.run_uuid, TAGS.c.value).where(TAGS.c.key == PARTS)
            for run_id, value in self._ask(parts, TAGS.c.run_uuid, rows):
                rows[run_id].tags[PARTS] = value
        return list(rows.values())

    def measure(self, rows: Iterable[Row]) -> None:
        """Read the latest values of runs into them."""
        by_id = {row.run_id: row for row in rows}
        latest: Query = select(LATEST.c.run_uuid, LATEST.c.key, LATEST.c.value, LATEST.c.is_nan)
        for run_id, key, value, is_nan in self._ask(latest, LATEST.c.run_uuid, by_id):
            by_id[run_id].metrics[key] = nan if is_nan else value

    def of_attempt(self, experiment: str, attempt: str) -> list[Row]:
        """Return the runs of one attempt: none, one, or, where a server's answer was lost, perhaps two."""
        query: Query = (
            select(RUNS.c.run_uuid, RUNS.c.status, RUNS.c.start_time)
            .join(TAGS, TAGS.c.run_uuid == RUNS.c.run_uuid)
            .where(TAGS.c.key == "ablate.attempt", TAGS.c.value == attempt)
            .where(RUNS.c.experiment_id == int(experiment), RUNS.c.lifecycle_stage == "active")
        )
        return [Row(run_id, experiment, status, started) for run_id, status, started in self._ask(query)]

    def attempts(self, experiment: str) -> dict[str, str]:
        """Return the status of all attempts; those whose run was deleted are DELETED."""
        query: Query = (
            select(TAGS.c.value, RUNS.c.status, RUNS.c.lifecycle_stage)
            .join(RUNS, TAGS.c.run_uuid == RUNS.c.run_uuid)
            .where(TAGS.c.key == "ablate.attempt", RUNS.c.experiment_id == int(experiment))
        )
        return {attempt: status if stage == "active" else "DELETED" for attempt, status, stage in self._ask(query)}

    def histories(self, run_ids: Collection[str], metric: str) -> Histories:
        """Return the value of a metric after each epoch, by run, in the order of the epochs."""
        found: Histories = {run_id: [] for run_id in run_ids}
        query: Query = select(METRICS.c.run_uuid, METRICS.c.step, METRICS.c.value, METRICS.c.is_nan).where(
            METRICS.c.key == metric
        )
        for run_id, step, value, is_nan in self._ask(query, METRICS.c.run_uuid, found):
            found[run_id].append((step, nan if is_nan else value))
        return {run_id: sorted(dict(points).items()) for run_id, points in found.items()}

    def values(self, run_ids: Collection[str], keys: Collection[str]) -> dict[str, set[str]]:
        """Return what tags of runs say, by key; no key that none of the runs has."""
        query: Query = select(TAGS.c.key, TAGS.c.value).where(TAGS.c.key.in_(list(keys))).distinct()
        found: dict[str, set[str]] = {}
        for key, value in self._ask(query, TAGS.c.run_uuid, run_ids):
            found.setdefault(key, set()).add(value)
        return found

    def _ask(self, query: Query, column: Any = None, ids: Collection[str] | None = None) -> Iterator[Any]:
        """Yield what a query finds, if ids are given only where the column holds one of them."""
        with self._engine.connect() as connection:
            if ids is None:
                yield from connection.execute(query).all()
                return
            listed = list(ids)
            for first in range(0, len(listed), CHUNK):
                yield from connection.execute(query.where(column.in_(listed[first : first + CHUNK]))).all()


class Interface:
    """Reads by MLflow's own interface, as from a server; the methods are those of `Tables`."""

    def __init__(self, client: "mlflow.MlflowClient") -> None:
        self._client = client

    def experiments(self) -> dict[str, str]:
        """Return the names of the experiments that are not deleted, by their number."""
        found: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._client.search_experiments(page_token=token)
            found |= {str(experiment.experiment_id): experiment.name for experiment in page}
            token = page.token
            if not token:
                return found

    def experiment(self, name: str) -> Experiment | None:
        """Return the experiment of a name, deleted or not; None if there is none."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return None
        return Experiment(str(found.experiment_id), found.lifecycle_stage, dict(found.tags))

    def parent(self, experiment: str) -> Head | None:
        """Return the run that those of a study hang under, the first if there are several; None if there is none."""
        found = self._client.search_runs(
            [experiment], "tags.`ablate.kind` = 'study'", max_results=1, order_by=["start_time ASC"]
        )
        return head_of(found[0]) if found else None

    def trials(
        self,
        experiments: Sequence[str],
        wanted: Wanted,
        *,
        metrics: bool = True,  # noqa: ARG002  # all comes at once
        params: bool = False,  # noqa: ARG002
    ) -> list[Row]:
        """Return the runs of trials, the earliest first."""
        rows = [_row(record) for record in self._search(experiments, "tags.`ablate.kind` = 'trial'")]
        return _of_trials(rows, wanted)

    def measure(self, rows: Iterable[Row]) -> None:
        """Do nothing: all has been read."""

    def of_attempt(self, experiment: str, attempt: str) -> list[Row]:
        """Return the runs of one attempt."""
        return [_row(record) for record in self._search([experiment], f"tags.`ablate.attempt` = '{attempt}'")]

    def attempts(self, experiment: str) -> dict[str, str]:
        """Return the status of all attempts; those whose run was deleted are DELETED."""
        return {
            record.data.tags["ablate.attempt"]: record.info.status
            if record.info.lifecycle_stage == "active"
            else "DELETED"
            for record in self._search([experiment], "tags.`ablate.kind` = 'trial'", ALL)
            if "ablate.attempt" in record.data.tags
        }

    def histories(self, run_ids: Collection[str], metric: str) -> Histories:
        """Return the value of a metric after each epoch, by run."""
        return {
            run_id: sorted(
                {point.step: point.value for point in self._client.get_metric_history(run_id, metric)}.items()
            )
            for run_id in run_ids
        }

    def values(self, run_ids: Collection[str], keys: Collection[str]) -> dict[str, set[str]]:
        """Return what tags of runs say, by key; no key that none of the runs has."""
        found: dict[str, set[str]] = {}
        listed = list(run_ids)
        for first in range(0, len(listed), CHUNK):
            chunk = ", ".join(f"'{run_id}'" for run_id in listed[first : first + CHUNK])
            for record in self._search(list(self.experiments()), f"attributes.run_id IN ({chunk})"):
                for key in set(keys) & record.data.tags.keys():
                    found.setdefault(key, set()).add(record.data.tags[key])
        return found

    def _search(self, experiments: Sequence[str], condition: str, view: int = ACTIVE) -> Iterator["Record"]:
        token: str | None = None
        while True:
            page = self._client.search_runs(list(experiments), condition, view, CHUNK, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def _of_trials(rows: Iterable[Row], wanted: Wanted) -> list[Row]:
    found = [row for row in rows if row.tags.get("ablate.kind") == "trial" and wanted(row)]
    return sorted(found, key=lambda row: (row.started, row.run_id))


def head_of(record: "Record") -> Head:
    """Return a run of MLflow's without its values."""
    info = record.info
    return Head(
        info.run_id, str(info.experiment_id), info.status, info.start_time, info.end_time, info.artifact_uri or "",
        dict(record.data.tags),
    )  # fmt: skip


def _row(record: "Record") -> Row:
    info, data = record.info, record.data
    tags = {key: value for key, value in data.tags.items() if key in (*KEYS, PARTS)}
    return Row(
        info.run_id, str(info.experiment_id), info.status, info.start_time, tags, dict(data.metrics), dict(data.params)
    )
