"""Runs as they are read from a store: by its tables where they can be reached, else by MLflow's interface."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

import mlflow
import sqlalchemy
from mlflow.entities import Run as Record
from mlflow.entities import ViewType
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from sqlalchemy import select

from ablate.identity import torch_version
from ablate.study import RunState

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
Query = Any  # MLflow's tables have no types that SQLAlchemy can tell
Histories = dict[str, list[tuple[int, float]]]


class Tables:
    """Reads the tables themselves: ten times as fast as MLflow's interface, which gives the same."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine

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
            select(SqlRun.run_uuid, SqlRun.experiment_id, SqlRun.status, SqlRun.start_time, SqlTag.key, SqlTag.value)
            .join(SqlTag, SqlTag.run_uuid == SqlRun.run_uuid)
            .where(SqlRun.experiment_id.in_([int(number) for number in experiments]))
            .where(SqlRun.lifecycle_stage == "active", SqlTag.key.in_(KEYS))
        )
        rows: dict[str, Row] = {}
        for run_id, experiment, status, started, key, value in self._ask(query):
            if run_id not in rows:
                rows[run_id] = Row(run_id, str(experiment), status, started)
            rows[run_id].tags[key] = value
        rows = {row.run_id: row for row in _of_trials(rows.values(), wanted)}
        if metrics:
            latest = select(
                SqlLatestMetric.run_uuid, SqlLatestMetric.key, SqlLatestMetric.value, SqlLatestMetric.is_nan
            )
            for run_id, key, value, is_nan in self._ask(latest, SqlLatestMetric.run_uuid, rows):
                rows[run_id].metrics[key] = nan if is_nan else value
        if params:
            for run_id, key, value in self._ask(
                select(SqlParam.run_uuid, SqlParam.key, SqlParam.value), SqlParam.run_uuid, rows
            ):
                rows[run_id].params[key] = value
            parts = select(SqlTag.run_uuid, SqlTag.value).where(SqlTag.key == PARTS)
            for run_id, value in self._ask(parts, SqlTag.run_uuid, rows):
                rows[run_id].tags[PARTS] = value
        return list(rows.values())

    def of_attempt(self, experiment: str, attempt: str) -> list[Row]:
        """Return the runs of one attempt: none, one, or, where a server's answer was lost, perhaps two."""
        query: Query = (
            select(SqlRun.run_uuid, SqlRun.status, SqlRun.start_time)
            .join(SqlTag, SqlTag.run_uuid == SqlRun.run_uuid)
            .where(SqlTag.key == "ablate.attempt", SqlTag.value == attempt)
            .where(SqlRun.experiment_id == int(experiment), SqlRun.lifecycle_stage == "active")
        )
        return [Row(run_id, experiment, status, started) for run_id, status, started in self._ask(query)]

    def attempts(self, experiment: str) -> dict[str, str]:
        """Return the status of all attempts; those whose run was deleted are DELETED."""
        query: Query = (
            select(SqlTag.value, SqlRun.status, SqlRun.lifecycle_stage)
            .join(SqlRun, SqlTag.run_uuid == SqlRun.run_uuid)
            .where(SqlTag.key == "ablate.attempt", SqlRun.experiment_id == int(experiment))
        )
        return {attempt: status if stage == "active" else "DELETED" for attempt, status, stage in self._ask(query)}

    def histories(self, run_ids: Collection[str], metric: str) -> Histories:
        """Return the value of a metric after each epoch, by run, in the order of the epochs."""
        found: Histories = {run_id: [] for run_id in run_ids}
        query: Query = select(SqlMetric.run_uuid, SqlMetric.step, SqlMetric.value, SqlMetric.is_nan).where(
            SqlMetric.key == metric
        )
        for run_id, step, value, is_nan in self._ask(query, SqlMetric.run_uuid, found):
            found[run_id].append((step, nan if is_nan else value))
        return {run_id: sorted(dict(points).items()) for run_id, points in found.items()}

    def _ask(self, query: Query, column: Any = None, ids: Collection[str] | None = None) -> Iterator[Any]:
        """Yield what a query finds, if ids are given only where the column holds one of them."""
        with self._engine.connect() as connection:
            if ids is None:
                yield from connection.execute(query)
                return
            listed = list(ids)
            for first in range(0, len(listed), CHUNK):
                yield from connection.execute(query.where(column.in_(listed[first : first + CHUNK])))


class Interface:
    """Reads by MLflow's own interface, as from a server; the methods are those of `Tables`."""

    def __init__(self, client: mlflow.MlflowClient) -> None:
        self._client = client

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

    def of_attempt(self, experiment: str, attempt: str) -> list[Row]:
        """Return the runs of one attempt."""
        return [_row(record) for record in self._search([experiment], f"tags.`ablate.attempt` = '{attempt}'")]

    def attempts(self, experiment: str) -> dict[str, str]:
        """Return the status of all attempts; those whose run was deleted are DELETED."""
        return {
            record.data.tags["ablate.attempt"]: record.info.status
            if record.info.lifecycle_stage == "active"
            else "DELETED"
            for record in self._search([experiment], "tags.`ablate.kind` = 'trial'", ViewType.ALL)
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

    def _search(self, experiments: Sequence[str], condition: str, view: int = ViewType.ACTIVE_ONLY) -> Iterator[Record]:
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


def _row(record: Record) -> Row:
    info, data = record.info, record.data
    tags = {key: value for key, value in data.tags.items() if key in (*KEYS, PARTS)}
    return Row(
        info.run_id, str(info.experiment_id), info.status, info.start_time, tags, dict(data.metrics), dict(data.params)
    )
