"""What trained settings make of the same images, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from reports.figures.drawing import COLOURS, GREY, Drawing, fitted, settled, text_width
from reports.formats import one_line, paragraph, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

CELL, GAP, GUTTER, EDGE = 0.82, 0.06, 0.42, 0.12  # inches
HEAD, BAR, LINE = 0.62, 0.5, 0.125
NARROWEST = 5.2  # so that the words under the grid have room


@dataclass(frozen=True)
class Seen:
    """What one setting makes of the images, (image, height, width) each.

    Attributes:
        score: of its run, in words.
        answers: the class of each image, (image,).
        energy: the mean over the channels of the squared output of a layer, as a multiple of its mean over the map.
        cam: Grad-CAM for the images' own classes, as a share of its largest value in each map.
        gate: the size of the layer's output over that of its input; None where it does not weigh its input.
    """

    label: str
    score: str
    answers: NDArray[Any]
    energy: NDArray[Any]
    cam: NDArray[Any]
    gate: NDArray[Any] | None


class Kind(NamedTuple):
    """A kind of map: what stands above it, under its colours, and in the words below."""

    name: str
    heading: str
    scale: str
    colours: str
    meaning: str


KINDS = (
    Kind("energy", "activation", "activation: multiple of the map's mean", "cividis",
         "activation, the square of the layer's output, mean of the channels"),
    Kind("cam", "Grad-CAM", "Grad-CAM: share of the map's largest", "magma",
         "Grad-CAM (Selvaraju et al. 2017), where the layer speaks for the image's true class, whatever was answered"),
    Kind("gate", "gate", "gate: size of output / input", "viridis",
         "gate, by what the block multiplies each pixel, its channels together"),
)  # fmt: skip


def sight(
    seen: Sequence[Seen], images: NDArray[Any], targets: NDArray[Any], *, what: str, layer: str, why: str
) -> Drawing:
    """Draw images, and beside each what settings make of it; a kind of map has one scale for all.

    Args:
        seen: the settings, the reference first.
        images: (image, channel, height, width), grey or in colour.
        targets: the class of each image.
        what: the study and the seed.
        layer: whose maps they are.
        why: how the layer was chosen.
    """
    columns = [(one, [kind for kind in KINDS if getattr(one, kind.name) is not None]) for one in seen]
    kinds = [kind for kind in KINDS if any(kind in some for _, some in columns)]
    widths = [len(some) * (CELL + GAP) for _, some in columns]
    width = max(NARROWEST, 2 * EDGE + GUTTER + CELL + sum(widths) + len(seen) * GUTTER)
    with settled():
        below = [*_wrapped(_words(seen, kinds, what=what, layer=layer, why=why), 72 * (width - 2 * EDGE), 6.2)]
        height = HEAD + len(images) * (CELL + GAP) + BAR + LINE * len(below) + 2 * EDGE
        sheet = _Sheet(width, height)
        x = EDGE + GUTTER
        sheet.text(x, EDGE + HEAD - 0.1, "image")
        outlines = [_pictured(sheet, x, row, *pair) for row, pair in enumerate(zip(images, targets, strict=True))]
        x += CELL + GUTTER
        for (one, some), wide in zip(columns, widths, strict=True):
            _headed(sheet, x, one, wide)
            for row, (answer, target) in enumerate(zip(one.answers, targets, strict=True)):
                _answered(sheet, x, row, answer == target, answer)
            for column, kind in enumerate(some):
                left = x + column * (CELL + GAP)
                sheet.text(left, EDGE + HEAD - 0.1, kind.heading)
                for row, outline in enumerate(outlines):
                    _mapped(sheet.panel(left, row), getattr(one, kind.name)[row], outline, kind, _top(seen, kind))
            x += wide + GUTTER
        _bars(sheet, [(kind, _top(seen, kind)) for kind in kinds], EDGE + HEAD + len(images) * (CELL + GAP) + 0.06)
        for i, line in enumerate(reversed(below)):
            sheet.text(EDGE, height - EDGE - i * LINE, line, size=6.2)
    right = [f"{one.label!r} answers {int((one.answers == targets).sum())} of {len(targets)} right" for one in seen]
    return Drawing("sight", "What does it look at?", f"{', '.join(right)}.", " ".join(below), sheet.figure)


class _Sheet:
    """A figure that is laid out in inches from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        FigureCanvasAgg(self.figure)
        self.size = np.array([width, height])

    def text(self, x: float, y: float, text: str, **how: Any) -> None:
        """Write text that begins at a place and stands on it."""
        given: dict[str, Any] = {"size": 6.5, "ha": "left", "va": "baseline", **how}
        self.figure.text(x / self.size[0], 1 - y / self.size[1], text, **given)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Return axes whose upper left corner is at a place."""
        corner = np.array([x, self.size[1] - y - height])
        box = np.concatenate([corner / self.size, np.array([width, height]) / self.size])
        return self.figure.add_axes((box[0], box[1], box[2], box[3]))

    def panel(self, x: float, row: int) -> Axes:
        """Return axes without marks, for one image."""
        axes = self.axes(x, EDGE + HEAD + row * (CELL + GAP), CELL, CELL)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes


def _top(seen: Sequence[Seen], kind: Kind) -> float:
    """Return the end of a kind's scale, which all settings have in common."""
    values = [getattr(one, kind.name) for one in seen if getattr(one, kind.name) is not None]
    top = max(float(np.nanmax(value, initial=0.0)) for value in values)
    return 1.0 if kind.name == "cam" or top == 0 else top


def _pictured(sheet: _Sheet, x: float, row: int, image: NDArray[Any], target: int) -> NDArray[Any]:
    """Show an image between its darkest and its lightest value, and return how light its pixels are."""
    spread = float(image.max() - image.min()) or 1.0
    shown = (image - image.min()) / spread
    light = np.asarray(shown.mean(0))
    axes = sheet.panel(x, row)
    axes.imshow(
        shown.transpose(1, 2, 0) if len(image) == 3 else light, cmap="gray", vmin=0, vmax=1, interpolation="nearest"
    )
    sheet.text(x - 0.06, _middle(row), str(target), ha="right", va="center", size=7.5)
    return light


def _headed(sheet: _Sheet, x: float, one: Seen, width: float) -> None:
    label = fitted([one_line(one.label)], 0.85 * 72 * width, 7.5)[0]  # bold letters are wider than those measured
    sheet.text(x, EDGE + 0.12, label, size=7.5, weight="bold")
    sheet.text(x, EDGE + 0.28, one.score)


def _answered(sheet: _Sheet, x: float, row: int, is_right: bool, answer: int) -> None:  # noqa: FBT001  # what is written
    colour = COLOURS["better" if is_right else "worse"]
    sheet.text(
        x - 0.06, _middle(row), f"{answer} {'✓' if is_right else '✗'}", ha="right", va="center", size=7.5, color=colour
    )


def _middle(row: int) -> float:
    return EDGE + HEAD + row * (CELL + GAP) + CELL / 2


def _mapped(axes: Axes, values: NDArray[Any], outline: NDArray[Any], kind: Kind, top: float) -> None:
    """Show a map, stretched over its image, of which the line half way from dark to light is drawn."""
    height, width = outline.shape
    axes.set_facecolor(GREY)
    axes.imshow(
        values,
        cmap=kind.colours,
        vmin=0,
        vmax=top,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="bilinear",
    )
    if outline.min() < 0.5 < outline.max():
        axes.contour(outline, levels=[0.5], colors="white", linewidths=0.6, alpha=0.8)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)


def _bars(sheet: _Sheet, scales: Sequence[tuple[Kind, float]], y: float) -> None:
    wide = (sheet.size[0] - 2 * EDGE - 0.25 * (len(scales) - 1)) / len(scales)
    for i, (kind, top) in enumerate(scales):
        axes = sheet.axes(EDGE + 0.05 + i * (wide + 0.25), y, wide - 0.1, 0.08)
        bar = sheet.figure.colorbar(ScalarMappable(Normalize(0, top), kind.colours), cax=axes, orientation="horizontal")
        bar.ax.grid(visible=False)
        bar.ax.tick_params(labelsize=6, pad=1)
        marks = [top * i / 4 for i in range(5)]
        bar.set_ticks(marks, labels=[f"{mark:.2g}" for mark in marks])
        bar.set_label(kind.scale, size=6.2, labelpad=1)


def _words(seen: Sequence[Seen], kinds: Sequence[Kind], *, what: str, layer: str, why: str) -> str:
    reference, *others = (quoted([one.label]) for one in seen)
    beside = f"{others[0]} beside the reference {reference}" if others else f"the reference {reference}"
    sizes = {f"{one.energy.shape[1]}×{one.energy.shape[2]}": one.label for one in seen}
    pixels = " and ".join(sizes) if len(sizes) > 1 else next(iter(sizes))
    return paragraph([
        f"{what}: {beside}, on the first test images of each class.",
        "Left of each image stands its class, left of each setting's maps the class that it answers.",
        f"Layer {layer}, {why}; its maps of {pixels} are stretched over the images, whose outlines are white.",
        f"Maps: {'; '.join(kind.meaning for kind in kinds)}.",
        "Each kind of map has one colour scale for all images and settings.",
    ])  # fmt: skip


def _wrapped(text: str, points: float, size: float) -> Iterator[str]:
    line = ""
    for word in one_line(text).split(" "):
        if line and text_width(f"{line} {word}", size) > points:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line
