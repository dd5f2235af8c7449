"""The raw figures of a comparison, one row per setting, for a table and for whoever goes on with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports.errors import ResultsError, unknown
from reports.frame import COSTS, complete

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.comparison import Comparison, Contrast
    from reports.formats import Metric

TESTS = ("p", "p_adjusted", "p_equivalent", "p_sign_flip", "detectable", "more_seeds", "d_z", "verdict", "reason")
WORDS = ("setting", "against", "verdict", "reason", "wins")


def measurements(
    frame: pd.DataFrame,
    comparison: Comparison,
    *,
    settings: Sequence[str],
    slots: Sequence[str],
    metric: Metric,
    secondary: Sequence[tuple[Metric, Comparison | None]] = (),
) -> pd.DataFrame:
    """Return one row per planned setting, scores in the unit of the runs; NaN where there is no figure.

    Columns of secondary metrics begin with their name: their mean and SD and, with a comparison, Δ with its interval,
    the p-value corrected over all secondary metrics, and the verdict.
    """
    main = comparison.rows
    others = [(each, {} if against is None else against.rows) for each, against in secondary]
    records = []
    for setting in settings:
        rows = frame[frame["setting"] == setting]
        done = complete(rows)
        record: dict[str, object] = {"setting": setting}
        record |= {f"slot.{slot}": _slot_value(rows, slot) for slot in slots}
        record |= _spread(done, metric, "")
        record |= _tested(main.get(setting), comparison)
        record |= {"n": len(done), "failed": len(comparison.failed.get(setting, ()))}
        for each, contrasts in others:
            prefix = f"{each.name}_"
            record |= _spread(done, each, prefix)
            record |= _briefly(contrasts.get(setting), prefix)
        record |= {cost: _cost(done, setting, cost) for cost in COSTS}
        records.append(record)
    found = pd.DataFrame.from_records(records)
    words = {*WORDS, *(f"slot.{slot}" for slot in slots), *(f"{each.name}_verdict" for each, _ in secondary)}
    return found.astype({name: float for name in found.columns if name not in words} | {"n": int, "failed": int})


def _spread(done: pd.DataFrame, metric: Metric, prefix: str) -> dict[str, object]:
    scores = done[metric.name].astype(float)
    return {f"{prefix}mean": scores.mean(), f"{prefix}sd": scores.std(ddof=1)}


def _tested(contrast: Contrast | None, comparison: Comparison) -> dict[str, object]:
    if contrast is None:
        return dict.fromkeys(("against", "delta", "low", "high", "wins", *TESTS))
    return {
        "against": contrast.against,
        **_interval(contrast, ""),
        "wins": None if contrast.wins is None else f"{contrast.wins} of {contrast.n} seeds",
        **{name: getattr(contrast, name) for name in TESTS},
        "verdict": _verdict(contrast, comparison),
    }


def _verdict(contrast: Contrast, comparison: Comparison) -> str | None:
    """Return the verdict in words; an A/A contrast is one that should find nothing."""
    if contrast in comparison.calibration:
        return "A/A failed" if contrast.verdict in {"better", "worse"} else "A/A"
    return contrast.verdict


def _briefly(contrast: Contrast | None, prefix: str) -> dict[str, object]:
    if contrast is None:
        return dict.fromkeys(f"{prefix}{name}" for name in ("delta", "low", "high", "p_adjusted", "verdict"))
    return {
        **_interval(contrast, prefix),
        f"{prefix}p_adjusted": contrast.p_adjusted,
        f"{prefix}verdict": contrast.verdict,
    }


def _interval(contrast: Contrast, prefix: str) -> dict[str, object]:
    estimate = contrast.estimate
    if estimate is None:
        return dict.fromkeys(f"{prefix}{name}" for name in ("delta", "low", "high"))
    return {f"{prefix}delta": estimate.value, f"{prefix}low": estimate.low, f"{prefix}high": estimate.high}


def _slot_value(rows: pd.DataFrame, slot: str) -> str | None:
    column = f"slot.{slot}"
    if column not in rows.columns:
        raise ResultsError(unknown("column", column, map(str, rows.columns)))
    values = rows[column].dropna().unique()
    if len(values) > 1:
        raise ResultsError(f"setting {rows['setting'].iloc[0]!r} has several values in column {column!r}")
    return str(values[0]) if len(values) else None


def _cost(rows: pd.DataFrame, setting: str, column: str) -> float | None:
    """Return a cost; what the network fixes must be the same for every seed, latency is the median."""
    if column not in rows.columns:
        return None
    given = rows[column].dropna()
    values = pd.to_numeric(given, errors="coerce")
    if not values.between(0, float("inf"), inclusive="left").all():
        wrong = given[~values.between(0, float("inf"), inclusive="left")].iloc[0]
        raise ResultsError(f"column {column!r} holds {wrong} for setting {setting!r}; a cost is a finite number >= 0")
    if column != "latency_ms" and len(set(values)) > 1:
        raise ResultsError(f"setting {setting!r} has several values in column {column!r}: not one network")
    return float(values.median()) if len(values) else None
