"""The main table: every planned setting with its score, its difference from the reference, and its cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import pandas as pd

from reports import sentences
from reports.captions import caption
from reports.contrasts import compare, compare_secondary
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
from reports.identical import identical
from reports.tables.figures import figures
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.comparison import Comparison, Contrast
    from reports.sequential import Looks

COSTS = {"params": ("params", count), "macs": ("MACs", magnitude), "latency_ms": ("ms", milliseconds)}
P_VALUES = {"holm": "p (Holm)", "dunnett": "p (Dunnett)", "sequential": "p (sequential)"}


def comparison_table(
    frame: pd.DataFrame,
    *,
    study: str,
    question: str,
    settings: Sequence[str],
    slots: Sequence[str],
    reference: str,
    metric: Metric,
    planned_seeds: Sequence[int] | Mapping[str, Sequence[int]],
    against: Mapping[str, str] | None = None,
    secondary: Sequence[Metric] = (),
    estimand: str = "",
    practical: float | None = None,
    level: float = 0.95,
    correction: Literal["holm", "dunnett"] = "holm",
    calibration: Sequence[tuple[str, str]] = (),
    looks: Looks | None = None,
    until: Literal["decided", "best"] = "decided",
    scored_on: str = "",
    marks: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Table:
    """Compare the planned settings on one metric, and on secondary ones for which notes say what was found.

    Runs outside the plan are left out and counted in a note. For `against`, `practical`, `level`, `correction`,
    `calibration`, `looks` and `until` see `reports.contrasts.compare`.

    Args:
        frame: the runs.
        study: its name; the frame must hold no other.
        question: what the study asks.
        settings: the planned labels in the order of the rows.
        slots: what to show as columns where it varies.
        reference: the label of the setting that others are compared with.
        metric: the primary one.
        planned_seeds: the same for every setting, or by label; the longest list has the order of the study's seeds.
        against: setting → its partner, where that is not the reference.
        secondary: shown as mean ± SD; their contrasts are corrected together, apart from those of the primary metric.
            They are not tested where seeds were allocated adaptively, because the primary metric decided how many.
        estimand: what the contrasts estimate, to follow "The table estimates".
        practical: the smallest difference that matters, in the metric's unit as in the frame.
        level: one minus the family-wise error.
        correction: for several comparisons.
        calibration: A/A pairs.
        looks: when adaptive seeds were looked at.
        until: what the adaptive seeds were for.
        scored_on: a sentence on the images that the scores come from; it stands in the caption.
        marks: sentences that no reader of the table may miss: the first notes, and in the caption.
        notes: further sentences.

    Raises:
        ResultsError: if the frame is not fit to report, belongs to another study, or a name in the call is unknown.
    """
    check(frame, metrics=[each.name for each in (metric, *secondary)])
    _check_study(frame, study, (metric, *secondary))
    seeds = _seeds_of(settings, planned_seeds)
    is_planned = [n in seeds.get(label, ()) for label, n in zip(frame["setting"], frame["seed"], strict=True)]
    planned = frame[pd.Series(is_planned, index=frame.index, dtype=bool)]
    comparison = compare(
        planned,
        metric=metric.name,
        reference=reference,
        against=against,
        settings=settings,
        higher_is_better=metric.higher_is_better,
        practical=practical,
        level=level,
        correction=correction,
        calibration=calibration,
        looks=looks,
        until=until,
        seeds=max(seeds.values(), key=len, default=()),
    )
    others: Sequence[Comparison | None] = [None] * len(secondary)
    if looks is None:
        others = compare_secondary(
            planned,
            higher_is_better={each.name: each.higher_is_better for each in secondary},
            reference=reference,
            against=against,
            settings=settings,
            level=level,
            calibration=calibration,
        )
    by_metric = list(zip(secondary, others, strict=True))
    raw = figures(planned, comparison, settings=settings, slots=slots, metric=metric, secondary=by_metric)
    decimals = metric.decimals([comparison.sd, *raw["sd"]])
    done = complete_seeds(planned)
    marked = [sentence(mark) for mark in marks]
    said = [
        *sentences.alarms(comparison, metric, decimals),
        *marked,
        *sentences.answer(comparison, metric, decimals),
        *sentences.secondary([(other, each) for each, other in by_metric if other is not None]),
        *sentences.checks(comparison, metric, decimals),
        *sentences.failures(comparison.failed, done),
        *sentences.coverage(seeds, done),
        *sentences.cautions(comparison),
        *sentences.identical(identical(planned, settings=settings, apart=calibration)),
        *sentences.outside(len(complete(frame)) - len(complete(planned))),
        *map(sentence, notes),
    ]
    about = caption(comparison, metric, estimand=estimand, n_seeds=_n_seeds(done), decimals=decimals)
    columns = _columns(raw, comparison, slots=slots, metric=metric, secondary=secondary, decimals=decimals)
    return Table(
        title=one_line(study),
        question=one_line(question),
        caption=one_line(" ".join(filter(None, [about, sentence(scored_on), *marked]))),
        columns=tuple(one_line(column.header) for column in columns),
        words=frozenset(one_line(column.header) for column in columns if column.words),
        rows=tuple(
            tuple(one_line(cell) for cell in row) for row in zip(*(column.cells for column in columns), strict=True)
        ),
        reference_row=list(settings).index(reference),
        notes=tuple(map(one_line, said)),
        frame=raw,
    )


def _seeds_of(
    settings: Sequence[str], planned: Sequence[int] | Mapping[str, Sequence[int]]
) -> dict[str, Sequence[int]]:
    """Return the planned seeds of each setting."""
    if not isinstance(planned, Mapping):
        return dict.fromkeys(settings, planned)
    for label in settings:
        if label not in planned:
            raise ResultsError(unknown("setting", label, planned) + ", in the planned seeds")
    return {label: planned[label] for label in settings}


def _check_study(frame: pd.DataFrame, study: str, metrics: Sequence[Metric]) -> None:
    for name in frame["study"].unique():
        if name != study:
            raise ResultsError(f"the frame holds study {name!r}, not {study!r}")
    for metric in metrics:
        scores = complete(frame)[metric.name].astype(float)
        if metric.unit == "fraction" and not scores.between(0, 1).all():
            raise ResultsError(
                f"column {metric.name!r} holds {scores[~scores.between(0, 1)].iloc[0]:g}; a fraction lies between 0 and 1"
            )


def _columns(
    raw: pd.DataFrame,
    comparison: Comparison,
    *,
    slots: Sequence[str],
    metric: Metric,
    secondary: Sequence[Metric],
    decimals: int,
) -> list[Column]:
    return [
        *_row_numbers(raw, comparison),
        *_label_columns(raw, slots),
        *_result_columns(raw, comparison, metric, decimals),
        *(Column(each.header, _scores(raw, each, f"{each.name}_", comparison)) for each in secondary),
        *(Column(header, [show(value) for value in raw[cost]]) for cost, (header, show) in COSTS.items()),
    ]


def _several_partners(comparison: Comparison) -> bool:
    return bool({contrast.against for contrast in comparison.rows.values()} - {comparison.reference})


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
    contrasts = comparison.rows
    rows = [contrasts.get(setting) for setting in figures["setting"]]
    columns = [Column(metric.header, _scores(figures, metric, "", comparison))]
    if _several_partners(comparison):
        numbers = {setting: str(i) for i, setting in enumerate(figures["setting"], start=1)}
        columns.append(Column("vs row", [MISSING if row is None else numbers[row.against] for row in rows]))
    # A race shows no intervals, not even those of its A/A pairs.
    has_interval = comparison.race is None and any(row is not None and row.p is not None for row in rows)
    interval = f"[{percent(comparison.level)} interval]" if has_interval else ""
    header = " ".join(["Δ", *filter(None, [metric.difference_unit, interval])])
    columns.append(Column(header, [_difference(row, metric, decimals, brackets=has_interval) for row in rows]))
    if comparison.race is None:
        p_values = [MISSING if row is None else probability(row.p_adjusted) for row in rows]
        columns.append(Column(P_VALUES[comparison.correction], p_values))
    columns.append(Column("verdict", _verdicts(figures, comparison), words=True))
    tested = {contrast.setting: contrast for contrast in comparison.tested}
    sizes = [tested[setting].detectable if setting in tested else None for setting in figures["setting"]]
    detectable = [fixed(None if size is None else size * metric.scale, decimals) for size in sizes]
    # One value for all stands in the caption.
    if len(set(detectable) - {MISSING}) > 1:
        columns.append(Column("detectable", detectable))
    columns.append(Column("n", [str(n) for n in figures["n"]]))
    return columns


def _verdicts(figures: pd.DataFrame, comparison: Comparison) -> list[str]:
    found = []
    for setting, verdict, n, failed in zip(
        *(figures[name] for name in ("setting", "verdict", "n", "failed")), strict=True
    ):
        if failed:
            found.append(f"{failed}/{n + failed} failed")
        elif comparison.race is not None and setting in comparison.race:
            dropped = comparison.race[setting]
            found.append("in the race" if dropped is None else f"dropped at {dropped} seeds")
        else:
            found.append(MISSING if pd.isna(verdict) else str(verdict))
    return found


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


def _difference(contrast: Contrast | None, metric: Metric, decimals: int, *, brackets: bool) -> str:
    if contrast is None:
        return "reference"
    if contrast.estimate is None:
        return MISSING
    value, low, high = (
        None if figure is None else figure * metric.scale
        for figure in (contrast.estimate.value, contrast.estimate.low, contrast.estimate.high)
    )
    delta = fixed(value, decimals, signed=True)
    if low is None or high is None or not brackets:
        return delta
    return f"{delta} [{fixed(low, decimals, signed=True)}, {fixed(high, decimals, signed=True)}]"


def _n_seeds(done: Mapping[str, Sequence[int]]) -> str:
    counts = {len(seeds) for seeds in done.values()} or {0}
    return counted(max(counts), "seed") if len(counts) == 1 else f"{min(counts)} to {max(counts)} seeds"
