"""The slots of a study: their choices, their references, and when they exist."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ablate import design
from ablate.grammar.choices import Blocks, Reader, Values, meant
from ablate.grammar.problems import Problems, hint, shown, written
from ablate.grammar.recipe import values_of
from ablate.study import RECIPE_FIELDS, Choice, Slot
from blocks.catalogue import Catalogue, Entry, unknown

KEYS = ("choices", "when", "reference", "without")
Conditions = tuple[tuple[str, frozenset[str]], ...]


@dataclass(frozen=True)
class Offer:
    """A slot of which the choices have been read, and nothing else.

    Attributes:
        spec: what the file says of it.
    """

    choices: tuple[Choice, ...]
    reader: Reader
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Owners:
    """Whose options and slots a study can vary; None where the file does not say whose."""

    network: Entry | None
    data: Entry | None
    catalogue: Catalogue

    def reader(self, name: str, problems: Problems) -> Reader | None:
        """Return what reads the choices of a slot; None, and usually a problem, if there is no such slot."""
        owner, _, field = name.partition(".")
        place = f"slots.{name}"
        if owner == "recipe" and field:
            if field in RECIPE_FIELDS:
                return values_of(field, problems)
            problems.add(place, unknown("hyper-parameter", field, RECIPE_FIELDS))
        elif owner == "data" and field:
            if self.data and field in self.data.options:
                return Values(self.data.options[field], problems)
            if self.data:
                problems.add(place, unknown(f"option of {self.data.name!r}", field, self.data.options))
        elif self.network:
            if name in self.network.slots:
                return Blocks(name, self.network, self.catalogue, problems)
            if name in self.network.options:
                return Values(self.network.options[name], problems)
            known = [*self.network.slots, *self.network.options]
            message = unknown(f"slot of {self.network.name!r}", name, known)
            problems.add(place, f"{message}; recipe.* and data.* vary the training and the data")
        return None


def read_slots(
    given: Mapping[str, Any],
    reference: Mapping[str, Any],
    owners: Owners,
    problems: Problems,
    *,
    place: str = "reference",
) -> tuple[tuple[Slot, ...], dict[str, Reader | None]]:
    """Read all slots, then what they say about each other: (slots, parents first; the reader of every name given).

    `place` is where the reference stands.
    """
    if not given:
        problems.add("slots", "there are none: nothing would be compared")
    readers = {name: owners.reader(name, problems) for name in given}
    offers: dict[str, Offer] = {}
    for name, reader in readers.items():
        offer = _offer(name, given[name], reader, problems)
        if offer is not None and offer.choices:
            offers[name] = offer
    for name in reference:
        if name not in given:
            problems.add(f"{place}.{name}", unknown("slot", name, given))
    references = {name: _reference(name, offer, reference, place, problems) for name, offer in offers.items()}
    withouts = {name: _without(name, offer, problems) for name, offer in offers.items()}
    conditions = {name: _conditions(name, offer, given, offers, problems) for name, offer in offers.items()}
    order = _parents_first(conditions, problems)
    slots = tuple(
        Slot(name, offers[name].choices, references[name], conditions[name], withouts[name]) for name in order
    )
    for slot in slots:
        # A choice that does not exist has been named already.
        if all(labels for _, labels in slot.when) and not design.can_exist(slots, slot):
            problems.add(f"slots.{slot.name}.when", "can never hold: no combination of choices fulfils it")
    return slots, readers


def _offer(name: str, given: Any, reader: Reader | None, problems: Problems) -> Offer | None:
    spec = given if isinstance(given, dict) else {"choices": given}
    place = f"slots.{name}.choices" if isinstance(given, dict) else f"slots.{name}"
    for key in spec:
        if key not in KEYS:
            problems.add(f"slots.{name}.{key}", unknown("key", key, KEYS))
    items = spec.get("choices")
    if "choices" not in spec:
        problems.add(place, "is missing")
    elif not isinstance(items, list):
        problems.add(place, f"expected a list of choices; given {shown(items)}{hint(items)}")
    elif not items:
        problems.add(place, "the list is empty")
    elif reader is not None:
        return Offer(_choices(place, items, reader, problems), reader, spec)
    return None


def _choices(place: str, items: Iterable[Any], reader: Reader, problems: Problems) -> tuple[Choice, ...]:
    """Read a slot's list; no choice and no label may stand twice."""
    found: dict[Choice, str] = {}
    labels: dict[str, str] = {}
    for i, item in enumerate(items):
        where = f"{place}[{i}]"
        for choice in reader.read(where, item):
            if choice in found:
                problems.add(where, f"{choice.label!r} is the same choice as {found[choice]}")
            elif choice.label in labels:
                problems.add(where, f"{choice.label!r} is also the label of {labels[choice.label]}")
            else:
                found[choice] = labels[choice.label] = where
    return tuple(found)


def _reference(name: str, offer: Offer, reference: Mapping[str, Any], place: str, problems: Problems) -> Choice:
    places = {}
    if name in reference:
        places[f"{place}.{name}"] = reference[name]
    if "reference" in offer.spec:
        places[f"slots.{name}.reference"] = offer.spec["reference"]
    if len(places) == 2:
        problems.add(f"{place}.{name}", f"also given as slots.{name}.reference: keep one")
    answers = [found for where, given in places.items() if (found := _one(where, given, offer, problems))]
    return answers[0] if answers else offer.choices[0]


def _without(name: str, offer: Offer, problems: Problems) -> Choice | None:
    if "without" not in offer.spec:
        return None
    return _one(f"slots.{name}.without", offer.spec["without"], offer, problems)


def _one(place: str, given: Any, offer: Offer, problems: Problems) -> Choice | None:
    """Return the one choice that is meant."""
    found = meant(problems, place, given, offer.choices, offer.reader)
    if len(found) > 1:
        several = ", ".join(choice.label for choice in found)
        problems.add(place, f"{written(given)!r} means several choices: {several}")
    return found[0] if found else None


def _conditions(
    name: str, offer: Offer, given: Mapping[str, Any], offers: Mapping[str, Offer], problems: Problems
) -> Conditions:
    place = f"slots.{name}.when"
    when = offer.spec.get("when", {})
    if "when" in offer.spec and (not isinstance(when, dict) or not when):
        problems.add(place, f"expected {{slot: [choices]}}; given {shown(when)}{hint(when)}")
        return ()
    conditions = []
    for parent, items in when.items():
        where = f"{place}.{parent}"
        if parent not in given:
            problems.add(where, unknown("slot", parent, given))
        elif parent in offers:
            conditions.append((parent, _labels(where, items, offers[parent], problems)))
    return tuple(conditions)


def _labels(place: str, given: Any, parent: Offer, problems: Problems) -> frozenset[str]:
    items = given if isinstance(given, list) else [given]
    if not items:
        problems.add(place, "the list is empty: the slot would never exist")
    labels: set[str] = set()
    for i, item in enumerate(items):
        where = f"{place}[{i}]" if isinstance(given, list) else place
        found = {choice.label for choice in meant(problems, where, item, parent.choices, parent.reader, every=True)}
        if found and found <= labels:
            problems.add(where, f"{written(item)!r} stands twice")
        labels |= found
    return frozenset(labels)


def _parents_first(conditions: Mapping[str, Conditions], problems: Problems) -> list[str]:
    """Return the slots, parents first and otherwise as written, without those whose conditions go in a circle."""
    order: list[str] = []
    circular: set[str] = set()
    waiting = list(conditions)
    while waiting:
        settled = {*order, *circular}
        ready = next((name for name in waiting if all(parent in settled for parent, _ in conditions[name])), None)
        if ready is None:
            circle = _circle(conditions, waiting)
            problems.add(f"slots.{circle[0]}.when", f"goes in a circle: {' → '.join(circle)}")
            circular |= set(circle)
        elif any(parent in circular for parent, _ in conditions[ready]):
            circular.add(ready)
        else:
            order.append(ready)
        waiting = [name for name in waiting if name not in circular and name not in order]
    return order


def _circle(conditions: Mapping[str, Conditions], waiting: list[str]) -> list[str]:
    """Follow parents that wait for each other until one comes again."""
    walk = [waiting[0]]
    while True:
        after = next(parent for parent, _ in conditions[walk[-1]] if parent in waiting)
        if after in walk:
            return [*walk[walk.index(after) :], after]
        walk.append(after)
