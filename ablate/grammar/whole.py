"""All parts of a study file together."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ablate.grammar.choices import Reader, read_options
from ablate.grammar.designs import read_design
from ablate.grammar.problems import Problems
from ablate.grammar.recipe import read_recipe
from ablate.grammar.scores import check_practical, read_metric
from ablate.grammar.seeds import read_seeds
from ablate.grammar.slots import Owners, read_slots
from ablate.study import Choice, Metric, Recipe, Slot, Study
from blocks import catalogue
from blocks.catalogue import Catalogue, Entry, unknown

DEFAULT_METRIC = {"classification": "accuracy"}
MOST_RETRIES = 100
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
    seeds: int | list[int] | dict[str, Any] = 5
    recipe: dict[str, Any] = field(default_factory=dict)
    metric: Named | None = None
    metrics: list[Named] = field(default_factory=list)
    practical: float | None = None
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
        slots, readers = read_slots(document.slots, document.reference, Owners(network, data, known), problems)
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
    study = Study(
        name="", network=network_choice, data=data_choice, slots=slots, question=document.question, recipe=recipe,
        seeds=read_seeds(document.seeds, problems), metric=metric, metrics=tuple(metrics), task=task,
        practical=document.practical, device=document.device, precision=document.precision, keep=document.keep,
        timeout=document.timeout, retries=document.retries, share=document.share,
        tags=tuple(document.tags.items()), notes=document.notes,
    )  # fmt: skip
    if broken & {"slots", "design"}:
        return study
    return replace(study, design=read_design(document.design, study, readers, problems))


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
