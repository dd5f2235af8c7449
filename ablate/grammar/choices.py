"""How the items of a slot's list become choices, and which choices a reference or a condition means."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

from ablate.grammar.problems import Problems, hint, shown, written
from ablate.study import Choice, Value
from blocks.catalogue import Catalogue, Entry, Option, unknown

MOST_EXPANSIONS = 1000


class Reader(Protocol):
    """Reads one item of a slot's list; what cannot be read leaves a problem behind and no choice."""

    def read(self, place: str, item: Any) -> list[Choice]:
        """Return the choices that an item stands for."""


@dataclass(frozen=True)
class Values:
    """Reads the choices of a slot that takes values, such as `kernel`.

    Attributes:
        option: what fits.
        out_of_range: says what is wrong with a value that fits, "" if nothing.
    """

    option: Option
    problems: Problems
    out_of_range: Callable[[Any], str] = lambda _: ""

    def read(self, place: str, item: Any) -> list[Choice]:
        """Return the choice that a value is."""
        if isinstance(item, dict):
            self.problems.add(place, f"this slot takes values, which have no options; given {shown(item)}")
        elif wrong := self.option.check(item):
            self.problems.add(place, wrong + hint(item))
        elif wrong := self.out_of_range(item):
            self.problems.add(place, wrong)
        else:
            return [Choice(fitted(self.option, item), label=written(item))]
        return []


@dataclass(frozen=True)
class Blocks:
    """Reads the choices of a slot that takes blocks: a name, or one name with its options.

    A list for an option that takes a scalar makes one choice per value; for an option that takes a list, only a list
    of lists does. Several lists multiply, the last fastest.
    """

    slot: str
    network: Entry
    catalogue: Catalogue
    problems: Problems

    def read(self, place: str, item: Any) -> list[Choice]:
        """Return the choices that an item expands into."""
        name, options = next(iter(item.items())) if isinstance(item, dict) and len(item) == 1 else (item, {})
        options = {} if options is None else options
        if not isinstance(name, str) or not isinstance(options, dict):
            self.problems.add(place, f"expected a name or {{name: {{option: value}}}}; given {shown(item)}{hint(item)}")
            return []
        if name not in self.catalogue.names(self.slot):
            self.problems.add(place, unknown("choice", name, self.catalogue.names(self.slot)))
            return []
        if why := self.network.misfits.get(self.slot, {}).get(name):
            self.problems.add(place, f"{name!r} makes no sense in {self.network.name!r}: {why}")
            return []
        entry = self.catalogue.find(self.slot, name)
        lists = {key: _alternatives(entry, key, value) for key, value in options.items() if key != "label"}
        if not self._can_expand(f"{place}.{name}", lists):
            return []
        own_label = self._own_label(f"{place}.{name}.label", name, options, several=_size(lists) > 1)
        choices: list[Choice] = []
        for values in product(*lists.values()):
            given = dict(zip(lists, values, strict=True))
            filled = read_options(self.problems, f"{place}.{name}", entry, given)
            if filled is None or own_label is None:
                continue  # the next expansion may have a problem of its own
            text = ", ".join(f"{key}={written(value)}" for key, value in given.items())
            choices.append(Choice(name, filled, label=own_label or (f"{name}({text})" if text else name)))
        return choices

    def _can_expand(self, place: str, lists: Mapping[str, Sequence[Any]]) -> bool:
        for key, values in lists.items():
            if not values:
                self.problems.add(f"{place}.{key}", "the list is empty")
        if _size(lists) > MOST_EXPANSIONS:
            self.problems.add(place, f"its lists multiply to {_size(lists):,} choices; at most {MOST_EXPANSIONS:,}")
        return 0 < _size(lists) <= MOST_EXPANSIONS

    def _own_label(self, place: str, name: str, options: Mapping[str, Any], *, several: bool) -> str | None:
        """Return the label that the file gives, "" if it gives none, None if that cannot be one."""
        if "label" not in options:
            return ""
        label = options["label"]
        if not isinstance(label, str) or not label.isprintable() or not label or label != label.strip():
            self.problems.add(place, f"expected a word or a few; given {shown(label)}{hint(label)}")
        elif several:
            self.problems.add(place, f"{label!r} would name several choices: give each its own item in the list")
        elif label != name and label in self.catalogue.names(self.slot):
            self.problems.add(place, f"{label!r} is the name of another choice")
        else:
            return label
        return None


def read_options(
    problems: Problems, place: str, entry: Entry, given: Mapping[str, Any]
) -> tuple[tuple[str, Value], ...] | None:
    """Check options against a signature and fill in its defaults; None if anything is wrong."""
    wrong = False
    for name, value in given.items():
        if name not in entry.options:
            problems.add(f"{place}.{name}", unknown(f"option of {entry.name!r}", name, entry.options))
            wrong = True
        elif message := entry.options[name].check(value):
            problems.add(f"{place}.{name}", message + hint(value))
            wrong = True
    for name, option in entry.options.items():
        if option.required and name not in given:
            problems.add(place, f"option {name!r} of {entry.name!r} is missing")
            wrong = True
    if wrong:
        return None
    return tuple((name, fitted(option, given.get(name, option.default))) for name, option in entry.options.items())


def fitting(place: str, given: Any, options: Mapping[str, Option], problems: Problems) -> dict[str, Any]:
    """Return those of some options that fit; None stands for none."""
    if not isinstance(given, dict | None):
        problems.add(place, f"expected {{option: value}}; given {shown(given)}{hint(given)}")
        return {}
    fits = {}
    for name, value in (given or {}).items():
        if name not in options:
            problems.add(f"{place}.{name}", unknown("option", name, options))
        elif wrong := options[name].check(value):
            problems.add(f"{place}.{name}", wrong + hint(value))
        else:
            fits[name] = value
    return fits


def ranged(place: str, number: int, least: int, most: int, problems: Problems) -> int:
    """Return the number, or what comes nearest to it between two others."""
    if not least <= number <= most:
        problems.add(place, f"{number} is out of range: from {least} to {most:,}")
    return min(max(number, least), most)


def fitted(option: Option, value: Any) -> Value:
    """Return a value that fits an option as it is compared and hashed: 1 for a float is 1.0, a list is a tuple."""
    if isinstance(value, list | tuple):
        return tuple(fitted(option, item) for item in value)
    if type(value) is int and "float" in option.types and "int" not in option.types and option.allowed is None:
        return float(value)
    fits: Value = value
    return fits


def meant(
    problems: Problems, place: str, given: Any, choices: Sequence[Choice], reader: Reader, *, every: bool = False
) -> list[Choice]:
    """Return the choices that a reference or a condition means: by label, by name (all expansions), or written out.

    Args:
        problems: where to note that there is none.
        place: where it stands.
        given: what stands there.
        choices: those of the slot.
        reader: the slot's.
        every: whether a name that is also a label means all choices of that name, as in a condition.
    """
    known = [choice.label for choice in choices]
    if isinstance(given, dict):
        if any(isinstance(options, dict) and "label" in options for options in given.values()):
            problems.add(place, "a label is given in the slot's list; here it stands alone, without options")
            return []
        read = reader.read(place, given)
        for choice in read:
            if choice not in choices:
                problems.add(place, unknown("choice", choice.label, known))
        return [choice for choice in choices if choice in read]
    labelled = [choice for choice in choices if choice.label == written(given)]
    named = [choice for choice in choices if _is(choice.name, given)]
    found = [choice for choice in choices if choice in named or choice in labelled] if every else labelled or named
    if not found:
        problems.add(place, unknown("choice", written(given), known) + hint(given))
    return found


def _is(name: Value, given: Any) -> bool:
    numbers = (int, float)
    return name == given and (type(name) is type(given) or (type(name) in numbers and type(given) in numbers))


def _alternatives(entry: Entry, name: str, value: Any) -> list[Any]:
    takes_list = name in entry.options and entry.options[name].is_list
    several = isinstance(value, list) and (not takes_list or (bool(value) and all(isinstance(v, list) for v in value)))
    return value if several else [value]


def _size(lists: Mapping[str, Sequence[Any]]) -> int:
    return math.prod(len(values) for values in lists.values())
