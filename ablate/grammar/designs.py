"""The design of a study: which rule, over which slots, or which settings."""

from collections.abc import Mapping
from typing import Any

from ablate import design
from ablate.grammar.choices import Reader, meant
from ablate.grammar.problems import Problems, hint, shown, written
from ablate.study import Choice, Design, Setting, Study
from blocks.catalogue import unknown


def read_design(
    given: str | dict[str, Any], study: Study, readers: Mapping[str, Reader | None], problems: Problems
) -> Design:
    """Read a design for a study whose slots have been read.

    Args:
        given: the name of a design, or one name with its details.
        study: with its slots.
        readers: of every slot that the file names; None where a slot could not be read.
        problems: where to note them.
    """
    rules = [given] if isinstance(given, str) else list(given)
    later = [rule for rule in rules if rule in design.LATER]
    details = None if isinstance(given, str) or not given else given[rules[0]]
    if later:
        problems.add("design", f"{later[0]!r} is not in this version (known: {', '.join(design.RULES)})")
    elif len(rules) != 1:
        problems.add("design", f"expected one design; given {shown(given)}")
    elif rules[0] not in design.RULES:
        problems.add("design", unknown("design", rules[0], design.RULES))
    elif rules[0] == "list":
        return _listed(details, study, readers, problems)
    elif details is None:
        return Design(rules[0])
    elif rules[0] == "factorial":
        return _factorial(details, readers, problems)
    else:
        problems.add("design", f"{rules[0]} takes no details; given {shown(details)}")
    return Design()


def _factorial(details: Any, readers: Mapping[str, object], problems: Problems) -> Design:
    if not isinstance(details, list) or not details:
        problems.add("design.factorial", f"expected a list of slots; given {shown(details)}{hint(details)}")
        return Design()
    names: list[str] = []
    for i, name in enumerate(details):
        place = f"design.factorial[{i}]"
        if not isinstance(name, str) or name not in readers:
            problems.add(place, unknown("slot", name, readers))
        elif name in names:
            problems.add(place, f"{name!r} stands twice")
        else:
            names.append(name)
    return Design("factorial", slots=tuple(names))


def _listed(details: Any, study: Study, readers: Mapping[str, Reader | None], problems: Problems) -> Design:
    if not isinstance(details, list) or not details:
        problems.add("design.list", "needs its settings: {list: [{slot: choice}, ...]}")
        return Design()
    settings: list[Setting] = []
    for i, given in enumerate(details):
        place = f"design.list[{i}]"
        if not isinstance(given, dict):
            problems.add(place, f"expected {{slot: choice}}; given {shown(given)}{hint(given)}")
            continue
        chosen = _chosen(place, given, study, readers, problems)
        setting = study.complete(chosen)
        for name in chosen:
            if name not in setting:
                problems.add(f"{place}.{name}", "does not exist in this setting: its `when` does not hold")
        settings.append(setting)
    return Design("list", settings=tuple(settings))


def _chosen(
    place: str, given: Mapping[str, Any], study: Study, readers: Mapping[str, Reader | None], problems: Problems
) -> dict[str, Choice]:
    chosen: dict[str, Choice] = {}
    readable = {slot.name for slot in study.slots}
    for name, value in given.items():
        if name not in readers:
            problems.add(f"{place}.{name}", unknown("slot", name, readers))
        elif name in readable and (reader := readers[name]) is not None:
            found = meant(problems, f"{place}.{name}", value, study.slot(name).choices, reader)
            if len(found) > 1:
                several = ", ".join(choice.label for choice in found)
                problems.add(f"{place}.{name}", f"{written(value)!r} means several choices: {several}")
            elif found:
                chosen[name] = found[0]
    return chosen
