"""A report on anybody's results: rows of text, with the names of the columns that matter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.errors import ResultsError, unknown
from reports.factors import Factor
from reports.formats import listed
from reports.language import tr
from reports.plan import Plan
from reports.report import Report, report_on
from reports.tables import Metric

Row = Mapping[str, str]

# What trainers, MLflow, Optuna and cluster managers call the ends of a run.
STATES = {
    "complete": "complete", "completed": "complete", "finished": "complete", "success": "complete", "done": "complete",
    "failed": "failed", "fail": "failed", "crashed": "failed", "error": "failed", "diverged": "failed",
    "pruned": "pruned", "killed": "killed", "cancelled": "killed", "running": "running", "scheduled": "running", "waiting": "running",
}  # fmt: skip
STATE_COLUMNS = ("state", "status")
COSTS = ("params", "macs", "latency_ms")


@dataclass(frozen=True)
class Columns:
    """Which columns of the rows hold what.

    Attributes:
        settings: what was varied; together they name a setting.
        seed: the seed; None where each setting has one row, which then counts as seed 0.
        metric: the score.
        state: how a run ended; where None, a column called state or status, and if there is none every row is complete.
    """

    settings: Sequence[str]
    metric: str
    seed: str | None = None
    state: str | None = None


def report_from(
    rows: Sequence[Row],
    columns: Columns,
    *,
    where: str,
    name: str,
    question: str = "",
    reference: str | None = None,
    higher_is_better: bool = True,
    unit: str = "",
    practical: float | None = None,
    correction: str = "holm",
) -> Report:
    """Return the report on rows of text; the first is line 2 of its file.

    Args:
        rows: one a run, in order; each has every column.
        columns: what they hold.
        where: what the rows come from, for errors.
        name: of the study.
        question: what it asks.
        reference: a setting, by its label; without it the first.
        higher_is_better: the direction of the metric.
        unit: of the metric; "fraction" is shown in percent.
        practical: the smallest difference that matters, in the unit of the rows.
        correction: for several comparisons, "holm" or "dunnett".

    Raises:
        ResultsError: if a column is missing, a figure is none, a state is unknown, a setting has two complete runs of
            one seed, or the reference is no setting.
    """
    known = _checked(rows, columns, where)
    lines = [_line(row, i, known, where) for i, row in enumerate(rows, start=2)]
    frame = pd.DataFrame(lines).assign(study=name)
    labels = list(dict.fromkeys(frame["setting"]))
    chosen = labels[0] if reference is None else reference
    if chosen not in labels:
        raise ResultsError(f"{where}: {unknown('setting', chosen, labels)}, asked for as the reference")
    choices = {
        str(line["setting"]): {column: row[column] for column in columns.settings if row[column]}
        for line, row in zip(lines, rows, strict=True)
    }
    _check_repeats(lines, where)
    notes = (
        [] if reference is not None else [tr("The reference is the setting that stands first, '{label}'", label=chosen)]
    )
    if columns.seed is None:
        notes.append(tr("No seeds were given: each setting has one run"))
    plan = Plan(
        study=name, question=question, settings=labels, slots=list(columns.settings), reference=chosen,
        metric=Metric(columns.metric, higher_is_better, unit), planned_seeds=_seeds(lines), choices=choices, practical=practical,
        correction="dunnett" if correction == "dunnett" else "holm", notes=notes, scored_on=tr("Read from {where}, as it stands there", where=where),
    )  # fmt: skip
    return report_on(frame, plan, factors=_factors(columns.settings, choices, chosen))


def _checked(rows: Sequence[Row], columns: Columns, where: str) -> Columns:
    """Return the columns with that of the states."""
    if not rows:
        raise ResultsError(f"{where}: there is no run in it")
    there = list(rows[0])
    if not columns.settings:
        raise ResultsError(f"{where}: name the columns that tell settings apart (there are: {', '.join(there)})")
    for column in (*columns.settings, columns.metric, columns.seed, columns.state):
        if column is not None and column not in there:
            raise ResultsError(f"{where}: {unknown('column', column, there)}")
    state = columns.state or next((name for name in STATE_COLUMNS if name in there), None)
    return Columns(columns.settings, columns.metric, columns.seed, state)


def _line(row: Row, i: int, columns: Columns, where: str) -> dict[str, object]:
    at = f"{where}, line {i}"
    several = len(columns.settings) > 1
    label = ", ".join(f"{name}={row[name]}" if several else row[name] for name in columns.settings if row[name])
    if not label:
        raise ResultsError(f"{at}: {listed(list(columns.settings))} {'are' if several else 'is'} empty: no setting")
    state = "complete"
    if columns.state is not None:
        found = STATES.get(row[columns.state].strip().lower())
        if found is None:
            raise ResultsError(f"{at}, column {columns.state!r}: {unknown('state', row[columns.state], STATES)}")
        state = found
    line: dict[str, object] = {"setting": label, "state": state, "seed": _seed(row, columns, at)}
    line |= {f"slot.{name}": row[name] or None for name in columns.settings}
    line[columns.metric] = _score(row[columns.metric], columns, at) if state == "complete" else math.nan
    for cost in COSTS:
        if row.get(cost):
            line[cost] = _number(row[cost], f"{at}, column {cost!r}")
    if row.get("run_id"):
        line["run_id"] = row["run_id"]
    return line


def _score(text: str, columns: Columns, at: str) -> float:
    if not text.strip():
        hint = "" if columns.state else "; name the column that says how a run ended (--state-column)"
        raise ResultsError(f"{at}, column {columns.metric!r} is empty, and a run without a score is not complete{hint}")
    return _number(text, f"{at}, column {columns.metric!r}")


def _seed(row: Row, columns: Columns, at: str) -> int:
    if columns.seed is None:
        return 0
    value = _number(row[columns.seed], f"{at}, column {columns.seed!r}")
    if not value.is_integer():
        raise ResultsError(f"{at}, column {columns.seed!r} holds {row[columns.seed]!r}; a seed is a whole number")
    return int(value)


def _number(text: str, at: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ResultsError(f"{at} holds {text!r}, which is no number") from None
    if not math.isfinite(value):
        raise ResultsError(f"{at} holds {text!r}; a run that diverged is a failed one: say so in a column of states")
    return value


def _check_repeats(lines: Sequence[Mapping[str, object]], where: str) -> None:
    """Refuse two complete runs of one setting and seed: which one counts is not ours to choose."""
    seen: dict[tuple[object, object], int] = {}
    for i, line in enumerate(lines, start=2):
        key = (line["setting"], line["seed"])
        if line["state"] != "complete":
            continue
        if key in seen:
            hint = "name the column that holds the seed" if key[1] == 0 else "keep one"
            raise ResultsError(
                f"{where}: lines {seen[key]} and {i} are both complete runs of setting {key[0]!r}, seed {key[1]}: {hint}"
            )
        seen[key] = i


def _seeds(lines: Sequence[Mapping[str, object]]) -> dict[str, list[int]]:
    found: dict[str, set[int]] = {}
    for line in lines:
        found.setdefault(str(line["setting"]), set()).add(int(str(line["seed"])))
    return {label: sorted(seeds) for label, seeds in found.items()}


def _factors(slots: Sequence[str], choices: Mapping[str, Mapping[str, str]], reference: str) -> list[Factor]:
    """Return the columns as slots where settings differ from the reference in two of them or more at once."""
    complete = all(len(row) == len(slots) for row in choices.values())
    crossed = any(sum(row[slot] != choices[reference].get(slot) for slot in row) > 1 for row in choices.values())
    if not complete or not crossed:
        return []
    levels = {slot: list(dict.fromkeys(row[slot] for row in choices.values())) for slot in slots}
    return [Factor(slot, tuple(names), choices[reference][slot]) for slot, names in levels.items()]
