"""All parts of a study file together."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args, get_type_hints

from ablate.grammar.choices import Reader, fitting, read_options
from ablate.grammar.designs import full_of, read_design
from ablate.grammar.problems import Problems
from ablate.grammar.recipe import read_recipe
from ablate.grammar.scores import check_practical, read_metric
from ablate.grammar.seeds import read_seeds
from ablate.grammar.slots import Owners, read_slots
from ablate.study import Choice, Match, Metric, Recipe, Slot, Study
from blocks import catalogue
from blocks.catalogue import Catalogue, Entry, Option, unknown

DEFAULT_METRIC = {"classification": "accuracy"}
MOST_RETRIES = 100
# A fractional design spends its trials on different settings, and takes seeds as blocks: two are enough.
SEEDS, SEED_BLOCKS = 5, 2
MATCH = {
    "by": Option("by", ("str",), get_args(get_type_hints(Match)["by"]), required=True),
    "show": Option("show", ("str",), get_args(get_type_hints(Match)["show"])),
}
Named = str | dict[str, dict[str, Any] | None]


@dataclass(frozen=True)
class Document:
    """The file as written, its outer shape checked and nothing else."""

    __pydantic_config__ = {"strict": True, "extra": "forbid"}  # noqa: RUF012  # read by whoever checks the shape

    network: Named
    data: Named
    slots: dict[str, Any]
    name: str | None = None
    question: str = ""
    reference: dict[str, Any] = field(default_factory=dict)
    design: str | dict[str, Any] = "one-at-a-time"
    seeds: int | list[int] | dict[str, Any] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    metric: Named | None = None
    metrics: list[Named] = field(default_factory=list)
    practical: float | None = None
    calibration: list[list[str]] = field(default_factory=list)
    match: Literal["params", "macs"] | dict[str, Any] | None = None
    select: Literal["held-out", "test"] | None = None
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    keep: Literal["weights", "none"] | None = None
    timeout: float | None = None
    retries: int = 0
    share: bool = True
    tags: dict[str, str] = field(default_factory=dict)
    notes: str = ""


def read(document: Document, broken: frozenset[str], problems: Problems, *, own_training: bool) -> Study:
    """Read the parts of a document; a part that cannot be read leaves a problem behind and a stand-in.

    Args:
        document: the file.
        broken: keys that hold nothing that can be read, of which that has been noted.
        problems: where to note them.
        own_training: whether the scores come from a training function of the user's own.
    """
    known = catalogue.read("blocks", "ablate.data", "ablate.tasks")
    names = tuple(document.slots)
    network = data = None
    network_choice = data_choice = Choice("")
    if "network" not in broken:
        network, network_choice = _named("network", document.network, names, known, problems)
    if "data" not in broken:
        data, data_choice = _named("data", document.data, names, known, problems)
    task = str(data.facts["task"]) if data else "classification"
    if network and data and network.facts["task"] != task:
        problems.add("network", f"{network.name} is for {network.facts['task']}, {data.name} for {task}")
    recipe = read_recipe(document.recipe, names, problems) if "recipe" not in broken else Recipe()
    slots: tuple[Slot, ...] = ()
    readers: dict[str, Reader | None] = {}
    if "slots" not in broken:
        reference, place = _reference(document, problems)
        slots, readers = read_slots(document.slots, reference, Owners(network, data, known), problems, place=place)
    metric, *metrics = _metrics(document, task, known, problems, own_training=own_training)
    check_practical(document.practical, metric, problems)
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?|mps", document.device):
        problems.add("device", unknown("device", document.device, ["auto", "cpu", "cuda", "cuda:0", "mps"]))
    if document.timeout is not None and document.timeout <= 0:
        problems.add("timeout", f"{document.timeout} is out of range: seconds, more than 0")
    if not 0 <= document.retries <= MOST_RETRIES:
        problems.add("retries", f"{document.retries} is out of range: from 0 to {MOST_RETRIES}")
    for key in document.tags:
        if key.startswith(("ablate.", "mlflow.")) or not re.fullmatch(r"\w[\w .:-]{0,199}", key):
            problems.add(f"tags.{key}", "is no tag of yours: letters, digits and _-.: only, not ablate.* or mlflow.*")
    given = document.seeds
    if given is None:
        given = SEED_BLOCKS if isinstance(document.design, dict) and "fractional" in document.design else SEEDS
    seeds, adaptive = read_seeds(given, problems)
    study = Study(
        name="", network=network_choice, data=data_choice, slots=slots, question=document.question, recipe=recipe,
        seeds=seeds, adaptive=adaptive, metric=metric, metrics=tuple(metrics), task=task,
        practical=document.practical, calibration=_calibration(document.calibration, problems),
        match=_match(document.match, problems), select=document.select or "held-out", device=document.device, precision=document.precision, keep=document.keep,
        timeout=document.timeout, retries=document.retries, share=document.share,
        tags=tuple(document.tags.items()), notes=document.notes,
    )  # fmt: skip
    if broken & {"slots", "design"}:
        return study
    study = replace(study, design=read_design(document.design, study, readers, problems))
    _check_together(study, document, problems)
    return study


def _reference(document: Document, problems: Problems) -> tuple[dict[str, Any], str]:
    """Return the reference and where it stands: the full model of a leave-one-out design is one."""
    full = full_of(document.design)
    if full is None:
        return document.reference, "reference"
    if document.reference:
        problems.add("reference", "design.leave-one-out.full is the reference of this design: keep one")
    return full, "design.leave-one-out.full"


def _calibration(given: list[list[str]], problems: Problems) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for i, pair in enumerate(given):
        place = f"calibration[{i}]"
        if len(pair) != 2 or pair[0] == pair[1]:
            problems.add(place, f"expected two different labels: a setting's, and its twin's; given {', '.join(pair)}")
        elif pair[1] in {label for other in pairs for label in other}:
            problems.add(f"{place}[1]", f"{pair[1]!r} stands in another pair: a twin has weights of its own")
        elif not pair[1].isprintable() or pair[1] != pair[1].strip() or not pair[1]:
            problems.add(f"{place}[1]", f"expected a word or a few; given {pair[1]!r}")
        else:
            pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def _match(given: str | dict[str, Any] | None, problems: Problems) -> Match | None:
    if given is None:
        return None
    before = len(problems)
    found = fitting("match", {"by": given} if isinstance(given, str) else given, MATCH, problems)
    if len(problems) == before and "by" not in found:
        problems.add("match", "say what is made equal: {by: params} or {by: macs}")
    return Match(**found) if len(problems) == before else None


def _check_together(study: Study, document: Document, problems: Problems) -> None:
    """Note what nobody would read beside this design."""
    rule = study.design.rule
    for slot in study.slots if rule != "leave-one-out" else ():
        if slot.without is not None:
            problems.add(f"slots.{slot.name}.without", f"only leave-one-out leaves parts out; the design is {rule}")
    if study.adaptive and rule in ("search", "fractional"):
        problems.add("seeds", f"a {rule} decides itself what runs on which seed; give a number or a list")
    if document.select is not None and not study.selects:
        problems.add("select", "nothing selects here: only a search, or seeds until: best")
    if study.match and rule in ("search", "fractional"):
        problems.add("match", f"a {rule} varies what would be made equal: match the settings that it finds by a list")
    if study.calibration and rule == "fractional":
        problems.add("calibration", "a fractional design has no pairs on the same seeds: use another design")


def _named(
    place: str, given: Named, slots: Collection[str], known: Catalogue, problems: Problems
) -> tuple[Entry | None, Choice]:
    """Read `network` or `data`: a name, or one name with options."""
    if isinstance(given, dict) and len(given) != 1:
        problems.add(place, f"expected one name, not {len(given)}{': ' if given else ''}{', '.join(given)}")
        return None, Choice("")
    name, options = (given, None) if isinstance(given, str) else next(iter(given.items()))
    if name not in known.names(place):
        problems.add(place, unknown("network" if place == "network" else "data set", name, known.names(place)))
        return None, Choice("")
    entry = known.find(place, name)
    rest = {}
    for option, value in (options or {}).items():
        slot = option if place == "network" else f"data.{option}"
        if option in entry.slots:
            problems.add(f"{place}.{name}.{option}", f"{option!r} is a slot: list its choices under slots")
        elif slot in slots:
            problems.add(f"{place}.{name}.{option}", f"given here and varied by slots.{slot}: keep one")
        else:
            rest[option] = value
    return entry, Choice(name, read_options(problems, f"{place}.{name}", entry, rest) or (), label=name)


def _metrics(
    document: Document, task: str, known: Catalogue, problems: Problems, *, own_training: bool
) -> tuple[Metric, ...]:
    """Read the metric and the secondary ones."""
    first = DEFAULT_METRIC[task] if document.metric is None else document.metric
    places = {"metric": first} | {f"metrics[{i}]": given for i, given in enumerate(document.metrics)}
    read: dict[str, Metric] = {}
    for place, given in places.items():
        metric = read_metric(
            place, given, task=task, own_training=own_training, catalogue=known, problems=problems
        )  # fmt: skip
        if metric.name in {other.name for other in read.values()}:
            problems.add(place, f"{metric.name!r} stands twice")
        read[place] = metric
    return tuple(read.values())
