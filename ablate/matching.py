"""Capacity matching: the widths at which a setting is as large as the reference, so that no block is credited for size."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from heapq import nsmallest
from itertools import product
from math import gcd

import torch
from torch import nn

from ablate import build, cost
from ablate.design import Plan
from ablate.errors import StudyError
from ablate.study import Choice, Setting, Study
from blocks import catalogue
from blocks.catalogue import Option

# The option of a network that takes the width of each stage; where there is `widths`, `width` multiplies all layers.
OPTIONS = ("widths", "width")
COUNTED = {"params": "parameters", "macs": "multiply-accumulates"}
# Widths with a smaller common divisor are scaled by whole channels of the narrowest stage, and rounded.
LEAST_DIVISOR = 8
NARROWEST, WIDEST = 1 / 8, 64  # times the widths that a setting has; narrower is another kind of network
MOST_VALUES = 7  # of one stage
MOST_COMBINATIONS = 4_096  # of all stages
SMALL = 6  # a step that is at most so small a part of a width does not distort the network
ALIKE = 0.002  # gaps that round to the same multiple of this are alike
CONFIRMED = 4

Widths = tuple[int, ...]
Sized = tuple[Widths, int]


@dataclass(frozen=True)
class Matched:
    """A setting that is as large as the reference, or as nearly so as widths allow.

    Attributes:
        setting: with the widths as a further choice; without one if it fits best as it is.
        size: its parameters or multiply-accumulates.
        target: those of the reference.
        before: the widths that it has unmatched, such as "16-32-64".
        after: the widths that it has now.
    """

    setting: Setting
    size: int
    target: int
    before: str
    after: str

    @property
    def gap(self) -> float:
        """How much larger it is than the reference, as a fraction of that; negative if it is smaller."""
        return self.size / self.target - 1


def match(study: Study, plan: Plan, *, in_channels: int, n_classes: int, shape: Sequence[int]) -> dict[str, Matched]:
    """Make the settings of a plan as large as its reference; by label, without the reference and the twins of pairs.

    What is as large already keeps its widths, so that it shares runs.

    Args:
        study: its `match` says what is made equal; if it says nothing, nothing is returned.
        plan: the settings as they are.
        in_channels: of the images.
        n_classes: their classes.
        shape: of one input (channels, height, width), for multiply-accumulates.

    Raises:
        StudyError: if the study varies widths itself, the network has none that can be changed, or a setting cannot be
            built.
    """
    if study.match is None:
        return {}
    option, by = _option(study), study.match.by

    def built(setting: Setting) -> tuple[nn.Module, int]:
        with torch.device("meta"):
            module = build.network(study, setting, in_channels=in_channels, n_classes=n_classes)
        return module, cost.parameters(module) if by == "params" else cost.macs(module, shape)

    sized: dict[Setting, Sized] = {}
    problems = []
    for setting in (plan.reference, *plan.settings):
        try:
            module, size = built(setting)
        except (ValueError, RuntimeError) as error:
            problems.append(f"setting {setting.label!r} cannot be built: {error}")
        else:
            sized[setting] = _widths(study, option, module), size
    if problems:
        raise StudyError(problems)
    target = sized[plan.reference][1]
    return {
        setting.label: _matched(setting, start, target, option, built)
        for setting, start in sized.items()
        if setting != plan.reference and not setting.salt
    }


def sentences(matched: Mapping[str, Matched], by: str) -> Iterator[str]:
    """Say for each setting which widths it has, and how near they bring it.

    Args:
        matched: the settings by label.
        by: what was made equal.
    """
    for label, one in matched.items():
        widths = f"{one.after} as it is" if one.after == one.before else f"{one.after} instead of {one.before}"
        gap = f"{100 * one.gap:+.1f} % from".replace("-", "−") if abs(one.gap) >= 0.0005 else "within 0.1 % of"
        gap = "as many as" if one.size == one.target else gap
        yield f"{label!r}: {widths}: {one.size:,} {COUNTED[by]}, {gap} the reference's {one.target:,}"


def _matched(
    setting: Setting, start: Sized, target: int, option: Option, built: Callable[[Setting], tuple[nn.Module, int]]
) -> Matched:
    @cache
    def size(widths: Widths) -> int | None:
        if widths == start[0]:
            return start[1]
        try:
            return built(_with(setting, option, widths))[1]
        except (ValueError, RuntimeError):  # a block's groups do not divide them, or it needs more of them
            return None

    widths, found = nearest(start, target, size)
    chosen = setting if widths == start[0] else _with(setting, option, widths)
    return Matched(chosen, found, target, _written(start[0]), _written(widths))


def nearest(start: Sized, target: int, size: Callable[[Widths], int | None]) -> Sized:
    """Return the widths whose size is nearest to a target, about in the proportions that they start from, and that size.

    First all stages are scaled by one factor, to the last step on the side of the start and the first beyond the target.
    Then every stage takes any width between its two there, or a small step outside, in steps that can be built. Among
    gaps that are alike the most even change wins.

    Args:
        start: the width of each stage as they are, and their size.
        target: the size.
        size: of given widths; None if they cannot be built. It is asked for the same widths more than once.
    """

    def rank(sized: Sized) -> tuple[int, float, int, Widths]:
        widths, found = sized
        factors = [width / before for width, before in zip(widths, start[0], strict=True)]
        return round(abs(found / target - 1) / ALIKE), max(factors) / min(factors), abs(found - target), widths

    if start[1] == target:
        return start
    inner, outer = _bracket(start, target, size)
    values = _values(inner[0], outer[0], size)
    # What is predicted is built, in case a network is not what the prediction supposes.
    likely = nsmallest(CONFIRMED, _predicted(inner[0], values, size), key=rank)
    confirmed = [(widths, found) for widths, _ in likely if (found := size(widths)) is not None]
    return min([inner, outer, *confirmed], key=rank)


def _bracket(start: Sized, target: int, size: Callable[[Widths], int | None]) -> tuple[Sized, Sized]:
    """Return widths scaled by one factor on either side of the target; the same twice if none lie beyond it."""
    widths, is_large = start[0], start[1] > target
    unit = gcd(*widths) if gcd(*widths) >= LEAST_DIVISOR else min(widths)

    def scaled(n: int) -> Widths:
        return tuple(max(1, (2 * width * n + unit) // (2 * unit)) for width in widths)  # rounded

    # Groups that divide the widths as they are divide them after a step if they divide the step.
    step = next((n for n in range(1, unit + 1) if unit % n == 0 and size(scaled(unit + n)) is not None), None)
    if step is None:
        return start, start

    def at(n_steps: int) -> Sized | None:
        """Scale; the narrowest stages stay as they are where they can become no narrower."""
        n = unit - n_steps * step if is_large else unit + n_steps * step
        if n_steps == 0 or not NARROWEST * unit <= n <= WIDEST * unit:
            return None if n_steps else start
        options = (widths[:kept] + scaled(n)[kept:] for kept in range(len(widths)))
        return next(((option, found) for option in options if (found := size(option)) is not None), None)

    def is_beyond(n_steps: int) -> bool:
        sized = at(n_steps)
        return sized is None or (sized[1] < target) == is_large

    low, high = 0, 1
    while not is_beyond(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_beyond(middle) else (middle, high)
    inner = at(low) or start
    return inner, at(high) or inner


def _values(inner: Widths, outer: Widths, size: Callable[[Widths], int | None]) -> list[list[int]]:
    """Return for each stage widths from one to the other and a small step outside that can be built beside inner ones."""
    most = max(2, min(MOST_VALUES, int(MOST_COMBINATIONS ** (1 / len(inner)))))
    values = []
    for i, (first, last) in enumerate(zip(inner, outer, strict=True)):

        def fits(width: int, i: int = i) -> bool:
            return size(_put(inner, {i: width})) is not None

        low, high = min(first, last), max(first, last)
        way = high - low or first
        step = next((n for n in range(1, way) if way % n == 0 and fits(first + n)), way)
        outside = step if SMALL * step <= first else 0
        span = range(low - outside, high + outside + 1, step)
        kept = span if len(span) <= most else {span[j * (len(span) - 1) // (most - 1)] for j in range(most)} | {first}
        values.append([width for width in sorted(kept) if fits(width)])
    return values


def _predicted(base: Widths, values: Sequence[Sequence[int]], size: Callable[[Widths], int | None]) -> Iterator[Sized]:
    """Yield every combination of values with the size that it must have.

    A layer sees the width of its stage and at most that of the stage before, so that a size is a sum over neighbours: it
    is known when every pair of neighbours has been built once beside the base.
    """
    inside = [{a: size(_put(base, {i: a})) for a in of_stage} for i, of_stage in enumerate(values)]
    if len(base) == 1:
        yield from (((width,), found) for width, found in inside[0].items() if found is not None)
        return
    pairs: list[dict[Widths, int | None]] = [
        {(a, b): size(_put(base, {i: a, i + 1: b})) for a in values[i] for b in values[i + 1]}
        for i in range(len(base) - 1)
    ]
    for widths in product(*values):
        terms = [of_pair[widths[i : i + 2]] for i, of_pair in enumerate(pairs)]
        # What a pair shares with the next has been counted twice.
        twice = [of_stage[width] for of_stage, width in zip(inside[1:-1], widths[1:-1], strict=True)]
        known = [term for term in terms if term is not None]
        if len(known) == len(terms):
            yield widths, sum(known) - sum(term for term in twice if term is not None)


def _put(widths: Widths, new: Mapping[int, int]) -> Widths:
    return tuple(new.get(i, width) for i, width in enumerate(widths))


def _option(study: Study) -> Option:
    """Return the option of the network that takes widths.

    Raises:
        StudyError: if there is none, or the study varies it.
    """
    options = catalogue.read("blocks", "ablate.data", "ablate.tasks").find("network", str(study.network.name)).options
    if varied := [slot.name for slot in study.slots if slot.name in OPTIONS and slot.name in options]:
        raise StudyError([f"match: slots.{name} varies what would be made equal: keep one" for name in varied])
    for name in OPTIONS:
        if name in options and (options[name].is_list or options[name].types == ("int",)):
            return options[name]
    raise StudyError([f"match: network {study.network.name!r} has no widths that could be changed"])


def _widths(study: Study, option: Option, network: nn.Module) -> Widths:
    """Return the width of each stage of a network, as the option takes them."""
    widths = getattr(network, "widths", dict(study.network.options)[option.name])
    if isinstance(widths, int):
        return (widths,)
    if not isinstance(widths, tuple):
        raise StudyError([f"match: network {study.network.name!r} does not say in `widths` how wide its stages are"])
    return widths


def _with(setting: Setting, option: Option, widths: Widths) -> Setting:
    """Return a setting with these widths."""
    value = widths if option.is_list else widths[0]
    return replace(setting, choices=(*setting.choices, (option.name, Choice(value, label=_written(widths)))))


def _written(widths: Widths) -> str:
    return "-".join(map(str, widths))
