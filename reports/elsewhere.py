"""A report on anybody's results: rows of text, with the names of the columns that matter."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from reports.errors import ResultsError, unknown
from reports.factors import Factor
from reports.formats import counted, listed
from reports.language import tr
from reports.plan import Plan
from reports.report import Report, report_on
from reports.tables import Metric

Row = Mapping[str, str]

# What trainers, MLflow, Optuna and cluster managers call the ends of a run.
STATES = {
    "complete": "complete", "completed": "complete", "finished": "complete", "success": "complete", "succeeded": "complete",
    "terminated": "complete", "done": "complete", "failed": "failed", "fail": "failed", "failure": "failed",
    "crashed": "failed", "error": "failed", "diverged": "failed", "timeout": "failed", "out_of_memory": "failed",
    "node_fail": "failed", "pruned": "pruned", "killed": "killed", "cancelled": "killed", "preempted": "killed",
    "running": "running", "scheduled": "running", "waiting": "running", "pending": "running", "queued": "running",
}  # fmt: skip
STATE_COLUMNS = ("state", "status")
COSTS = ("params", "macs", "latency_ms")
RESERVED = ("study", "setting", "seed", "state", "run_id")  # columns of the frame
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
SEED = re.compile(r"([+-]?\d+)(\.0*)?", re.ASCII)  # table programs write whole numbers as 3.0


@dataclass(frozen=True)
class Columns:
    """Which columns of the rows hold what.

    Attributes:
        settings: what was varied; together they name a setting.
        seed: the seed; None where each setting has one row, which then counts as seed 0.
        metric: the score.
        state: how a run ended; where None, a column called state or status, and if there is none every row is complete.
        costs: the columns of what a setting costs, where they are not called params, macs and latency_ms.
        missing_is_failed: whether a complete run without a finite score has failed; it is refused otherwise.
    """

    settings: Sequence[str]
    metric: str
    seed: str | None = None
    state: str | None = None
    costs: Mapping[str, str] = field(default_factory=dict)
    missing_is_failed: bool = False


def report_from(
    rows: Sequence[Row],
    columns: Columns,
    *,
    where: str,
    name: str,
    at: Sequence[str] = (),
    question: str = "",
    reference: str | None = None,
    higher_is_better: bool = True,
    unit: str = "",
    practical: float | None = None,
    correction: str = "holm",
) -> Report:
    """Return the report on rows of text.

    Args:
        rows: one a run, in order; each has every column.
        columns: what they hold.
        where: what the rows come from, for errors.
        name: of the study.
        at: where each row stands; the first at line 2 unless given.
        question: what it asks.
        reference: a setting, by its label; without it the first.
        higher_is_better: the direction of the metric.
        unit: of the metric; "fraction" is shown in percent.
        practical: the smallest difference that matters, in the unit of the rows.
        correction: for several comparisons, "holm" or "dunnett".

    Raises:
        ResultsError: if a column is missing, a figure is none, a state is unknown, a setting has two complete runs of
            one seed, no run is complete, or the reference is no setting.
    """
    known = _checked(rows, columns, where)
    places = [f"{where}, {place}" for place in at or (f"line {i}" for i in range(2, len(rows) + 2))]
    placed = {place: row for place, row in zip(places, rows, strict=True) if not _is_apart(row, known, place)}
    lines = {place: _line(row, known, place) for place, row in placed.items()}
    choices = _choices(lines, placed, known)
    _check_repeats(lines, known)
    frame = pd.DataFrame(list(lines.values())).assign(study=name)
    if not (frame["state"] == "complete").any():
        ends = ", ".join(f"{n} {state}" for state, n in frame["state"].value_counts().items())
        raise ResultsError(f"{where}: no run is complete ({ends})")
    chosen = _reference(reference, list(choices), where)
    notes = [] if reference else [tr("The reference is the setting that stands first, '{label}'", label=chosen)]
    if columns.seed is None:
        notes.append(tr("No seeds were given: each setting has one run"))
    if len(placed) < len(rows):
        apart = counted(len(rows) - len(placed), "run")
        notes.append(tr("Left out, as neither a setting nor a score is noted of them: {runs}", runs=apart))
    plan = Plan(
        study=name, question=question, settings=list(choices), slots=list(columns.settings), reference=chosen,
        metric=Metric(columns.metric, higher_is_better, unit), planned_seeds=_seeds(frame), choices=choices, practical=practical,
        correction="dunnett" if correction == "dunnett" else "holm", notes=notes, scored_on=tr("Read from {where}, as it stands there.", where=where),
    )  # fmt: skip
    return report_on(frame, plan, factors=_factors(columns.settings, choices, chosen))


def _checked(rows: Sequence[Row], columns: Columns, where: str) -> Columns:
    """Return the columns with that of the states."""
    if not rows:
        raise ResultsError(f"{where}: there is no run in it")
    there = list(rows[0])
    if not columns.settings:
        raise ResultsError(f"{where}: name the columns that tell settings apart (there are: {', '.join(there)})")
    named = [*columns.settings, columns.metric, *filter(None, (columns.seed, columns.state))]
    for column in (*named, *columns.costs.values()):
        if column not in there:
            raise ResultsError(f"{where}: {unknown('column', column, there)}")
    twice = next((column for column in named if named.count(column) > 1), None)
    if twice is not None:
        raise ResultsError(f"{where}: column {twice!r} is asked for twice; it tells one thing")
    if columns.metric in RESERVED:
        raise ResultsError(f"{where}: a score called {columns.metric!r} cannot be told from the runs' own; rename it")
    if unknown_costs := [cost for cost in columns.costs if cost not in COSTS]:
        raise ResultsError(unknown("cost", unknown_costs[0], COSTS))
    states = [column for column in there if column.lower() in STATE_COLUMNS and column not in named]
    if columns.state is None and len(states) > 1:
        raise ResultsError(f"{where}: columns {listed(states)} may both say how a run ended; name one (--state-column)")
    state = columns.state or next(iter(states), None)
    costs = {cost: columns.costs.get(cost, cost) for cost in COSTS if columns.costs.get(cost, cost) in there}
    return replace(columns, state=state, costs=costs)


def _is_apart(row: Row, columns: Columns, at: str) -> bool:
    """Tell whether a row is no run of a setting, as a parent run in MLflow or a trial that has not begun.

    Raises:
        ResultsError: if it names no setting and yet has a score.
    """
    if any(row[name] for name in columns.settings):
        return False
    if row[columns.metric].strip() and _state(row, columns, at) == "complete":
        empty = "are" if len(columns.settings) > 1 else "is"
        raise ResultsError(f"{at}: {listed(list(columns.settings))} {empty} empty: the score is of no setting")
    return True


def _line(row: Row, columns: Columns, at: str) -> dict[str, object]:
    """Return a row of the frame."""
    several = len(columns.settings) > 1
    label = ", ".join(f"{name}={row[name]}" if several else row[name] for name in columns.settings if row[name])
    state, score = _state(row, columns, at), math.nan
    if state == "complete":
        text = row[columns.metric].strip()
        if columns.missing_is_failed and (not text or _is_infinite(text)):
            state = "failed"
        else:
            score = _score(text, columns, at)
    line: dict[str, object] = {"setting": label, "seed": _seed(row, columns, at), "state": state}
    line |= {f"slot.{name}": row[name] or None for name in columns.settings}
    line |= {
        cost: _number(row[column].strip(), f"{at}, column {column!r}") if row[column].strip() else math.nan
        for cost, column in columns.costs.items()
    }
    line[columns.metric] = score
    if row.get("run_id"):
        line["run_id"] = row["run_id"]
    return line


def _state(row: Row, columns: Columns, at: str) -> str:
    if columns.state is None:
        return "complete"
    given = row[columns.state].strip()
    if given.lower() not in STATES:
        raise ResultsError(f"{at}, column {columns.state!r}: {unknown('state', given, STATES)}")
    return STATES[given.lower()]


def _score(text: str, columns: Columns, at: str) -> float:
    where = f"{at}, column {columns.metric!r}"
    if not text:
        say = "" if columns.state else "name the column that says how a run ended (--state-column), or "
        raise ResultsError(
            f"{where} is empty, and a run without a score is not complete; {say}count such runs as failed (--missing failed)"
        )
    if _is_infinite(text):
        raise ResultsError(f"{where} holds {text!r}; count runs that diverged as failed (--missing failed)")
    return _number(text, where)


def _seed(row: Row, columns: Columns, at: str) -> int:
    if columns.seed is None:
        return 0
    found = SEED.fullmatch(row[columns.seed].strip())
    if found is None:
        raise ResultsError(f"{at}, column {columns.seed!r} holds {row[columns.seed]!r}; a seed is a whole number")
    return int(found[1])


def _number(text: str, where: str) -> float:
    """Return what is a number to everybody: Python's 1_000 may be anything."""
    if not NUMBER.fullmatch(text) or _is_infinite(text):
        raise ResultsError(f"{where} holds {text!r}, which is no number")
    return float(text)


def _is_infinite(text: str) -> bool:
    """Tell whether text is NaN, infinite, or larger than any number here."""
    try:
        return not math.isfinite(float(text))
    except ValueError:
        return False


def _choices(
    lines: Mapping[str, Mapping[str, object]], rows: Mapping[str, Row], columns: Columns
) -> dict[str, dict[str, str]]:
    """Return what each setting holds, by its label."""
    found: dict[str, dict[str, str]] = {}
    for at, row in rows.items():
        label = str(lines[at]["setting"])
        chosen = {name: row[name] for name in columns.settings if row[name]}
        if found.setdefault(label, chosen) != chosen:
            raise ResultsError(f"{at}: two settings are called {label!r}; change the texts that make them look alike")
    return found


def _reference(given: str | None, labels: Sequence[str], where: str) -> str:
    """Return the label of the reference, which may be given as `a=x,b=y`."""
    if given is None:
        return labels[0]
    fitting = [label for label in labels if label == given] or [
        label for label in labels if label.replace(", ", ",") == given
    ]
    if len(fitting) != 1:
        raise ResultsError(f"{where}: {unknown('setting', given, labels)}, asked for as the reference")
    return fitting[0]


def _check_repeats(lines: Mapping[str, Mapping[str, object]], columns: Columns) -> None:
    """Refuse two complete runs of one setting and seed: which one counts is not ours to choose."""
    seen: dict[tuple[object, object], str] = {}
    for at, line in lines.items():
        key = (line["setting"], line["seed"])
        if line["state"] == "complete" and key in seen:
            hint = "name the column that holds the seed (--seed-column)" if columns.seed is None else "keep one"
            raise ResultsError(
                f"{seen[key]}, and {at.rpartition(', ')[2]}: both are complete runs of setting {key[0]!r}, seed {key[1]}: {hint}"
            )
        if line["state"] == "complete":
            seen[key] = at


def _seeds(frame: pd.DataFrame) -> dict[str, list[int]]:
    """Return the seeds of each setting."""
    return {str(label): sorted(set(seeds)) for label, seeds in frame.groupby("setting", sort=False)["seed"]}


def _factors(slots: Sequence[str], choices: Mapping[str, Mapping[str, str]], reference: str) -> list[Factor]:
    """Return the columns as slots where settings differ from the reference in two of them or more at once."""
    complete = all(len(row) == len(slots) for row in choices.values())
    crossed = any(sum(row[slot] != choices[reference].get(slot) for slot in row) > 1 for row in choices.values())
    if not complete or not crossed:
        return []
    levels = {slot: list(dict.fromkeys(row[slot] for row in choices.values())) for slot in slots}
    return [Factor(slot, tuple(names), choices[reference][slot]) for slot, names in levels.items()]
