"""The frame of runs: one row per attempt at a trial (setting × seed); checked here, selected here."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING

from reports.errors import ResultsError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

COLUMNS = ("study", "setting", "seed", "state")
COSTS = ("params", "macs", "latency_ms")
RECORDS = ("seconds", "started", "run_id")
STATES = ("complete", "pruned", "failed", "running", "killed")

HIGHEST_LEVEL = 0.9999  # beyond it SciPy's noncentral t has no values at one degree of freedom
# Scores beyond this overflow once they are squared; no metric of a network that works comes near it.
LARGEST_SCORE = 1e100


def check(frame: pd.DataFrame, *, metrics: Iterable[str]) -> None:
    """Refuse a frame that cannot be reported honestly.

    Raises:
        ResultsError: if a column is missing or there twice, a row has no study, setting or whole seed, a state is
            unknown, several studies are mixed, a trial has two complete runs, or a complete run lacks a finite score.
    """
    metrics = tuple(metrics)
    columns = [str(name) for name in frame.columns]
    for column in (*COLUMNS, *metrics):
        if column not in columns:
            raise ResultsError(unknown("column", column, columns))
        if columns.count(column) > 1:
            raise ResultsError(f"the frame has {columns.count(column)} columns {column!r}; there must be one")
    for state in frame["state"].tolist():
        if not isinstance(state, str) or state not in STATES:
            raise ResultsError(unknown("state", str(state), STATES))
    for column in ("study", "setting", "seed"):
        if frame[column].isna().any():
            raise ResultsError(f"column {column!r} is empty in {int(frame[column].isna().sum())} rows")
    _check_trials(frame)
    studies = sorted(set(map(str, frame["study"].tolist())))
    if len(studies) > 1:
        raise ResultsError(f"the frame mixes the studies {', '.join(map(repr, studies))}; give the runs of one")
    _check_complete(frame, metrics)


def check_level(level: float) -> None:
    """Refuse a level of confidence that is none.

    Raises:
        ResultsError: unless it lies between 0 and 1.
    """
    if not 0 < level <= HIGHEST_LEVEL:
        raise ResultsError(f"level is {level}; it lies between 0 and {HIGHEST_LEVEL}, for instance 0.95")


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the complete runs: the only rows that are ever scored."""
    return frame[frame["state"] == "complete"]


def failed_seeds(frame: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    """Return the failed seeds of each setting that has any.

    A seed has failed when an attempt failed and none is complete: a retry that came through is no failure.
    """
    return _by_setting(_trials(frame, "failed") - _trials(frame, "complete"))


def complete_seeds(frame: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    """Return the seeds of the complete runs of each setting that has any."""
    return _by_setting(_trials(frame, "complete"))


def tally(frame: pd.DataFrame, metric: str) -> dict[str, dict[int, float]]:
    """Return the score of each complete run: setting → seed → score."""
    found: dict[str, dict[int, float]] = {}
    columns = (frame[name].tolist() for name in ("setting", "seed", "state", metric))
    for setting, seed, state, score in zip(*columns, strict=True):
        if state == "complete":
            found.setdefault(setting, {})[int(seed)] = float(score)
    return found


def score_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns that hold scores: numbers that are neither costs nor records of the run."""
    others = {*COLUMNS, *COSTS, *RECORDS}
    return [
        name
        for name in frame.columns
        if name not in others and not str(name).startswith("slot.") and frame[name].dtype.kind in "biuf"
    ]


def _by_setting(trials: set[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for setting, seed in sorted(trials):
        found.setdefault(setting, []).append(seed)
    return {setting: tuple(seeds) for setting, seeds in found.items()}


def _trials(frame: pd.DataFrame, wanted: str) -> set[tuple[str, int]]:
    columns = (frame[name].tolist() for name in ("setting", "seed", "state"))
    return {(setting, int(seed)) for setting, seed, state in zip(*columns, strict=True) if state == wanted}


def _check_trials(frame: pd.DataFrame) -> None:
    for label in frame["setting"].tolist():
        if not isinstance(label, str):
            raise ResultsError(
                f"column 'setting' holds {label!r}; a label is text (read a CSV with dtype={{'setting': str}})"
            )
    for seed in frame["seed"].tolist():
        # Whole floats are what a table program leaves of integers, and nothing is lost by reading them as such.
        if isinstance(seed, bool) or not (
            isinstance(seed, Integral) or (isinstance(seed, float) and seed.is_integer())
        ):
            raise ResultsError(f"column 'seed' holds {seed!r}; a seed is a whole number")


def _check_complete(frame: pd.DataFrame, metrics: tuple[str, ...]) -> None:
    trials = [frame[name].tolist() for name in ("setting", "seed", "state")]
    seen = set()
    for setting, seed, state in zip(*trials, strict=True):
        if state == "complete" and (setting, seed) in seen:
            raise ResultsError(
                f"setting {setting!r}, seed {seed} has more than one complete run; a trial has at most one"
            )
        if state == "complete":
            seen.add((setting, seed))
    for metric in metrics:
        for setting, seed, state, score in zip(*trials, frame[metric].tolist(), strict=True):
            if state == "complete" and not _is_score(score):
                raise ResultsError(
                    f"column {metric!r} holds {score!r} in the complete run of setting {setting!r}, seed {seed}; "
                    f"a score is a finite number{', not text' if isinstance(score, str) else ''}"
                )


def _is_score(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value) and abs(float(value)) < LARGEST_SCORE
