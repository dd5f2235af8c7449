"""The main table: every planned setting with its score, its difference from the reference, and its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports import sentences
from reports.contrasts import compare
from reports.errors import ResultsError, unknown
from reports.formats import (
    MISSING,
    Metric,
    count,
    counted,
    fixed,
    magnitude,
    milliseconds,
    one_line,
    percent,
    probability,
    sentence,
)
from reports.frame import check, complete, complete_seeds
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reports.contrasts import Comparison, Contrast

COSTS = {"params": ("params", count), "macs": ("MACs", magnitude), "latency_ms": ("ms", milliseconds)}


def comparison_table(
    frame: pd.DataFrame,
    *,
    study: str,
    question: str,
    settings: Sequence[str],
    slots: Sequence[str],
    reference: str,
    metric: Metric,
    planned_seeds: Sequence[int],
    against: Mapping[str, str] | None = None,
    secondary: Sequence[Metric] = (),
    estimand: str = "",
    practical: float | None = None,
    level: float = 0.95,
    notes: Sequence[str] = (),
) -> Table:
    """Compare the planned settings on one metric; secondary metrics get mean ± SD only.

    `settings` are the planned labels in the order of the rows, `slots` the slots to show as columns where they vary,
    `notes` further sentences. `practical` is in the metric's unit as in the frame. Runs outside the plan are left
    out and counted in a note.

    Raises:
        ResultsError: if the frame is not fit to report, belongs to another study, or a name in the call is unknown.
    """
    metrics = (metric, *secondary)
    check(frame, metrics=[each.name for each in metrics])
    _check_study(frame, study, metrics)
    planned = frame[frame["setting"].isin(list(settings)) & frame["seed"].isin(list(planned_seeds))]
    comparison = compare(
        planned,
        metric=metric.name,
        reference=reference,
        against=against,
        settings=settings,
        higher_is_better=metric.higher_is_better,
        practical=practical,
        level=level,
    )
    figures = _figures(planned, comparison, settings=settings, slots=slots, metrics=metrics)
    decimals = metric.decimals([comparison.sd, *figures["sd"]])
    columns = [
        *_row_numbers(figures, comparison),
        *_label_columns(figures, slots),
        *_result_columns(figures, comparison, metric, decimals),
        *(Column(each.header, _scores(figures, each, f"{each.name}_", comparison)) for each in secondary),
        *(Column(header, [show(value) for value in figures[cost]]) for cost, (header, show) in COSTS.items()),
    ]
    done = complete_seeds(planned)
    caption = sentences.caption(comparison, metric, estimand=estimand, n_seeds=_n_seeds(done), decimals=decimals)
    all_notes = (
        *sentences.answer(comparison, metric, decimals),
        *sentences.failures(comparison.failed, done),
        *sentences.coverage(settings, planned_seeds, done),
        *sentences.cautions(comparison),
        *_identical(planned, comparison),
        *sentences.outside(len(complete(frame)) - len(complete(planned))),
        *(sentence(note) for note in notes),
    )
    return Table(
        title=one_line(study),
        question=one_line(question),
        caption=one_line(caption),
        columns=tuple(one_line(column.header) for column in columns),
        words=frozenset(one_line(column.header) for column in columns if column.words),
        rows=tuple(
            tuple(one_line(cell) for cell in row) for row in zip(*(column.cells for column in columns), strict=True)
        ),
        reference_row=list(settings).index(reference),
        notes=tuple(one_line(note) for note in all_notes),
        frame=figures,
    )


def _check_study(frame: pd.DataFrame, study: str, metrics: Sequence[Metric]) -> None:
    for name in frame["study"].unique():
        if name != study:
            raise ResultsError(f"the frame holds study {name!r}, not {study!r}")
    for metric in metrics:
        scores = pd.to_numeric(complete(frame)[metric.name])
        if metric.unit == "fraction" and not scores.between(0, 1).all():
            raise ResultsError(
                f"column {metric.name!r} holds {scores[~scores.between(0, 1)].iloc[0]}; a fraction lies between 0 and 1"
            )


def _figures(
    frame: pd.DataFrame,
    comparison: Comparison,
    *,
    settings: Sequence[str],
    slots: Sequence[str],
    metrics: Sequence[Metric],
) -> pd.DataFrame:
    """Return the raw figures, one row per planned setting; NaN where there is none."""
    contrasts = {contrast.setting: contrast for contrast in comparison.contrasts}
    records = []
    for setting in settings:
        rows = frame[frame["setting"] == setting]
        done = complete(rows)
        record: dict[str, object] = {"setting": setting}
        record |= {f"slot.{slot}": _slot_value(rows, slot) for slot in slots}
        for position, metric in enumerate(metrics):
            scores = pd.to_numeric(done[metric.name]).astype(float)
            prefix = f"{metric.name}_" if position else ""
            record |= {f"{prefix}mean": scores.mean(), f"{prefix}sd": scores.std(ddof=1)}
        record |= _contrast_figures(contrasts.get(setting))
        record |= {"n": len(done), "failed": len(comparison.failed.get(setting, ()))}
        record |= {cost: _cost(done, setting, cost) for cost in COSTS}
        records.append(record)
    figures = pd.DataFrame.from_records(records)
    words = ["setting", "against", "verdict", "reason", *(f"slot.{slot}" for slot in slots)]
    return figures.astype({name: float for name in figures.columns if name not in words} | {"n": int, "failed": int})


def _contrast_figures(contrast: Contrast | None) -> dict[str, object]:
    estimate = contrast.estimate if contrast is not None else None
    return {
        "against": contrast.against if contrast is not None else None,
        "delta": estimate.value if estimate is not None else None,
        "low": estimate.low if estimate is not None else None,
        "high": estimate.high if estimate is not None else None,
        **{
            name: getattr(contrast, name, None)
            for name in ("p", "p_holm", "p_equivalent", "detectable", "verdict", "reason")
        },
    }


def _slot_value(rows: pd.DataFrame, slot: str) -> str | None:
    column = f"slot.{slot}"
    if column not in rows.columns:
        raise ResultsError(unknown("column", column, rows.columns))
    values = rows[column].dropna().unique()
    if len(values) > 1:
        raise ResultsError(f"setting {rows['setting'].iloc[0]!r} has several values in column {column!r}")
    return str(values[0]) if len(values) else None


def _cost(rows: pd.DataFrame, setting: str, column: str) -> float | None:
    """Return a cost; what the network fixes must be the same for every seed, latency is the median."""
    if column not in rows.columns:
        return None
    values = pd.to_numeric(rows[column]).dropna()
    if column != "latency_ms" and len(values.unique()) > 1:
        raise ResultsError(f"setting {setting!r} has several values in column {column!r}: not one network")
    return float(values.median()) if len(values) else None


def _several_partners(comparison: Comparison) -> bool:
    return bool({contrast.against for contrast in comparison.contrasts} - {comparison.reference})


def _row_numbers(figures: pd.DataFrame, comparison: Comparison) -> list[Column]:
    """Return a column that numbers the rows, where rows are compared with different ones."""
    numbers = [str(i) for i in range(1, len(figures) + 1)]
    return [Column("row", numbers)] if _several_partners(comparison) else []


def _label_columns(figures: pd.DataFrame, slots: Sequence[str]) -> list[Column]:
    """Return the columns that name the settings: the slots that vary, and the label itself where these do not do."""
    labels = [str(label) for label in figures["setting"]]
    if len(slots) == 1:
        return [Column(slots[0], labels, words=True)]
    varying = [slot for slot in slots if len(figures[f"slot.{slot}"].unique()) > 1]
    names = [f"slot.{slot}" for slot in varying]
    # A setting without a run has no slots in the frame, only its label.
    clear = varying and not figures[names].isna().all(axis=1).any() and not figures.duplicated(names).any()
    return [
        *([] if clear else [Column("setting", labels, words=True)]),
        *(Column(slot, _or_missing(figures[name]), words=True) for slot, name in zip(varying, names, strict=True)),
    ]


def _or_missing(values: pd.Series) -> list[str]:
    return [MISSING if pd.isna(value) else str(value) for value in values]


def _result_columns(figures: pd.DataFrame, comparison: Comparison, metric: Metric, decimals: int) -> list[Column]:
    contrasts = {contrast.setting: contrast for contrast in comparison.contrasts}
    rows = [contrasts.get(setting) for setting in figures["setting"]]
    columns = [Column(metric.header, _scores(figures, metric, "", comparison))]
    if _several_partners(comparison):
        numbers = {setting: str(i) for i, setting in enumerate(figures["setting"], start=1)}
        columns.append(Column("vs row", [MISSING if row is None else numbers[row.against] for row in rows]))
    interval = f"[{percent(comparison.level)} interval]" if comparison.tested else ""
    header = " ".join(["Δ", *filter(None, [metric.difference_unit, interval])])
    columns.append(Column(header, [_difference(row, metric, decimals) for row in rows]))
    columns.append(Column("p (Holm)", [MISSING if row is None else probability(row.p_holm) for row in rows]))
    verdicts = [MISSING if row is None or row.verdict is None else row.verdict for row in rows]
    for i, (n, failed) in enumerate(zip(figures["n"], figures["failed"], strict=True)):
        if failed:
            verdicts[i] = f"{failed}/{n + failed} failed"
    columns.append(Column("verdict", verdicts, words=True))
    sizes = [None if row is None or row.detectable is None else row.detectable * metric.scale for row in rows]
    detectable = [fixed(size, decimals) for size in sizes]
    # One value for all stands in the caption.
    if len(set(detectable) - {MISSING}) > 1:
        columns.append(Column("detectable", detectable))
    columns.append(Column("n", [str(n) for n in figures["n"]]))
    return columns


def _scores(figures: pd.DataFrame, metric: Metric, prefix: str, comparison: Comparison) -> list[str]:
    """Return mean ± SD, with † where the surviving seeds are a selection."""
    means, sds = figures[f"{prefix}mean"], figures[f"{prefix}sd"]
    decimals = metric.decimals([*sds, *([comparison.sd] if not prefix else [])])
    cells = []
    for setting, mean, sd in zip(figures["setting"], means, sds, strict=True):
        cell = fixed(mean * metric.scale, decimals)
        if pd.notna(sd):
            cell += f" ± {fixed(sd * metric.scale, decimals)}"
        cells.append(f"{cell} †" if setting in comparison.failed and cell != MISSING else cell)
    return cells


def _difference(contrast: Contrast | None, metric: Metric, decimals: int) -> str:
    if contrast is None:
        return "reference"
    if contrast.estimate is None:
        return MISSING
    value, low, high = (
        None if figure is None else figure * metric.scale
        for figure in (contrast.estimate.value, contrast.estimate.low, contrast.estimate.high)
    )
    delta = fixed(value, decimals, signed=True)
    if low is None or high is None:
        return delta
    return f"{delta} [{fixed(low, decimals, signed=True)}, {fixed(high, decimals, signed=True)}]"


def _identical(frame: pd.DataFrame, comparison: Comparison) -> list[str]:
    """Name pairs whose scores are equal on every seed: more often a swap that never reached the network than chance."""
    done = complete(frame)
    scores = {name: pd.to_numeric(rows.set_index("seed")[comparison.metric]) for name, rows in done.groupby("setting")}
    return [
        f"'{c.setting}' and '{c.against}' scored exactly the same on every seed: "
        "check that the change reaches the network."
        for c in comparison.contrasts
        if c.n >= 2 and bool((scores[c.setting] - scores[c.against]).dropna().eq(0).all())
    ]


def _n_seeds(done: Mapping[str, Sequence[int]]) -> str:
    counts = {len(seeds) for seeds in done.values()} or {0}
    return counted(max(counts), "seed") if len(counts) == 1 else f"{min(counts)} to {max(counts)} seeds"
