"""Figures of what slots do: interaction, raw against adjusted means, importance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch

from reports.figures.drawing import COLOURS, GREY, LINES, Drawing, blank, fitted, text_width, undrawn
from reports.formats import fixed, listed, paragraph, probability
from reports.frame import tally
from reports.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from reports.effects import SlotEffect
    from reports.formats import Metric
    from reports.report import Slots

MOST = 40  # rows; a page has no room for more
MOST_ACROSS = 8  # columns, where there may be fewer
TALLEST = 8.0  # inches of cells


def interaction(slots: Slots, metric: Metric, width: float) -> Drawing | None:
    """Return the mean scores of two slots' combinations: of the pair whose interaction is surest; None without one."""
    tests = {pair: test for pair, test in slots.effects.interactions.items() if test is not None}
    pair = min(tests, key=lambda one: tests[one].p, default=next(iter(slots.effects.interactions), None))
    if pair is None:
        return None
    rows, columns = (next(one for one in slots.effects.slots if one.name == name) for name in pair)
    if len(_held(columns)) > max(MOST_ACROSS, len(_held(rows))):
        rows, columns = columns, rows
    names = _held(rows), _held(columns)
    cells = _cells(slots, metric, (rows.name, columns.name), names)
    if np.isfinite(cells).sum() < 2 or min(cells.shape) < 2:
        return None
    room = 0.62 * 72 * width / len(names[1])
    below = fitted(names[1], 80.0)
    is_flat = max(text_width(name, 6.5) for name in below) < room
    high = min(max(0.26 * len(names[0]), 0.65), TALLEST)
    figure = blank(width, high + (0.7 if is_flat else 1.25))
    axes = figure.add_subplot()
    decimals = metric.decimals([slots.effects.sd])
    centre = _paint(axes, cells, names, (rows.reference, columns.reference))
    _write(axes, cells, decimals, room)
    axes.set_xticks(range(len(below)), below, rotation=0 if is_flat else 40, ha="center" if is_flat else "right")
    axes.set_yticks(range(len(names[0])), fitted(names[0], 0.3 * 72 * width))
    axes.set_xlabel(fitted([columns.name], 0.5 * 72 * width, 7)[0])
    axes.set_ylabel(fitted([rows.name], 72 * high, 7)[0])
    test = tests.get(pair)
    least, most = (np.unravel_index(int(pick(cells)), cells.shape) for pick in (np.nanargmin, np.nanargmax))
    alt = tr(
        "Mean {metric} from {low} ({at_low}) to {high} ({at_high}).", metric=metric.name, low=fixed(float(cells[least]), decimals),
        at_low=f"{names[0][least[0]]}, {names[1][least[1]]}", high=fixed(float(cells[most]), decimals), at_high=f"{names[0][most[0]]}, {names[1][most[1]]}",
    )  # fmt: skip
    parts = [tr("{metric}: mean of the settings with both choices, whatever stands beside them.", metric=metric.header)]
    parts.append(tr("Orange: less than {centre}; purple: more.", centre=centre))
    if test is None:
        parts.append(tr("These settings do not determine the interaction."))
    else:
        alt = paragraph([alt, tr("Interaction: {p} after correction.", p=_p(test.p_adjusted))])
    parts.extend(undrawn(slots.effects.failed, slots.effects.failed))
    title = tr("Does the effect of {one} depend on {other}?", one=pair[0], other=pair[1])
    return Drawing("interaction", title, alt, paragraph(parts), figure)


def _held(slot: SlotEffect) -> list[str]:
    return [level.name for level in slot.levels if level.n_runs]


def _cells(
    slots: Slots, metric: Metric, pair: tuple[str, str], names: tuple[list[str], list[str]]
) -> NDArray[np.float64]:
    """Return the means of the settings with both choices; not a number where there is none, or all have failed runs."""
    scores, found = tally(slots.runs, metric.name), np.full((len(names[0]), len(names[1])), np.nan)
    for i, one in enumerate(names[0]):
        for j, other in enumerate(names[1]):
            held = [
                np.mean(list(scores[label].values())) * metric.scale
                for label, choices in slots.settings.items()
                if (choices.get(pair[0]), choices.get(pair[1])) == (one, other)
                and label in scores
                and label not in slots.effects.failed
            ]
            if held:
                found[i, j] = np.mean(held)
    return found


def _paint(
    axes: Axes, cells: NDArray[np.float64], names: tuple[list[str], list[str]], reference: tuple[str, str]
) -> str:
    """Colour each cell by what it is beyond the references, or where these are not there the mean; return which."""
    middle, centre = float(np.nanmean(cells)), tr("their mean")
    if reference[0] in names[0] and reference[1] in names[1]:
        there = cells[names[0].index(reference[0]), names[1].index(reference[1])]
        if np.isfinite(there):
            middle, centre = float(there), tr("'{label}'", label=", ".join(reference))
    # Colours so light that figures can be read upon them.
    reach = 2.2 * max(float(np.nanmax(np.abs(cells - middle))), 1e-12)
    axes.imshow(cells, cmap="PuOr", vmin=middle - reach, vmax=middle + reach, aspect="auto")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return centre


def _write(axes: Axes, cells: NDArray[np.float64], decimals: int, room: float) -> None:
    """Write each mean in its cell, on its side where cells are narrow, not at all where they are too narrow for that."""
    texts = {(i, j): fixed(float(value), decimals) for (i, j), value in np.ndenumerate(cells)}
    is_narrow = max(text_width(text, 6.2) for text in texts.values()) > room - 2
    if room < 7 or (is_narrow and len(cells) > 30):
        return
    for (i, j), text in texts.items():
        axes.text(j, i, text, ha="center", va="center", fontsize=6.2, rotation=90 if is_narrow else 0)


def raw(slots: Slots, metric: Metric, width: float) -> Drawing | None:
    """Return raw beside adjusted means of all choices; None where all are the same."""
    rows = [
        (f"{slot.name}: {level.name}", level.raw * metric.scale, level.mean * metric.scale)
        for slot in slots.effects.slots
        for level in slot.levels
        if level.raw is not None and level.mean is not None
    ]
    decimals = metric.decimals([slots.effects.sd])
    # Where all combinations are there, each as often, raw and adjusted means are the same.
    if all(fixed(before, decimals) == fixed(after, decimals) for _, before, after in rows):
        return None
    order = sorted(rows, key=lambda row: -abs(row[1] - row[2]))
    left_out = len(rows) - MOST
    rows = [row for row in rows if row in order[:MOST]]
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
    name, before, after = order[0]
    shift = metric.difference((after - before) / metric.scale, decimals)
    parts = [
        tr("Raw: mean of the settings that hold a choice, which is no effect. Adjusted: over all combinations, each counted alike.")
    ]  # fmt: skip
    if left_out > 0:
        parts.append(tr("Left out are the {n} smallest shifts.", n=left_out))
    return Drawing(
        "raw", tr("How far do raw means mislead?"), tr("The largest shift is that of {name}: {shift} from raw to adjusted.", name=name, shift=shift),
        paragraph([*parts, *undrawn(slots.effects.failed, slots.effects.failed)]), figure,
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
    texts = {name: f"{found[name]:.2f}{'' if by_search else f' ({_p(tests[name].p_adjusted)})'}" for name in order}
    for y, name in enumerate(order):
        axes.annotate(
            texts[name],
            (found[name], y),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.2,
        )
    axes.set_yticks(range(len(order)), fitted(order, 0.35 * 72 * width))
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(0, max(found[order[0]] * 1.45, 0.05))
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= 1])  # no share is larger
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(tr("share of variance (fANOVA)") if by_search else tr("share (partial η²)"))
    what = (
        tr("fANOVA over what the search has seen: how much a slot matters, not which way, and no effect.")
        if by_search
        else tr(
            "Partial η² of each slot's F-test: how much a slot matters, not which way; p corrected by Holm's method."
        )
    )
    alt = tr("Shares: {shares}.", shares=listed([f"{name} {texts[name]}" for name in order]))
    return Drawing("importance", tr("Which slots matter most?"), alt, what, figure)


def _p(value: float | None) -> str:
    text = probability(value)
    return f"p {text[0]} {text[1:]}" if text.startswith("<") else f"p = {text}"
