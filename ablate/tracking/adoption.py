"""Runs of another folder of records, copied."""

from collections.abc import Collection, Iterator
from math import nan
from typing import Any

import sqlalchemy
from sqlalchemy import select

from ablate.spool import Entry
from ablate.tracking.ledger import Ledger
from ablate.tracking.rows import head_of
from ablate.tracking.schema import METRICS, PARAMS, RUNS, TAGS
from ablate.tracking.store import files_of

CHUNK = 100  # runs in memory
OF_PLACE = ("mlflow.parentRunId", "mlflow.runName")  # tags that a copy gets anew


def adopt(ledger: Ledger, other: Ledger) -> int:
    """Copy what has ended in another store and is not here, and return how many runs that were.

    A run that has been deleted here stays deleted. Where the study has no parent run, that is copied too.
    """
    number = ledger.open()
    if ledger.parent is None and other.parent is not None:
        theirs = other.parent
        ours = head_of(ledger.client.create_run(number, theirs.started, theirs.tags, ledger.name))
        for name, path in files_of(other.place, theirs.address).items():
            ledger.put(ours, name, path)
        ledger.client.set_terminated(ours.run_id, theirs.status, theirs.ended)
        ledger.parent = ours
    known = ledger.rows.attempts(number)
    n_written = 0
    for entry in _ended(other):
        if known.get(entry.attempt) not in ("FINISHED", "DELETED", entry.status):
            ledger.write(entry, first=entry.attempt not in known)
            n_written += 1
    return n_written


def _ended(ledger: Ledger) -> Iterator[Entry]:
    """Yield the attempts that have ended with all that was recorded of them, the earliest first."""
    engine, experiment = ledger.store.engine, ledger.experiment
    if engine is None or experiment is None:
        return
    query: Any = (
        select(RUNS.c.run_uuid, RUNS.c.name, RUNS.c.status, RUNS.c.start_time, RUNS.c.end_time, RUNS.c.artifact_uri)
        .join(TAGS, TAGS.c.run_uuid == RUNS.c.run_uuid)
        .where(TAGS.c.key == "ablate.kind", TAGS.c.value == "trial")
        .where(RUNS.c.experiment_id == int(experiment.number))
        .where(RUNS.c.lifecycle_stage == "active", RUNS.c.status.not_in(["RUNNING", "SCHEDULED"]))
        .order_by(RUNS.c.start_time, RUNS.c.run_uuid)
    )
    with engine.connect() as connection:
        runs = connection.execute(query).all()
        for first in range(0, len(runs), CHUNK):
            chunk = {run.run_uuid: run for run in runs[first : first + CHUNK]}
            tags, params = (_pairs(connection, table, chunk) for table in (TAGS, PARAMS))
            points = _points(connection, chunk)
            for run_id, run in chunk.items():
                own = {"ablate.attempt": run_id} | tags[run_id]  # the first ablate named no attempts
                yield Entry(
                    attempt=own["ablate.attempt"], name=run.name, status=run.status, started=run.start_time,
                    ended=run.end_time or run.start_time, tags={k: v for k, v in own.items() if k not in OF_PLACE},
                    params=params[run_id], points=tuple(points[run_id]), files=files_of(ledger.place, run.artifact_uri),
                )  # fmt: skip


def _pairs(connection: sqlalchemy.Connection, table: Any, ids: Collection[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {run_id: {} for run_id in ids}
    query = select(table.c.run_uuid, table.c.key, table.c.value).where(table.c.run_uuid.in_(list(ids)))
    for run_id, key, value in connection.execute(query):
        found[run_id][key] = value
    return found


def _points(connection: sqlalchemy.Connection, ids: Collection[str]) -> dict[str, list[tuple[str, float, int, int]]]:
    found: dict[str, list[tuple[str, float, int, int]]] = {run_id: [] for run_id in ids}
    query: Any = select(
        METRICS.c.run_uuid, METRICS.c.key, METRICS.c.value, METRICS.c.is_nan, METRICS.c.timestamp, METRICS.c.step
    )
    for run_id, key, value, is_nan, time, epoch in connection.execute(query.where(METRICS.c.run_uuid.in_(list(ids)))):
        found[run_id].append((key, nan if is_nan else value, time, epoch))
    return found
