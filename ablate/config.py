"""YAML → Study: every problem at once, each with its place, before torch is imported."""

import json
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from ablate import design
from ablate.errors import StudyError
from ablate.study import RECIPE_FIELDS, Choice, Design, Metric, Recipe, Setting, Slot, Study, Value
from blocks import catalogue
from blocks.catalogue import Catalogue, CatalogueError, Entry, Option, unknown

STUDIES = next(
    folder for folder in (Path(__file__).with_name("studies"), Path(__file__).parents[1] / "studies") if folder.is_dir()
)
LATER = {
    "match": "capacity matching",
    "calibration": "A/A pairs",
    "budget": "a cap on hours and runs",
    "timeout": "a limit on a trial's time",
    "retries": "repeating a trial that crashed",
}


@dataclass(frozen=True)
class Document:
    """The file as written, its outer shape checked and nothing else."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    network: str | dict[str, dict[str, Any] | None]
    data: str | dict[str, dict[str, Any] | None]
    slots: dict[str, Any]
    name: str | None = None
    question: str = ""
    reference: dict[str, Any] = field(default_factory=dict)
    design: str | dict[str, Any] = "one-at-a-time"
    seeds: int | list[int] | dict[str, Any] = 5
    recipe: dict[str, Any] = field(default_factory=dict)
    metric: str | dict[str, dict[str, Any] | None] | None = None
    metrics: list[str | dict[str, dict[str, Any] | None]] = field(default_factory=list)
    practical: float | None = None
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    keep: Literal["weights", "none"] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    notes: str = ""


FIELDS = tuple(Document.__dataclass_fields__)


class Problems:
    """What is wrong so far, in the order found."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[str] = []

    def add(self, place: str, message: str) -> None:
        """Note a problem at a place such as `slots.attention[1]`."""
        self.found.append(f"{self.source}: {place}: {message}" if place else f"{self.source}: {message}")

    def check(self) -> None:
        """Raise what was found, if anything was."""
        if self.found:
            raise StudyError(self.found)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice is an error and not the last one's win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                raise yaml.MarkedYAMLError(None, None, "a key must be a plain word", key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(None, None, f"{key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def find_study(argument: str | Path) -> Path:
    """Return the file of a study given by its path, or by the name of one that comes with the package.

    Raises:
        StudyError: if there is neither.
    """
    path = Path(argument)
    if path.is_file():
        return path
    shipped = {file.stem: file for file in sorted(STUDIES.rglob("*.yml"))}
    if str(argument) in shipped:
        return shipped[str(argument)]
    known = sorted(shipped) + [file.as_posix() for file in sorted(Path("studies").glob("*.yml"))]
    raise StudyError([f"{path.as_posix()}: no such file; {unknown('study', str(argument), known)}"])


def read_study(argument: str | Path, *, own_training: bool = False) -> Study:
    """Read and check a study given by its path or by the name of one that comes with the package.

    Args:
        argument: the path or name.
        own_training: the user's own training function makes the scores, so a metric may have any name, if it says
            which direction is better: `metric: {psnr: {better: higher}}`.

    Raises:
        StudyError: naming every problem, each with its place.
    """
    path = find_study(argument)
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise StudyError([f"{path.as_posix()}: cannot be read as UTF-8 text: {error}"]) from None
    return parse_study(text, path=path, own_training=own_training)


def parse_study(text: str, *, path: Path, own_training: bool = False) -> Study:
    """Check the text of a study; `path` gives its name and stands in messages.

    Raises:
        StudyError: naming every problem, each with its place.
    """
    problems = Problems(path.as_posix())
    document, broken = _document(text, problems)
    study = _Reader(document, broken, problems, own_training=own_training).study()
    problems.check()
    resolved = path.resolve()
    home = Path.cwd()
    if resolved.is_relative_to(STUDIES.resolve()) and not resolved.is_relative_to(home):
        place = f"ablate:{resolved.relative_to(STUDIES.resolve()).as_posix()}"
    else:
        place = (resolved.relative_to(home) if resolved.is_relative_to(home) else resolved).as_posix()
    study = replace(study, name=document.name or path.stem, path=place, text=text)
    if not re.fullmatch(r"[^\s/\\:*?\"<>|][^/\\:*?\"<>|]*", study.name) or study.name in (".", ".."):
        problems.add("name", f"{study.name!r} cannot name a folder")
    try:
        design.plan(study)
    except StudyError as error:
        for problem in error.problems:
            problems.add("", problem)
    problems.check()
    return study


def _document(text: str, problems: Problems) -> tuple[Document, frozenset[str]]:
    """Return the document with what can be used of it, and the keys that cannot."""
    try:
        content = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problems.add(place, error.problem or "no YAML")
    except (yaml.YAMLError, ValueError) as error:
        problems.add("", f"no YAML: {error}")
    problems.check()
    if not isinstance(content, dict):
        problems.add("", f"expected keys such as network, data and slots, not {_shown(content)}")
        problems.check()
    broken: set[str] = set()
    for key in [str(key) for key in content if str(key) not in FIELDS]:
        if key in LATER:
            problems.add(key, f"{LATER[key]} is not in this version")
        else:
            problems.add(key, unknown("key", key, [*FIELDS, *LATER]))
    content = {key: value for key, value in content.items() if key in FIELDS}
    adapter = TypeAdapter(Document)
    for key in ("network", "data", "slots"):
        if key not in content:
            problems.add(key, "is missing")
            broken.add(key)
    try:
        return adapter.validate_json(json.dumps(content, default=str)), frozenset()
    except ValidationError as error:
        seen: dict[str, Any] = {}
        for detail in error.errors():
            key = str(detail["loc"][0])
            if key not in broken and key not in seen:
                seen[key] = detail
                problems.add(key, f"{_message(detail)}; given {_shown(content[key])}{_yaml_hint(content[key])}")
        broken |= set(seen)
    usable = {key: value for key, value in content.items() if key not in broken}
    stand_in = {"network": "", "data": "", "slots": {}}
    return adapter.validate_json(json.dumps({**stand_in, **usable}, default=str)), frozenset(broken)


def _message(detail: Mapping[str, Any]) -> str:
    kinds = {
        "network": "expected a name, or one name with its options",
        "data": "expected a name, or one name with its options",
        "slots": "expected slots, each with a list of choices",
        "seeds": "expected a number of seeds or a list of them",
        "metric": "expected a name",
        "design": "expected the name of a design, or one name with its details",
    }
    return kinds.get(str(detail["loc"][0]), str(detail["msg"]).lower())


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _yaml_hint(value: object) -> str:
    """Say what YAML made of a word that people write and mean otherwise."""
    if isinstance(value, bool):
        return (
            f" (YAML reads yes, on, no and off as true and false: put the word in quotes; this is {str(value).lower()})"
        )
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value):
        mantissa, exponent = re.split("[eE]", value)
        return (
            f" (YAML reads {value} as text: write {mantissa}.0e{exponent if exponent[0] in '+-' else '+' + exponent})"
        )
    if value is None:
        return " (YAML reads null and ~ as nothing; the empty choice is called none)"
    return ""


class _Reader:
    """Reads the parts of one document; a part that cannot be read leaves a problem behind and a stand-in."""

    def __init__(self, document: Document, broken: frozenset[str], problems: Problems, *, own_training: bool) -> None:
        self.document = document
        self.broken = broken
        self.problems = problems
        self.own_training = own_training
        self.catalogue: Catalogue = catalogue.read("blocks", "ablate.data", "ablate.tasks")

    def study(self) -> Study:
        document = self.document
        slot_names = tuple(document.slots)
        network_entry, network = self._named("network", document.network, slot_names)
        data_entry, data = self._named("data", document.data, slot_names)
        recipe = self._recipe(slot_names)
        slots = self._slots(network_entry, data_entry)
        task = str(data_entry.facts["task"]) if data_entry else "classification"
        if network_entry and data_entry and network_entry.facts["task"] != task:
            self.problems.add(
                "network", f"{network_entry.name} is for {network_entry.facts['task']}, {data_entry.name} for {task}"
            )
        metric = self._metric("metric", document.metric or {"classification": "accuracy"}[task])
        metrics = tuple(self._metric(f"metrics[{i}]", given) for i, given in enumerate(document.metrics))
        if document.practical is not None and document.practical <= 0:
            self.problems.add(
                "practical", f"{document.practical} must be positive: the smallest difference that matters"
            )
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", document.device):
            self.problems.add("device", unknown("device", document.device, ["auto", "cpu", "cuda", "cuda:0", "mps"]))
        study = Study(
            name="", network=network, data=data, slots=slots, question=document.question, recipe=recipe,
            seeds=self._seeds(), metric=metric, metrics=metrics, task=task, practical=document.practical,
            device=document.device, precision=document.precision, keep=document.keep,
            tags=tuple(document.tags.items()), notes=document.notes,
        )  # fmt: skip
        study = replace(study, design=self._design(study))
        if not self.problems.found:
            self._check_recipes(study)
        return study

    def _named(self, place: str, given: Any, slot_names: tuple[str, ...]) -> tuple[Entry | None, Choice]:
        """Read `network` or `data`: a name, or one name with options."""
        nothing = Choice("")
        if place in self.broken:
            return None, nothing
        if isinstance(given, dict) and len(given) != 1:
            self.problems.add(place, f"expected one name, not {len(given)}: {', '.join(given)}")
            return None, nothing
        name, options = (given, {}) if isinstance(given, str) else next(iter(given.items()))
        try:
            entry = self.catalogue.find(place, name)
        except CatalogueError:
            self.problems.add(
                place, unknown("network" if place == "network" else "data set", name, self.catalogue.names(place))
            )
            return None, nothing
        for option in options or {}:
            dotted = option if place == "network" else f"data.{option}"
            if option in entry.slots:
                self.problems.add(f"{place}.{name}.{option}", f"{option!r} is a slot: list its choices under slots")
            elif dotted in slot_names:
                self.problems.add(f"{place}.{name}.{option}", f"given here and varied by slots.{dotted}: keep one")
        given_options = {k: v for k, v in (options or {}).items() if k not in entry.slots}
        filled = self._options(f"{place}.{name}", entry, given_options)
        return entry, Choice(name, filled, label=name)

    def _options(self, place: str, entry: Entry, given: Mapping[str, Any]) -> tuple[tuple[str, Value], ...]:
        """Check options against a signature and fill in its defaults."""
        for name, value in given.items():
            if name not in entry.options:
                self.problems.add(f"{place}.{name}", unknown(f"option of {entry.name!r}", name, entry.options))
            elif wrong := entry.options[name].check(value):
                self.problems.add(f"{place}.{name}", wrong + _yaml_hint(value))
        for name, option in entry.options.items():
            if option.required and name not in given:
                self.problems.add(place, f"option {name!r} of {entry.name!r} is missing")
        return tuple((name, _frozen(given.get(name, option.default))) for name, option in entry.options.items())

    def _recipe(self, slot_names: tuple[str, ...]) -> Recipe:
        if "recipe" in self.broken:
            return Recipe()
        good: dict[str, Any] = {}
        for name, value in self.document.recipe.items():
            if name not in RECIPE_FIELDS:
                self.problems.add(f"recipe.{name}", unknown("hyper-parameter", name, RECIPE_FIELDS))
            elif f"recipe.{name}" in slot_names:
                self.problems.add(f"recipe.{name}", f"given here and varied by slots.recipe.{name}: keep one")
            elif self._fits_recipe(f"recipe.{name}", name, value):
                good[name] = value
        recipe = Recipe(**good)
        for name, message in recipe.problems().items():
            varied = {f"recipe.{name}", "recipe.optimizer", "recipe.epochs"} & set(slot_names)
            if not varied:
                self.problems.add(f"recipe.{name}", message)
        return recipe

    def _fits_recipe(self, place: str, name: str, value: Any) -> bool:
        try:
            _recipe_type(name).validate_json(json.dumps(value, default=str))
        except ValidationError as error:
            self.problems.add(place, f"{error.errors()[0]['msg'].lower()}; given {_shown(value)}{_yaml_hint(value)}")
            return False
        return True

    def _metric(self, place: str, given: str | dict[str, dict[str, Any] | None]) -> Metric:
        if isinstance(given, str):
            if given not in self.catalogue.names("metric"):
                hint = "; a score of your own training function says which way is better: {psnr: {better: higher}}"
                self.problems.add(place, unknown("metric", given, self.catalogue.names("metric")) + hint)
                return Metric(given)
            facts = self.catalogue.find("metric", given).facts
            return Metric(given, facts["better"] == "higher", cast("Literal['fraction', '']", facts["unit"]))
        name, details = next(iter(given.items()), ("", {}))
        details = details or {}
        if len(given) != 1 or set(details) - {"better", "unit"} or details.get("better") not in ("higher", "lower"):
            self.problems.add(
                place, f"expected {{name: {{better: higher|lower, unit: fraction}}}}, not {_shown(given)}"
            )
        elif details.get("unit", "") not in ("", "fraction"):
            self.problems.add(place, unknown("unit", details["unit"], ["fraction"]))
        elif not self.own_training:
            self.problems.add(place, f"{name!r} needs a training function of your own: ablate.run(study, train=...)")
        return Metric(name, details.get("better") == "higher", details.get("unit", ""))

    def _seeds(self) -> tuple[int, ...]:
        given = self.document.seeds
        if "seeds" in self.broken:
            return (0,)
        if isinstance(given, dict):
            self.problems.add("seeds", "adaptive seeds are not in this version; give a number or a list")
            return (0,)
        if isinstance(given, int):
            if given < 1:
                self.problems.add("seeds", f"{given} is out of range: at least 1")
            return tuple(range(given))
        if not given:
            self.problems.add("seeds", "the list is empty")
        if any(seed < 0 for seed in given):
            self.problems.add("seeds", f"seeds are 0 or more; given {_shown(given)}")
        if len(set(given)) < len(given):
            self.problems.add("seeds", f"a seed stands twice in {_shown(given)}")
        return tuple(given)

    # -- slots ---------------------------------------------------------------------------------------------------

    def _slots(self, network: Entry | None, data: Entry | None) -> tuple[Slot, ...]:
        """Read all slots, then what they say about each other."""
        if "slots" in self.broken:
            return ()
        if not self.document.slots:
            self.problems.add("slots", "there are none: nothing would be compared")
        choices: dict[str, tuple[Choice, ...]] = {}
        parse: dict[str, Callable[[str, Any], list[Choice]]] = {}
        specs: dict[str, dict[str, Any]] = {}
        for name, given in self.document.slots.items():
            spec = given if isinstance(given, dict) else {"choices": given}
            for key in set(spec) - {"choices", "when", "reference"}:
                self.problems.add(f"slots.{name}.{key}", unknown("key", key, ["choices", "when", "reference"]))
            parser = self._parser(name, network, data)
            if parser is None:
                continue
            place = f"slots.{name}.choices" if isinstance(given, dict) else f"slots.{name}"
            read = self._choices(place, spec.get("choices"), parser)
            if read:
                choices[name], parse[name], specs[name] = read, parser, spec
        conditions = self._conditions(specs, choices)
        references = {name: self._reference(name, specs[name], choices, parse[name]) for name in choices}
        for name in self.document.reference:
            if name not in self.document.slots:
                self.problems.add(f"reference.{name}", unknown("slot", name, self.document.slots))
        order = self._order(conditions)
        slots = tuple(Slot(name, choices[name], references[name], conditions[name]) for name in order)
        for slot in slots:
            self._check_satisfiable(slot, slots)
        return slots

    def _parser(
        self, name: str, network: Entry | None, data: Entry | None
    ) -> Callable[[str, Any], list[Choice]] | None:
        """Return the function that reads one item of the slot's list; None (and a problem) if there is no such slot."""
        place, _, rest = name.partition(".")
        if place == "recipe" and rest:
            if rest in RECIPE_FIELDS:
                return lambda where, item: self._value(where, item, lambda v: self._fits_recipe(where, rest, v))
            self.problems.add(f"slots.{name}", unknown("hyper-parameter", rest, RECIPE_FIELDS))
        elif place == "data" and rest:
            if data is None:
                return None
            if rest in data.options:
                return self._of_option(data.options[rest])
            self.problems.add(f"slots.{name}", unknown(f"option of {data.name!r}", rest, data.options))
        elif network is not None:
            if name in network.slots:
                return lambda where, item: self._named_choice(where, item, name)
            if name in network.options:
                return self._of_option(network.options[name])
            known = [*network.slots, *network.options, *(f"recipe.{f}" for f in RECIPE_FIELDS)]
            self.problems.add(f"slots.{name}", unknown(f"slot of {network.name!r}", name, known))
        return None

    def _of_option(self, option: Option) -> Callable[[str, Any], list[Choice]]:
        def fits(where: str, value: Any) -> bool:
            wrong = option.check(value)
            if wrong:
                self.problems.add(where, wrong + _yaml_hint(value))
            return not wrong

        return lambda where, item: self._value(where, item, lambda value: fits(where, value))

    def _value(self, place: str, item: Any, fits: Callable[[Any], bool]) -> list[Choice]:
        """Read a choice of a slot that takes values: the value, or {value: {label: ...}}."""
        label = None
        if isinstance(item, dict):
            self.problems.add(place, f"this slot takes values; given {_shown(item)}")
            return []
        return [Choice(_frozen(item), label=label or _label(item))] if fits(item) else []

    def _named_choice(self, place: str, item: Any, slot: str) -> list[Choice]:
        """Read a choice with a name; a list for a scalar option makes one choice per value."""
        if isinstance(item, dict) and len(item) == 1:
            name, options = next(iter(item.items()))
        else:
            name, options = item, None
        if not isinstance(name, str) or not isinstance(options, dict | None):
            self.problems.add(
                place, f"expected a name or {{name: {{option: value}}}}; given {_shown(item)}{_yaml_hint(item)}"
            )
            return []
        if name not in self.catalogue.names(slot):
            self.problems.add(place, unknown("choice", name, self.catalogue.names(slot)))
            return []
        entry = self.catalogue.find(slot, name)
        options = dict(options or {})
        own_label = options.pop("label", None)
        expanded = [dict(zip(options, values, strict=True)) for values in product(*_expansions(entry, options))]
        if not expanded:
            self.problems.add(place, f"an option of {name!r} has an empty list")
        if own_label is not None and (len(expanded) > 1 or not isinstance(own_label, str)):
            self.problems.add(f"{place}.label", "a label is one word for one choice")
        before = len(self.problems.found)
        choices = []
        for given in expanded:
            filled = self._options(f"{place}.{name}", entry, given)
            if len(self.problems.found) > before:
                return []  # every expansion would repeat the same complaint
            text = ", ".join(f"{key}={_label(value)}" for key, value in given.items())
            choices.append(Choice(name, filled, label=own_label or (f"{name}({text})" if text else name)))
        return choices

    def _choices(self, place: str, items: Any, parse: Callable[[str, Any], list[Choice]]) -> tuple[Choice, ...]:
        if not isinstance(items, list):
            self.problems.add(place, f"expected a list of choices; given {_shown(items)}")
            return ()
        if not items:
            self.problems.add(place, "the list is empty")
        found: dict[Choice, str] = {}
        labels: dict[str, str] = {}
        for i, item in enumerate(items):
            where = f"{place}[{i}]"
            for choice in parse(where, item):
                if choice in found:
                    self.problems.add(where, f"{choice.label!r} is the same choice as {found[choice]}")
                elif choice.label in labels:
                    self.problems.add(where, f"{choice.label!r} is also the label of {labels[choice.label]}")
                else:
                    found[choice] = labels[choice.label] = where
        return tuple(found)

    def _matches(
        self, place: str, given: Any, choices: tuple[Choice, ...], parse: Callable[[str, Any], list[Choice]] | None
    ) -> list[Choice]:
        """Return the choices that a reference or a condition means: by label, by name (all expansions), or written out."""
        text = _label(given) if not isinstance(given, dict) else None
        if by_label := [choice for choice in choices if choice.label == text]:
            return by_label
        if by_name := [choice for choice in choices if type(choice.name) is type(given) and choice.name == given]:
            return by_name
        if isinstance(given, dict) and parse is not None:
            before = len(self.problems.found)
            meant = [choice for choice in parse(place, given) if choice in choices]
            if meant or len(self.problems.found) > before:
                return [c for c in choices if c in meant]
        self.problems.add(
            place, unknown("choice", _shown(given) if isinstance(given, dict) else text, [c.label for c in choices])
        )
        return []

    def _reference(
        self, name: str, spec: Mapping[str, Any], choices: Mapping[str, tuple[Choice, ...]],
        parse: Callable[[str, Any], list[Choice]],
    ) -> Choice:  # fmt: skip
        places = []
        if name in self.document.reference:
            places.append((f"reference.{name}", self.document.reference[name]))
        if "reference" in spec:
            places.append((f"slots.{name}.reference", spec["reference"]))
        if len(places) == 2:
            self.problems.add(f"reference.{name}", f"also given under slots.{name}: keep one")
        if not places:
            return choices[name][0]
        place, given = places[0]
        found = self._matches(place, given, choices[name], parse)
        if len(found) > 1:
            self.problems.add(place, f"{_label(given)!r} means several choices: {', '.join(c.label for c in found)}")
        return found[0] if found else choices[name][0]

    def _conditions(
        self, specs: Mapping[str, Mapping[str, Any]], choices: Mapping[str, tuple[Choice, ...]]
    ) -> dict[str, tuple[tuple[str, frozenset[str]], ...]]:
        conditions: dict[str, tuple[tuple[str, frozenset[str]], ...]] = {}
        for name, spec in specs.items():
            when = spec.get("when", {})
            place = f"slots.{name}.when"
            if not isinstance(when, dict):
                self.problems.add(place, f"expected {{slot: [choices]}}; given {_shown(when)}")
                when = {}
            read = []
            for parent, given in when.items():
                if parent not in self.document.slots:
                    self.problems.add(f"{place}.{parent}", unknown("slot", parent, self.document.slots))
                elif parent in choices:
                    wanted = given if isinstance(given, list) else [given]
                    if not wanted:
                        self.problems.add(f"{place}.{parent}", "the list is empty: the slot would never exist")
                    labels = [
                        choice.label
                        for item in wanted
                        for choice in self._matches(f"{place}.{parent}", item, choices[parent], None)
                    ]
                    read.append((parent, frozenset(labels)))
            conditions[name] = tuple(read)
        return conditions

    def _order(self, conditions: Mapping[str, tuple[tuple[str, frozenset[str]], ...]]) -> list[str]:
        """Return the slots, parents first and otherwise as written."""
        order: list[str] = []
        waiting = list(conditions)
        while waiting:
            ready = [n for n in waiting if all(parent in order for parent, _ in conditions[n])]
            if not ready:
                circle = _circle(conditions, waiting)
                self.problems.add(f"slots.{circle[0]}.when", f"goes in a circle: {' → '.join(circle)}")
                return order
            order.append(ready[0])
            waiting.remove(ready[0])
        return order

    def _check_satisfiable(self, slot: Slot, slots: tuple[Slot, ...]) -> None:
        if not slot.when or not all(labels for _, labels in slot.when):
            return  # a choice that does not exist has been named already
        parents = design.ancestors(slots, slot)
        study = Study(name="", network=Choice(""), data=Choice(""), slots=slots)
        for combination in product(*(parent.choices for parent in parents)):
            chosen = {parent.name: choice for parent, choice in zip(parents, combination, strict=True)}
            if slot.name in study.complete(chosen):
                return
        self.problems.add(f"slots.{slot.name}.when", "can never hold: no combination of choices fulfils it")

    # -- design --------------------------------------------------------------------------------------------------

    def _design(self, study: Study) -> Design:
        given = self.document.design
        if "design" in self.broken or "slots" in self.broken:
            return Design()
        rule, details = (given, None) if isinstance(given, str) else next(iter(given.items()), ("", None))
        if not isinstance(given, str) and len(given) != 1:
            self.problems.add("design", f"expected one design, not {_shown(given)}")
        elif rule in design.LATER:
            self.problems.add("design", f"{rule!r} is not in this version (known: {', '.join(design.RULES)})")
        elif rule not in design.RULES:
            self.problems.add("design", unknown("design", rule, design.RULES))
        elif rule == "factorial" and details is not None:
            return self._factorial(details, study)
        elif rule == "list":
            return self._listed(details, study)
        elif details is not None:
            self.problems.add("design", f"{rule} takes no details; given {_shown(details)}")
        else:
            return Design(rule)
        return Design()

    def _factorial(self, details: Any, study: Study) -> Design:
        names = details if isinstance(details, list) else [details]
        known = [slot.name for slot in study.slots]
        for i, name in enumerate(names):
            if name not in self.document.slots:
                self.problems.add(f"design.factorial[{i}]", unknown("slot", name, known))
            elif name in names[:i]:
                self.problems.add(f"design.factorial[{i}]", f"{name!r} stands twice")
        if not names:
            self.problems.add("design.factorial", "the list is empty")
        return Design("factorial", slots=tuple(names))

    def _listed(self, details: Any, study: Study) -> Design:
        if not isinstance(details, list) or not details:
            self.problems.add("design", "list needs the settings: {list: [{slot: choice}, ...]}")
            return Design()
        settings: list[Setting] = []
        for i, given in enumerate(details):
            place = f"design.list[{i}]"
            if not isinstance(given, dict):
                self.problems.add(place, f"expected {{slot: choice}}; given {_shown(given)}")
                continue
            chosen: dict[str, Choice] = {}
            for name, value in given.items():
                if name not in self.document.slots:
                    self.problems.add(f"{place}.{name}", unknown("slot", name, self.document.slots))
                elif name in {slot.name for slot in study.slots}:
                    found = self._matches(f"{place}.{name}", value, study.slot(name).choices, None)
                    if len(found) > 1:
                        meant = ", ".join(choice.label for choice in found)
                        self.problems.add(f"{place}.{name}", f"{_label(value)!r} means several choices: {meant}")
                    chosen |= dict.fromkeys([name], found[0]) if found else {}
            setting = study.complete(chosen)
            for name in chosen:
                if name not in setting:
                    self.problems.add(f"{place}.{name}", "does not exist in this setting: its `when` does not hold")
            settings.append(setting)
        return Design("list", settings=tuple(settings))

    def _check_recipes(self, study: Study) -> None:
        """Check the recipe of every combination of the recipe's own slots."""
        varied = [slot for slot in study.slots if slot.name.startswith("recipe.")]
        said: set[str] = set()
        for combination in product(*(slot.choices for slot in varied)):
            values = {slot.name[7:]: choice.name for slot, choice in zip(varied, combination, strict=True)}
            for name, message in replace(study.recipe, **values).problems().items():  # type: ignore[arg-type]
                place = f"slots.recipe.{name}" if name in values else f"recipe.{name}"
                if place + message not in said:
                    said.add(place + message)
                    self.problems.add(place, message)


def _expansions(entry: Entry, options: Mapping[str, Any]) -> list[list[Any]]:
    """Return the values of each option in turn; only a list of lists expands an option that takes a list."""
    expansions = []
    for name, value in options.items():
        takes_list = name in entry.options and entry.options[name].is_list
        several = isinstance(value, list) and (not takes_list or any(isinstance(v, list) for v in value))
        expansions.append(value if several else [value])
    return expansions


def _circle(conditions: Mapping[str, Iterable[tuple[str, frozenset[str]]]], waiting: list[str]) -> list[str]:
    """Follow parents that wait for each other until one comes again."""
    walk = [waiting[0]]
    while True:
        after = next(parent for parent, _ in conditions[walk[-1]] if parent in waiting)
        if after in walk:
            return [*walk[walk.index(after) :], after]
        walk.append(after)


def _frozen(value: Any) -> Value:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def _label(value: Any) -> str:
    """Write a value as the study file does."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_label(item) for item in value)}]"
    return "null" if value is None else str(value)


def _recipe_type(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(typing.get_type_hints(Recipe)[name], config=ConfigDict(strict=True))
