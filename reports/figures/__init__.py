"""Figures for the paper, each the answer to one question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.figures.curves import curves
from reports.figures.drawing import Drawing, folded, save, settled
from reports.figures.forest import forest
from reports.figures.pareto import pareto
from reports.figures.slopes import slopes
from reports.figures.slots import importance, interaction, raw
from reports.formats import HAN
from reports.styles import style_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.report import Report

__all__ = ["Drawing", "figures", "save"]


def figures(report: Report, *, style: str = "cvpr", titled: bool = True) -> tuple[Drawing, ...]:
    """Return every figure that there is something to show in.

    Args:
        report: what is drawn.
        style: whose column they are as wide as.
        titled: whether each has its question above it.

    Raises:
        ResultsError: if there is no such style.
    """
    width = style_of(style).inches
    with settled():
        found = tuple(_all(report, width))
        for one in found:
            if titled:
                title = folded(one.title, 72 * width - 8, 7.5)
                # Chinese fonts have no bold: a Latin word within would stand out.
                one.figure.suptitle(title, x=0.01, ha="left", fontweight="normal" if HAN.search(title) else "bold")
            # Laid out once: another time would move it by a hair, and a file would not be the same twice.
            one.figure.draw_without_rendering()
            one.figure.set_layout_engine("none")
    return found


def _all(report: Report, width: float) -> Iterator[Drawing]:
    analysis, slots, metric = report.analysis, report.slots, report.plan.metric
    drawn = []
    if analysis is not None:
        drawn += [forest(analysis, width), slopes(analysis, width), curves(analysis, report.curves, width)]
    if slots is not None:
        drawn += [interaction(slots, metric, width), raw(slots, metric, width)]
    if analysis is not None:
        drawn.append(pareto(analysis, width))
    if slots is not None:
        drawn.append(importance(slots, report.importances, width))
    yield from (one for one in drawn if one is not None)
