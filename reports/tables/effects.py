"""The table of slots: what each choice does on average over the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

from reports.captions import degrees_of_freedom, direction
from reports.effects import DOUBTFUL
from reports.formats import MISSING, clauses, few, fixed, listed, paragraph, percent, probability, quoted, sentence
from reports.language import tr
from reports.sentences import failures
from reports.tables.columns import bracketed
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reports.effects import Effects, Level, SlotEffect
    from reports.formats import Metric
    from reports.slot_model import Test
    from reports.tables.table import Emphasis


def effects_table(
    effects: Effects,
    *,
    study: str,
    question: str,
    metric: Metric,
    scored_on: str = "",
    marks: Sequence[str] = (),
) -> Table:
    """Return one row for each choice of each slot.

    `scored_on` is a sentence about the data, `marks` sentences that must stand with every number.
    """
    rows = [(slot, level) for slot in effects.slots for level in slot.levels]
    noise = [effects.sd, *(level.delta for _, level in rows)]
    decimals = metric.decimals(noise)
    columns = _columns(effects, rows, metric, decimals)
    notes = [*marks, *_notes(effects, metric, decimals)]
    caption = [_caption(effects, metric), scored_on, *marks]
    return Table(
        key="effects",
        title=study,
        question=question,
        caption=paragraph(caption),
        body=tuple(columns),
        breaks=frozenset(i for i, (slot, level) in enumerate(rows) if i and level is slot.levels[0]),
        notes=tuple(notes),
        frame=_figures(rows),
    )


def _columns(effects: Effects, rows: Sequence[tuple[SlotEffect, Level]], metric: Metric, decimals: int) -> list[Column]:
    names = ["" if i and rows[i - 1][0] is slot else slot.name for i, (slot, _) in enumerate(rows)]
    interval = f" {bracketed(effects.level)}" if any(level.low is not None for _, level in rows) else ""
    header = f"Δ {metric.difference_unit}".strip() + interval
    better: Literal["higher", "lower"] = "higher" if effects.higher_is_better else "lower"
    emphasis = {i: _emphasis(level, effects) for i, (_, level) in enumerate(rows) if level.p_adjusted is not None}
    columns = [
        Column(tr("slot"), names, kind="words"),
        Column(tr("choice"), [level.name for _, level in rows], kind="words"),
        Column(
            tr("adjusted {metric}", metric=metric.header),
            [_score(level.mean, metric, decimals) for _, level in rows],
            better=better,
        ),
        Column(
            header,
            [_difference(slot, level, metric, decimals) for slot, level in rows],
            kind="difference",
            emphasis=emphasis,
        ),
    ]
    if effects.kept:
        here = [_score(level.at_reference, metric, decimals, signed=True) for _, level in rows]
        columns.append(Column(tr("Δ at reference"), here))
    columns.append(Column(tr("p (Holm)"), [probability(level.p_adjusted) for _, level in rows], kind="probability"))
    columns.append(Column(tr("raw"), [_score(level.raw, metric, decimals) for _, level in rows]))
    columns.append(Column(tr("settings"), [str(level.n_settings) for _, level in rows]))
    columns.append(Column(tr("runs"), [str(level.n_runs) for _, level in rows]))
    if any(level.pruned for _, level in rows):
        columns.append(Column(tr("stopped"), [percent(round(level.pruned, 2)) for _, level in rows]))
    return columns


def _score(value: float | None, metric: Metric, decimals: int, *, signed: bool = False) -> str:
    return MISSING if value is None else fixed(value * metric.scale, decimals, signed=signed)


def _difference(slot: SlotEffect, level: Level, metric: Metric, decimals: int) -> str:
    if level.name == slot.reference:
        return tr("reference")
    delta = _score(level.delta, metric, decimals, signed=True)
    if level.low is None or level.high is None:
        return delta
    low, high = (_score(edge, metric, decimals, signed=True) for edge in (level.low, level.high))
    return f"{delta} [{low}, {high}]"


def _emphasis(level: Level, effects: Effects) -> Emphasis:
    if level.p_adjusted is None or level.p_adjusted >= 1 - effects.level:
        return "unsure"
    return "better" if ((level.delta or 0.0) > 0) == effects.higher_is_better else "worse"


def _figures(rows: Sequence[tuple[SlotEffect, Level]]) -> pd.DataFrame:
    """Return the raw figures, one row a choice; NaN where there is none."""
    records = []
    for slot, level in rows:
        values = {("choice" if key == "name" else key): value for key, value in vars(level).items()}
        test = slot.test
        records.append(
            {"slot": slot.name, **values}
            | {"slot_f": test and test.f, "slot_df": test and test.df, "slot_p": test and test.p}
            | {"slot_p_adjusted": test and test.p_adjusted, "slot_eta_squared": test and test.share}
        )
    frame = pd.DataFrame.from_records(records, columns=list(records[0]) if records else ["slot", "choice"])
    words = {"slot", "choice"}
    return frame.astype({name: float for name in frame.columns if name not in words})


def _caption(effects: Effects, metric: Metric) -> str:
    modelled = (
        tr("single runs, their seeds in the model") if effects.blocked else tr("the means of settings over their seeds")
    )
    parts = [
        tr(
            "The table estimates the effect of each slot averaged over the {n} combinations of the slots, "
            "each counted alike.",
            n=f"{effects.n_grid:,}",
        ),
        tr(
            "Adjusted {metric} and Δ: from a linear model of {modelled}; {better}.",
            metric=metric.header, modelled=modelled, better=direction(metric),
        ),
    ]  # fmt: skip
    if effects.df:
        parts.append(
            tr(
                "Brackets: {level} t-interval from what these deviate from the model ({df}), not corrected.",
                level=percent(effects.level), df=degrees_of_freedom(effects.df),
            )
        )  # fmt: skip
        parts.append(tr("p: two-sided, corrected over all differences by Holm's method."))
    parts.append(
        tr("Raw: the mean of the settings that hold a choice, whatever stands beside it, and therefore no effect.")
    )
    return paragraph(parts)


def _notes(effects: Effects, metric: Metric, decimals: int) -> Iterator[str]:
    if effects.doubts:
        yield sentence(tr("Exploratory, no more: {doubts}", doubts=clauses(map(str, effects.doubts))))
    yield from _found(effects, metric, decimals)
    tested = [slot for slot in effects.slots if slot.test]
    if tested:
        named = clauses(f"{slot.name} {_figures_of(slot.test)}" for slot in tested if slot.test)
        yield tr(
            "All choices of a slot together (F-test of type II, p by Holm, share of partial η²): {slots}.", slots=named
        )
    for reason in dict.fromkeys(slot.untested for slot in effects.slots if slot.test is None and slot.untested):
        named = quoted(slot.name for slot in effects.slots if slot.untested == reason)
        yield sentence(tr("Not tested: {slots} ({reason})", slots=named, reason=reason))
    yield from _interactions(effects)
    for slot in effects.slots:
        if slot.linear is not None:
            bent = "" if slot.quadratic is None else tr(", bend p = {p}", p=probability(slot.quadratic))
            yield tr(
                "Trend over '{slot}': straight p = {p}{bent} (not corrected).",
                slot=slot.name, p=probability(slot.linear), bent=bent,
            )  # fmt: skip
    yield from failures(effects.failed, {})


def _found(effects: Effects, metric: Metric, decimals: int) -> Iterator[str]:
    """Say which choices differ from their slot's reference."""
    alpha = percent(1 - effects.level)
    found: dict[str, list[str]] = {"better": [], "worse": []}
    tested = False
    for slot in effects.slots:
        for level in slot.levels:
            if level.p_adjusted is None or level.delta is None:
                continue
            tested = True
            if level.p_adjusted < 1 - effects.level:
                verdict = "better" if (level.delta > 0) == effects.higher_is_better else "worse"
                difference = metric.difference(level.delta, decimals)
                named = {"slot": slot.name, "choice": level.name, "difference": difference, "reference": slot.reference}
                found[verdict].append(tr("{slot} '{choice}' ({difference} from '{reference}')", **named))
    if better := found["better"]:
        yield tr(
            "On average better at {alpha} after Holm's correction: {choices}.", alpha=alpha, choices=listed(better)
        )
    if worse := found["worse"]:
        yield tr("On average worse at {alpha} after Holm's correction: {choices}.", alpha=alpha, choices=listed(worse))
    if tested and not any(found.values()):
        yield tr(
            "No choice differs on average from its slot's reference at {alpha} after Holm's correction.", alpha=alpha
        )
    if not tested:
        yield tr("No conclusion: no difference could be tested.")


def _interactions(effects: Effects) -> Iterator[str]:
    tests = {pair: test for pair, test in effects.interactions.items() if test}
    for pair in effects.kept:
        yield tr(
            "{pair} may interact ({test}): the effect of either depends on the other, and Δ is "
            "its average; Δ at reference is that beside the references of the other slots (the same where none is given).",
            pair=" × ".join(pair), test=_figures_of(tests[pair]),
        )  # fmt: skip
    seen = [pair for pair, test in tests.items() if pair not in effects.kept and test.p_adjusted < DOUBTFUL]
    for pair in seen:
        yield tr(
            "{pair} may interact ({test}): the effect of either depends on the other. It is not "
            "in the model, as the settings do not determine it beside the rest: Δ is an average over these settings.",
            pair=" × ".join(pair), test=_figures_of(tests[pair]),
        )  # fmt: skip
    clear = [" × ".join(pair) for pair in tests if pair not in effects.kept and pair not in seen]
    if clear:
        yield tr("No sign of interaction (p ≥ 0.1 after correction): {pairs}.", pairs=few(clear))
    unknown = [" × ".join(pair) for pair, test in effects.interactions.items() if test is None]
    if unknown:
        yield tr("Interactions that these settings cannot show: {pairs}.", pairs=few(unknown))


def _figures_of(test: Test) -> str:
    p = probability(test.p_adjusted)
    p = f"p {p[0]} {p[1:]}" if p.startswith("<") else f"p = {p}"
    figures = {"f": f"F({test.df}, {test.df_error}) = {test.f:.2f}", "p": p, "share": f"{test.share:.2f}"}
    if test.is_pure:
        return tr("{f}, {p}, share {share}, against the scatter between seeds", **figures)
    return tr("{f}, {p}, share {share}", **figures)
