"""Figures of what slots do: interaction, raw against adjusted means, importance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch

from reports.figures.drawing import COLOURS, GREY, LINES, Drawing, blank, fitted, text_width
from reports.formats import fixed, listed, paragraph, probability
from reports.frame import tally
from reports.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports.formats import Metric
    from reports.report import Slots


def interaction(slots: Slots, metric: Metric, width: float) -> Drawing | None:
    """Return the mean scores of two slots' combinations: of the pair whose interaction is surest; None without one."""
    tests = {pair: test for pair, test in slots.effects.interactions.items() if test is not None}
    pair = min(tests, key=lambda one: tests[one].p, default=next(iter(slots.effects.interactions), None))
    if pair is None:
        return None
    rows, columns = (next(one for one in slots.effects.slots if one.name == name) for name in pair)
    names = [[level.name for level in one.levels if level.n_runs] for one in (rows, columns)]
    scores = tally(slots.runs, metric.name)
    cells = np.full((len(names[0]), len(names[1])), np.nan)
    for i, one in enumerate(names[0]):
        for j, other in enumerate(names[1]):
            held = [
                np.mean(list(scores[label].values())) * metric.scale
                for label, choices in slots.settings.items()
                if choices.get(pair[0]) == one and choices.get(pair[1]) == other and label in scores
            ]
            if held:
                cells[i, j] = np.mean(held)
    if np.isfinite(cells).sum() < 2 or min(cells.shape) < 2:
        return None
    figure = blank(width, 0.9 + 0.26 * len(names[0]))
    axes = figure.add_subplot()
    middle = float(np.nanmean(cells))
    reach = max(float(np.nanmax(np.abs(cells - middle))), 1e-12)
    axes.imshow(cells, cmap="PuOr", vmin=middle - 2.2 * reach, vmax=middle + 2.2 * reach, aspect="auto")
    decimals = metric.decimals([slots.effects.sd])
    for (i, j), value in np.ndenumerate(cells):
        axes.text(j, i, fixed(float(value), decimals), ha="center", va="center", fontsize=6.2)
    room = 0.7 * 72 * width / len(names[1])
    is_flat = max(text_width(name, 6.5) for name in names[1]) < room
    below = names[1] if is_flat else fitted(names[1], 80.0)
    axes.set_xticks(range(len(below)), below, rotation=0 if is_flat else 30, ha="center" if is_flat else "right")
    axes.set_yticks(range(len(names[0])), fitted(names[0], 0.3 * 72 * width))
    axes.set_xlabel(pair[1])
    axes.set_ylabel(pair[0])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    test = tests.get(pair)
    low, high = (np.unravel_index(int(pick(cells)), cells.shape) for pick in (np.nanargmin, np.nanargmax))
    alt = tr(
        "Mean {metric} from {low} ({at_low}) to {high} ({at_high}).", metric=metric.name, low=fixed(float(cells[low]), decimals),
        at_low=f"{names[0][low[0]]}, {names[1][low[1]]}", high=fixed(float(cells[high]), decimals), at_high=f"{names[0][high[0]]}, {names[1][high[1]]}",
    )  # fmt: skip
    if test is not None:
        alt = paragraph([alt, tr("Interaction: p = {p} after correction.", p=probability(test.p_adjusted))])
    caption = tr("{metric}: mean of the settings with both choices, whatever stands beside them.", metric=metric.header)
    if test is None:
        caption = paragraph([caption, tr("These settings do not determine the interaction.")])
    return Drawing(
        "interaction",
        tr("Does the effect of {one} depend on {other}?", one=pair[0], other=pair[1]),
        alt,
        caption,
        figure,
    )


def raw(slots: Slots, metric: Metric, width: float) -> Drawing | None:
    """Return raw beside adjusted means of all choices; None where all are the same."""
    rows = [
        (f"{slot.name}: {level.name}", level.raw * metric.scale, level.mean * metric.scale)
        for slot in slots.effects.slots
        for level in slot.levels
        if level.raw is not None and level.mean is not None
    ][:40]
    decimals = metric.decimals([slots.effects.sd])
    # Where all combinations are there, each as often, raw and adjusted means are the same.
    if all(fixed(before, decimals) == fixed(after, decimals) for _, before, after in rows):
        return None
    figure = blank(width, 0.75 + 0.15 * len(rows))
    axes = figure.add_subplot()
    for y, (_, before, after) in enumerate(rows):
        axes.plot([before, after], [y, y], color=GREY, linewidth=0.8, zorder=1)
        axes.plot([before], [y], "o", color=GREY, markersize=3.5, markerfacecolor="white", zorder=2)
        axes.plot([after], [y], "o", color=COLOURS["equivalent"], markersize=3.5, zorder=3)
    axes.set_yticks(range(len(rows)), fitted([name for name, *_ in rows], 0.42 * 72 * width))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(metric.header)
    handles = [
        Patch(facecolor="white", edgecolor=GREY, label=tr("raw")),
        Patch(color=COLOURS["equivalent"], label=tr("adjusted")),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=1)
    name, before, after = max(rows, key=lambda row: abs(row[1] - row[2]))
    shift = metric.difference((after - before) / metric.scale, decimals)
    return Drawing(
        "raw", tr("How far do raw means mislead?"), tr("The largest shift is that of {name}: {shift} from raw to adjusted.", name=name, shift=shift),
        tr("Raw: mean of the settings that hold a choice, which is no effect. Adjusted: over all combinations, each counted alike."), figure,
    )  # fmt: skip


def importance(slots: Slots, shares: Mapping[str, float], width: float) -> Drawing | None:
    """Return how much each slot matters: shares of a search where there are some, else those of the F-tests."""
    tests = {slot.name: slot.test for slot in slots.effects.slots if slot.test is not None}
    by_search = bool(shares)
    found = dict(shares) if by_search else {name: test.share for name, test in tests.items()}
    if len(found) < 2:
        return None
    order = sorted(found, key=found.__getitem__, reverse=True)
    figure = blank(width, 0.7 + 0.2 * len(order))
    axes = figure.add_subplot()
    axes.barh(range(len(order)), [found[name] for name in order], color=LINES[0], height=0.6)
    for y, name in enumerate(order):
        p = f", p {probability(tests[name].p_adjusted)}" if not by_search else ""
        axes.annotate(
            f"{found[name]:.2f}{p}",
            (found[name], y),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.2,
        )
    axes.set_yticks(range(len(order)), fitted(order, 0.35 * 72 * width))
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(0, max(max(found.values()) * 1.35, 0.05))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(tr("share of variance (fANOVA)") if by_search else tr("share (partial η²)"))
    what = (
        tr("fANOVA over what the search has seen: how much a slot matters, not which way, and no effect.")
        if by_search
        else tr(
            "Partial η² of each slot's F-test: how much a slot matters, not which way; p corrected by Holm's method."
        )
    )
    alt = tr("{shares}.", shares=listed([f"{name} {found[name]:.2f}" for name in order]))
    return Drawing("importance", tr("Which slots matter most?"), alt, what, figure)
