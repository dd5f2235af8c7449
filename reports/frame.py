"""The frame of runs: one row per attempt at a trial (setting × seed); checked here, selected here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reports.errors import ResultsError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS = ("study", "setting", "seed", "state")
STATES = ("complete", "pruned", "failed", "running", "killed")

# Scores beyond this overflow once they are squared; no metric of a network that works comes near it.
LARGEST_SCORE = 1e100


def check(frame: pd.DataFrame, *, metrics: Iterable[str]) -> None:
    """Refuse a frame that cannot be reported honestly.

    Raises:
        ResultsError: if a column is missing, a row has no setting or seed, a state is unknown, several studies
            are mixed, a trial has two complete runs, or a complete run lacks a finite score.
    """
    metrics = tuple(metrics)
    for column in (*COLUMNS, *metrics):
        if column not in frame.columns:
            raise ResultsError(unknown("column", column, frame.columns))
    for state in frame["state"].unique():
        if state not in STATES:
            raise ResultsError(unknown("state", str(state), STATES))
    for column in ("setting", "seed"):
        if frame[column].isna().any():
            raise ResultsError(f"column {column!r} is empty in {int(frame[column].isna().sum())} rows")
    for label in frame["setting"]:
        if not isinstance(label, str):
            raise ResultsError(
                f"column 'setting' holds {label!r}; a label is text (read a CSV with dtype={{'setting': str}})"
            )
    studies = sorted({str(name) for name in frame["study"].unique()})
    if len(studies) > 1:
        raise ResultsError(f"the frame mixes the studies {', '.join(map(repr, studies))}; give the runs of one")
    _check_complete(complete(frame), metrics)


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the complete runs: the only rows that are ever scored."""
    return frame[frame["state"] == "complete"]


def failed_seeds(frame: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    """Return the failed seeds of each setting that has any.

    A seed has failed when an attempt failed and none is complete: a retry that came through is no failure.
    """
    failed = _trials(frame[frame["state"] == "failed"]) - _trials(complete(frame))
    return {name: tuple(sorted(s for n, s in failed if n == name)) for name in sorted({n for n, _ in failed})}


def complete_seeds(frame: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    """Return the seeds of the complete runs of each setting that has any."""
    trials = _trials(complete(frame))
    return {name: tuple(sorted(s for n, s in trials if n == name)) for name in sorted({n for n, _ in trials})}


def _trials(rows: pd.DataFrame) -> set[tuple[str, int]]:
    return {(str(setting), int(seed)) for setting, seed in zip(rows["setting"], rows["seed"], strict=True)}


def _check_complete(rows: pd.DataFrame, metrics: tuple[str, ...]) -> None:
    twice = rows[rows.duplicated(["setting", "seed"])]
    for setting, seed in zip(twice["setting"], twice["seed"], strict=True):
        raise ResultsError(f"setting {setting!r}, seed {seed} has more than one complete run; a trial has at most one")
    for metric in metrics:
        scores = pd.to_numeric(rows[metric], errors="coerce").to_numpy(dtype=float)
        with np.errstate(invalid="ignore"):
            bad = rows[~(np.abs(scores) < LARGEST_SCORE)]
        for setting, seed, score in zip(bad["setting"], bad["seed"], bad[metric], strict=True):
            raise ResultsError(
                f"column {metric!r} holds {score} in the complete run of setting {setting!r}, seed {seed}; "
                "a score is a finite number"
            )
