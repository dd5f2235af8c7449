"""The design of a study: which rule, over which slots, or which settings."""

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from ablate import design
from ablate.grammar import seeds
from ablate.grammar.choices import Reader, fitting, meant, ranged
from ablate.grammar.problems import Problems, hint, shown, written
from ablate.study import Choice, Cost, Design, Search, Setting, Study
from blocks.catalogue import Option, unknown

SEARCH = {
    "settings": Option("settings", ("int",)),
    "sampler": Option("sampler", ("str",), get_args(get_type_hints(Search)["sampler"])),
    "prune": Option("prune", ("str",), get_args(get_type_hints(Search)["prune"])),
    "objectives": Option("objectives", ("str",), is_list=True),
}
FRESH_SEEDS = 5
FEWEST_FOR_WILCOXON = 5  # seeds: no four differences are rarer than 1 in 16, so it could stop nothing before the fifth


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
    parts = {given: None} if isinstance(given, str) else given
    rules = [rule for rule in parts if rule != "confirm"]
    details = parts[rules[0]] if rules else None
    if len(rules) != 1:
        problems.add("design", f"expected one design; given {shown(given)}")
    elif rules[0] not in design.RULES:
        problems.add("design", unknown("design", rules[0], design.RULES))
    elif rules[0] == "search":
        return Design("search", search=_search(details, parts.get("confirm"), study, problems))
    elif "confirm" in parts:
        problems.add("design.confirm", f"only a search is confirmed on fresh seeds; {rules[0]} is not")
    elif rules[0] == "list":
        return _listed(details, study, readers, problems)
    elif rules[0] == "cumulative":
        return _cumulative(details, study, readers, problems)
    elif rules[0] == "fractional":
        return _fractional(details, problems)
    elif rules[0] == "leave-one-out":
        if details is not None and full_of(given) is None:
            problems.add(
                "design.leave-one-out", f"expected {{full: {{slot: choice}}}}; given {shown(details)}{hint(details)}"
            )
        return Design("leave-one-out")
    elif details is None:
        return Design(rules[0])
    elif rules[0] == "factorial":
        return _factorial(details, readers, problems)
    else:
        problems.add("design", f"{rules[0]} takes no details; given {shown(details)}")
    return Design()


def full_of(given: str | dict[str, Any]) -> dict[str, Any] | None:
    """Return what a leave-one-out design calls the full model: the reference of its study; None if it says nothing."""
    details = given.get("leave-one-out") if isinstance(given, dict) else None
    full = details.get("full") if isinstance(details, dict) and set(details) == {"full"} else None
    return full if isinstance(full, dict) else None


def _search(details: Any, confirm: Any, study: Study, problems: Problems) -> Search:
    given = fitting("design.search", details, SEARCH, problems)
    settings = ranged(
        "design.search.settings", given.get("settings", Search.settings), 2, design.MOST_SETTINGS, problems
    )
    sampler, prune = given.get("sampler", Search.sampler), given.get("prune", Search.prune)
    objectives = _objectives(given.get("objectives", [study.metric.name]), study, problems)
    if prune != "none" and (wrong := _unprunable(prune, objectives, study)):
        problems.add("design.search.prune", wrong)
    several = isinstance(confirm, dict) and isinstance(confirm.get("seeds"), list)
    seeds_ = Option("seeds", ("int",), is_list=several)
    given = fitting("design.confirm", confirm, {"top": Option("top", ("int",)), "seeds": seeds_}, problems)
    top = ranged("design.confirm.top", given.get("top", min(Search.top, settings - 1)), 1, settings - 1, problems)
    fresh = _fresh_seeds(given.get("seeds", FRESH_SEEDS), study, problems)
    return Search(settings, sampler, prune, objectives, top, fresh)


def _objectives(given: list[str], study: Study, problems: Problems) -> tuple[str, ...]:
    known = [metric.name for metric in (study.metric, *study.metrics)] + list(vars(Cost(0, 0)))
    for i, name in enumerate(given):
        place = f"design.search.objectives[{i}]"
        if name not in known:
            problems.add(place, unknown("objective", name, known))
        elif name in given[:i]:
            problems.add(place, f"{name!r} stands twice")
    if given[:1] != [study.metric.name]:
        problems.add("design.search.objectives", f"the first must be the metric of the study, {study.metric.name!r}")
    return tuple(given)


def _unprunable(prune: str, objectives: tuple[str, ...], study: Study) -> str:
    """Say why a search cannot stop settings early; empty if it can."""
    if len(objectives) > 1:
        return f"{prune} compares one score on the way, and there are {len(objectives)} objectives: leave it out"
    if prune == "wilcoxon" and len(study.seeds) < FEWEST_FOR_WILCOXON:
        return f"wilcoxon compares seeds and can stop nothing with {len(study.seeds)}: at least {FEWEST_FOR_WILCOXON}"
    if prune != "wilcoxon" and any(slot.name == "recipe.epochs" for slot in study.slots):
        return f"{prune} compares settings epoch by epoch, and slots.recipe.epochs varies their number: leave it out"
    return ""


def _fresh_seeds(given: int | list[int], study: Study, problems: Problems) -> tuple[int, ...]:
    """Return the seeds that confirm: those given, or as many as given after the last seed of the search."""
    place = "design.confirm.seeds"
    if isinstance(given, int):
        first = max(study.seeds) + 1
        n = ranged(place, given, 1, min(seeds.MOST, seeds.LARGEST - max(study.seeds)), problems)
        return tuple(range(first, first + n))
    if not given:
        problems.add(place, "the list is empty")
    for i, seed in enumerate(given):
        if not 0 <= seed <= seeds.LARGEST:
            problems.add(f"{place}[{i}]", f"{seed} is out of range: from 0 to {seeds.LARGEST}")
        elif seed in given[:i]:
            problems.add(f"{place}[{i}]", f"{seed} stands twice in {shown(given)}")
        elif seed in study.seeds:
            problems.add(f"{place}[{i}]", f"{seed} is a seed of the search, which has chosen by it: take a fresh one")
    return tuple(given)


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


def _cumulative(details: Any, study: Study, readers: Mapping[str, Reader | None], problems: Problems) -> Design:
    if not isinstance(details, list) or not details:
        problems.add("design.cumulative", "needs its steps: {cumulative: [slot, {slot: choice}, ...]}")
        return Design()
    steps = []
    for i, given in enumerate(details):
        place = f"design.cumulative[{i}]"
        if isinstance(given, str):
            chosen = _only_other(place, given, study, readers, problems)
        elif isinstance(given, dict) and given:
            chosen = _chosen(place, given, study, readers, problems)
        else:
            problems.add(place, f"expected a slot, or {{slot: choice}}; given {shown(given)}{hint(given)}")
            continue
        steps.append(tuple(chosen.items()))
    return Design("cumulative", steps=tuple(steps))


def _only_other(
    place: str, name: str, study: Study, readers: Mapping[str, Reader | None], problems: Problems
) -> dict[str, Choice]:
    """Return the one choice that a slot has beside its reference."""
    if name not in readers:
        problems.add(place, unknown("slot", name, readers))
        return {}
    if name not in {slot.name for slot in study.slots}:
        return {}  # its list has been complained about
    others = [choice for choice in study.slot(name).choices if choice != study.slot(name).reference]
    if len(others) != 1:
        known = ", ".join(choice.label for choice in others) or "none"
        problems.add(place, f"say which choice: {{{name}: ...}} (beside the reference: {known})")
        return {}
    return {name: others[0]}


def _fractional(details: Any, problems: Problems) -> Design:
    given = fitting("design.fractional", details, {"runs": Option("runs", ("int",))}, problems)
    if "runs" not in given:
        if details is None or (isinstance(details, dict) and "runs" not in details):
            problems.add("design.fractional", "needs the number of trials in all: {fractional: {runs: 16}}")
        return Design()
    return Design("fractional", runs=ranged("design.fractional.runs", given["runs"], 2, design.MOST_SETTINGS, problems))


def _listed(details: Any, study: Study, readers: Mapping[str, Reader | None], problems: Problems) -> Design:
    if isinstance(details, dict):
        details = _zipped(details, problems)
        if details is None:
            return Design()
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


def _zipped(columns: Mapping[str, Any], problems: Problems) -> list[dict[str, Any]] | None:
    """Return the settings of a list that is given slot by slot: the first of each, the second of each, ..."""
    for name, items in columns.items():
        if not isinstance(items, list):
            problems.add(f"design.list.{name}", f"expected a list of choices; given {shown(items)}{hint(items)}")
            return None
    lengths = {name: len(items) for name, items in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {n}" for name, n in lengths.items())
        problems.add("design.list", f"the slots' lists go together one by one and must be equally long: {said}")
        return None
    return [dict(zip(columns, items, strict=True)) for items in zip(*columns.values(), strict=True)]


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
